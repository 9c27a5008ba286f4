/** The contract of SubjectStore, sentence by sentence (src/decision-log/ports.ts). */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { MonthKey, SubjectChunk } from '../../src/decision-log/ports.ts';
import { AppError } from '../../src/domain/errors.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { body, commit, event, type OpenState, put, remove, type StateBackend } from './state-backend.ts';

const AT = 1_767_323_045_678;
const ALICE = { type: 'User', id: 'acme/alice' };
const ALICE_KEY = 'AI::User::"acme/alice"';
const BOB_KEY = 'AI::Service::"acme/bob"';
const NOBODY = { entities: 0, bundles: 0 };

/** Subjects whose bytes tell them apart. */
function subjects(...entries: readonly (readonly [entity: string, mark: number])[]): SubjectChunk {
  return {
    entities: entries.map(([entity]) => entity),
    pseudonyms: Uint8Array.from(entries.flatMap(([, mark]) => filled(16, mark))),
    keys: Uint8Array.from(entries.flatMap(([, mark]) => filled(32, mark + 100))),
  };
}

function filled(length: number, mark: number): number[] {
  return Array.from({ length }, () => mark);
}

function inputKey(kid: string, mark: number): MonthKey {
  return { kid, key: Uint8Array.from(filled(32, mark)) };
}

function namesKey(month: string, mark: number): MonthKey {
  return { kid: `/${month}`, key: Uint8Array.from(filled(8_192, mark)) };
}

/** Everything that is kept, as entity → [first byte of the pseudonym, first byte of the key]. */
async function kept(state: OpenState): Promise<ReadonlyMap<string, readonly (number | undefined)[]>> {
  const found = new Map<string, readonly (number | undefined)[]>();
  for await (const { entities, pseudonyms, keys } of state.subjects.load()) {
    expect(pseudonyms.length).toBe(entities.length * 16);
    expect(keys.length).toBe(entities.length * 32);
    entities.forEach((entity, at) => found.set(entity, [pseudonyms[at * 16], keys[at * 32]]));
  }
  return found;
}

function marks(keys: readonly MonthKey[]): Readonly<Record<string, number | undefined>> {
  return Object.fromEntries(keys.map(({ kid, key }) => [kid, key[0]]));
}

async function codeOf(call: Promise<unknown>): Promise<string> {
  const error: unknown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return error instanceof AppError ? error.code : String(error);
}

export function describeSubjectStore(backend: StateBackend): void {
  describe(`SubjectStore on ${backend.name}`, () => {
    let state: OpenState;
    beforeEach(async () => {
      state = await backend.open();
    });
    afterEach(() => state.close());

    describeSubjects(() => state);
    describeMonthKeys(() => state);
    describe('erasure', () => {
      describeErasure(() => state);
    });
  });
}

function describeSubjects(state: () => OpenState): void {
  test('`load` gives every subject that was added, with its own pseudonym and key', async () => {
    expect(await kept(state())).toEqual(new Map());
    await state().subjects.add(subjects([ALICE_KEY, 1], [BOB_KEY, 2]), AT);
    await state().subjects.add(subjects(['AI::Agent::"loose"', 3]), AT);
    expect(await kept(state())).toEqual(
      new Map([
        [ALICE_KEY, [1, 101]],
        [BOB_KEY, [2, 102]],
        ['AI::Agent::"loose"', [3, 103]],
      ]),
    );
  });

  test('`load` gives subjects beyond one chunk', async () => {
    const many = Array.from({ length: 10_001 }, (_, n) => `AI::User::"acme/u${n}"`);
    const pseudonyms = new Uint8Array(many.length * 16);
    many.forEach((_, n) => new DataView(pseudonyms.buffer).setUint32(n * 16, n));
    await state().subjects.add({ entities: many, pseudonyms, keys: new Uint8Array(many.length * 32) }, AT);
    expect((await kept(state())).size).toBe(many.length);
  });

  test('`add` keeps what an entity has, and answers with it', async () => {
    expect((await state().subjects.add(subjects([ALICE_KEY, 1]), AT)).entities).toEqual([]);
    const known = await state().subjects.add(subjects([ALICE_KEY, 7], [BOB_KEY, 2]), AT);
    expect(known.entities).toEqual([ALICE_KEY]);
    expect([known.pseudonyms[0], known.keys[0]]).toEqual([1, 101]);
    expect((await kept(state())).get(ALICE_KEY)).toEqual([1, 101]);
    expect((await kept(state())).get(BOB_KEY)).toEqual([2, 102]);
  });
}

