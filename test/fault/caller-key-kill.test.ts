/** Kill -9 while keys of callers are made: every key that was answered works, and each key there has its event. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CallerKeyTable } from '../../src/identity/caller-keys/key-table.ts';
import { PepperHasher } from '../../src/identity/caller-keys/pepper-hash.ts';
import { StateStore } from '../../src/store/sqlite/state-client.ts';
import { ALL_EVENTS, AT } from '../conformance/state-backend.ts';
import { tellUntilKilled } from './killed-child.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'duramen-caller-keys-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test.each([1, 7, 23])(
  'killed after %i answers: each of those keys works, and what is more was being made',
  async killAt => {
    const answered = await makeAndKill('', killAt);
    const { table, ids, told } = await reopen();
    expect(answered.length).toBeGreaterThanOrEqual(killAt);
    for (const token of answered) {
      expect(table.verify(token).entry?.narrowing).toEqual({
        scopes: [{ models: ['acme/support-llm'] }],
        networks: [],
      });
    }
    // one may have been durable and not yet answered
    expect(ids.length - answered.length).toBeOneOf([0, 1]);
    expect(told).toEqual(ids);
  },
);

test('killed between the durable key and its answer: the key is listed, so that it can be revoked, and has its event', async () => {
  expect(await makeAndKill('durable', Number.POSITIVE_INFINITY)).toEqual([]);
  const { ids, told } = await reopen();
  expect(ids).toHaveLength(1);
  expect(told).toEqual(ids);
});

async function reopen() {
  const state = await StateStore.open({ folder, at: AT });
  try {
    const hasher = new PepperHasher(new Map([[1, Buffer.alloc(32, 1)]]));
    const table = new CallerKeyTable(hasher, { now: () => Date.parse(AT) });
    for await (const chunk of state.callerKeys.load()) for (const { key } of chunk) table.put(key);
    const events = await state.outbox.pending(ALL_EVENTS);
    return {
      table,
      ids: [...table.entries].map(({ key }) => key.id),
      told: events.map(({ details }) => details['key']),
    };
  } finally {
    await state.close();
  }
}

/** @returns the keys that were answered before the process ended */
function makeAndKill(mode: string, killAt: number): Promise<readonly string[]> {
  return tellUntilKilled(
    fileURLToPath(new URL('caller-key-maker.ts', import.meta.url)),
    [folder, mode],
    killAt,
  );
}
