/** What a narrowed credential reaches: every member of a request counts, and what cannot be placed is out of reach. */
import { beforeAll, describe, expect, test } from 'vitest';
import type { CallerKeyScope, CallerNarrowing } from '../../src/domain/caller-key.ts';
import type { DecisionRequestInput } from '../../src/domain/decision-request.ts';
import { allowsAddress } from '../../src/pdp/narrowing.ts';
import { type NarrowedEngine, narrowedEngine } from './narrowed-engine.ts';

let engine: NarrowedEngine;
beforeAll(async () => {
  engine = await narrowedEngine();
});

const ALICE = { principal: { type: 'User', id: 'acme/alice' }, action: 'generate' };
const model = (id: string) => ({ resource: { type: 'Model', id } });
const PLAIN: DecisionRequestInput = { ...ALICE, ...model('acme/support-llm') };
const scoped = (...scopes: CallerKeyScope[]): CallerNarrowing => ({ scopes, networks: [] });

async function causeOf(
  request: DecisionRequestInput,
  narrowing: CallerNarrowing,
): Promise<string | undefined> {
  const { decision, reason } = await engine.decide(request, narrowing);
  const entry = engine.entries.at(-1);
  if (entry?.kind !== 'decision') throw new Error('no entry');
  const isBeyond = reason.code === 'CREDENTIAL_SCOPE';
  expect(entry.caller?.cause === undefined).toBe(!isBeyond);
  expect(isBeyond && decision === 'allow').toBe(false);
  return entry.caller?.cause;
}

const READ = { partitions: [{ id: 'acme/payments', access: 'read' as const }] };
const WRITE = { partitions: [{ id: 'acme/payments', access: 'write' as const }] };
const TOOL = { tools: [{ id: 'acme/refund' }] };
const OUTPUT = { outputs: [{ id: 'acme/s3-reports', path: 'a.csv', classification: 1 }] };

const delegatedTo = (agent: string, ...others: string[]) => ({
  agent,
  chain: [agent, ...others],
  depth: others.length + 1,
  scopes: [],
  expires: '2099-01-01T00:00:00Z',
  humanApproved: false,
});

const WITHIN: Readonly<Record<string, readonly [DecisionRequestInput, CallerKeyScope]>> = {
  'the action': [PLAIN, { actions: ['generate'] }],
  'a group of actions': [PLAIN, { actions: ['Inference'] }],
  'the group of all actions': [{ ...PLAIN, ...TOOL, ...OUTPUT, ...WRITE }, { actions: ['Any'] }],
  'the model': [PLAIN, { models: ['acme/support-llm'] }],
  'a version of the model': [{ ...ALICE, ...model('acme/fraud@3') }, { models: ['acme/fraud'] }],
  'a group of models': [PLAIN, { modelGroups: ['acme/shared'] }],
  'a group above a version': [{ ...ALICE, ...model('acme/fraud@3') }, { modelGroups: ['acme/risk'] }],
  'a model or a group': [PLAIN, { models: ['acme/embed'], modelGroups: ['acme/shared'] }],
  'the tenant': [PLAIN, { tenants: ['acme'] }],
  'the tenant of the agent': [{ ...PLAIN, via: delegatedTo('acme/copilot') }, { tenants: ['acme'] }],
  'a partition with its action': [{ ...PLAIN, ...READ }, { actions: ['generate', 'readPartition'] }],
  'a tool with its action': [{ ...PLAIN, ...TOOL }, { actions: ['generate', 'callTool'] }],
  'an output with its action': [{ ...PLAIN, ...OUTPUT }, { actions: ['generate', 'writeOutput'] }],
};