function describeMonthKeys(state: () => OpenState): void {
  test('`addMonthKeys` keeps the first key of a `kid`, and answers with what is kept', async () => {
    const first = { input: [inputKey('acme/2026-11', 1)], unregistered: [namesKey('2026-11', 5)] };
    await state().subjects.addMonthKeys(first, AT);
    const again = await state().subjects.addMonthKeys(
      {
        input: [inputKey('acme/2026-11', 2), inputKey('/2026-11', 3)],
        unregistered: [namesKey('2026-11', 6)],
      },
      AT,
    );
    expect(marks(again.input)).toEqual({ 'acme/2026-11': 1, '/2026-11': 3 });
    expect(marks(again.unregistered)).toEqual({ '/2026-11': 5 });
    const all = await state().subjects.monthKeys();
    expect(marks(all.input)).toEqual({ 'acme/2026-11': 1, '/2026-11': 3 });
    expect(marks(all.unregistered)).toEqual({ '/2026-11': 5 });
    expect(all.unregistered[0]?.key.length).toBe(8_192);
  });

  test('`dropMonthKeys` destroys the keys of earlier months, whatever tenants are called', async () => {
    await state().subjects.addMonthKeys(
      {
        input: [inputKey('z/2025-12', 1), inputKey('a/2026-01', 2), inputKey('/2024-01', 3)],
        unregistered: [namesKey('2025-12', 4), namesKey('2026-01', 5)],
      },
      AT,
    );
    expect(await state().subjects.dropMonthKeys('2026-01')).toBe(3);
    const all = await state().subjects.monthKeys();
    expect(marks(all.input)).toEqual({ 'a/2026-01': 2 });
    expect(marks(all.unregistered)).toEqual({ '/2026-01': 5 });
  });
}

