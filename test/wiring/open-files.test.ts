/** A limit of open files that leaves room for few connections is told at the start, by what Linux says of it. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { makeLogger } from '../../src/telemetry/logger.ts';
import { openFileLimit, warnOfFewFiles } from '../../src/wiring/open-files.ts';
import { manualClock } from '../identity/clock.ts';

const told = (soft: string) =>
  `Limit                     Soft Limit           Hard Limit           Units\n` +
  `Max processes             64                   64                   processes\n` +
  `Max open files            ${soft.padEnd(20)} 1048576              files\n`;

function warningsOf(read: () => string): string {
  const lines: string[] = [];
  warnOfFewFiles(makeLogger('warn', manualClock(), { write: line => void lines.push(line) }), read);
  return lines.join('');
}

test('the limit that counts is read', () => {
  expect(['64', '1048576', 'unlimited'].map(soft => openFileLimit(told(soft)))).toEqual([
    64,
    1_048_576,
    undefined,
  ]);
  expect(openFileLimit('')).toBeUndefined();
});

test.skipIf(process.platform !== 'linux')('it is what Linux tells of this very process', () => {
  expect(readFileSync('/proc/self/limits', 'utf8')).toMatch(/^Max open files +(\d+|unlimited) /m);
});

test('few are warned of, enough are not, nor is a system that tells nothing', () => {
  expect(warningsOf(() => told('64'))).toMatch(/"openFiles":64.*raise the limit/);
  expect(warningsOf(() => told('1024'))).toBe('');
  expect(
    warningsOf(() => {
      throw new Error('ENOENT');
    }),
  ).toBe('');
});