const BEYOND: Readonly<Record<string, readonly [DecisionRequestInput, CallerKeyScope, string]>> = {
  'another action': [PLAIN, { actions: ['embed'] }, 'scope_action'],
  'another group of actions': [PLAIN, { actions: ['Lifecycle'] }, 'scope_action'],
  'an action in other letters': [PLAIN, { actions: ['Generate'] }, 'scope_action'],
  'an action that nobody declared': [{ ...PLAIN, action: 'fly' }, { actions: ['generate'] }, 'scope_action'],
  'endpoint alone, where the operation is asked': [PLAIN, { actions: ['invoke'] }, 'scope_action'],
  'reading, where writing is asked': [
    { ...PLAIN, ...WRITE },
    { actions: ['generate', 'readPartition'] },
    'scope_action',
  ],
  'the operation, where a partition is read': [
    { ...PLAIN, ...READ },
    { actions: ['generate'] },
    'scope_action',
  ],
  'the operation, where a tool is called': [{ ...PLAIN, ...TOOL }, { actions: ['generate'] }, 'scope_action'],
  'the operation, where an output is written': [
    { ...PLAIN, ...OUTPUT },
    { actions: ['generate'] },
    'scope_action',
  ],
  'another model': [PLAIN, { models: ['acme/embed'] }, 'scope_model'],
  'a version, where the model is asked': [
    { ...ALICE, ...model('acme/fraud') },
    { models: ['acme/fraud@3'] },
    'scope_model',
  ],
  'a model whose name begins alike': [PLAIN, { models: ['acme/support'] }, 'scope_model'],
  'a group with the name of a model': [PLAIN, { modelGroups: ['acme/support-llm'] }, 'scope_model'],
  'a model that is not there': [
    { ...ALICE, ...model('acme/none') },
    { modelGroups: ['acme/shared'] },
    'scope_model',
  ],
  'a tool, where models are named': [
    { ...ALICE, action: 'callTool', resource: { type: 'Tool', id: 'acme/refund' } },
    { models: ['acme/support-llm'] },
    'scope_model',
  ],
  'something else with the name of the model': [
    { ...ALICE, action: 'readPartition', resource: { type: 'DataPartition', id: 'acme/support-llm' } },
    { models: ['acme/support-llm'] },
    'scope_model',
  ],
  'another tenant': [PLAIN, { tenants: ['globex'] }, 'scope_tenant'],
  'data of another tenant': [{ ...PLAIN, tenant: 'globex' }, { tenants: ['acme'] }, 'scope_tenant'],
  'a model of another tenant': [
    { ...ALICE, ...model('globex/translate') },
    { tenants: ['acme'] },
    'scope_tenant',
  ],
  'a represented tenant': [{ ...PLAIN, onBehalfOf: 'm1' }, { tenants: ['acme'] }, 'scope_tenant'],
  'a partition of another tenant': [
    { ...PLAIN, partitions: [{ id: 'globex/joint' }] },
    { tenants: ['acme'] },
    'scope_tenant',
  ],
  'a second partition of another tenant': [
    { ...PLAIN, partitions: [{ id: 'acme/payments' }, { id: 'globex/joint' }] },
    { tenants: ['acme'] },
    'scope_tenant',
  ],
  'a tool of another tenant': [
    { ...PLAIN, tools: [{ id: 'globex/notify' }] },
    { tenants: ['acme'] },
    'scope_tenant',
  ],
  'an output of another tenant': [
    { ...PLAIN, outputs: [{ id: 'globex/export', path: '', classification: 0 }] },
    { tenants: ['acme'] },
    'scope_tenant',
  ],
  'an agent of another tenant': [
    { ...PLAIN, via: delegatedTo('globex/dispatcher') },
    { tenants: ['acme'] },
    'scope_tenant',
  ],
  'an agent of another tenant further up the chain': [
    { ...PLAIN, via: delegatedTo('acme/copilot', 'globex/dispatcher') },
    { tenants: ['acme'] },
    'scope_tenant',
  ],
  'a tool whose owner nobody knows': [
    { ...PLAIN, tools: [{ id: 'nobodys' }] },
    { tenants: ['acme'] },
    'scope_tenant',
  ],
};

