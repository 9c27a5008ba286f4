/** What limits promise, held against what was admitted, by sums over every span that there is. */
import { createHmac } from 'node:crypto';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { keyedAlias } from '../../src/limits/counters/key-alias.ts';
import { LimitTable } from '../../src/limits/counters/limit-table.ts';
import {
  chargeTo,
  DAY,
  decisionId,
  HOUR,
  leaseRule,
  NOON,
  quotaRule,
  rateRule,
  SECOND,
  usedTokens,
  windowRule,
} from '../conformance/limit-scene.ts';
import { rebuiltTable } from '../limits/counters/restored-table.ts';

interface Spent {
  readonly at: number;
  readonly amount: number;
}

/** The most that was spent from one instant to another, less what `allowance` lets flow off meanwhile. */
function mostSpent(spent: readonly Spent[], within: number, allowance: (span: number) => number): number {
  let most = 0;
  for (const [first, { at: from }] of spent.entries()) {
    let sum = 0;
    for (const { at, amount } of spent.slice(first)) {
      if (at - from >= within) break;
      sum += amount;
      most = Math.max(most, sum - allowance(at - from));
    }
  }
  return most;
}

const traffic = fc.array(fc.record({ step: fc.nat(400), amount: fc.nat(9) }), {
  minLength: 1,
  maxLength: 150,
});

test('no span of a window ever holds more than its limit', () => {
  fc.assert(
    fc.property(
      traffic,
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 5_000 }),
      (all, limit, windowMs) => {
        const table = new LimitTable();
        const spent: Spent[] = [];
        let at = NOON;
        for (const [n, { step, amount }] of all.entries()) {
          at += step;
          const one = chargeTo(windowRule({ limit, windowMs }), { amount });
          if (table.admit({ decisionId: decisionId(n), now: at, holdMs: SECOND, charges: [one] }).admitted) {
            spent.push({ at, amount });
          }
        }
        expect(mostSpent(spent, windowMs, () => 0)).toBeLessThanOrEqual(limit);
      },
    ),
    { numRuns: 500 },
  );
});

test('a rate admits its burst and what flows off, in every span, whatever is settled and when', () => {
  const calls = fc.array(
    fc.record({ step: fc.nat(400), amount: fc.nat(9), share: fc.nat(100), settles: fc.nat(3) }),
    { minLength: 1, maxLength: 120 },
  );
  const rule = fc.record({ limit: fc.integer({ min: 1, max: 30 }), burst: fc.integer({ min: 1, max: 30 }) });
  fc.assert(
    fc.property(calls, rule, (all, { limit, burst }) => {
      const table = new LimitTable();
      const one = rateRule({ unit: 'tokens', limit, burst, periodMs: 7 * SECOND });
      const spent: { at: number; amount: number }[] = [];
      const open: { readonly id: string; readonly spending: { amount: number } }[] = [];
      let at = NOON;
      for (const [n, { step, amount, share, settles }] of all.entries()) {
        at += step;
        const id = decisionId(n);
        const charges = [chargeTo(one, { amount })];
        if (table.admit({ decisionId: id, now: at, holdMs: HOUR, charges }).admitted) {
          const spending = { at, amount };
          spent.push(spending);
          open.push({ id, spending });
        }
        const done = settles === 0 ? open.splice(Math.floor((open.length * share) / 101), 1)[0] : undefined;
        if (done === undefined) continue;
        const used = Math.floor((done.spending.amount * share) / 100);
        table.settle({ decisionId: done.id, now: at, actual: usedTokens(used), atLeastFloor: false });
        done.spending.amount = used;
      }
      const bound = mostSpent(spent, Number.POSITIVE_INFINITY, span => (limit * span) / (7 * SECOND));
      expect(bound).toBeLessThanOrEqual(burst);
    }),
    { numRuns: 500 },
  );
});

test('a window of a steady flow at its limit loses less than one in a hundred', () => {
  const table = new LimitTable();
  const one = chargeTo(windowRule({ limit: 120 }));
  let admitted = 0;
  for (let n = 0; n < 1_200; n++) {
    const request = { decisionId: decisionId(n), now: NOON + n * 500, holdMs: SECOND, charges: [one] };
    if (table.admit(request).admitted) admitted += 1;
  }
  expect(admitted).toBeGreaterThanOrEqual(1_188);
});

