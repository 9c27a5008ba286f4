/** The contract of IdempotencyStore, sentence by sentence (src/identity/ports.ts). */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ANSWER_TTL_MS, type StoredAnswer } from '../../src/identity/ports.ts';
import type { OpenState, StateBackend } from './state-backend.ts';

/** Most answers of the states under test. */
const MOST = 5;
const NOW = 1_767_323_045_678;

function answer(text: string): StoredAnswer {
  return {
    requestHash: `hash of ${text}`,
    status: 201,
    headers: { etag: `"${text}"` },
    body: `{"é":"${text}"}`,
  };
}

export function describeIdempotencyStore(backend: StateBackend): void {
  describe(`IdempotencyStore on ${backend.name}`, () => {
    let state: OpenState;
    beforeEach(async () => {
      state = await backend.open(MOST);
    });
    afterEach(() => state.close());

    test('`find` gives the answer that was saved, and undefined for an unknown key', async () => {
      await state.idempotency.save('k1', 'a', answer('one'), NOW);
      expect(await state.idempotency.find('k1', 'a')).toEqual(answer('one'));
      expect(await state.idempotency.find('k1', 'A')).toBeUndefined();
    });

    test('keys of different credentials are different, however they are put together', async () => {
      await state.idempotency.save('k1', '2', answer('one'), NOW);
      await state.idempotency.save('k', '12', answer('two'), NOW);
      expect(await state.idempotency.find('k1', '2')).toEqual(answer('one'));
      expect(await state.idempotency.find('k', '12')).toEqual(answer('two'));
      expect(await state.idempotency.find('k12', '')).toBeUndefined();
    });

    test('`save` keeps the first answer for a key', async () => {
      await state.idempotency.save('k1', 'a', answer('one'), NOW);
      await state.idempotency.save('k1', 'a', answer('two'), NOW + 1);
      expect(await state.idempotency.find('k1', 'a')).toEqual(answer('one'));
    });

    test('`save` forgets answers older than a day and keeps younger ones', async () => {
      await state.idempotency.save('k1', 'old', answer('old'), NOW);
      await state.idempotency.save('k1', 'young', answer('young'), NOW + 1);
      await state.idempotency.save('k1', 'new', answer('new'), NOW + ANSWER_TTL_MS);
      expect(await state.idempotency.find('k1', 'old')).toBeUndefined();
      expect(await state.idempotency.find('k1', 'young')).toEqual(answer('young'));
    });

    test('after a day a key can be used again', async () => {
      await state.idempotency.save('k1', 'a', answer('one'), NOW);
      await state.idempotency.save('k1', 'a', answer('two'), NOW + ANSWER_TTL_MS);
      expect(await state.idempotency.find('k1', 'a')).toEqual(answer('two'));
    });

    test('the oldest answers beyond the most are forgotten', async () => {
      for (let n = 0; n <= MOST; n += 1)
        await state.idempotency.save('k1', String(n), answer(String(n)), NOW + n);
      const found = await Promise.all(
        Array.from({ length: MOST + 1 }, (_, n) => state.idempotency.find('k1', String(n))),
      );
      expect(found.map(one => one !== undefined)).toEqual([false, true, true, true, true, true]);
    });

    test('a key that is saved again takes no further place', async () => {
      for (let n = 0; n < 2 * MOST; n += 1) await state.idempotency.save('k1', 'same', answer('x'), NOW + n);
      for (let n = 1; n < MOST; n += 1)
        await state.idempotency.save('k1', String(n), answer(String(n)), NOW + n);
      expect(await state.idempotency.find('k1', 'same')).toEqual(answer('x'));
    });
  });
}