describe('a scope', () => {
  test.each(Object.entries(WITHIN))('covers %s', async (_, [request, scope]) => {
    expect(await causeOf(request, scoped(scope))).toBeUndefined();
  });

  test.each(Object.entries(BEYOND))('does not cover %s', async (_, [request, scope, cause]) => {
    expect(await causeOf(request, scoped(scope))).toBe(cause);
  });

  test('has to cover a request alone: two halves are no whole', async () => {
    const halves = scoped({ actions: ['embed'] }, { actions: ['generate'], models: ['acme/embed'] });
    expect(await causeOf(PLAIN, halves)).toBe('scope_model');
    expect(
      await causeOf(PLAIN, scoped({ actions: ['embed'] }, { models: ['acme/support-llm'] })),
    ).toBeUndefined();
  });

  test('does not depend on which levels are asked', async () => {
    const endpoint: DecisionRequestInput = { ...PLAIN, ...TOOL, levels: ['endpoint'] };
    expect(await causeOf(endpoint, scoped({ actions: ['generate'] }))).toBe('scope_action');
  });
});

describe('the deny', () => {
  test('tells the caller one sentence, and the log what was beyond; no policy was asked', async () => {
    const decision = await engine.decide(PLAIN, scoped({ models: ['acme/embed'] }));
    expect(decision).toMatchObject({
      decision: 'deny',
      reason: {
        code: 'CREDENTIAL_SCOPE',
        message: 'the credential of the caller does not reach this far',
        policies: [],
      },
      levels: {},
      auth: { mode: 'verify', method: 'api_key' },
    });
    expect(engine.entries.at(-1)).toMatchObject({ kind: 'decision', caller: { cause: 'scope_model' } });
  });
});

test.each([
  [[], undefined, true],
  [['10.0.0.0/8'], '10.255.0.1', true],
  [['10.0.0.0/8'], '11.0.0.1', false],
  [['10.0.0.1'], '10.0.0.1', true],
  [['10.0.0.1'], '10.0.0.2', false],
  [['11.0.0.0/8', '10.0.0.0/8'], '10.0.0.1', true],
  [['2001:db8::/32'], '2001:db8:ffff::1', true],
  [['2001:db8::/32'], '2001:db9::1', false],
  [['0.0.0.0/0'], '::1', false],
  [['::/0'], '10.0.0.1', false],
  [['::ffff:0:0/96'], '10.0.0.1', true],
  [['::ffff:0:0/96'], '2001:db8::1', false],
  [['10.0.0.0/8'], '::ffff:10.0.0.1', true],
  [['10.0.0.0/8'], '::FFFF:a00:1', true],
  [['10.0.0.0/8'], '::ffff:11.0.0.1', false],
  [['10.0.0.0/8'], '::10.0.0.1', false],
  [['::/0'], '::ffff:10.0.0.1', false],
  [['10.0.0.0/8'], '10.0.0.1/32', false],
  [['10.0.0.0/8'], '10.0.0.0/8', false],
  [['10.0.0.0/8'], '::ffff:10.0.0.1%eth0', false],
  [['10.0.0.0/8'], undefined, false],
  [['10.0.0.0/8'], '', false],
  [['10.0.0.0/8'], '10.0.0.1 ', false],
  [['10.0.0.0/8'], '10.0.0.01', false],
  [['10.0.0.0/8'], '0.0.0.0/0', false],
  [['10.0.0.0/8'], '10.0.0.0/4', false],
  [['10.0.0.0/8'], 10, false],
  [['10.0.0.0/8'], ['10.0.0.1'], false],
  [['10.0.0.0/8'], { ip: '10.0.0.1' }, false],
  [['not a network'], '10.0.0.1', false],
])('networks %j with the address %j: %s', async (networks, address, allowed) => {
  expect(allowsAddress(networks, address)).toBe(allowed);
  if (allowed || typeof address !== 'string') return;
  expect(await causeOf({ ...PLAIN, context: { ip: address } }, { scopes: [], networks })).toBe(
    'scope_network',
  );
});
