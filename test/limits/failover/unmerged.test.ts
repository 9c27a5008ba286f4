/** What waits for the shared store: nothing is forgotten before it is acknowledged, and memory is bounded. */
import { describe, expect, test } from 'vitest';
import type { AdmissionRequest } from '../../../src/limits/ports.ts';
import { UnmergedAdmissions } from '../../../src/limits/failover/unmerged.ts';
import {
  chargeTo,
  decisionId,
  leaseRule,
  NOON,
  quotaRule,
  usedTokens,
  windowRule,
} from '../../conformance/limit-scene.ts';

const QUOTA = chargeTo(quotaRule({ onExpiry: 'release' }), { amount: 100, floor: 10 });
const WINDOW = chargeTo(windowRule({ name: 'platform/w' }));
const LEASE = chargeTo(leaseRule({ name: 'platform/c' }));

function request(n: number, charges = [QUOTA, WINDOW, LEASE]): AdmissionRequest {
  return { decisionId: decisionId(n), now: NOON + n, holdMs: 1_000, charges };
}

/** Takes everything as the store does. @returns the amounts by key */
function takeAll(unmerged: UnmergedAdmissions): Record<string, number> {
  const amounts: Record<string, number> = {};
  for (;;) {
    const admissions = unmerged.admissions(2);
    if (admissions.length === 0) return amounts;
    for (const { key, amount } of admissions.flatMap(({ charges }) => charges)) {
      amounts[key] = (amounts[key] ?? 0) + amount;
    }
    unmerged.merged(admissions);
  }
}

describe('what waits for the shared store', () => {
  test('comes in its order, and stays until the store has it', () => {
    const unmerged = new UnmergedAdmissions();
    for (let n = 0; n < 5; n++) unmerged.add(request(n));
    const first = unmerged.admissions(2);
    expect(first.map(({ decisionId: id }) => id)).toEqual([decisionId(0), decisionId(1)]);
    expect(unmerged.admissions(2)).toEqual(first);
    expect(unmerged.has(decisionId(0))).toBe(true);
    unmerged.merged(first);
    expect(unmerged.has(decisionId(0))).toBe(false);
    expect(unmerged.admissions(9).length).toBe(3);
  });

  test('settles each decision once, with what came first', () => {
    const unmerged = new UnmergedAdmissions();
    const settlement = { decisionId: decisionId(1), now: NOON, actual: usedTokens(7), atLeastFloor: false };
    expect(unmerged.settle(settlement)).toBe(true);
    expect(unmerged.settle({ ...settlement, actual: usedTokens(9) })).toBe(true);
    expect(unmerged.settlement()).toBe(settlement);
    unmerged.settled(settlement);
    expect([unmerged.settlement(), unmerged.size]).toEqual([undefined, 0]);
  });

  test('keeps an extension that comes while the store takes its admission', () => {
    const unmerged = new UnmergedAdmissions();
    unmerged.add(request(1, [QUOTA, LEASE]));
    const taken = unmerged.admissions(9);
    unmerged.extend(decisionId(1), NOON + 500, 60_000);
    const [extended] = unmerged.admissions(9);
    expect(extended?.holdMs).toBe(NOON + 500 - (NOON + 1) + 60_000);
    expect(extended?.charges[1]?.rule).toMatchObject({ leaseMs: extended?.holdMs });
    unmerged.merged(taken);
    expect(unmerged.extension()).toEqual([decisionId(1), NOON + 60_500]);
    unmerged.extended(decisionId(1));
    expect(unmerged.size).toBe(0);
  });

  test('keeps the amounts of what does not fit, and what calls used where that is known', () => {
    const unmerged = new UnmergedAdmissions(3);
    for (let n = 0; n < 10; n++) {
      unmerged.add(request(n));
      const actual = usedTokens(40);
      if (n < 2) unmerged.settle({ decisionId: decisionId(n), now: NOON, actual, atLeastFloor: false });
    }
    // seven are sums now, two of them with what they used; three are single
    const [sums] = unmerged.admissions(1);
    expect(sums?.charges.map(({ key, amount }) => [key, amount])).toEqual([
      [QUOTA.key, 2 * 40 + 5 * 100],
      [WINDOW.key, 7],
    ]);
    // nobody settles a sum: it must not be released when it ends
    expect(sums?.charges[0]?.rule).toMatchObject({ onExpiry: 'charge_estimate' });
    expect(takeAll(unmerged)).toEqual({
      [QUOTA.key]: 2 * 40 + 8 * 100,
      [WINDOW.key]: 10,
      [LEASE.key]: 3,
    });
    expect(unmerged.size).toBe(0);
  });

  test('keeps what is added to a sum while the store takes it', () => {
    const unmerged = new UnmergedAdmissions(1);
    for (let n = 0; n < 3; n++) unmerged.add(request(n, [WINDOW]));
    const taken = unmerged.admissions(1);
    expect(taken[0]?.charges[0]?.amount).toBe(2);
    unmerged.add(request(3, [WINDOW]));
    unmerged.merged(taken);
    expect(takeAll(unmerged)).toEqual({ [WINDOW.key]: 2 });
  });
});
