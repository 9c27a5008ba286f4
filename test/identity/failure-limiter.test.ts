/** The count of failed authentications per source: exact within a minute, bounded in memory. */
import { expect, test } from 'vitest';
import { FailureLimiter, MAX_SOURCES } from '../../src/identity/failure-limiter.ts';
import { manualClock } from './clock.ts';

test('a source is told to wait after its allowance, until its minute ends', () => {
  const clock = manualClock();
  const limiter = new FailureLimiter(clock, 3);
  expect([1, 2, 3].map(() => limiter.count('a'))).toEqual([undefined, undefined, undefined]);
  expect(limiter.count('a')).toBe(60);
  clock.advance(59_500);
  expect(limiter.count('a')).toBe(1);
  clock.advance(500);
  expect(limiter.count('a')).toBeUndefined();
});

test('sources do not share an allowance', () => {
  const limiter = new FailureLimiter(manualClock(), 1);
  expect(limiter.count('a')).toBeUndefined();
  expect(limiter.count('a')).toBe(60);
  expect(limiter.count('b')).toBeUndefined();
});

test('a flood of sources keeps memory bounded', () => {
  const limiter = new FailureLimiter(manualClock(), 1);
  for (let source = 0; source < 3 * MAX_SOURCES; source += 1) limiter.count(`s${source}`);
  expect(limiter.sources).toBe(MAX_SOURCES);
});
