/** "Did you mean" suggests only near words and stays cheap on hostile ones. */
import { describe, expect, it } from 'vitest';
import { nearest } from '../../src/domain/spelling.ts';

const KEYS = ['principal', 'action', 'resource', 'tenant', 'partitions', 'params', 'context'];

describe('nearest()', () => {
  it.each([
    ['principle', 'principal'],
    ['Principal', 'principal'],
    ['resuorce', 'resource'],
    ['tenat', 'tenant'],
    ['param', 'params'],
    ['contxt', 'context'],
  ])('suggests for %s: %s', (word, expected) => {
    expect(nearest(word, KEYS)).toBe(expected);
  });

  it('never suggests the empty word', () => {
    expect(nearest('1', ['', 'true'])).toBeUndefined();
  });

  it.each([['zebra'], [''], ['x'], ['p'.repeat(10_000)]])('suggests nothing for %.20s', word => {
    expect(nearest(word, KEYS)).toBeUndefined();
  });
});
