/**
 * A decision and its limits: what is charged when, what the answer and the entry say of it, and what happens when
 * counting or writing fails. Invariant: limits only ever turn an allow into a deny, and nothing unanswered is held.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { NO_GUARD } from '../../src/limits/desk.ts';
import { LimitTable } from '../../src/limits/counters/limit-table.ts';
import type { Admission, AdmissionRequest, LimitStore } from '../../src/limits/ports.ts';
import type { SnapshotHolder } from '../../src/pdp/snapshot.ts';
import { DENIED, HOLD_MS, limitedEngine, limitedHolder, NOW, PEP } from './limited-engine.ts';

const LIMITS = {
  limits: [
    { id: 'burst', kind: 'window', unit: 'requests', limit: 3, per: '60s', key: ['principal'] },
    { id: 'budget', kind: 'quota', unit: 'tokens', limit: 2_000, period: 'day', key: ['tenant'] },
    { id: 'lanes', kind: 'concurrency', limit: 4, key: ['tenant'], lease: '30s' },
    { id: 'trial', kind: 'window', unit: 'requests', limit: 1, per: '1h', key: [], mode: 'shadow' },
  ],
};

/** Problem types of draft-ietf-httpapi-ratelimit-headers. */
const TYPES = 'https://iana.org/assignments/http-problem-types#';

let holder: SnapshotHolder;
beforeAll(async () => {
  holder = await limitedHolder(LIMITS);
});

/** Answers as the table does, but later. */
function late(table: LimitTable): LimitStore {
  return {
    admit: async request => table.admit(request),
    settle: async settlement => table.settle(settlement),
    extend: async (id, now, holdMs) => table.extend(id, now, holdMs),
    reset: async (key, now) => table.reset(key, now),
    close: () => table.close(),
  };
}

/** A table whose admissions come out otherwise. */
function admitting(
  change: (request: AdmissionRequest, table: LimitTable) => Admission | Promise<Admission>,
): LimitStore {
  const table = new LimitTable();
  return {
    admit: request => change(request, table),
    settle: settlement => table.settle(settlement),
    extend: (id, now, holdMs) => table.extend(id, now, holdMs),
    reset: (key, now) => table.reset(key, now),
    close: () => table.close(),
  };
}

function used(decision: {
  readonly limits?: readonly { readonly name: string; readonly used: number }[] | undefined;
}) {
  return Object.fromEntries((decision.limits ?? []).map(limit => [limit.name, limit.used]));
}

describe.each([
  ['that answers at once', () => new LimitTable()],
  ['that answers later', () => late(new LimitTable())],
])('with a store %s', (_name, makeStore) => {
  test('an allow is charged to every limit that is for it, and says what is held until when', async () => {
    const { decide, log } = limitedEngine({ holder, store: makeStore() });
    const decision = await decide();
    expect(decision).toMatchObject({
      decision: 'allow',
      reservation: {
        expiresAt: new Date(NOW + HOLD_MS).toISOString(),
        outcome: `/v1/decisions/${decision.decisionId}/outcome`,
      },
      headers: { ratelimit: '"platform/burst";r=2;t=60' },
    });
    expect(decision.problem).toBeUndefined();
    const reserved = (decision.limits ?? []).map(({ name, reserved: amount, remaining }) => [
      name,
      { amount, remaining },
    ]);
    expect(Object.fromEntries(reserved)).toEqual({
      'platform/budget': { amount: 500, remaining: 1_500 },
      'platform/burst': { amount: 1, remaining: 2 },
      'platform/lanes': { amount: 1, remaining: 3 },
      'platform/trial': { amount: 1, remaining: 0 },
    });
    expect(log.appended[0]?.entry).toMatchObject({ kind: 'decision', limits: decision.limits });
    expect(log.appended[0]?.journal).toBeInstanceOf(Uint8Array);
  });

  test('a limit that is reached denies, with its code, its time and no charge', async () => {
    const { decide, time } = limitedEngine({ holder, store: makeStore() });
    for (let at = 0; at < 3; at++) await decide();
    time.now += 10_000;
    const denied = await decide();
    expect(denied).toMatchObject({
      decision: 'deny',
      reason: { code: 'RATE_LIMITED', policies: [] },
      levels: { action: { decision: 'allow' } },
      obligations: [],
      headers: { 'retry-after': '50', 'x-ratelimit-remaining': '0' },
      problem: { status: 429, 'violated-policies': ['platform/burst'] },
    });
    expect(denied.reservation).toBeUndefined();
    const before = used(denied);
    expect(used(await decide())).toEqual(before);
    time.now += 50_000;
    expect((await decide()).decision).toBe('allow');
  });

  test('what the policies deny is charged nothing and says nothing of limits', async () => {
    const { decide } = limitedEngine({ holder, store: makeStore() });
    const denied = await decide(DENIED);
    expect(denied.decision).toBe('deny');
    expect(denied.limits).toBeUndefined();
    expect(used(await decide())['platform/trial']).toBe(1);
  });

  test('a request that is repeated with its id is charged once', async () => {
    const { decide } = limitedEngine({ holder, store: makeStore() });
    const answers = await Promise.all([1, 2, 3, 4, 5].map(() => decide({ requestId: 'r1' })));
    expect(new Set(answers.map(({ decisionId }) => decisionId)).size).toBe(1);
    expect(used(await decide())['platform/burst']).toBe(2);
  });

  test('what is merely tried out is answered as if it were charged, and is not', async () => {
    const { decide, log } = limitedEngine({ holder, store: makeStore() });
    for (let at = 0; at < 5; at++) {
      const tried = await decide({ consume: false });
      expect(tried.decision).toBe('allow');
      expect(tried.reservation).toBeUndefined();
    }
    expect(log.appended.every(({ journal }) => journal === undefined)).toBe(true);
    expect(used(await decide())['platform/burst']).toBe(1);
  });

  test('a request larger than a limit is refused for good, without a time to come back', async () => {
    const { decide } = limitedEngine({ holder, store: makeStore() });
    const denied = await decide({ input: { tokens: 5_000 } });
    expect(denied).toMatchObject({ reason: { code: 'BUDGET_EXHAUSTED' }, problem: { status: 403 } });
    expect(denied.headers).not.toHaveProperty('retry-after');
  });

  test('a request that cannot be written holds nothing', async () => {
    const { decide, log } = limitedEngine({ holder, store: makeStore() });
    log.refuses = true;
    for (let at = 0; at < 3; at++) await expect(decide()).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' });
    log.refuses = false;
    // requests stay counted: who repeats them in vain is no reason to admit more
    const tried = await decide({ consume: false });
    expect(used(tried)).toMatchObject({ 'platform/budget': 0, 'platform/lanes': 0, 'platform/burst': 3 });
  });
});

