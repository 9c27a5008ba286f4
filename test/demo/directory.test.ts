/** The demo directory fits the shipped schema, has what the README promises, and its tour ends as it says. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type TestEntity, testEntitySchema } from '../../src/bundles/test-case.ts';
import { decisionRequestSchema } from '../../src/domain/decision-request.ts';
import { DEMO_REQUESTS } from '../../src/demo/requests.ts';
import { evaluateDecision } from '../../src/pdp/decide.ts';
import { buildEvaluator, buildHolder } from '../decisions/scene.ts';

const FILE = join(import.meta.dirname, '../../src/demo/directory.ndjson');
const entities: readonly TestEntity[] = readFileSync(FILE, 'utf8')
  .trimEnd()
  .split('\n')
  .map(line => testEntitySchema.parse(JSON.parse(line)));
const count = (...types: string[]): number => entities.filter(({ type }) => types.includes(type)).length;

describe('the demo directory', () => {
  test('has tenants, principals of all kinds, models, partitions, tools and sinks', () => {
    expect(count('Tenant')).toBeGreaterThanOrEqual(2);
    expect(count('User', 'Service', 'Agent')).toBeGreaterThanOrEqual(8);
    for (const type of ['User', 'Service', 'Agent']) expect(count(type)).toBeGreaterThanOrEqual(2);
    expect(count('Model')).toBeGreaterThanOrEqual(6);
    for (const type of ['DataPartition', 'Tool', 'OutputSink']) expect(count(type)).toBeGreaterThanOrEqual(2);
  });

  test('names each entity once, and has each parent as an entity', () => {
    const keys = entities.map(({ type, id }) => `${type} ${id}`);
    expect(new Set(keys).size).toBe(keys.length);
    const parents = entities.flatMap(entity => entity.parents.map(({ type, id }) => `${type} ${id}`));
    expect(parents.filter(parent => !keys.includes(parent))).toEqual([]);
  });

  test('shares one model between the tenants', () => {
    const shared = entities.filter(({ attributes }) => Array.isArray(attributes['sharedWith']));
    expect(shared.map(({ type, id }) => `${type} ${id}`)).toEqual(['Model globex/translate']);
  });

  test('shows an allow with its reason, then a deny that says what was missing', async () => {
    const holder = await buildHolder('index', entities);
    const snapshot = holder.current;
    if (snapshot === undefined) throw new Error('no snapshot');
    const evaluator = buildEvaluator('compiled', 'all');
    const inputs = { id: 'demo', now: Date.parse('2026-03-10T12:00:00Z'), defaultEnv: 'production' };
    const [allowed, denied, delegated] = DEMO_REQUESTS.map(
      ({ request }) =>
        evaluateDecision(snapshot, evaluator, decisionRequestSchema.parse(request), inputs).decision,
    );
    expect(allowed?.reason).toEqual({
      code: 'POLICY_ALLOW',
      level: 'action',
      message: 'data scientists may use the shared models',
      policies: ['tenant:acme/acme.data-scientist'],
    });
    expect(denied?.reason.code).toBe('NO_MATCHING_PERMIT');
    expect(denied?.reason.message).toContain('principal.clearance >= resource.risk');
    expect(denied?.levels.endpoint?.checks[0]?.nearMisses[0]?.policy).toBe('tenant:acme/acme.org-pattern');
    expect(delegated?.reason.policies).toEqual(['platform/guard.agent-irreversible']);
    expect(delegated?.obligations).toEqual([
      { type: 'require_approval', policy: 'platform/guard.agent-irreversible' },
    ]);
  });
});
