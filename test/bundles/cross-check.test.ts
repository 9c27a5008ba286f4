/** Sampled comparisons with cedar-wasm: in time, off the decision's way, never queued without bound. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { CompilerClient } from '../../src/bundles/compiler-client.ts';
import {
  CrossCheck,
  MAX_WAITING_SAMPLES,
  type OracleWorkerApi,
  type SampledCheck,
} from '../../src/bundles/cross-check.ts';
import type { BuiltLayer } from '../../src/bundles/pipeline.ts';
import { PolicyThread } from '../../src/bundles/policy-thread.ts';
import { authorize } from '../../src/cedar/authorize.ts';
import { EMPTY_SET } from '../../src/cedar/equality.ts';
import type { CedarSchema } from '../../src/cedar/schema.ts';
import { DatetimeValue, type Entity, EntityUid, RecordValue, type Value } from '../../src/domain/value.ts';
import { permit, SHIPPED_SCHEMA, startWorker } from './pap.ts';

const compilerThread = startWorker();
const oracleThread = new PolicyThread<OracleWorkerApi>({
  name: 'the oracle',
  script: new URL('../../src/policy-worker.ts', import.meta.url),
});
let schema: CedarSchema;
let layer: BuiltLayer;

beforeAll(async () => {
  const clock = { now: () => 0, monotonic: () => performance.now() };
  const client = new CompilerClient({
    checker: compilerThread,
    builder: compilerThread,
    clock,
    defaultSchemaText: SHIPPED_SCHEMA,
  });
  schema = await client.schema(SHIPPED_SCHEMA);
  layer = await client.build(
    {
      digest: `sha256:${'a'.repeat(64)}`,
      manifest: { layer: 'tenant:acme', version: '1', description: '' },
      files: { 'policies/a.cedar': permit('a', 'acme', ' when { principal.clearance >= resource.risk }') },
    },
    schema,
  );
});
afterAll(async () => {
  await Promise.all([compilerThread.close(), oracleThread.close()]);
});

function record(entries: Readonly<Record<string, Value>>): RecordValue {
  return new RecordValue(new Map(Object.entries(entries)));
}

const NOTHING = record({});
const TENANT = new EntityUid('AI::Tenant', 'acme');
const common = { tenant: TENANT, sharedWith: EMPTY_SET };

function checkOf(clearance: number): SampledCheck {
  const user = new EntityUid('AI::User', 'acme/alice');
  const model = new EntityUid('AI::Model', 'acme/m');
  const inTenant = new Set([TENANT.key]);
  const texts = { org: '', tier: 'gold', stage: 'dev' };
  const entities: Entity[] = [
    { uid: TENANT, attributes: record({ ...common, plan: 'p' }), tags: NOTHING, ancestors: new Set() },
    {
      uid: user,
      attributes: record({ tenant: TENANT, actsFor: EMPTY_SET, org: texts.org, tier: texts.tier, clearance }),
      tags: NOTHING,
      ancestors: inTenant,
    },
    {
      uid: model,
      attributes: record({
        ...common,
        org: '',
        stage: 'dev',
        risk: 1,
        tiers: EMPTY_SET,
        contextWindow: 1,
        maxOutputTokens: 1,
      }),
      tags: record({ note: 'x' }),
      ancestors: inTenant,
    },
  ];
  const byKey = new Map(entities.map(entity => [entity.uid.key, entity]));
  const auth = record({ method: 'asserted', assurance: 0, scopes: EMPTY_SET });
  return {
    schema,
    layers: [layer],
    request: {
      principal: user,
      action: new EntityUid('AI::Action', 'invoke'),
      resource: model,
      context: record({ env: 'production', now: new DatetimeValue(Date.UTC(2026, 0, 1)), auth }),
      entities: { get: key => byKey.get(key) },
    },
  };
}

function crossCheck(rate: number, thread = oracleThread) {
  const disagreements: string[] = [];
  const check = new CrossCheck({
    thread,
    rate,
    onDisagreement: (_, compiled, oracle) =>
      disagreements.push(`${compiled.decision} ${oracle.ok ? oracle.decision : oracle.failure}`),
  });
  return { check, disagreements };
}

describe('CrossCheck', () => {
  test('finds agreement on allows and denies', async () => {
    const { check, disagreements } = crossCheck(1);
    for (const clearance of [0, 1, 2]) {
      const sampled = checkOf(clearance);
      const answer = authorize([layer.index], sampled.request);
      expect(answer.decision).toBe(clearance >= 1 ? 'allow' : 'deny');
      check.sample(sampled, answer);
    }
    await vi.waitFor(() => expect(check.compared).toBe(3), { timeout: 20_000 });
    expect(disagreements).toEqual([]);
    expect(check.dropped).toBe(0);
  });

  test('reports an answer that cedar-wasm does not give', async () => {
    const { check, disagreements } = crossCheck(1);
    check.sample(checkOf(2), { decision: 'deny', determining: [], erroring: [] });
    check.sample(checkOf(0), authorize([layer.index], checkOf(2).request));
    await vi.waitFor(() => expect(disagreements).toEqual(['deny allow', 'allow deny']), { timeout: 20_000 });
  });

  test('compares one check in so many', async () => {
    const { check } = crossCheck(10);
    const sampled = checkOf(2);
    const answer = authorize([layer.index], sampled.request);
    for (let n = 0; n < 35; n++) check.sample(sampled, answer);
    await vi.waitFor(() => expect(check.compared).toBe(3), { timeout: 20_000 });
  });

  test('compares checks under two schemas and of layers that the oracle does not know yet, all at a time', async () => {
    const { check, disagreements } = crossCheck(1);
    const other = { ...schema, text: `${schema.text}\n// another`, digest: `sha256:${'b'.repeat(64)}` };
    for (let n = 0; n < 20; n++) {
      const sampled = { ...checkOf(n % 3), schema: n % 2 === 0 ? schema : other };
      check.sample(sampled, authorize([layer.index], sampled.request));
    }
    await vi.waitFor(() => expect(check.compared).toBe(20), { timeout: 20_000 });
    expect(disagreements).toEqual([]);
  });

  test('counts a check that it cannot put into words, and goes on', async () => {
    const { check, disagreements } = crossCheck(1);
    const sampled = checkOf(2);
    const entities = {
      get: () => {
        throw new Error('broken');
      },
    };
    const answer = authorize([layer.index], sampled.request);
    check.sample({ ...sampled, request: { ...sampled.request, entities } }, answer);
    check.sample(sampled, answer);
    await vi.waitFor(() => expect(check.compared).toBe(1), { timeout: 20_000 });
    expect(check.dropped).toBe(1);
    expect(disagreements).toEqual([]);
  });

  test('drops and counts what the oracle has no time for', async () => {
    const silent = new PolicyThread<OracleWorkerApi>({
      name: 'the oracle',
      script: new URL('data:text/javascript,setInterval(()=>{},1000)'),
    });
    const { check } = crossCheck(1, silent);
    const sampled = checkOf(2);
    const answer = authorize([layer.index], sampled.request);
    for (let n = 0; n < MAX_WAITING_SAMPLES + 10; n++) check.sample(sampled, answer);
    expect(silent.pending).toBeLessThanOrEqual(MAX_WAITING_SAMPLES + 1);
    const droppedAtOnce = check.dropped;
    expect(droppedAtOnce).toBeGreaterThanOrEqual(10);
    await silent.close();
    await vi.waitFor(() => expect(check.dropped).toBe(MAX_WAITING_SAMPLES + 10), { timeout: 20_000 });
  });

  test('goes on after the oracle died', async () => {
    const { check } = crossCheck(1);
    const sampled = checkOf(2);
    const answer = authorize([layer.index], sampled.request);
    check.sample(sampled, answer);
    await oracleThread.start().terminate();
    check.sample(sampled, answer);
    await vi.waitFor(() => expect(check.compared + check.dropped).toBe(2), { timeout: 20_000 });
    expect(check.compared).toBeGreaterThanOrEqual(1);
  });
});
