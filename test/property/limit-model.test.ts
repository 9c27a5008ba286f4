/**
 * The table of limits against the plainest limits there could be, on a clock that is turned by hand: every kind, in any
 * combination, with settlements early, late and twice, extensions, resets, steps of the clock, and restarts.
 */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { LimitCharge, LimitRule } from '../../src/domain/limit.ts';
import { advance } from '../../src/limits/counters/charging.ts';
import { writeState } from '../../src/limits/counters/limit-snapshot.ts';
import { plainAlias } from '../../src/limits/counters/key-alias.ts';
import { LimitState } from '../../src/limits/counters/limit-state.ts';
import { LimitTable } from '../../src/limits/counters/limit-table.ts';
import {
  chargeTo,
  DAY,
  decisionId,
  HOUR,
  leaseRule,
  MINUTE,
  NOON,
  quotaRule,
  rateRule,
  SECOND,
  usedTokens,
  windowRule,
} from '../conformance/limit-scene.ts';
import { ReferenceLimits } from '../limits/counters/reference-limits.ts';
import { rebuiltTable } from '../limits/counters/restored-table.ts';

const RULES: readonly LimitRule[] = [
  windowRule({ name: 'p/requests', limit: 4, windowMs: MINUTE }),
  windowRule({ name: 'p/tokens', unit: 'tokens', limit: 60, windowMs: 10 * SECOND }),
  windowRule({ name: 'p/short', limit: 2, windowMs: 100 }),
  windowRule({ name: 'p/long', limit: 9, windowMs: 40 * DAY }),
  rateRule({ name: 'p/flow', limit: 7, burst: 3, periodMs: SECOND }),
  rateRule({ name: 'p/token-flow', unit: 'tokens', limit: 50, burst: 60, periodMs: 7 * SECOND }),
  quotaRule({ name: 'p/hour', period: 'hour', limit: 90 }),
  quotaRule({ name: 'p/week', period: 'week', limit: 120, onExpiry: 'release', unit: 'micro_usd' }),
  quotaRule({ name: 'p/month', period: 'month', limit: 200, onExpiry: 'charge_estimate' }),
  quotaRule({ name: 'p/rolling', period: { rollingMs: 2 * HOUR }, limit: 90 }),
  quotaRule({ name: 'p/calls', period: 'day', unit: 'requests', limit: 6 }),
  leaseRule({ name: 'p/leases', limit: 3, leaseMs: 90 * SECOND }),
];
const HOLD_MS = 5 * MINUTE;

const chargeArbitrary = (mode: LimitRule['mode'] = 'enforce') =>
  fc
    .record({
      at: fc.nat(RULES.length - 1),
      who: fc.constantFrom('alice', 'bob'),
      size: fc.oneof(fc.constantFrom(0, 1), fc.nat(70)),
      share: fc.nat(100),
      limit: fc.constantFrom(100, 100, 100, 50, 150),
    })
    .map(({ at, who, size, share, limit }): LimitCharge => {
      const rule = RULES[at] ?? windowRule();
      const amount = rule.unit === 'requests' ? Math.min(size, 2) : size;
      const resolved = { ...rule, mode, limit: Math.floor((rule.limit * limit) / 100) };
      return chargeTo(resolved, {
        key: `${mode} ${rule.name} of ${who}`,
        amount,
        floor: Math.floor((amount * share) / 100),
      });
    });

const charges = (mode: LimitRule['mode'] = 'enforce') =>
  fc.uniqueArray(chargeArbitrary(mode), { minLength: 1, maxLength: 6, selector: ({ key }) => key });

const step = fc.oneof(
  { weight: 4, arbitrary: fc.constant(0) },
  { weight: 4, arbitrary: fc.nat(2 * SECOND) },
  { weight: 3, arbitrary: fc.nat(3 * MINUTE) },
  { weight: 1, arbitrary: fc.nat(2 * HOUR) },
  { weight: 1, arbitrary: fc.constantFrom(DAY, 31 * DAY, -HOUR, -1) },
);

