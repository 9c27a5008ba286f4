/**
 * What becomes of allowed calls. Invariants: the first report counts and is in the log before it is answered; a
 * repetition changes nothing; what was not told costs no less than what was reserved.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import type { Credential } from '../../src/domain/credential.ts';
import type { Decision } from '../../src/domain/decision.ts';
import { type Outcome, outcomeSchema } from '../../src/domain/outcome.ts';
import { LimitTable } from '../../src/limits/counters/limit-table.ts';
import type { SnapshotHolder } from '../../src/pdp/snapshot.ts';
import { rebuiltTable } from '../limits/counters/restored-table.ts';
import { DENIED, HOLD_MS, limitedEngine, limitedHolder, NOW, PEP } from './limited-engine.ts';

const LIMITS = {
  limits: [
    { id: 'burst', kind: 'window', unit: 'requests', limit: 50, per: '60s', key: ['principal'] },
    { id: 'tokens', kind: 'quota', unit: 'tokens', limit: 2_000, period: 'day', key: ['tenant'] },
    { id: 'money', kind: 'quota', unit: 'micro_usd', limit: 100_000, period: 'day', key: ['tenant'] },
    { id: 'lanes', kind: 'concurrency', limit: 1, key: ['tenant'], lease: '30s' },
  ],
  prices: {
    version: '2026-03',
    default: { inputPerMillion: 10_000_000, outputPerMillion: 20_000_000 },
    models: [
      { model: 'acme/support-llm', version: '9', inputPerMillion: 1_000_000, outputPerMillion: 1_000_000 },
    ],
  },
};

let holder: SnapshotHolder;
beforeAll(async () => {
  holder = await limitedHolder(LIMITS);
});

const outcome = (fields: object): Outcome => outcomeSchema.parse(fields);
const COMPLETED = outcome({ status: 'completed', usage: { inputTokens: 100, outputTokens: 50 } });

/** Charges by the id of their limit. */
function chargesOf(charges: readonly { readonly name: string; readonly charged: number }[]) {
  return Object.fromEntries(charges.map(({ name, charged }) => [name.slice('platform/'.length), charged]));
}

/** What each limit has used, by its id. */
async function usedAfter({ decide }: { decide: (fields: object) => Promise<Decision> }) {
  const { limits } = await decide({ consume: false });
  return Object.fromEntries((limits ?? []).map(({ name, used }) => [name.slice('platform/'.length), used]));
}

