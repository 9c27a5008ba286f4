/** The contract of BundleStore, sentence by sentence (src/bundles/ports.ts). */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ActivationRequest } from '../../src/bundles/ports.ts';
import type { Activation, Digest, StoredBundle } from '../../src/domain/bundle.ts';
import type { LayerName } from '../../src/domain/ids.ts';
import { AT, event, type OpenState, pendingIds, type StateBackend } from './state-backend.ts';

const digest = (n: number): Digest => `sha256:${String(n).padStart(64, '0')}`;

function bundle(n: number, layer: LayerName = 'platform'): StoredBundle {
  return {
    digest: digest(n),
    manifest: { layer, version: `1.0.${n}`, description: 'guards' },
    files: { 'policies/a.cedar': `// ${n} é\n`, 'tests/a.json': '{}' },
    archive: new Uint8Array([0, 1, 2, 255, n]),
    report: {
      policies: n,
      tests: { passed: 2, failed: 0 },
      warnings: [{ message: 'w', file: 'a', line: 1 }],
    },
    pushedBy: 'k1',
    pushedAt: AT,
  };
}

function activation(n: number, options: Partial<ActivationRequest> = {}): ActivationRequest {
  return {
    layer: 'platform',
    digest: digest(n),
    expectedActive: undefined,
    actor: 'k1',
    reason: 'because',
    kind: 'activate',
    at: AT,
    ...options,
  };
}

