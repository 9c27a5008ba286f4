/** Erasures that the log knows, and a store that does not. */
import { randomBytes } from 'node:crypto';
import { beforeEach, expect, test } from 'vitest';
import { entityKey } from '../../src/decision-log/subject-name.ts';
import { SubjectRegistry } from '../../src/decision-log/subject-registry.ts';
import { AppError } from '../../src/domain/errors.ts';
import { MemoryLog } from '../../src/store/memory/log.ts';
import { MemoryState } from '../../src/store/memory/state.ts';
import { makeLogger } from '../../src/telemetry/logger.ts';
import { Eraser } from '../../src/wiring/erasure.ts';
import { event } from '../conformance/state-backend.ts';

const NOW = Date.UTC(2026, 10, 22);
const CLOCK = { now: () => NOW, monotonic: () => NOW };
const REF = { type: 'User', id: 'acme/mary' };
const MARY = entityKey(REF);
const BOB = entityKey({ type: 'User', id: 'acme/bob' });

let state: MemoryState;
let registry: SubjectRegistry;
let log: MemoryLog;
let lines: string[];
let announced: string[];
/** Subjects of erasures in former logs. */
let former: string[];
let isDone: boolean;

beforeEach(async () => {
  state = new MemoryState();
  lines = [];
  announced = [];
  former = [];
  isDone = false;
  registry = await SubjectRegistry.open({
    store: state.subjects,
    clock: CLOCK,
    random: randomBytes,
    personalKeys: () => new Set(),
    onError: error => lines.push(String(error)),
  });
  await registry.register([MARY, BOB]);
  log = new MemoryLog('test', { privacy: registry });
});

function eraser(events: Pick<MemoryLog, 'decisions' | 'events'> = log): Eraser {
  let ids = 0;
  return new Eraser({
    directory: {
      delete: () => Promise.reject(new AppError('NOT_FOUND', 'there is no such entity')),
      whileAbsent: (_ref, work) => work(),
    },
    registry,
    former: {
      due: async () => former,
      done: async () => {
        isDone = true;
      },
    },
    log: events,
    events: { announce: async ({ id }) => void announced.push(id) },
    clock: CLOCK,
    ids: { next: () => `event ${(ids += 1)}` },
    logger: makeLogger('info', CLOCK, { write: line => lines.push(line) }),
  });
}

/** What the log keeps of an erasure that the store has forgotten. */
async function logErasureOf(entity: string): Promise<void> {
  const subject = registry.subject(entity)?.pseudonym ?? '';
  await log.append({ ...event(`erased ${subject}`, 'audit.erase'), subject });
}

test('an erasure in the log is repeated for whom the store knows again, and for nobody else', async () => {
  await logErasureOf(MARY);
  const pseudonym = registry.subject(MARY)?.pseudonym;
  await eraser().repeat();
  expect(registry.subject(MARY)).toBeUndefined();
  expect(registry.subject(BOB)).toBeDefined();
  const [entry, ...more] = await state.outbox.pending(10);
  expect(more).toEqual([]);
  expect(entry).toMatchObject({ kind: 'audit.erase', actor: 'system', tenant: 'acme', subject: pseudonym });
  expect(announced).toEqual([entry?.id]);
  await eraser().repeat();
  expect(announced).toHaveLength(1);
});

test('erasures of logs before this one are repeated as well, once', async () => {
  const pseudonym = registry.subject(MARY)?.pseudonym ?? '';
  former = ['p:AAAAAAAAAAAAAAAAAAAAAA', pseudonym];
  await eraser().repeat();
  expect(registry.subject(MARY)).toBeUndefined();
  expect(registry.subject(BOB)).toBeDefined();
  expect((await state.outbox.pending(10)).map(({ subject }) => subject)).toEqual([pseudonym]);
  expect(isDone).toBe(true);
});

test('where a log before this one forgot somebody unregistered, no name of theirs is found any more', async () => {
  const name = registry.unregistered('AI::User::"stranger"', NOW);
  expect(await registry.pseudonymsOf('User', 'stranger')).toContain(name);
  former = ['unregistered'];
  await eraser().repeat();
  expect(await registry.pseudonymsOf('User', 'stranger')).not.toContain(name);
  expect(registry.unregistered('AI::User::"stranger"', NOW)).not.toBe(name);
});

test('a principal that lives again gets another pseudonym, and the operator is told', async () => {
  const pseudonym = registry.subject(MARY)?.pseudonym;
  const tx = await state.directory.begin();
  const body = { attributes: {}, parents: [], tags: {}, status: 'active' } as const;
  await tx.write([{ ref: REF, body }]);
  await tx.commit('2026-11-22T00:00:00.000Z', event('put'));
  await state.outbox.acknowledge(['put']);
  await logErasureOf(MARY);
  await logErasureOf(BOB);
  await eraser().repeat();
  expect(registry.subject(MARY)?.pseudonym).not.toBe(pseudonym);
  expect(registry.subject(MARY)).toBeDefined();
  expect(await registry.resolve([pseudonym ?? ''])).toEqual(new Map());
  expect(await state.directory.at(REF, 1)).toBeDefined();
  expect(registry.subject(BOB)).toBeUndefined();
  expect(lines.filter(line => line.includes('in the directory again'))).toHaveLength(1);
  expect(lines.join()).not.toContain('acme/mary');
});

test('an index that cannot answer yet does not stop the service, and is reported', async () => {
  const events = () => Promise.reject(new AppError('NOT_READY', 'the index catches up'));
  await eraser({ events, decisions: query => log.decisions(query) }).repeat();
  expect(lines.join()).toContain('could not be looked into');
  expect(isDone).toBe(false);
});

test('who cannot be found in the log by name for now is told as unknown', async () => {
  const decisions = () => Promise.reject(new AppError('NOT_READY', 'the index catches up'));
  const request = { principal: REF, reason: 't', deleteEntity: true };
  const actor = { keyId: 'k', roles: new Set(['admin'] as const), tenants: undefined, mayAssert: true };
  const answer = await eraser({ decisions, events: query => log.events(query) }).erase(request, actor);
  expect(answer).toMatchObject({ entityDeleted: false, stillNamedBy: { clearEntries: null } });
});

test('decisions of a former format that name the principal in clear are told', async () => {
  await log.append(event('any'));
  const decisions = () => log.events({ limit: 1, order: 'asc' });
  const request = { principal: REF, reason: 't', deleteEntity: false };
  const actor = { keyId: 'k', roles: new Set(['admin'] as const), tenants: undefined, mayAssert: true };
  const answer = await eraser({ decisions, events: query => log.events(query) }).erase(request, actor);
  expect(answer.stillNamedBy.clearEntries).toBe(true);
});
