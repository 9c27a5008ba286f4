/**
 * A log and its witness: cosignatures reach whoever asks for the checkpoint, a witness that is away costs nothing,
 * and one that has seen more stops a log that went back, at the start and while it runs.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { cosignatureVerifier } from '../../src/decision-log/cosignature.ts';
import { openNote } from '../../src/decision-log/signed-note.ts';
import { type AnchoredLog, refusal, startLog } from '../wiring/anchored-log.ts';
import { Witness } from '../store/anchors/witness.ts';

let root: string;
let data: string;
let witness: Witness;
let env: Record<string, string>;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'duramen-witness-'));
  data = join(root, 'data');
  mkdirSync(data);
  witness = await Witness.start();
  env = {
    DURAMEN_ANCHOR_WITNESSES: `${witness.url} ${witness.verifierKey}`,
    DURAMEN_ANCHOR_INTERVAL_SECONDS: '1',
  };
});
afterEach(async () => {
  await witness.close();
  rmSync(root, { recursive: true });
});

/** Starts, tells the witness the key of the log, and waits until it has cosigned. */
async function startWitnessed(): Promise<AnchoredLog> {
  const service = await startLog(data, env);
  witness.knows({ origin: service.log.origin, verifierKey: service.verifierKey });
  await cosignedAt(service, service.log.size);
  return service;
}

async function cosignedAt(service: AnchoredLog, size: number): Promise<void> {
  await vi.waitFor(
    () => expect(service.anchors.cosigned()?.checkpoint.size ?? 0).toBeGreaterThanOrEqual(size),
    { timeout: 20_000 },
  );
}

const seen = (service: AnchoredLog) => witness.seen.get(service.log.origin)?.size ?? 0;

describe('a witness', () => {
  test('cosigns what the log publishes, the last entry of a stop included, and the cosigned note is kept', async () => {
    const service = await startWitnessed();
    await service.add(5);
    await cosignedAt(service, 6);
    const { note = '' } = service.anchors.cosigned() ?? {};
    expect(openNote(note, [cosignatureVerifier(witness.verifierKey)]).signatures).toHaveLength(1);
    await service.stop();
    expect(seen(service)).toBe(service.log.size);
    expect(readFileSync(join(data, 'anchor.cosigned'), 'utf8')).toMatch(/— witness\.example\/w1 /);
    const restarted = await startLog(data, env);
    expect(restarted.anchors.cosigned()?.witnesses).toEqual(['witness:witness.example/w1']);
    await restarted.stop();
  });

  test('that does not know the log, or is away, neither stops nor delays it', async () => {
    const service = await startLog(data, env);
    await vi.waitFor(() => expect(statusOf(service)?.problem).toMatch(/does not know `duramen\.local/), {
      timeout: 20_000,
    });
    expect(service.anchors.status()[0]).toMatchObject({ name: 'local', problem: undefined });
    await service.stop();
    await witness.close();
    const again = await startLog(data, env);
    expect(again.lines.join('')).toContain('the log could not be compared with a witness');
    await again.stop();
    witness = await Witness.start();
  });
});

describe('a log that a witness has seen further', () => {
  beforeEach(async () => {
    const service = await startWitnessed();
    await service.stop();
    cpSync(data, join(root, 'backup'), { recursive: true });
    await (await startLog(data, env)).stop();
    rmSync(data, { recursive: true });
    renameSync(join(root, 'backup'), data);
  });

  test('is refused at the start, with both sizes and the way on', async () => {
    const { code, message } = await refusal(data, env);
    expect(code).toBe('LOG_ROLLBACK');
    expect(message).toMatch(
      /contradicts its anchor `witness:witness\.example\/w1`: it has cosigned a checkpoint of 4 entries, the log has 2.*duramen log open-new/,
    );
  });

  test('is refused when it has grown past the witness on another way', async () => {
    const alone = await startLog(data);
    await alone.add(10);
    await alone.stop();
    expect((await refusal(data, env)).message).toMatch(
      /does not find its checkpoint of 4 entries in the history/,
    );
  });

  test('ends the service when the witness was away at the start, and the log says why', async () => {
    witness.fault = (_, response) => response.writeHead(503).end();
    const service = await startLog(data, env);
    witness.fault = undefined;
    expect(await service.anchors.broken).toMatch(/contradicts its anchor `witness:witness\.example\/w1`/);
    expect(await service.events('log.anchor_conflict')).toMatchObject([
      { subject: 'witness:witness.example/w1', details: { heldSize: 4 } },
    ]);
    await service.stop();
    expect((await refusal(data, env)).code).toBe('LOG_ROLLBACK');
  });
});

test('a kept cosigned checkpoint is an anchor, too: a log that lacks its entries is refused', async () => {
  const service = await startWitnessed();
  await service.stop();
  cpSync(join(data, 'log'), join(root, 'log'), { recursive: true });
  await (await startLog(data, env)).stop();
  rmSync(join(data, 'log'), { recursive: true });
  renameSync(join(root, 'log'), join(data, 'log'));
  rmSync(join(data, 'anchor.checkpoint'));
  witness.fault = (_, response) => response.writeHead(503).end();
  const { code, message } = await refusal(data, env);
  expect([code, message]).toEqual([
    'LOG_ROLLBACK',
    expect.stringMatching(/its anchor `cosigned` holds a checkpoint of 4/),
  ]);
});

test.each<[string, (witness: Witness) => string, RegExp]>([
  ['a log', ({ url }) => `${url} ${LOG_KEY}`, /`anchor\.witnesses`: .* is not that of a witness/],
  [
    'nobody: its id is wrong',
    w => `${w.url} ${w.verifierKey.replace(/\+[0-9a-f]{8}\+/, '+00000000+')}`,
    /its id/,
  ],
  ['a witness that stands twice', w => `${w.url} ${w.verifierKey},${w.url}/x ${w.verifierKey}`, /twice/],
])('a configured key of %s stops the start', async (_name, setting, says) => {
  const error = await refusal(data, { DURAMEN_ANCHOR_WITNESSES: setting(witness) });
  expect(error.message).toMatch(says);
  expect(existsSync(join(data, 'anchor.checkpoint'))).toBe(false);
});

/** A verifier key of a log (type 1). */
const LOG_KEY = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';

function statusOf(service: AnchoredLog) {
  return service.anchors.status().find(({ name }) => name.startsWith('witness:'));
}
