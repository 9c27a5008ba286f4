/** Penalties: who violates limits again and again is blocked for ever longer, and forgiven in time. */
import { describe, expect, test } from 'vitest';
import * as fc from 'fast-check';
import { type Penalties, penaltiesSchema } from '../../../src/domain/guard-rules.ts';
import { type Penalty, PenaltyBox } from '../../../src/limits/guards/penalties.ts';

const RULES = penaltiesSchema.parse({
  principal: { violations: 3, within: '10s', block: '60s', maxBlock: '5m', forget: '1h' },
});
const ALICE = 'AI::User::"acme/alice"';
const LIMIT = 'platform/burst';
const HOUR = 3_600_000;

function box(rules: Penalties | undefined = RULES, maxSubjects?: number): PenaltyBox {
  return new PenaltyBox(() => rules, maxSubjects);
}

/** Violates at these instants; answers what the last one did. */
function violate(penalties: PenaltyBox, at: readonly number[], id = ALICE): Penalty | undefined {
  let last: Penalty | undefined;
  for (const now of at) last = penalties.violate('principal', id, LIMIT, now);
  return last;
}

describe('a block', () => {
  test('begins with the violation that makes the number full, and ends to the millisecond', () => {
    const penalties = box();
    expect(violate(penalties, [0, 1])).toBeUndefined();
    expect(penalties.blocked('principal', ALICE, 1)).toBeUndefined();
    const penalty = { kind: 'principal', id: ALICE, since: 2, until: 60_002, level: 1, limit: LIMIT };
    expect(violate(penalties, [2])).toEqual(penalty);
    expect(penalties.blocked('principal', ALICE, 60_001)).toEqual(penalty);
    expect(penalties.blocked('principal', ALICE, 60_002)).toBeUndefined();
  });

  test('takes violations within the time alone: those that are older do not count', () => {
    const penalties = box();
    expect(violate(penalties, [0, 5_000, 10_000, 15_000, 20_000])).toBeUndefined();
    expect(violate(penalties, [20_001])?.since).toBe(20_001);
  });

  test('neither grows nor counts while it lasts', () => {
    const penalties = box();
    violate(penalties, [0, 0, 0]);
    expect(violate(penalties, [1, 2, 3, 59_999])).toBeUndefined();
    expect(penalties.blocked('principal', ALICE, 59_999)?.until).toBe(60_000);
    expect(violate(penalties, [60_000, 60_001])).toBeUndefined();
    expect(violate(penalties, [60_002])?.level).toBe(2);
  });

  test('lasts twice as long as the one before, up to the longest', () => {
    const penalties = box();
    let now = 0;
    const lengths = Array.from({ length: 5 }, () => {
      const penalty = violate(penalties, [now, now, now]);
      if (penalty === undefined) throw new Error('there is no block');
      now = penalty.until;
      return (penalty.until - penalty.since) / 1000;
    });
    expect(lengths).toEqual([60, 120, 240, 300, 300]);
  });

  test.each([
    ['at once', 0, 4],
    ['before a quiet hour is over', HOUR - 1, 4],
    ['after one quiet hour', HOUR, 3],
    ['after three quiet hours', 3 * HOUR, 1],
    ['after a quiet week', 168 * HOUR, 1],
  ])('is as long as those that are not forgotten make it: %s', (_, quiet, level) => {
    const penalties = box();
    let end = 0;
    for (let one = 0; one < 3; one++) end = violate(penalties, [end, end, end])?.until ?? Number.NaN;
    const again = end + quiet;
    expect(violate(penalties, [again, again, again])?.level).toBe(level);
  });

  test('is of one subject: others go on, and so does an address with the same name', () => {
    const both: Penalties = { ...RULES, address: RULES.principal };
    const penalties = box(both);
    violate(penalties, [0, 0, 0]);
    expect(penalties.blocked('address', ALICE, 1)).toBeUndefined();
    expect(penalties.blocked('principal', 'AI::User::"acme/bob"', 1)).toBeUndefined();
    expect(penalties.violate('address', ALICE, LIMIT, 1)).toBeUndefined();
  });

  test.each([
    ['no penalties at all', undefined],
    ['penalties for addresses alone', { address: RULES.principal }],
  ])('is never begun under %s', (_, rules) => {
    const penalties = new PenaltyBox(() => rules);
    expect(
      violate(
        penalties,
        Array.from({ length: 1000 }, (_one, at) => at),
      ),
    ).toBeUndefined();
  });

  test('stays when the rules that made it are gone', () => {
    let rules: Penalties | undefined = RULES;
    const penalties = new PenaltyBox(() => rules);
    violate(penalties, [0, 0, 0]);
    rules = undefined;
    expect(penalties.blocked('principal', ALICE, 1)?.until).toBe(60_000);
  });

  test('is not shortened by a clock that jumps ahead and back, nor made by one that stands', () => {
    const penalties = box();
    violate(penalties, [HOUR, HOUR, HOUR]);
    expect(penalties.blocked('principal', ALICE, 0)?.until).toBe(HOUR + 60_000);
    expect(penalties.blocked('principal', ALICE, HOUR + 60_000)).toBeUndefined();
    expect(penalties.blocked('principal', ALICE, 0), 'once over it is over').toBeUndefined();
  });
});

