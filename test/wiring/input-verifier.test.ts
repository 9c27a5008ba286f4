/** Verification of inputs beside the ordinary: former leaves, keys that are gone, a log that takes no entry. */
import { randomBytes } from 'node:crypto';
import { beforeEach, expect, test } from 'vitest';
import { loggedLeaf } from '../../src/decision-log/logged-leaf.ts';
import { SubjectRegistry } from '../../src/decision-log/subject-registry.ts';
import { AppError } from '../../src/domain/errors.ts';
import type { EventEntry } from '../../src/domain/log-entry.ts';
import { MemoryState } from '../../src/store/memory/state.ts';
import { InputVerifier } from '../../src/wiring/input-verifier.ts';
import { event } from '../conformance/state-backend.ts';
import { madeDigest } from '../decision-log/made-digest.ts';

const NOW = Date.UTC(2026, 10, 22);
const NEXT_YEAR = Date.UTC(2027, 10, 22);
const HASH = 'sha256:00ff';
const MODEL = { type: 'Model', id: 'acme/m' };
const BOT = { type: 'Agent', id: 'acme/bot' };
const BOT_KEY = 'AI::Agent::"acme/bot"';
const AUDITOR = { keyId: 'k', roles: new Set(['auditor'] as const), tenants: undefined, mayAssert: false };

let now: number;
let registry: SubjectRegistry;
let recorded: EventEntry[];
let request: object;
let refusing: boolean;

beforeEach(async () => {
  now = NOW;
  recorded = [];
  refusing = false;
  registry = await SubjectRegistry.open({
    store: new MemoryState().subjects,
    clock: { now: () => now, monotonic: () => now },
    random: randomBytes,
    personalKeys: () => new Set(),
    onError: () => undefined,
  });
});

function matches(hash: string): Promise<boolean> {
  const verifier = new InputVerifier({
    log: { decision: async id => loggedLeaf(0, '00', JSON.stringify({ id, v: 2, request })) },
    registry,
    events: {
      async record(entry) {
        if (refusing) throw new AppError('LOG_UNAVAILABLE', 'refused by the test');
        recorded.push(entry);
      },
    },
    clock: { now: () => now, monotonic: () => now },
    ids: { next: () => 'event' },
  });
  return verifier.matches({ decisionId: 'd1', hash, given: 'hash' }, AUDITOR);
}

function codeOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => 'none',
    (error: unknown) => (error instanceof AppError ? error.code : error),
  );
}

/** What a leaf says of the input of a request. */
function digested(resource: { type: string; id: string }, shownId: string = resource.id) {
  const key = `AI::${resource.type}::"${resource.id}"`;
  const inputDigest = madeDigest(registry.inputDigest({ tenant: 'acme', resource: key, hash: HASH }, now));
  return { tenant: 'acme', resource: { type: resource.type, id: shownId }, inputDigest };
}

test('a leaf of the former format is compared with the hash that it holds', async () => {
  request = { tenant: 'acme', resource: MODEL, inputHash: HASH };
  expect(await matches(HASH)).toBe(true);
  expect(await matches(`${HASH}0`)).toBe(false);
  expect(recorded.map(({ details }) => details)).toEqual([
    { given: 'hash', matches: true },
    { given: 'hash', matches: false },
  ]);
});

test('a digest is compared by the key that it names, also in a later month', async () => {
  request = digested(MODEL);
  now = NEXT_YEAR;
  await registry.makeMonthKeys();
  expect(await matches(HASH)).toBe(true);
});

test('a digest whose key was destroyed with its month is not compared, and nothing is logged', async () => {
  request = digested(MODEL);
  now = NEXT_YEAR;
  await registry.makeMonthKeys();
  await registry.dropMonthKeys(now);
  expect(await codeOf(matches(HASH))).toBe('INPUT_NOT_VERIFIABLE');
  expect(recorded).toEqual([]);
});

test('a digest about a principal as resource is compared until that principal is erased', async () => {
  await registry.register([BOT_KEY]);
  request = digested(BOT, registry.subject(BOT_KEY)?.pseudonym);
  expect(await matches(HASH)).toBe(true);
  await registry.erase(BOT, () => event('e', 'audit.erase'));
  expect(await codeOf(matches(HASH))).toBe('INPUT_NOT_VERIFIABLE');
});

test('a comparison that cannot be logged is not answered', async () => {
  request = digested(MODEL);
  refusing = true;
  expect(await codeOf(matches(HASH))).toBe('LOG_UNAVAILABLE');
});