describe('an outcome', () => {
  test('gives back what was reserved and not used, and ends the lease', async () => {
    const scene = limitedEngine({ holder });
    const { decisionId } = await scene.decide();
    expect((await scene.decide()).reason.code).toBe('CONCURRENCY_LIMITED');
    const settled = await scene.outcomes.report(decisionId, COMPLETED, PEP);
    expect(settled).toMatchObject({ decisionId, state: 'settled', status: 'completed', log: { index: 2 } });
    // 100 input at 10 and 50 output at 20 micro-dollars
    expect(chargesOf(settled.charges)).toEqual({ tokens: 150, money: 2_000 });
    expect(await usedAfter(scene)).toEqual({ burst: 1, tokens: 150, money: 2_000, lanes: 0 });
    expect((await scene.decide()).decision).toBe('allow');
  });

  test('is an entry of its own, with what it changed, and names nothing that was generated', async () => {
    const scene = limitedEngine({ holder });
    const { decisionId } = await scene.decide();
    const told = outcome({
      ...COMPLETED,
      modelVersion: 'acme/support-llm@9',
      durationMs: 900,
      output: { hash: 'sha256:secret' },
      validation: 'passed',
      guardrails: [{ name: 'pii', result: 'flagged' }],
    });
    await scene.outcomes.report(decisionId, told, PEP);
    const { entry, journal } = scene.log.appended[1] ?? {};
    expect(journal).toBeInstanceOf(Uint8Array);
    expect(entry).toMatchObject({
      kind: 'decision.outcome',
      actor: PEP.keyId,
      tenant: 'acme',
      subject: decisionId,
      details: {
        status: 'completed',
        modelVersion: 'acme/support-llm@9',
        usage: { inputTokens: 100, outputTokens: 50 },
        durationMs: 900,
        outputDigest: { kid: 'test' },
        validation: 'passed',
        guardrails: [{ name: 'pii', result: 'flagged' }],
        // by the price of the version that answered
        used: { tokens: 150, micro_usd: 150, compute_ms: 900 },
        prices: ['platform@2026-03'],
      },
    });
    expect(JSON.stringify(entry)).not.toContain('acme/alice');
  });

  test('that is repeated gets the result of the first, whatever it says, and changes nothing', async () => {
    const scene = limitedEngine({ holder });
    const { decisionId } = await scene.decide();
    const first = await scene.outcomes.report(decisionId, COMPLETED, PEP);
    const before = await usedAfter(scene);
    const size = scene.log.size;
    const again = await Promise.all(
      ['completed', 'failed', 'cancelled'].map(status =>
        scene.outcomes.report(decisionId, outcome({ status }), PEP),
      ),
    );
    for (const one of again) expect(one).toEqual({ ...first, state: 'repeated' });
    expect(scene.log.size).toBe(size);
    expect(await usedAfter(scene)).toEqual(before);
  });

  test('of several at once only the first counts', async () => {
    const scene = limitedEngine({ holder });
    const { decisionId } = await scene.decide();
    const states = await Promise.all(
      Array.from({ length: 8 }, () => scene.outcomes.report(decisionId, COMPLETED, PEP)),
    );
    expect(states.map(({ state }) => state)).toEqual([
      'settled',
      ...Array.from({ length: 7 }, () => 'repeated'),
    ]);
  });

  test.each<[string, object, number]>([
    ['completed without amounts costs what was reserved', { status: 'completed' }, 500],
    [
      'completed with the output alone costs the input that was told',
      { status: 'completed', usage: { outputTokens: 7 } },
      107,
    ],
    ['partial costs what it used', { status: 'partial', usage: { inputTokens: 100, outputTokens: 20 } }, 120],
    [
      'cancelled costs at least its input',
      { status: 'cancelled', usage: { inputTokens: 0, outputTokens: 0 } },
      100,
    ],
    ['failed costs nothing where it tells nothing', { status: 'failed' }, 0],
    ['cancelled costs its input where it tells nothing', { status: 'cancelled' }, 100],
    ['failed costs what it used', { status: 'failed', usage: { inputTokens: 30, outputTokens: 0 } }, 30],
    [
      'larger than reserved is charged in full',
      { status: 'completed', usage: { inputTokens: 100, outputTokens: 4_900 } },
      5_000,
    ],
  ])('%s', async (_name, fields, tokens) => {
    const scene = limitedEngine({ holder });
    const { decisionId } = await scene.decide();
    const { charges } = await scene.outcomes.report(decisionId, outcome(fields), PEP);
    expect(chargesOf(charges)).toMatchObject({ tokens });
    const overdraft = charges.find(({ name }) => name === 'platform/tokens')?.overdraft;
    expect(overdraft).toBe(Math.max(0, tokens - 2_000));
    expect((await scene.decide()).decision).toBe(tokens > 2_000 ? 'deny' : 'allow');
  });

  test('that tells its cost is charged that', async () => {
    const scene = limitedEngine({ holder });
    const { decisionId } = await scene.decide();
    const told = outcome({
      status: 'completed',
      usage: { inputTokens: 1, outputTokens: 1, costMicroUsd: 77 },
    });
    const { charges } = await scene.outcomes.report(decisionId, told, PEP);
    expect(chargesOf(charges)).toMatchObject({ money: 77 });
  });

  test('that comes after everything expired is recorded all the same', async () => {
    const scene = limitedEngine({ holder });
    const { decisionId } = await scene.decide();
    scene.time.now += 40 * 86_400_000;
    const late = await scene.outcomes.report(decisionId, COMPLETED, PEP);
    expect(['recorded', 'settled']).toContain(late.state);
    expect((await scene.outcomes.report(decisionId, COMPLETED, PEP)).state).toBe('repeated');
  });

  test('teaches what such calls use, where it was told', async () => {
    const scene = limitedEngine({ holder });
    for (let at = 0; at < 6; at++) {
      const { decisionId } = await scene.decide();
      await scene.outcomes.report(decisionId, at === 5 ? outcome({ status: 'completed' }) : COMPLETED, PEP);
    }
    const expected = scene.history.expected(
      'AI::User::"acme/alice"',
      'AI::Model::"acme/support-llm"',
      'output_tokens',
    );
    expect(expected).toBe(50);
  });
});

