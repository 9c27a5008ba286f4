/** Kill -9 while blocks begin and are lifted: what was told is so after the next start, and each change has its event. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { StateStore } from '../../src/store/sqlite/state-client.ts';
import { ALL_EVENTS, AT } from '../conformance/state-backend.ts';
import { tellUntilKilled } from './killed-child.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'duramen-penalties-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test.each([1, 6, 23])('killed after %i changes', async killAt => {
  const told = await changeAndKill(killAt);
  const { blocked, events } = await reopen();
  expect(told.length).toBeGreaterThanOrEqual(killAt);
  // one more change may have been durable and not yet told
  expect(events.slice(0, told.length)).toEqual(told);
  expect(events.length - told.length).toBeOneOf([0, 1]);
  const expected = new Set<string>();
  for (const event of events) {
    const [what, id = ''] = event.split(/ (.*)/);
    if (what === 'block') expected.add(id);
    else expected.delete(id);
  }
  expect(new Set(blocked)).toEqual(expected);
});

async function reopen() {
  const state = await StateStore.open({ folder, at: AT });
  try {
    const events = await state.outbox.pending(ALL_EVENTS);
    return {
      blocked: (await state.penalties.load()).map(({ id }) => id),
      events: events.map(({ kind, subject }) => `${kind === 'penalty.block' ? 'block' : 'lift'} ${subject}`),
    };
  } finally {
    await state.close();
  }
}

/** @returns the changes that were told before the process ended */
function changeAndKill(killAt: number): Promise<readonly string[]> {
  return tellUntilKilled(fileURLToPath(new URL('penalty-maker.ts', import.meta.url)), [folder], killAt);
}