function describeErasure(state: () => OpenState): void {
  const erasure = { principal: ALICE, pseudonym: Uint8Array.from(filled(16, 1)), unregistered: [] };

  beforeEach(async () => {
    const { subjects: store, outbox, idempotency } = state();
    await store.add(subjects([ALICE_KEY, 1], [BOB_KEY, 2]), AT);
    await commit(state(), [put(ALICE.id), put('acme/bob')], 'created');
    await commit(state(), [put(ALICE.id, body({ mail: 'alice' }))], 'changed');
    await outbox.acknowledge(['created', 'changed']);
    const answer = (text: string) => ({ requestHash: 'h', status: 201, headers: {}, body: text });
    await idempotency.save('k', 'about', answer('{"principal":"acme/alice"}'), AT);
    await idempotency.save('k', 'other', answer('{"principal":"acme/alice2"}'), AT);
  });

  test('`erase` refuses a principal whose entity lives, and changes nothing', async () => {
    expect(await codeOf(state().subjects.erase(erasure, event('e', 'audit.erase')))).toBe('PRINCIPAL_EXISTS');
    expect((await kept(state())).has(ALICE_KEY)).toBe(true);
    expect(await state().directory.at(ALICE, 1)).toBeDefined();
    expect(await state().outbox.pending(10)).toEqual([]);
  });

  test('`erase` of a principal that stays forgets its subject, and nothing that is about it', async () => {
    const answered = await state().subjects.erase({ ...erasure, stays: true }, event('e', 'audit.erase'));
    expect(answered).toMatchObject({ revisions: 0, answers: 0 });
    expect([...(await kept(state())).keys()]).toEqual([BOB_KEY]);
    for (const revision of [1, 2]) expect(await state().directory.at(ALICE, revision)).toBeDefined();
    expect(await state().idempotency.find('k', 'about')).toBeDefined();
    expect((await state().outbox.pending(10)).map(({ id }) => id)).toEqual(['e']);
  });

  test('`replaceNameKeys` puts keys in the place of others, and adds none', async () => {
    await state().subjects.addMonthKeys({ input: [], unregistered: [namesKey('2026-11', 1)] }, AT);
    await state().subjects.replaceNameKeys([namesKey('2026-11', 9), namesKey('2020-01', 9)]);
    expect(marks((await state().subjects.monthKeys()).unregistered)).toEqual({ '/2026-11': 9 });
  });

  test('`erase` waits for events that name the principal, and changes nothing', async () => {
    await commit(state(), [remove(ALICE.id)], 'removed');
    const tx = await state().directory.begin();
    await tx.commit('2026-01-02T03:04:05.678Z', { ...event('waiting'), subject: ALICE_KEY });
    expect(await codeOf(state().subjects.erase(erasure, event('e', 'audit.erase')))).toBe('LOG_UNAVAILABLE');
    expect((await kept(state())).has(ALICE_KEY)).toBe(true);
  });

  test('`erase` forgets the subject, every state of the entity and the answers that name it', async () => {
    await commit(state(), [remove(ALICE.id)], 'removed');
    await state().outbox.acknowledge(['removed']);
    const traces = await state().subjects.erase(erasure, event('e', 'audit.erase'));
    expect(traces).toEqual({ revisions: 3, answers: 1, namedBy: NOBODY });
    expect([...(await kept(state())).keys()]).toEqual([BOB_KEY]);
    for (const revision of [1, 2, 3]) expect(await state().directory.at(ALICE, revision)).toBeUndefined();
    expect(await state().directory.at({ type: 'User', id: 'acme/bob' }, 3)).toBeDefined();
    expect(await state().idempotency.find('k', 'about')).toBeUndefined();
    expect(await state().idempotency.find('k', 'other')).toBeDefined();
  });

  test('`erase` puts its event into the outbox, with what was removed', async () => {
    await commit(state(), [remove(ALICE.id)], 'removed');
    await state().outbox.acknowledge(['removed']);
    await state().subjects.erase(erasure, event('e', 'audit.erase'));
    const [entry] = await state().outbox.pending(10);
    const erased: JsonObject = { revisions: 3, answers: 1 };
    expect(entry).toEqual({ ...event('e', 'audit.erase'), details: { n: 1, erased } });
  });

  test('`erase` replaces keys of names, and of no month that there is not', async () => {
    await commit(state(), [remove(ALICE.id)], 'removed');
    await state().outbox.acknowledge(['removed']);
    await state().subjects.addMonthKeys({ input: [], unregistered: [namesKey('2026-11', 1)] }, AT);
    const unregistered = [namesKey('2026-11', 9), namesKey('2020-01', 9)];
    await state().subjects.erase({ ...erasure, unregistered }, event('e', 'audit.erase'));
    expect(marks((await state().subjects.monthKeys()).unregistered)).toEqual({ '/2026-11': 9 });
  });

  test('`erase` of a principal that was never registered removes nothing and succeeds', async () => {
    const stranger = { principal: { type: 'Agent', id: 'stranger' }, unregistered: [] };
    const traces = await state().subjects.erase(stranger, event('e', 'audit.erase'));
    expect(traces).toEqual({ revisions: 0, answers: 0, namedBy: NOBODY });
    expect((await kept(state())).size).toBe(2);
  });

  test('`erase` tells how many others still name the principal', async () => {
    const owner = body({ owner: { type: 'User', id: ALICE.id } });
    await commit(state(), [remove(ALICE.id), put('acme/bot', owner)], 'removed');
    await state().outbox.acknowledge(['removed']);
    const { namedBy } = await state().subjects.erase(erasure, event('e', 'audit.erase'));
    expect(namedBy).toEqual({ entities: 1, bundles: 0 });
  });

  test('an erased principal can be registered anew, and has nothing of what it had', async () => {
    await commit(state(), [remove(ALICE.id)], 'removed');
    await state().outbox.acknowledge(['removed']);
    await state().subjects.erase(erasure, event('e', 'audit.erase'));
    expect((await state().subjects.add(subjects([ALICE_KEY, 9]), AT)).entities).toEqual([]);
    expect((await kept(state())).get(ALICE_KEY)).toEqual([9, 109]);
  });
}
