/**
 * Whom near misses explain policies to: on a model that tenants share, what one wrote is not told to the other, neither in
 * the answer nor in the entry, which both may read.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import type { Decision } from '../../src/domain/decision.ts';
import { decisionRequestSchema, type DecisionRequestInput } from '../../src/domain/decision-request.ts';
import { evaluateDecision } from '../../src/pdp/decide.ts';
import type { SnapshotHolder } from '../../src/pdp/snapshot.ts';
import { buildEvaluator, buildHolder } from './scene.ts';

const PARTNER = 'tenant:globex/globex.partner-translation';
const MODEL = { type: 'Model', id: 'globex/translate' };

let holder: SnapshotHolder;
beforeAll(async () => {
  holder = await buildHolder('index');
});

function decide(request: DecisionRequestInput): Omit<Decision, 'log' | 'auth'> {
  const snapshot = holder.current;
  if (snapshot === undefined) throw new Error('no snapshot');
  return evaluateDecision(snapshot, buildEvaluator('compiled', 'off'), decisionRequestSchema.parse(request), {
    id: 'd',
    now: Date.UTC(2026, 0, 5, 12),
    defaultEnv: 'production',
  }).decision;
}

function missesOf({ levels }: ReturnType<typeof decide>) {
  const misses = levels.endpoint?.checks[0]?.nearMisses ?? [];
  expect(misses.length).toBeGreaterThan(0);
  return misses;
}

describe.each(['summary', 'full'] as const)('with explain: %s', explain => {
  test('the policy of a shared model that came nearest is named, and none of its conditions', () => {
    const decision = decide({
      principal: { type: 'User', id: 'acme/alice' },
      action: 'generate',
      resource: MODEL,
      auth: { method: 'asserted', assurance: 0, scopes: [] },
      explain,
    });
    expect(decision.reason.code).toBe('NO_MATCHING_PERMIT');
    const [miss, ...others] = missesOf(decision);
    expect(others).toEqual([]);
    expect(miss).toEqual({
      policy: PARTNER,
      reason: 'authenticated principals of acme may translate',
      missing: 'its conditions do not hold; they are shown to nobody but its own tenant',
    });
    const source = holder.current?.layers.get('tenant:globex')?.sources[PARTNER];
    const clause = /context\.auth\.\w+/.exec(typeof source === 'string' ? source : '')?.[0];
    expect(clause).toBeDefined();
    expect(JSON.stringify(decision)).not.toContain(clause);
  });

  test('where the data of another tenant are used, what the owner of the model wrote is not told either', () => {
    const decision = decide({
      principal: { type: 'User', id: 'acme/alice' },
      tenant: 'm1',
      onBehalfOf: 'm1',
      action: 'classify',
      resource: { type: 'Model', id: 'acme/card-fraud' },
      explain,
    });
    for (const { missing, clauses } of missesOf(decision)) {
      expect(missing).toContain('shown to nobody but its own tenant');
      expect(clauses).toBeUndefined();
    }
  });

  test('a tenant is told all of what it wrote itself', () => {
    const decision = decide({
      principal: { type: 'User', id: 'acme/alice' },
      action: 'classify',
      resource: { type: 'Model', id: 'acme/card-fraud' },
      explain,
    });
    for (const { missing, clauses } of missesOf(decision)) {
      expect(missing).toContain('`');
      expect(clauses === undefined).toBe(explain === 'summary');
    }
  });
});