describe('a store that fails', () => {
  test.each<[string, () => LimitStore]>([
    [
      'by throwing',
      () =>
        admitting(() => {
          throw new Error('broken');
        }),
    ],
    ['by rejecting', () => admitting(() => Promise.reject(new Error('broken')))],
    [
      'by leaving out a standing',
      () =>
        admitting((request, table) => {
          const { admitted, standings, journal } = table.admit(request);
          return { admitted, standings: standings.slice(1), journal };
        }),
    ],
    [
      'by admitting what a limit denies',
      () =>
        admitting((request, table) => {
          const { standings, journal } = table.admit(request);
          return { admitted: true, standings: standings.map(one => ({ ...one, violated: true })), journal };
        }),
    ],
    [
      'by denying without a limit that does',
      () => admitting((request, table) => ({ ...table.admit(request), admitted: false })),
    ],
  ])('%s, makes the decision a logged deny', async (_name, makeStore) => {
    const { decide, log, failures } = limitedEngine({ holder, store: makeStore() });
    const decision = await decide();
    expect(decision).toMatchObject({
      decision: 'deny',
      reason: { code: 'INTERNAL_ERROR', policies: [] },
      obligations: [],
    });
    expect(decision.limits).toBeUndefined();
    expect(log.appended).toMatchObject([{ entry: { decision: 'deny', reason: { code: 'INTERNAL_ERROR' } } }]);
    expect(failures).toHaveLength(1);
  });
});

describe('who is blocked', () => {
  test('is denied before anything is evaluated or charged', async () => {
    const refusal = {
      code: 'PENALTY_BLOCKED',
      message: 'refused for a time',
      retryAfterMs: 4_200,
      violated: ['platform/burst'],
    } as const;
    let blocked = true;
    const guard = { ...NO_GUARD, blocked: () => (blocked ? refusal : undefined) };
    const { decide, log } = limitedEngine({ holder, guard });
    expect(await decide()).toMatchObject({
      decision: 'deny',
      reason: { code: 'PENALTY_BLOCKED', message: 'refused for a time' },
      levels: {},
      headers: { 'retry-after': '5' },
      problem: { status: 429, type: `${TYPES}abnormal-usage-detected` },
    });
    expect(log.appended[0]?.entry).toMatchObject({ request: { tenant: 'acme' } });
    blocked = false;
    expect(used(await decide())['platform/burst']).toBe(1);
  });
});

describe('without room', () => {
  test('a request is turned away before it is charged, with 503', async () => {
    const shed = { code: 'OVERLOADED', message: 'no room', retryAfterMs: 5_000, violated: [] } as const;
    let full = true;
    const guard = { ...NO_GUARD, shed: () => (full ? shed : undefined) };
    const { decide } = limitedEngine({ holder, guard });
    expect(await decide()).toMatchObject({
      reason: { code: 'OVERLOADED' },
      problem: { status: 503, type: `${TYPES}temporary-reduced-capacity` },
    });
    full = false;
    expect(used(await decide())['platform/burst']).toBe(1);
  });
});

describe('a pool with fair shares', () => {
  const POOL = {
    id: 'pool',
    kind: 'concurrency',
    limit: 4,
    lease: '5m',
    key: [],
    fair: { weights: {}, others: 1 },
  };

  test('is divided between those who asked, and not with those who looked', async () => {
    const notes: string[] = [];
    const activity = { asked: (_: string, tenant: string) => notes.push(tenant), looked: () => 1 };
    const { decide, usage } = limitedEngine({ holder: await limitedHolder({ limits: [POOL] }), activity });
    expect(used(await decide({ consume: false }))).toEqual({ 'platform/pool': 0 });
    const { known } = await usage.usage(
      {
        principal: { type: 'User', id: 'acme/alice' },
        model: 'acme/support-llm',
        action: 'generate',
        tenant: undefined,
        address: undefined,
        key: undefined,
        pep: undefined,
        limitSets: [],
      },
      PEP,
    );
    expect(known.map(({ charge }) => charge.rule.name)).toEqual(['platform/pool']);
    expect(notes).toEqual([]);
    await decide();
    expect(notes).toEqual(['acme']);
  });
});

describe('without limits', () => {
  test('an answer has none of their members', async () => {
    const { decide, log } = limitedEngine({ holder: await limitedHolder({}) });
    const decision = await decide();
    expect(decision.decision).toBe('allow');
    for (const member of ['limits', 'reservation', 'headers', 'problem'])
      expect(decision).not.toHaveProperty(member);
    expect(log.appended[0]).toMatchObject({ journal: undefined, entry: { limits: undefined } });
  });
});
