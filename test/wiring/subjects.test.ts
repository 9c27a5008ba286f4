/** Pseudonyms in front of the directory: who has one when, and which keys of a context are personal. */
import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import { entityKey } from '../../src/decision-log/subject-name.ts';
import type { DirectoryStore } from '../../src/directory/ports.ts';
import type { EntityRef } from '../../src/domain/ids.ts';
import { EntityUid } from '../../src/domain/value.ts';
import { MemoryState } from '../../src/store/memory/state.ts';
import { makeLogger } from '../../src/telemetry/logger.ts';
import { Subjects } from '../../src/wiring/subjects.ts';
import { AT, body, event } from '../conformance/state-backend.ts';

const NOW = Date.UTC(2026, 10, 22);
const CLOCK = { now: () => now, monotonic: () => now };
const ALICE = { type: 'User', id: 'acme/alice' };
const BOT = { type: 'Agent', id: 'acme/bot' };
const MODEL = { type: 'Model', id: 'acme/m' };
const ACME = { type: 'Tenant', id: 'acme' };

let now: number;
let state: MemoryState;

beforeEach(() => {
  now = NOW;
  state = new MemoryState();
});

async function open(directory: DirectoryStore = state.directory): Promise<Subjects> {
  const logger = makeLogger('silent', CLOCK, { write: () => undefined });
  const subjects = new Subjects({
    store: state.subjects,
    directory,
    clock: CLOCK,
    random: randomBytes,
    logger,
  });
  await subjects.load();
  await subjects.makeMonthKeys();
  return subjects;
}

async function put({ directory }: Subjects, refs: readonly EntityRef[], id = 'e1'): Promise<void> {
  const tx = await directory.begin();
  await tx.write(refs.map(ref => ({ ref, body: body() })));
  await tx.commit(AT, event(id));
}

describe('whoever comes into the directory', () => {
  test('has a pseudonym when it is a principal, and a tenant has its keys', async () => {
    const subjects = await open();
    await put(subjects, [ALICE, BOT, MODEL, ACME]);
    expect([ALICE, BOT, MODEL].map(ref => subjects.registry.subject(entityKey(ref)) !== undefined)).toEqual([
      true,
      true,
      false,
    ]);
    const kids = (await state.subjects.monthKeys()).input.map(({ kid }) => kid);
    expect(kids).toEqual(expect.arrayContaining(['acme/2026-11', 'acme/2026-12']));
  });

  test('has it durably before the commit begins', async () => {
    const seen: boolean[] = [];
    const watched: DirectoryStore = {
      revision: () => state.directory.revision(),
      load: () => state.directory.load(),
      at: (ref, revision) => state.directory.at(ref, revision),
      loadAt: revision => state.directory.loadAt(revision),
      async begin() {
        const tx = await state.directory.begin();
        return {
          write: chunk => tx.write(chunk),
          rollback: () => tx.rollback(),
          async commit(at, entry) {
            for await (const { entities } of state.subjects.load())
              seen.push(entities.includes(entityKey(ALICE)));
            return tx.commit(at, entry);
          },
        };
      },
    };
    await put(await open(watched), [ALICE]);
    expect(seen).toEqual([true]);
  });

  test('is not let in when no pseudonym can be made durable', async () => {
    const subjects = await open();
    state.subjects.add = () => Promise.reject(new Error('the disk is full'));
    await expect(put(subjects, [ALICE])).rejects.toThrow('full');
    expect(await state.directory.revision()).toBe(0);
  });

  test('of an import that is given up has none', async () => {
    const subjects = await open();
    const tx = await subjects.directory.begin();
    await tx.write([{ ref: ALICE, body: body() }]);
    await tx.rollback();
    expect(subjects.registry.size).toBe(0);
  });

  test('before there were pseudonyms gets them when the directory is loaded', async () => {
    const tx = await state.directory.begin();
    await tx.write([ALICE, ACME].map(ref => ({ ref, body: body() })));
    await tx.commit(AT, event('e1'));
    const subjects = await open();
    expect(subjects.registry.subject(entityKey(ALICE))).toBeUndefined();
    for await (const chunk of subjects.directory.load()) expect(chunk.length).toBe(2);
    expect(subjects.registry.subject(entityKey(ALICE))).toBeDefined();
    const reference = { tenant: 'acme', resource: 'r', hash: 'h' };
    expect(subjects.registry.inputDigest(reference, NOW).kid).toBe('acme/2026-11');
  });

  test('keeps its pseudonym when it leaves and comes back', async () => {
    const subjects = await open();
    await put(subjects, [ALICE]);
    const before = subjects.registry.subject(entityKey(ALICE));
    const tx = await subjects.directory.begin();
    await tx.write([{ ref: ALICE, body: null }]);
    await tx.commit(AT, event('e2'));
    await put(subjects, [ALICE], 'e3');
    expect(subjects.registry.subject(entityKey(ALICE))).toEqual(before);
  });
});

