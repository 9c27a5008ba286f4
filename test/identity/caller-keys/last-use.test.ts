/** Last uses: no write on the way of a decision, one transaction a minute, networks instead of addresses. */
import { describe, expect, test } from 'vitest';
import type { CallerKeyUse } from '../../../src/domain/caller-key.ts';
import { LastUse, networkOf } from '../../../src/identity/caller-keys/last-use.ts';
import { keyScene, ROOT, wanted } from './key-scene.ts';

async function useScene() {
  const scene = keyScene();
  const entries = [];
  for (let count = 0; count < 3; count += 1) {
    const { record } = await scene.keys.create(wanted(scene), ROOT);
    const entry = scene.table.find(record.id);
    if (entry !== undefined) entries.push(entry);
  }
  const written: (readonly CallerKeyUse[])[] = [];
  const failures: unknown[] = [];
  let pending: (() => void)[] = [];
  const store = { fails: false };
  const uses = new LastUse({
    store: {
      async recordUses(given) {
        if (store.fails) throw new Error('the disk is full');
        written.push(given);
      },
    },
    clock: scene.clock,
    timers: {
      after(ms, action) {
        expect(ms).toBe(60_000);
        pending.push(action);
        return () => {
          pending = pending.filter(one => one !== action);
        };
      },
    },
    failed: error => failures.push(error),
  });
  const minute = async () => {
    scene.clock.advance(60_000);
    const due = pending;
    pending = [];
    for (const action of due) action();
    await uses.flush();
  };
  const [first, second] = entries;
  if (first === undefined || second === undefined) throw new Error('there are no keys');
  return { ...scene, first, second, written, failures, uses, minute, store, timers: () => pending.length };
}

describe('uses', () => {
  test('any number in a minute is one write, for all keys together, and none without a use', async () => {
    const { uses, first, second, written, minute } = await useScene();
    for (let count = 0; count < 1_000; count += 1) {
      uses.note(first, '10.1.2.3');
      uses.note(second, undefined);
    }
    expect(written).toEqual([]);
    await minute();
    expect(written).toMatchObject([[{ id: first.key.id, network: '10.1.2.0/24' }, { id: second.key.id }]]);
    await minute();
    expect(written).toHaveLength(1);
    uses.note(first, '10.9.9.9');
    expect(first.lastUse).toMatchObject({ network: '10.9.9.0/24' });
    await minute();
    expect(written).toHaveLength(2);
  });

  test('what could not be written is tried again with what came since', async () => {
    const { uses, first, second, written, failures, minute, store } = await useScene();
    store.fails = true;
    uses.note(first, undefined);
    await minute();
    expect(failures).toHaveLength(1);
    store.fails = false;
    uses.note(second, undefined);
    await minute();
    expect(written.map(given => given.map(({ id }) => id))).toEqual([[first.key.id, second.key.id]]);
  });

  test('the end of the service writes them and leaves no timer', async () => {
    const { uses, first, written, timers } = await useScene();
    uses.note(first, undefined);
    expect(timers()).toBe(1);
    await uses.close();
    expect(written).toHaveLength(1);
    expect(timers()).toBe(0);
  });

  test('an end while the store fails rejects nobody and leaves no timer', async () => {
    const { uses, first, failures, timers, store } = await useScene();
    store.fails = true;
    uses.note(first, undefined);
    await uses.close();
    expect(failures).toHaveLength(1);
    expect(timers()).toBe(0);
  });

  test('a clock that went back tells of no earlier use', async () => {
    const { uses, first, clock } = await useScene();
    uses.note(first, undefined);
    const seen = first.lastUse;
    clock.step(-3_600_000);
    uses.note(first, undefined);
    expect(first.lastUse).toBe(seen);
  });
});

test.each([
  ['10.1.2.3', '10.1.2.0/24'],
  ['::ffff:10.1.2.3', '10.1.2.0/24'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1::/48'],
  ['2001:0db8:0001::6', '2001:db8:1::/48'],
  ['2001:DB8::1', '2001:db8:0::/48'],
  ['fe80::1%eth0', 'fe80:0:0::/48'],
  ['::', '0:0:0::/48'],
  ['::1', '0:0:0::/48'],
  ['64:ff9b::10.1.2.3', '64:ff9b:0::/48'],
  ['alice', undefined],
  ['10.1.2.3/8', undefined],
  ['', undefined],
])('the network of %j is %j', (address, network) => {
  expect(networkOf(address)).toBe(network);
});