describe('an outcome is refused', () => {
  const acme: Credential = { ...PEP, tenants: new Set(['acme']) };
  const globex: Credential = { ...PEP, tenants: new Set(['globex']) };

  test('of a decision of another tenant, as if there were none', async () => {
    const scene = limitedEngine({ holder });
    const { decisionId } = await scene.decide();
    for (const [id, pep] of [
      [decisionId, globex],
      ['unknown', PEP],
    ] as const) {
      await expect(scene.outcomes.report(id, COMPLETED, pep)).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await expect(scene.outcomes.extend(id, 1, pep)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    }
    expect((await scene.outcomes.report(decisionId, COMPLETED, acme)).state).toBe('settled');
  });

  test('of a deny, and of what was only tried out', async () => {
    const scene = limitedEngine({ holder });
    for (const fields of [DENIED, { consume: false }]) {
      const { decisionId } = await scene.decide(fields);
      await expect(scene.outcomes.report(decisionId, COMPLETED, PEP)).rejects.toMatchObject({
        code: 'NO_OPEN_CALL',
      });
      await expect(scene.outcomes.extend(decisionId, 1, PEP)).rejects.toMatchObject({ code: 'NO_OPEN_CALL' });
    }
  });

  test('while the log is full, before anything changes', async () => {
    const scene = limitedEngine({ holder });
    const { decisionId } = await scene.decide();
    scene.log.saturated = true;
    await expect(scene.outcomes.report(decisionId, COMPLETED, PEP)).rejects.toMatchObject({
      code: 'LOG_BACKPRESSURE',
    });
    scene.log.saturated = false;
    expect((await scene.outcomes.report(decisionId, COMPLETED, PEP)).state).toBe('settled');
  });
});

describe('an outcome that could not be written', () => {
  test('is written by its repetition, with the same change, once', async () => {
    const scene = limitedEngine({ holder });
    const { decisionId } = await scene.decide();
    scene.log.refuses = true;
    await expect(scene.outcomes.report(decisionId, COMPLETED, PEP)).rejects.toMatchObject({
      code: 'LOG_UNAVAILABLE',
    });
    scene.log.refuses = false;
    const again = await scene.outcomes.report(decisionId, outcome({ status: 'failed' }), PEP);
    expect(again).toMatchObject({ state: 'repeated', status: 'completed' });
    expect(chargesOf(again.charges)).toMatchObject({ tokens: 150 });
    expect(scene.log.appended[1]?.journal).toBeInstanceOf(Uint8Array);
    await scene.outcomes.report(decisionId, COMPLETED, PEP);
    expect(scene.log.size).toBe(2);
  });
});

describe('an extension', () => {
  test('lets holds and leases last, and is an entry', async () => {
    const scene = limitedEngine({ holder });
    const { decisionId } = await scene.decide();
    scene.time.now += 25_000;
    const { expiresAt } = await scene.outcomes.extend(decisionId, undefined, PEP);
    expect(expiresAt).toBe(new Date(NOW + 25_000 + HOLD_MS).toISOString());
    scene.time.now += 50_000;
    expect((await scene.decide()).reason.code).toBe('CONCURRENCY_LIMITED');
    const { entry, journal } = scene.log.appended[1] ?? {};
    expect(entry).toMatchObject({ kind: 'decision.extension', subject: decisionId, details: { expiresAt } });
    expect(journal).toBeInstanceOf(Uint8Array);
  });

  test('comes too late for what expired or was settled', async () => {
    const scene = limitedEngine({ holder });
    const { decisionId } = await scene.decide();
    scene.time.now += 2 * HOLD_MS;
    await expect(scene.outcomes.extend(decisionId, 5, PEP)).rejects.toMatchObject({ code: 'NO_OPEN_CALL' });
    const other = await scene.decide();
    await scene.outcomes.report(other.decisionId, COMPLETED, PEP);
    await expect(scene.outcomes.extend(other.decisionId, 5, PEP)).rejects.toMatchObject({
      code: 'NO_OPEN_CALL',
    });
  });
});

describe('an extension that could not be written', () => {
  test('goes before what is written next, so that a restart holds what was held', async () => {
    const live = new LimitTable();
    const scene = limitedEngine({ holder, store: live });
    const { decisionId } = await scene.decide();
    scene.time.now += 25_000;
    scene.log.refuses = true;
    await expect(scene.outcomes.extend(decisionId, 60, PEP)).rejects.toMatchObject({
      code: 'LOG_UNAVAILABLE',
    });
    // its lease would have ended meanwhile; whoever is told that it lasts may go on after a restart too
    scene.time.now += 15_000;
    scene.log.refuses = false;
    const { expiresAt } = await scene.outcomes.extend(decisionId, 60, PEP);
    expect(expiresAt).toBe(new Date(NOW + 100_000).toISOString());
    const entries = scene.log.appended.map(({ entry }) => entry.kind);
    expect(entries).toEqual(['decision', 'decision.extension', 'decision.extension']);
    const journals = scene.log.appended.flatMap(({ journal }) => journal ?? []);
    for (const store of [live, rebuiltTable(journals)]) {
      const again = limitedEngine({ holder, store });
      // ids begin anew: that of the call is taken
      await again.decide(DENIED);
      again.time.now = NOW + 99_000;
      expect((await again.decide()).reason.code).toBe('CONCURRENCY_LIMITED');
      again.time.now = NOW + 100_000;
      expect((await again.decide()).decision).toBe('allow');
    }
  });

  test('is written once, by whatever report comes next, also of another call', async () => {
    const scene = limitedEngine({
      holder: await limitedHolder({ ...LIMITS, limits: LIMITS.limits.slice(1, 3) }),
    });
    const extended = await scene.decide();
    const other = await scene.decide();
    scene.log.refuses = true;
    const refusal = { code: 'LOG_UNAVAILABLE' };
    await expect(scene.outcomes.extend(extended.decisionId, 60, PEP)).rejects.toMatchObject(refusal);
    // nothing takes effect while it cannot be written
    await expect(scene.outcomes.report(other.decisionId, COMPLETED, PEP)).rejects.toMatchObject(refusal);
    scene.log.refuses = false;
    const reports = [other, extended].map(({ decisionId }) =>
      scene.outcomes.report(decisionId, COMPLETED, PEP),
    );
    expect((await Promise.all(reports)).map(({ state }) => state)).toEqual(['settled', 'settled']);
    expect(scene.log.appended.map(({ entry }) => entry.kind)).toEqual([
      'decision',
      'decision',
      'decision.extension',
      'decision.outcome',
      'decision.outcome',
    ]);
  });
});

describe('a withdrawal', () => {
  test('gives back everything but the request, and needs no further outcome', async () => {
    const scene = limitedEngine({ holder, store: new LimitTable() });
    const decision = await scene.decide();
    await scene.outcomes.withdraw(decision, 'acme', PEP);
    expect(await usedAfter(scene)).toEqual({ burst: 1, tokens: 0, money: 0, lanes: 0 });
    expect(await scene.outcomes.report(decision.decisionId, COMPLETED, PEP)).toMatchObject({
      state: 'repeated',
      status: 'withdrawn',
    });
  });
});
