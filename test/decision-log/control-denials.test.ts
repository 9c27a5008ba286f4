/** Denials as entries: who, what and by which policy, counted exactly, and never more entries than a minute has room for. */
import { expect, test } from 'vitest';
import { type ControlDenial, ControlDenialRecorder } from '../../src/decision-log/control-denials.ts';
import { MAX_TRACKED } from '../../src/decision-log/minute-counts.ts';
import type { LogEntry } from '../../src/domain/log-entry.ts';
import { countedIds, manualClock } from '../identity/clock.ts';

const DENIAL: ControlDenial = {
  keyId: 'k',
  tenant: 'acme',
  operation: 'pushBundle',
  cause: 'no-permit',
  policies: [],
};

function scene() {
  const entries: LogEntry[] = [];
  const clock = manualClock();
  const append = (entry: LogEntry) => {
    entries.push(entry);
    return Promise.resolve({ origin: 'test', index: entries.length - 1, size: entries.length });
  };
  const recorder = new ControlDenialRecorder({ log: { append }, clock, ids: countedIds() });
  return { entries, clock, recorder };
}

test('the first of a minute is written at once, the rest as one summary', async () => {
  const { entries, clock, recorder } = scene();
  for (let at = 0; at < 1000; at += 1) recorder.record(DENIAL);
  expect(entries).toHaveLength(1);
  await recorder.close();
  const minute = Math.floor(clock.now() / 60_000) * 60_000;
  const details = { operation: 'pushBundle', cause: 'no-permit', policies: [], minute };
  expect(entries).toMatchObject([
    {
      kind: 'control.denied',
      actor: 'k',
      subject: 'k',
      tenant: 'acme',
      details: { ...details, count: 1, summary: false },
    },
    {
      kind: 'control.denied',
      actor: 'k',
      subject: 'k',
      tenant: 'acme',
      details: { ...details, count: 999, summary: true },
    },
  ]);
});

test('keys, operations and policies are told apart', async () => {
  const { entries, recorder } = scene();
  const policies = ['builtin/tenant-limit'];
  for (const denial of [
    DENIAL,
    { ...DENIAL, keyId: 'l' },
    { ...DENIAL, operation: 'createKey' },
    { ...DENIAL, policies },
  ]) {
    recorder.record(denial);
  }
  await recorder.close();
  expect(entries).toHaveLength(4);
  expect(entries.at(3)).toMatchObject({ details: { policies } });
});

test('a flood from more keys than are told apart is counted to the last one', async () => {
  const { entries, recorder } = scene();
  const total = 3 * MAX_TRACKED;
  for (let at = 0; at < total; at += 1) recorder.record({ ...DENIAL, keyId: `k${at}`, tenant: undefined });
  await recorder.close();
  expect(entries).toHaveLength(MAX_TRACKED + 2);
  const counts = entries.map(entry => (entry.kind === 'decision' ? 0 : Number(entry.details['count'])));
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(total);
  expect(entries.at(-1)).toMatchObject({
    actor: 'others',
    details: { operation: 'others', cause: 'others' },
  });
});
