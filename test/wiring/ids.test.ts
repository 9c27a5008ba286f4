/** Ids sort by time, never repeat and follow RFC 9562. */
import { expect, test } from 'vitest';
import { UuidSource } from '../../src/wiring/ids.ts';

test('ids are UUIDs of version 7 with the time in front', () => {
  const source = new UuidSource(() => 0x0192_3456_789a);
  for (let count = 0; count < 1000; count += 1) {
    expect(source.next()).toMatch(/^01923456-789a-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  }
});

test.each([
  ['stands still', () => 1_700_000_000_000],
  ['steps back', (calls: number) => 1_700_000_000_000 - calls],
  ['goes on', (calls: number) => 1_700_000_000_000 + Math.floor(calls / 7)],
])('ids ascend while the clock %s', (_name, clock) => {
  let calls = 0;
  const source = new UuidSource(() => clock(calls++));
  const ids = Array.from({ length: 20_000 }, () => source.next());
  expect(ids).toEqual([...ids].sort());
  expect(new Set(ids).size).toBe(ids.length);
});
