/** A whole service with a witness and an anchor on another volume: what callers see, and what a start refuses. */
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openCheckpoint } from '../../src/decision-log/checkpoint.ts';
import { cosignatureVerifier } from '../../src/decision-log/cosignature.ts';
import { ed25519Verifier, openNote } from '../../src/decision-log/signed-note.ts';
import { startService } from '../../src/main.ts';
import { Witness } from '../store/anchors/witness.ts';
import { configFor, problemOf, startTestService, type TestService } from './service.ts';

const root = mkdtempSync(join(tmpdir(), 'duramen-anchored-'));
const [data, copy, volume] = ['data', 'copy', 'volume'].map(name => join(root, name));
if (data === undefined || copy === undefined || volume === undefined) throw new Error('unreachable');
const anchor = join(volume, 'checkpoint');
let witness: Witness;
let env: Record<string, string>;
let service: TestService;

beforeAll(async () => {
  for (const folder of [data, volume]) mkdirSync(folder);
  witness = await Witness.start();
  env = {
    DURAMEN_ANCHOR_FILES: anchor,
    DURAMEN_ANCHOR_WITNESSES: `${witness.url} ${witness.verifierKey}`,
    DURAMEN_ANCHOR_INTERVAL_SECONDS: '1',
    DURAMEN_ANCHOR_MAX_AGE_SECONDS: '3600',
  };
  service = await startTestService({ folder: data, env });
});
afterAll(async () => {
  await service.stop();
  await witness.close();
  rmSync(root, { recursive: true });
});

const cosigned = () => service.call('GET', '/v1/log/checkpoint?cosigned=true');

/** How often the witness refused, as the metrics say. */
const REFUSED = /duramen_log_anchor_failures_total\{target="witness:witness\.example\/w1"\} [1-9]/;

describe('the cosigned checkpoint', () => {
  test('is 404 until a witness has signed, with what to look at', async () => {
    // it does not know the log yet; the first round begins with the service and is awaited by nobody
    await expect.poll(async () => (await service.call('GET', '/metrics')).text).toMatch(REFUSED);
    const reply = await cosigned();
    expect(reply.status).toBe(404);
    expect(problemOf(reply).detail).toMatch(/no witness has cosigned .*`anchor\.witnesses`/);
  });

  test('is the note of the log with the line of the witness that was given the key of GET /v1/log/key', async () => {
    const verifierKey = (await service.call('GET', '/v1/log/key')).text.trim();
    witness.knows({ origin: ed25519Verifier(verifierKey).name, verifierKey });
    await vi.waitFor(async () => expect((await cosigned()).status).toBe(200), {
      timeout: 30_000,
      interval: 200,
    });
    const { text, headers } = await cosigned();
    expect(headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(openNote(text, [cosignatureVerifier(witness.verifierKey)]).signatures).toHaveLength(1);
    const { size } = openCheckpoint(text, ed25519Verifier(verifierKey));
    expect(size).toBeGreaterThan(0);
    // a fresh one has no cosignature
    const fresh = await service.call('GET', '/v1/log/checkpoint');
    expect(() => openNote(fresh.text, [cosignatureVerifier(witness.verifierKey)])).toThrow(/not signed by/);
  });
});

test('readiness shows ages by kind, and neither paths nor addresses', async () => {
  const { text } = await service.call('GET', '/readyz?verbose', { key: undefined });
  for (const name of ['anchor local', 'anchor file 1', 'anchor witness 1']) expect(text).toContain(name);
  expect(text).toMatch(/last checkpoint \d+ s ago/);
  expect(text).not.toMatch(/volume|127\.0\.0\.1|witness\.example/);
});

test('metrics show the age and the failures of each by name', async () => {
  const { text } = await service.call('GET', '/metrics');
  expect(text).toContain(`duramen_log_anchor_age_seconds{target="file:${anchor}"}`);
  expect(text).toMatch(REFUSED);
});

test('a service whose folder was put back does not start, and its log stays as it is', async () => {
  await service.stop();
  cpSync(data, copy, { recursive: true });
  const later = await startTestService({ folder: data, env });
  await later.stop();
  const start = startService(configFor(copy, env), { writeLog: () => undefined });
  await expect(start).rejects.toMatchObject({ code: 'LOG_ROLLBACK' });
  await expect(start).rejects.toThrow(
    /its anchor `file:.*volume\/checkpoint` holds a checkpoint of \d+: \d+ are missing/,
  );
  // the newer folder is not harmed by the attempt
  service = await startTestService({ folder: data, env });
});

test('a second copy of a running log ends when it meets the first at a witness', async () => {
  const { DURAMEN_ANCHOR_FILES: _, ...witnessed } = env;
  await service.stop();
  rmSync(copy, { recursive: true });
  cpSync(data, copy, { recursive: true });
  service = await startTestService({ folder: data, env });
  witness.fault = (_request, response) => response.writeHead(503).end();
  const twin = await startTestService({ folder: copy, env: witnessed });
  witness.fault = undefined;
  // whichever comes second contradicts what the other one had cosigned
  const reason = await Promise.race([twin.running.broken, service.running.broken]);
  expect(reason).toMatch(/contradicts its anchor `witness:witness\.example\/w1`/);
  await twin.stop();
});