export function describeBundleStore(backend: StateBackend): void {
  describe(`BundleStore on ${backend.name}`, () => {
    let state: OpenState;
    beforeEach(async () => {
      state = await backend.open();
    });
    afterEach(() => state.close());
    const push = (n: number, layer?: LayerName): Promise<boolean> =>
      state.bundles.put(bundle(n, layer), event(`push-${n}`, 'bundle.push'));
    const activate = (request: ActivationRequest, id: string): Promise<Activation> =>
      state.bundles.activate(request, event(id, 'bundle.activate'));

    test('`put` stores a bundle byte for byte, with its event', async () => {
      expect(await push(1)).toBe(true);
      const stored = await state.bundles.get(digest(1));
      expect(stored && { ...stored, archive: [...stored.archive] }).toEqual({
        ...bundle(1),
        archive: [0, 1, 2, 255, 1],
      });
      expect(await pendingIds(state)).toEqual(['push-1']);
    });

    test('`put` answers false for a digest that is stored, changes nothing and adds no event', async () => {
      await push(1);
      const again = { ...bundle(1), pushedBy: 'k2' };
      expect(await state.bundles.put(again, event('again', 'bundle.push'))).toBe(false);
      expect((await state.bundles.get(digest(1)))?.pushedBy).toBe('k1');
      expect(await pendingIds(state)).toEqual(['push-1']);
    });

    test('`get` answers undefined for an unknown digest', async () => {
      expect(await state.bundles.get(digest(9))).toBeUndefined();
    });

    test('`list` gives summaries, newest first', async () => {
      await push(1);
      await push(2);
      const { items, nextCursor } = await state.bundles.list({ limit: 10 });
      expect(nextCursor).toBeNull();
      const { files: _files, archive: _archive, ...summary } = bundle(2);
      expect(items[0]).toEqual(summary);
      expect(items.map(item => item.digest)).toEqual([digest(2), digest(1)]);
    });

    test('`list` gives one layer when asked', async () => {
      await push(1);
      await push(2, 'tenant:acme');
      await push(3);
      const { items } = await state.bundles.list({ layer: 'tenant:acme', limit: 10 });
      expect(items.map(item => item.digest)).toEqual([digest(2)]);
    });

    test('the cursors of `list` visit every bundle once, also while bundles are pushed', async () => {
      for (const n of [1, 2, 3, 4, 5]) await push(n, n % 2 === 0 ? 'tenant:acme' : 'platform');
      const first = await state.bundles.list({ limit: 2 });
      await push(6);
      const second = await state.bundles.list({ limit: 2, cursor: first.nextCursor ?? '' });
      const third = await state.bundles.list({ limit: 2, cursor: second.nextCursor ?? '' });
      expect(third.nextCursor).toBeNull();
      const digests = [first, second, third].flatMap(page => page.items.map(item => item.digest));
      expect(digests).toEqual([5, 4, 3, 2, 1].map(digest));
    });

    test('`list` refuses a cursor that it did not give', async () => {
      await expect(state.bundles.list({ limit: 2, cursor: "1' OR 1" })).rejects.toMatchObject({
        code: 'INVALID_REQUEST',
      });
    });

    test('`activate` records the activation and its event', async () => {
      await push(1);
      const made = await activate(activation(1, { expectedActive: null }), 'act-1');
      const { expectedActive: _expected, ...recorded } = activation(1);
      expect(made).toEqual({ ...recorded, previous: null, sequence: 1 });
      expect(await state.bundles.active()).toEqual([made]);
      expect(await pendingIds(state)).toEqual(['push-1', 'act-1']);
    });

    test.each<[string, Digest | null]>([
      ['another bundle', digest(2)],
      ['no bundle', null],
    ])(
      '`activate` rejects with ACTIVATION_CONFLICT when %s was expected, and changes nothing',
      async (_name, expected) => {
        await push(1);
        await push(2);
        await activate(activation(1), 'act-1');
        await expect(activate(activation(2, { expectedActive: expected }), 'act-2')).rejects.toMatchObject({
          code: 'ACTIVATION_CONFLICT',
        });
        expect((await state.bundles.active()).map(one => one.digest)).toEqual([digest(1)]);
        expect(await pendingIds(state)).toEqual(['push-1', 'push-2', 'act-1']);
      },
    );

    test('of two that expect the same active bundle one wins', async () => {
      for (const n of [1, 2, 3]) await push(n);
      await activate(activation(1), 'act-1');
      const outcomes = await Promise.allSettled(
        [2, 3].map(n => activate(activation(n, { expectedActive: digest(1) }), `act-${n}`)),
      );
      expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
      expect(await state.bundles.history('platform', 10)).toHaveLength(2);
    });

    test('`activate` compares nothing when nothing is expected', async () => {
      await push(1);
      await push(2);
      await activate(activation(1), 'act-1');
      expect(await activate(activation(2), 'act-2')).toMatchObject({ previous: digest(1), sequence: 2 });
    });

    test('`activate` rejects with NOT_FOUND for a digest that is not stored, and changes nothing', async () => {
      await expect(activate(activation(9), 'act-9')).rejects.toMatchObject({ code: 'NOT_FOUND' });
      expect([await state.bundles.active(), await pendingIds(state)]).toEqual([[], []]);
    });

    test('`active` gives the latest activation of every layer, in the order of layer names', async () => {
      await push(1);
      await push(2);
      await push(3, 'tenant:b');
      await push(4, 'tenant:a');
      await activate(activation(3, { layer: 'tenant:b' }), 'a1');
      await activate(activation(1), 'a2');
      await activate(activation(4, { layer: 'tenant:a' }), 'a3');
      await activate(activation(2, { kind: 'rollback' }), 'a4');
      const active = await state.bundles.active();
      expect(active.map(one => [one.layer, one.digest, one.sequence, one.kind])).toEqual([
        ['platform', digest(2), 2, 'rollback'],
        ['tenant:a', digest(4), 1, 'activate'],
        ['tenant:b', digest(3), 1, 'activate'],
      ]);
    });

    test('`history` gives the activations of one layer, newest first, at most as many as asked', async () => {
      for (const n of [1, 2]) await push(n);
      for (const n of [1, 2, 1]) await activate(activation(n), `act-${await count()}`);
      expect((await state.bundles.history('platform', 2)).map(one => one.sequence)).toEqual([3, 2]);
      expect(await state.bundles.history('tenant:acme', 2)).toEqual([]);
    });

    test('`history` goes on below a sequence', async () => {
      for (const n of [1, 2]) await push(n);
      for (const n of [1, 2, 1]) await activate(activation(n), `act-${await count()}`);
      expect((await state.bundles.history('platform', 1, 3)).map(one => one.sequence)).toEqual([2]);
      expect((await state.bundles.history('platform', 9, 3)).map(one => one.sequence)).toEqual([2, 1]);
      expect(await state.bundles.history('platform', 9, 1)).toEqual([]);
    });

    async function count(): Promise<number> {
      return (await state.bundles.history('platform', 100)).length;
    }
  });
}
