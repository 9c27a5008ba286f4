/** What happens when there is too much to count: nothing that counts is thrown away, and what cannot be counted is denied. */
import { expect, test } from 'vitest';
import type { LimitCharge } from '../../../src/domain/limit.ts';
import { LimitTable, type LimitTableOptions } from '../../../src/limits/counters/limit-table.ts';
import {
  chargeTo,
  DAY,
  decisionId,
  HOUR,
  leaseRule,
  MINUTE,
  NOON,
  quotaRule,
  SECOND,
  usedTokens,
  windowRule,
} from '../../conformance/limit-scene.ts';

const BY_ADDRESS = windowRule({ name: 'platform/address', scope: ['address'], limit: 3 });
const BY_PRINCIPAL = windowRule({ name: 'platform/principal', limit: 3 });

class Scene {
  readonly table: LimitTable;
  asked = 0;

  constructor(options: LimitTableOptions) {
    this.table = new LimitTable(options);
  }

  admit(now: number, ...charges: LimitCharge[]) {
    this.asked += 1;
    return this.table.admit({ decisionId: decisionId(this.asked), now, holdMs: MINUTE, charges });
  }

  /** How many of some requests with keys of their own are admitted. */
  admitMany(count: number, now: number, rule: LimitCharge['rule']): number {
    let admitted = 0;
    for (let n = 0; n < count; n++) {
      if (this.admit(now, chargeTo(rule, { key: `${rule.name} of ${n}` })).admitted) admitted += 1;
    }
    return admitted;
  }
}

test('new addresses share one counter when there are too many keys, and those that are known keep their own', () => {
  const scene = new Scene({ maxKeysWithAddresses: 10, maxKeys: 100 });
  expect(scene.admitMany(10, NOON, BY_ADDRESS)).toBe(10);
  const stranger = (n: number) => chargeTo(BY_ADDRESS, { key: `stranger ${n}` });
  expect([0, 1, 2, 3, 4].map(n => scene.admit(NOON, stranger(n)).admitted)).toEqual([
    true,
    true,
    true,
    false,
    false,
  ]);
  expect(scene.table.keys).toBe(11);
  expect(scene.admit(NOON, chargeTo(BY_ADDRESS, { key: 'platform/address of 4' })).admitted).toBe(true);
  expect(scene.admit(NOON, chargeTo(BY_PRINCIPAL, { key: 'somebody' })).admitted).toBe(true);
});

test('what would need one key too many is denied with a failure, and nothing of it is counted', () => {
  const scene = new Scene({ maxKeys: 12 });
  expect(scene.admitMany(10, NOON, BY_PRINCIPAL)).toBe(10);
  const known = chargeTo(BY_PRINCIPAL, { key: 'platform/principal of 1' });
  const fresh = chargeTo(windowRule({ name: 'platform/other' }), { key: 'one more' });
  const another = chargeTo(windowRule({ name: 'platform/third' }), { key: 'and one more' });
  expect(() => scene.admit(NOON, known, fresh, another)).toThrow(
    expect.objectContaining({ code: 'STORE_UNAVAILABLE' }),
  );
  expect(scene.admit(NOON, known).standings[0]).toMatchObject({ used: 2 });
  expect(scene.table.keys).toBe(10);
});

test('a shadow that cannot be counted denies nobody', () => {
  const scene = new Scene({ maxKeys: 12, maxHolding: 1 });
  expect(scene.admitMany(10, NOON, BY_PRINCIPAL)).toBe(10);
  const known = chargeTo(BY_PRINCIPAL, { key: 'platform/principal of 1' });
  const shadow = chargeTo(windowRule({ name: 'platform/shadow', mode: 'shadow' }));
  const holding = chargeTo(quotaRule({ name: 'platform/shadow-quota', mode: 'shadow' }));
  expect(scene.admit(NOON, known, shadow, holding).admitted).toBe(true);
  expect(scene.table.keys).toBe(10);
});

test('calls that report nothing are refused when there are too many of them, until their holds end', () => {
  const scene = new Scene({ maxHolding: 20 });
  const one = chargeTo(quotaRule({ limit: 1_000_000 }), { amount: 10 });
  for (let n = 0; n < 20; n++) expect(scene.admit(NOON, one).admitted).toBe(true);
  expect(() => scene.admit(NOON, one)).toThrow(expect.objectContaining({ code: 'STORE_UNAVAILABLE' }));
  expect(scene.admit(NOON, chargeTo(BY_PRINCIPAL)).admitted).toBe(true);
  scene.table.settle({ decisionId: decisionId(3), now: NOON, actual: usedTokens(1), atLeastFloor: false });
  expect(scene.admit(NOON, one).admitted).toBe(true);
  expect(() => scene.admit(NOON + SECOND, one)).toThrow('have not reported');
  expect(scene.admit(NOON + MINUTE, one).admitted).toBe(true);
});

test('keys that count nothing any more are forgotten a few at a time, and budgets and running calls never', () => {
  const scene = new Scene({ sweepFrom: 0 });
  scene.admitMany(500, NOON, BY_PRINCIPAL);
  scene.admitMany(100, NOON, quotaRule({ name: 'platform/month', period: 'month', unit: 'requests' }));
  scene.admitMany(100, NOON, leaseRule({ name: 'platform/leases', leaseMs: DAY }));
  expect(scene.table.keys).toBe(700);
  scene.table.sweep(NOON + HOUR, 100);
  expect(scene.table.keys).toBeGreaterThan(550);
  for (let n = 0; n < 10; n++) scene.table.sweep(NOON + HOUR, 100);
  expect(scene.table.keys).toBe(200);
  for (let n = 0; n < 10; n++) scene.table.sweep(NOON + 3 * DAY, 100);
  expect(scene.table.keys).toBe(0);
});

test('a number of a key that was forgotten counts for its next key alone', () => {
  const scene = new Scene({ sweepFrom: 0 });
  const short = windowRule({ name: 'platform/short', unit: 'tokens', limit: 100, windowMs: SECOND });
  scene.admit(NOON, chargeTo(short, { amount: 90 }));
  const first = decisionId(scene.asked);
  // an hour after its end the call is forgotten, and with it the last that kept the key alive
  const later = NOON + 2 * HOUR;
  for (let n = 0; n < 10; n++) scene.table.sweep(later, 10);
  expect(scene.table.keys).toBe(0);
  const other = chargeTo(windowRule({ name: 'platform/other', unit: 'tokens', limit: 100 }), { amount: 60 });
  scene.admit(later, other);
  const late = { decisionId: first, now: later, actual: usedTokens(0), atLeastFloor: false };
  expect(scene.table.settle(late).state).toBe('unknown');
  expect(scene.admit(later, other).standings[0]).toMatchObject({ violated: true, used: 60 });
});

test('a denial of a budget with very many holds tells a time at which the request passes for certain', () => {
  const scene = new Scene({});
  const one = chargeTo(quotaRule({ limit: 30_000, onExpiry: 'release', period: 'month' }));
  for (let n = 0; n < 30_000; n++) scene.admit(NOON + n, one);
  const now = NOON + 30_000;
  const big = { ...one, amount: 25_000 };
  const [standing] = scene.admit(now, big).standings;
  expect(standing?.violated).toBe(true);
  const wait = standing?.retryAfterMs ?? 0;
  expect(wait).toBeGreaterThan(MINUTE - 5_000);
  expect(scene.admit(now + wait, big).admitted).toBe(true);
});