test('what is committed, held and free is the limit, whatever becomes of each call', () => {
  const calls = fc.array(
    fc.record({
      step: fc.nat(20 * SECOND),
      amount: fc.nat(50),
      used: fc.nat(80),
      end: fc.constantFrom('settled', 'settled twice', 'late', 'forgotten', 'crash'),
    }),
    { minLength: 1, maxLength: 60 },
  );
  fc.assert(
    fc.property(calls, all => {
      const limit = 1_000;
      const holdMs = 30 * SECOND;
      const one = quotaRule({ limit, onExpiry: 'charge_estimate', period: { rollingMs: 30 * DAY } });
      const journals: Uint8Array[] = [];
      let table = new LimitTable();
      /** What each call must count for now, and until when it is held. */
      const calls: { id: string; amount: number; until: number; late: number | undefined }[] = [];
      let now = NOON;
      const keep = (journal: Uint8Array | undefined) =>
        void (journal === undefined || journals.push(journal));
      const settle = (id: string, used: number): void => {
        const actual = usedTokens(used);
        keep(table.settle({ decisionId: id, now, actual, atLeastFloor: false }).journal);
      };
      for (const [n, { step, amount, used, end }] of all.entries()) {
        now += step;
        if (end === 'crash') table = rebuiltTable(journals);
        const id = decisionId(n);
        const charges = [chargeTo(one, { amount })];
        const { admitted, journal } = table.admit({ decisionId: id, now, holdMs, charges });
        keep(journal);
        if (admitted) {
          const call = { id, amount, until: now + holdMs, late: end === 'late' ? used : undefined };
          calls.push(call);
          if (end.startsWith('settled')) {
            settle(id, used);
            if (end === 'settled twice') settle(id, used + 7);
            Object.assign(call, { amount: used, until: now });
          }
        }
        for (const call of calls) {
          if (call.late === undefined || call.until > now) continue;
          settle(call.id, call.late);
          Object.assign(call, { amount: call.late, late: undefined });
        }
        const [standing] = table.admit({ decisionId: 'look', now, holdMs, charges, dryRun: true }).standings;
        const held = calls.filter(({ until }) => until > now).reduce((sum, call) => sum + call.amount, 0);
        const counted = calls.reduce((sum, call) => sum + call.amount, 0);
        expect([standing?.used, standing?.held, standing?.remaining]).toEqual([
          counted,
          held,
          Math.max(0, limit - counted),
        ]);
      }
    }),
    { numRuns: 300 },
  );
});

test('a pool never has more leases than its limit, and never denies what is guaranteed while there is room', () => {
  const asks = fc.array(
    fc.record({ step: fc.nat(300), tenant: fc.constantFrom('a', 'b', 'c'), ends: fc.nat(4) }),
    { maxLength: 150 },
  );
  const shape = fc.record({
    limit: fc.integer({ min: 1, max: 12 }),
    water: fc.nat(12),
    guaranteed: fc.nat(5),
  });
  fc.assert(
    fc.property(asks, shape, (all, { limit, water, guaranteed }) => {
      const table = new LimitTable();
      const leaseMs = 2 * SECOND;
      const highWater = Math.min(limit, water);
      let leases: { readonly id: string; readonly tenant: string; readonly until: number }[] = [];
      let now = NOON;
      for (const [n, { step, tenant, ends }] of all.entries()) {
        now += step;
        leases = leases.filter(({ until }) => until > now);
        const ended = ends === 0 ? leases.shift() : undefined;
        if (ended !== undefined) {
          table.settle({ decisionId: ended.id, now, actual: usedTokens(0), atLeastFloor: false });
        }
        const own = leases.filter(lease => lease.tenant === tenant).length;
        const fits = leases.length < limit && (own < guaranteed || leases.length < highWater);
        const fair = { ownKey: `leases of ${tenant}`, guaranteed, highWater };
        const charges = [chargeTo(leaseRule({ limit, leaseMs, fair }))];
        const id = decisionId(n);
        expect(table.admit({ decisionId: id, now, holdMs: HOUR, charges }).admitted).toBe(fits);
        if (fits) leases.push({ id, tenant, until: now + leaseMs });
      }
    }),
    { numRuns: 400 },
  );
});

test('different keys are counted apart, whatever they are made of, also by their aliases', () => {
  const alias = keyedAlias(text =>
    createHmac('sha256', new Uint8Array(32).fill(5)).update(text).digest().toString('latin1'),
  );
  const part = fc.string({
    unit: fc.constantFrom('a', ':', '|', '}', '{', '/', '"', '\\', '\u0000', 'ä', '\u0308', '😀'),
  });
  fc.assert(
    fc.property(
      fc.array(
        part.filter(text => text !== ''),
        { maxLength: 60 },
      ),
      keys => {
        const journals: Uint8Array[] = [];
        const table = new LimitTable({ alias });
        const counted = new Map<string, number>();
        for (const [n, key] of keys.entries()) {
          const charges = [chargeTo(windowRule(), { key })];
          const { admitted, journal } = table.admit({
            decisionId: decisionId(n),
            now: NOON,
            holdMs: 1,
            charges,
          });
          if (admitted) counted.set(key, (counted.get(key) ?? 0) + 1);
          if (journal !== undefined) journals.push(journal);
        }
        const rebuilt = rebuiltTable(journals, { alias }, Math.floor(journals.length / 2));
        for (const [key, used] of counted) {
          const request = {
            decisionId: 'look',
            now: NOON,
            holdMs: 1,
            charges: [chargeTo(windowRule(), { key })],
          };
          for (const one of [table, rebuilt]) {
            expect(one.admit({ ...request, dryRun: true }).standings[0]?.used).toBe(used);
          }
        }
      },
    ),
    { numRuns: 200 },
  );
});