describe('personal keys of a context', () => {
  test('are those of the configuration and of the schema that is active now', async () => {
    const subjects = await open();
    let schema: { personalKeys: ReadonlySet<string> } | undefined;
    subjects.setPersonalKeys(['region'], () => schema);
    expect([...subjects.registry.personalKeys]).toEqual(['region']);
    schema = { personalKeys: new Set(['ip']) };
    expect([...subjects.registry.personalKeys].sort()).toEqual(['ip', 'region']);
    expect(subjects.registry.personalKeys).toBe(subjects.registry.personalKeys);
    schema = { personalKeys: new Set() };
    expect([...subjects.registry.personalKeys]).toEqual(['region']);
  });

  test('must be known before anything is logged', async () => {
    const subjects = await open();
    expect(() => subjects.registry.personalKeys).toThrow('before it was known');
  });
});

describe('the month keys', () => {
  /** One pending timer, run by hand. */
  function handTimers() {
    let pending: (() => void) | undefined;
    const timers = {
      after(_ms: number, action: () => void) {
        pending = action;
        return () => {
          pending = undefined;
        };
      },
    };
    return { timers, run: () => pending?.() };
  }

  /** A log whose oldest kept entry has this time. */
  function logSince(from: number) {
    const rest = { first: 0, entries: 1, sealed: true, to: from, bytes: 1 };
    return {
      shards: async () => [
        { ...rest, name: 'gone', kept: false, from: 0 },
        { ...rest, name: 'kept', kept: true, from },
      ],
    };
  }

  async function months(): Promise<readonly string[]> {
    return (await state.subjects.monthKeys()).unregistered.map(({ kid }) => kid).sort();
  }

  test('are made ahead and destroyed with the last entry of their month, hour by hour', async () => {
    const subjects = await open();
    const { timers, run } = handTimers();
    subjects.start(logSince(Date.UTC(2026, 11, 24)), timers);
    now = Date.UTC(2027, 0, 1);
    run();
    await expect.poll(months, { timeout: 20_000 }).toEqual(['/2026-12', '/2027-01', '/2027-02']);
    now = Date.UTC(2027, 1, 1);
    run();
    await expect.poll(months, { timeout: 20_000 }).toEqual(['/2026-12', '/2027-01', '/2027-02', '/2027-03']);
    await subjects.close();
    run();
    expect(await months()).toHaveLength(4);
  });

  test('of the month that a clock was set back to are kept, whatever the entries say', async () => {
    const subjects = await open();
    const { timers, run } = handTimers();
    subjects.start(logSince(Date.UTC(2027, 5, 1)), timers);
    run();
    await subjects.close();
    expect(await months()).toEqual(['/2026-11', '/2026-12']);
  });
});

test('details of an event name a principal by its pseudonym, anything else by its key', async () => {
  const subjects = await open();
  await put(subjects, [ALICE]);
  const uid = ({ type, id }: EntityRef) => new EntityUid(`AI::${type}`, id);
  expect(subjects.nameInLog(uid(ALICE), NOW)).toMatch(/^p:/);
  expect(subjects.nameInLog(uid(BOT), NOW)).toMatch(/^u:/);
  expect(subjects.nameInLog(uid(MODEL), NOW)).toBe('AI::Model::"acme/m"');
});
