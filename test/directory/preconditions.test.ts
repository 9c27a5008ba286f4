/** Conditional headers: entity tags are parsed strictly, merge patches follow RFC 7396. */
import { describe, expect, test } from 'vitest';
import { mergePatch } from '../../src/directory/merge-patch.ts';
import { entityTag, parseEntityTags } from '../../src/directory/preconditions.ts';
import type { JsonObject } from '../../src/domain/json.ts';

describe('an entity tag', () => {
  test.each<[string, '*' | readonly number[]]>([
    ['*', '*'],
    [' * ', '*'],
    ['"0"', [0]],
    ['"118"', [118]],
    ['"1", "2" ,"3"', [1, 2, 3]],
    [entityTag(7), [7]],
  ])('%s is read', (header, tags) => expect(parseEntityTags(header, 'If-Match')).toEqual(tags));

  test.each([
    '',
    '118',
    'W/"118"',
    '"a"',
    '"1" "2"',
    '"1",',
    '"-1"',
    '"1234567890123456"',
    '*,"1"',
    Array.from({ length: 33 }, () => '"1"').join(','),
  ])('%j is refused', header => {
    expect(() => parseEntityTags(header, 'If-Match')).toThrow(
      'the header `If-Match` is not a list of entity tags',
    );
  });
});

describe('a merge patch', () => {
  // The table of RFC 7396, appendix A, as far as target and patch are objects.
  test.each<[JsonObject, JsonObject, JsonObject]>([
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])('turns %j by %j into %j', (target, patch, expected) => {
    const [targetBefore, patchBefore] = [JSON.stringify(target), JSON.stringify(patch)];
    expect(mergePatch(target, patch)).toEqual(expected);
    expect([JSON.stringify(target), JSON.stringify(patch)]).toEqual([targetBefore, patchBefore]);
  });

  test('treats a prototype key as data', () => {
    const patch = Object.fromEntries([['__proto__', { polluted: true }]]);
    const merged = mergePatch({}, patch);
    expect(Object.keys(merged)).toEqual(['__proto__']);
    expect('polluted' in {}).toBe(false);
  });
});