type Action =
  | { readonly kind: 'admit'; readonly step: number; readonly charges: readonly LimitCharge[] }
  | {
      readonly kind: 'settle';
      readonly step: number;
      readonly back: number;
      readonly used: number;
      readonly floor: boolean;
    }
  | { readonly kind: 'extend'; readonly step: number; readonly back: number; readonly holdMs: number }
  | { readonly kind: 'reset'; readonly step: number; readonly charges: readonly LimitCharge[] };

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('admit' as const), step, charges: charges() }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('settle' as const),
      step,
      back: fc.nat(6),
      used: fc.nat(120),
      floor: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('extend' as const),
      step,
      back: fc.nat(6),
      holdMs: fc.nat(10 * MINUTE),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reset' as const), step, charges: charges() }) },
);
const actions = fc.array(action, { minLength: 1, maxLength: 60 });

/** A table, the reference beside it, and the journals that would be in the log. */
class Run {
  readonly state = new LimitState();
  readonly table: LimitTable;
  readonly reference = new ReferenceLimits();
  readonly journals: Uint8Array[] = [];
  now = NOON;
  admissions = 0;
  denials = 0;

  readonly #sweeps: boolean;

  /** @param sweeps whether idle counters are looked for from the first one on */
  constructor(sweeps: boolean) {
    this.#sweeps = sweeps;
    this.table = new LimitTable(sweeps ? { sweepFrom: 0 } : {}, this.state);
  }

  /** Does the same to both. */
  do(one: Action): void {
    this.now += one.step;
    if (one.kind === 'admit') this.#admit(one.charges);
    else if (one.kind === 'reset') {
      for (const { key } of one.charges) {
        this.#keep(this.table.reset(key, this.now));
        this.reference.reset(key, this.now);
      }
    } else if (one.kind === 'extend') {
      const id = decisionId(this.admissions - one.back);
      const extended = this.table.extend(id, this.now, one.holdMs);
      this.#keep(extended.journal);
      assert.equal(extended.state === 'extended', this.reference.extend(id, this.now, one.holdMs));
    } else {
      this.#settle(decisionId(this.admissions - one.back), one.used, one.floor);
    }
  }

  #admit(asked: readonly LimitCharge[]): void {
    this.admissions += 1;
    const id = decisionId(this.admissions);
    const request = { decisionId: id, now: this.now, holdMs: HOLD_MS, charges: asked };
    this.table.admit({ ...request, dryRun: true });
    const before = this.#counted();
    const answer = this.table.admit(request);
    const expected = this.reference.admit(id, this.now, HOLD_MS, asked, false);
    assert.deepEqual(summary(answer), expected);
    for (const [at, { used, remaining }] of answer.standings.entries()) {
      const rule = asked[at]?.rule;
      const most = rule?.kind === 'rate' && rule.limit > 0 ? rule.burst : (rule?.limit ?? 0);
      assert.equal(remaining, Math.max(0, most - used));
    }
    if (!answer.admitted) this.denials += 1;
    if (!answer.admitted && !this.#sweeps) assert.ok(this.#counted().equals(before));
    this.#keep(answer.journal);
  }

  /** Every byte of every counter, after what time does to each by itself. */
  #counted(): Buffer {
    const { counters, now } = this.state;
    for (let counter = 1; counter < counters.numbers.end; counter++) {
      if (counters.isTaken(counter)) advance(this.state, counter, now);
    }
    return Buffer.concat(
      [...writeState(this.state, undefined, plainAlias)].filter(([kind]) => kind === COUNTERS),
    );
  }

  #settle(id: string, used: number, floor: boolean): void {
    const actual = usedTokens(used);
    const {
      state,
      charges: settled,
      journal,
    } = this.table.settle({
      decisionId: id,
      now: this.now,
      actual,
      atLeastFloor: floor,
    });
    this.#keep(journal);
    const expected = this.reference.settle(id, this.now, actual, floor);
    // a decision is forgotten an hour after its end, and then nothing is settled; the reference never forgets
    if (state === 'unknown' && expected !== undefined) throw new Forgotten();
    const charged = state === 'settled' ? settled.map(one => one.charged) : undefined;
    assert.deepEqual(charged, expected);
  }

  #keep(journal: Uint8Array | undefined): void {
    if (journal !== undefined) this.journals.push(journal);
  }
}

/** The kind of the chunks with counters. */
const COUNTERS = 4;

/** The end of what can be compared. */
class Forgotten extends Error {}