describe('lifting', () => {
  test('ends a block and forgets what led to it', () => {
    const penalties = box();
    violate(penalties, [0, 0, 0]);
    const second = violate(penalties, [60_000, 60_000, 60_000]);
    expect(penalties.lift('principal', ALICE, 60_001)).toEqual(second);
    expect(penalties.blocked('principal', ALICE, 60_001)).toBeUndefined();
    expect(violate(penalties, [60_002, 60_002, 60_002])?.level).toBe(1);
  });

  test.each([
    ['nobody', 'AI::User::"acme/nobody"', 1],
    ['a block that is over', ALICE, 60_000],
  ])('says so when there is nothing to lift: %s', (_, id, now) => {
    const penalties = box();
    violate(penalties, [0, 0, 0]);
    expect(penalties.lift('principal', id, now)).toBeUndefined();
  });
});

describe('what is kept', () => {
  test('brings back blocks and their doublings', () => {
    const before = box();
    violate(before, [0, 0, 0]);
    const kept = violate(before, [60_000, 60_000, 60_000]);
    if (kept === undefined) throw new Error('there is no block');
    const after = box();
    after.restore(structuredClone(kept));
    expect(after.list(60_001)).toEqual([kept]);
    expect(after.list(kept.until)).toEqual([]);
    expect(violate(after, [200_000, 200_000, 200_000])?.level).toBe(3);
  });

  test('takes the newest of several records of a subject, in any order', () => {
    const first = { kind: 'principal', id: ALICE, since: 0, until: 60_000, level: 1, limit: LIMIT } as const;
    const second = { ...first, since: 70_000, until: 190_000, level: 2 };
    for (const order of [
      [first, second],
      [second, first],
    ]) {
      const penalties = box();
      for (const one of order) penalties.restore(one);
      expect(penalties.list(70_000)).toEqual([second]);
    }
  });
});

describe('memory', () => {
  test('is bounded by tallies that go, those that were quiet longest first', () => {
    const penalties = box(RULES, 2);
    violate(penalties, [0, 0], 'a');
    violate(penalties, [0, 0], 'b');
    violate(penalties, [0, 0], 'c');
    expect(violate(penalties, [0], 'b')?.id, 'b is remembered').toBe('b');
    expect(violate(penalties, [0, 0], 'a'), 'a began anew').toBeUndefined();
  });

  test('never goes at the expense of a block: then new subjects are not counted', () => {
    const penalties = box(RULES, 2);
    violate(penalties, [0, 0, 0], 'a');
    violate(penalties, [0, 0, 0], 'b');
    expect(violate(penalties, [1, 1, 1, 1], 'c')).toBeUndefined();
    expect(penalties.list(1).map(({ id }) => id)).toEqual(['a', 'b']);
    const forgotten = 60_000 + HOUR;
    expect(violate(penalties, [forgotten, forgotten, forgotten], 'c')?.id).toBe('c');
  });
});

test('under any violations: a block lasts as its level says, and no violation in it counts', () => {
  const steps = fc.array(fc.tuple(fc.nat(20_000), fc.constantFrom('a', 'b')), { maxLength: 200 });
  fc.assert(
    fc.property(steps, moves => {
      const penalties = box();
      const ends = new Map<string, number>();
      let now = 0;
      for (const [pause, id] of moves) {
        now += pause;
        const end = ends.get(id) ?? 0;
        expect(penalties.blocked('principal', id, now) !== undefined).toBe(now < end);
        const penalty = penalties.violate('principal', id, LIMIT, now);
        if (penalty === undefined) continue;
        expect(now).toBeGreaterThanOrEqual(end);
        expect(penalty.until - penalty.since).toBe(Math.min(300_000, 60_000 * 2 ** (penalty.level - 1)));
        ends.set(id, penalty.until);
      }
    }),
  );
});
