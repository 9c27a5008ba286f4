/** What retention leaves over HTTP: kept decisions and every proof, and a clear word about the others. */
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { openCheckpoint } from '../../src/decision-log/checkpoint.ts';
import { consistencyFault } from '../../src/decision-log/proofs.ts';
import { ed25519Verifier } from '../../src/decision-log/signed-note.ts';
import { type Decision, decisionSchema } from '../../src/domain/decision.ts';
import { withOtherLetter } from '../other-letter.ts';
import { until } from '../store/sqlite/sqlite-log.ts';
import { ALLOWED, problemOf, startTestService, temporaryFolder, type TestService } from './service.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const START = Date.UTC(2026, 0, 5);

const folder = temporaryFolder();
let now = START;
const clock = { now: () => now, monotonic: () => performance.now() };

let service: TestService;
let removed: Decision;
let kept: Decision;
let earlier: { size: number; root: Uint8Array };

async function decide(): Promise<Decision> {
  return decisionSchema.parse((await service.call('POST', '/decide', { body: ALLOWED })).json);
}

async function checkpoint() {
  const key = (await service.call('GET', '/v1/log/key')).text.trimEnd();
  return openCheckpoint((await service.call('GET', '/v1/log/checkpoint')).text, ed25519Verifier(key));
}

beforeAll(async () => {
  service = await startTestService({ folder, clock, filled: true });
  removed = await decide();
  earlier = await checkpoint();
  await service.stop();
  now = START + 8 * DAY_MS;
  service = await startTestService({ folder, clock });
  kept = await decide();
  await service.stop();
  // The second week is not old enough yet.
  const end = START + 7 * DAY_MS + 402 * DAY_MS - 1;
  // The log must know the time for hours before anything goes.
  for (let hour = 0; hour < 6; hour++) {
    now = end - 1.5 * DAY_MS + hour * HOUR_MS;
    service = await startTestService({ folder, clock });
    await service.stop();
  }
  now = end;
  service = await startTestService({ folder, clock });
  // It begins with the service and does not hold it up.
  await until(async () => (await shards()).some(shard => !shard.kept));
});
afterAll(async () => {
  await service.stop();
  rmSync(folder, { recursive: true });
});

const shardsSchema = z.object({
  items: z.array(z.looseObject({ first: z.number(), entries: z.number(), kept: z.boolean() })),
});

async function shards() {
  return shardsSchema.parse((await service.call('GET', '/v1/log/shards')).json).items;
}

describe('after retention', () => {
  test('the first shard is gone, the others are kept', async () => {
    expect((await shards()).map(({ kept: isKept }) => isKept)).toEqual([false, true, true]);
  });

  test('a decision that was removed is 404, and the answer says since when entries are kept', async () => {
    for (const path of ['', '/proof']) {
      const reply = await service.call('GET', `/v1/decisions/${removed.decisionId}${path}`);
      expect(reply.status).toBe(404);
      expect(problemOf(reply).detail).toMatch(
        /its id is of 2026-01-05T.*retention removed what is older than 2026-01-1\dT/,
      );
    }
    const other = await service.call('GET', `/v1/decisions/${withOtherLetter(kept.decisionId)}`);
    expect(problemOf(other).detail).not.toContain('retention');
  });

  test('kept decisions are listed alone, and have proofs', async () => {
    const reply = await service.call('GET', '/v1/decisions?order=asc');
    const { items } = z
      .object({ items: z.array(z.looseObject({ decisionId: z.string() })) })
      .parse(reply.json);
    expect(items.map(({ decisionId }) => decisionId)).toEqual([kept.decisionId]);
    expect((await service.call('GET', `/v1/decisions/${kept.decisionId}/proof`)).status).toBe(200);
  });

  test('the log is proven to continue what it was before', async () => {
    const reply = await service.call('GET', `/v1/log/proof/consistency?from=${earlier.size}`);
    const { proof } = z.object({ proof: z.array(z.string()) }).parse(reply.json);
    const { size, root } = await checkpoint();
    const hashes = proof.map(hash => Buffer.from(hash, 'base64'));
    expect(consistencyFault(earlier.size, size, earlier.root, root, hashes)).toBeUndefined();
  });

  test('hash tiles are served, bundles with removed leaves are not', async () => {
    const { size } = await checkpoint();
    expect((await service.call('GET', `/v1/log/tile/0/000.p/${size}`)).status).toBe(200);
    const reply = await service.call('GET', `/v1/log/tile/entries/000.p/${size}`);
    expect(reply.status).toBe(404);
    expect(problemOf(reply).detail).toContain('retention removed entries of bundle 0');
  });
});
