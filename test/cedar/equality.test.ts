/** Equality, keys and sets of values. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  makeSet,
  setHas,
  setIncludes,
  setsIntersect,
  valueEquals,
  valueKey,
} from '../../src/cedar/equality.ts';
import {
  DatetimeValue,
  DecimalValue,
  DurationValue,
  EntityUid,
  IpValue,
  RecordValue,
  type Value,
} from '../../src/domain/value.ts';

/** Few distinct leaves, chosen so that a careless key would confuse them. */
const leaf: fc.Arbitrary<Value> = fc.oneof(
  fc.boolean(),
  fc.constantFrom(0, -0, 1, 11, 2n ** 60n, 2n ** 60n + 1n, '', '1', 'T', 'i1;', '1:T', 's1:a', 'a', '[', ']'),
  fc.constantFrom<Value>(
    new EntityUid('A', 'b'),
    new EntityUid('A', 'b"'),
    new EntityUid('A::B', 'b'),
    new DecimalValue(1),
    new DatetimeValue(1),
    new DurationValue(1),
    new IpValue(4, 1n, 32),
    new IpValue(4, 1n, 3),
    new IpValue(6, 1n, 32),
  ),
);
const values: fc.Arbitrary<Value> = fc.letrec<{ value: Value }>(tie => ({
  value: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    leaf,
    fc.array(tie('value'), { maxLength: 3 }).map(makeSet),
    fc
      .uniqueArray(fc.tuple(fc.constantFrom('a', 'b', '1:a', ''), tie('value')), {
        maxLength: 3,
        selector: ([name]) => name,
      })
      .map(fields => new RecordValue(new Map(fields))),
  ),
})).value;

describe('valueEquals()', () => {
  it('holds exactly when the keys are the same', () => {
    fc.assert(
      fc.property(values, values, (a, b) => {
        expect(valueEquals(a, b)).toBe(valueKey(a) === valueKey(b));
      }),
      { numRuns: 5000 },
    );
  });

  it('holds between a value and a copy in another order', () => {
    fc.assert(
      fc.property(values, value => {
        expect(valueEquals(value, reordered(value))).toBe(true);
        expect(valueKey(reordered(value))).toBe(valueKey(value));
      }),
    );
  });
});

/** The same value, built anew with sets and records in reverse order. */
function reordered(value: Value): Value {
  if (value instanceof RecordValue) {
    return new RecordValue(
      new Map([...value.entries].toReversed().map(([name, field]) => [name, reordered(field)])),
    );
  }
  if (typeof value === 'object' && 'elements' in value) {
    return makeSet(value.elements.toReversed().map(element => reordered(element)));
  }
  return value;
}

describe('sets', () => {
  const naiveHas = (elements: readonly Value[], value: Value): boolean =>
    elements.some(element => valueEquals(element, value));

  it('hold each element once', () => {
    fc.assert(
      fc.property(fc.array(values, { maxLength: 20 }), elements => {
        const set = makeSet(elements);
        expect(set.elements.every((element, i) => !naiveHas(set.elements.slice(0, i), element))).toBe(true);
        expect(elements.every(element => naiveHas(set.elements, element))).toBe(true);
        expect(set.keys.size).toBe(set.elements.length);
      }),
    );
  });

  it('find, include and intersect like a search through all elements', () => {
    const lists = fc.array(values, { maxLength: 14 });
    fc.assert(
      fc.property(lists, lists, values, (a, b, value) => {
        const [left, right] = [makeSet(a), makeSet(b)];
        expect(setHas(left, value)).toBe(naiveHas(a, value));
        expect(setIncludes(left, right)).toBe(b.every(element => naiveHas(a, element)));
        expect(setsIntersect(left, right)).toBe(b.some(element => naiveHas(a, element)));
      }),
    );
  });
});