function summary({ admitted, standings }: ReturnType<LimitTable['admit']>) {
  return {
    admitted,
    standings: standings.map(({ violated, used, held, retryAfterMs }) => ({
      violated,
      used,
      held,
      retryAfterMs,
    })),
  };
}

/** @returns false: the two cannot be compared any further */
function play(run: Run, all: readonly Action[]): boolean {
  try {
    for (const one of all) run.do(one);
    return true;
  } catch (error) {
    if (error instanceof Forgotten) return false;
    throw error;
  }
}

test('every answer is that of the plainest limits, and a denied request changes no byte', {
  timeout: 120_000,
}, () => {
  let denials = 0;
  fc.assert(
    fc.property(actions, fc.boolean(), (all, sweeps) => {
      const run = new Run(sweeps);
      play(run, all);
      denials += run.denials;
    }),
    { numRuns: 1_500 },
  );
  expect(denials).toBeGreaterThan(100);
});

test('what is rebuilt from journals, with or without a snapshot, answers as what was never interrupted', {
  timeout: 120_000,
}, () => {
  fc.assert(
    fc.property(actions, charges(), fc.nat(100), fc.nat(3 * MINUTE), (all, asked, share, wait) => {
      const run = new Run(true);
      play(run, all);
      // an instant that only a denied request saw is not in the log
      const now = run.state.now + wait;
      const split = Math.floor((run.journals.length * share) / 100);
      const rebuilt = rebuiltTable(run.journals, {}, split);
      for (const { key, rule } of RULES.flatMap(rule =>
        ['alice', 'bob'].map(who => ({ rule, key: `enforce ${rule.name} of ${who}` })),
      )) {
        const request = {
          decisionId: 'look',
          now,
          holdMs: HOLD_MS,
          charges: [chargeTo(rule, { key })],
        };
        expect(rebuilt.admit({ ...request, dryRun: true })).toEqual(
          run.table.admit({ ...request, dryRun: true }),
        );
      }
      const request = { decisionId: decisionId(999), now, holdMs: HOLD_MS, charges: asked };
      expect(summary(rebuilt.admit(request))).toEqual(summary(run.table.admit(request)));
    }),
    { numRuns: 500 },
  );
});

test('a denied request passes after the time that it is told, and not a millisecond before', {
  timeout: 120_000,
}, () => {
  let waits = 0;
  fc.assert(
    fc.property(actions, chargeArbitrary(), (all, one) => {
      const run = new Run(true);
      if (!play(run, all)) return;
      const ask = (table: LimitTable, now: number) =>
        table.admit({ decisionId: 'later', now, holdMs: HOLD_MS, charges: [one], dryRun: true });
      // until it is denied
      for (let n = 0; n < 80 && ask(run.table, run.now).admitted; n++) {
        run.do({ kind: 'admit', step: n % 3, charges: [one] });
      }
      const { standings } = ask(run.table, run.now);
      const wait = standings[0]?.retryAfterMs;
      if (wait === null || wait === undefined) return;
      waits += 1;
      const { now } = run.state;
      expect(ask(rebuiltTable(run.journals), now + wait - 1).admitted).toBe(false);
      expect(ask(rebuiltTable(run.journals), now + wait).admitted).toBe(true);
    }),
    { numRuns: 400 },
  );
  expect(waits).toBeGreaterThan(100);
});

test('shadows change no answer about an enforced limit', { timeout: 120_000 }, () => {
  const admissions = fc.array(fc.record({ step, charges: charges(), shadows: charges('shadow') }), {
    maxLength: 40,
  });
  fc.assert(
    fc.property(admissions, all => {
      const [plain, shadowed] = [new LimitTable(), new LimitTable()];
      let now = NOON;
      for (const [n, one] of all.entries()) {
        now += one.step;
        const request = { decisionId: decisionId(n), now, holdMs: HOLD_MS };
        const expected = plain.admit({ ...request, charges: one.charges });
        const found = shadowed.admit({ ...request, charges: [...one.shadows, ...one.charges] });
        expect(found.admitted).toBe(expected.admitted);
        expect(found.standings.slice(one.shadows.length)).toEqual(expected.standings);
      }
    }),
    { numRuns: 500 },
  );
});
