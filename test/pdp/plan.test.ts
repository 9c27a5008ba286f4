/** The plan asks exactly the checks that api.md names, and refuses requests that name what it would not check. */
import { describe, expect, it } from 'vitest';
import {
  type DecisionRequest,
  type DecisionRequestInput,
  decisionRequestSchema,
} from '../../src/domain/decision-request.ts';
import { checkPlanVocabulary, Planner, qualify } from '../../src/pdp/plan.ts';
import { schemaForTest, shippedSchemaText } from './shipped-schema.ts';

const planner = new Planner(schemaForTest());

function request(fields: Partial<DecisionRequestInput>): DecisionRequest {
  return decisionRequestSchema.parse({
    principal: { type: 'User', id: 'acme/alice' },
    action: 'generate',
    resource: { type: 'Model', id: 'acme/support-llm' },
    ...fields,
  });
}

function subjectOf(asked: DecisionRequest) {
  return {
    resource: qualify(asked.resource.type, asked.resource.id),
    tenantUid: qualify('Tenant', 'acme'),
  };
}

function plan(fields: Partial<DecisionRequestInput>): string[] {
  const asked = request(fields);
  const action = planner.find(asked.action);
  if (action === undefined) throw new Error('unknown action');
  return planner
    .plan(asked, action, subjectOf(asked))
    .map(check => `${check.level} ${check.action.uid.id} ${check.resource.type}:${check.resource.id}`);
}

const MODEL = 'AI::Model:acme/support-llm';

describe('plan', () => {
  it.each<[string, Partial<DecisionRequestInput>, string[]]>([
    [
      'an inference asks invoke, useTenant, the operation',
      {},
      [`endpoint invoke ${MODEL}`, 'tenant useTenant AI::Tenant:acme', `action generate ${MODEL}`],
    ],
    [
      'partitions replace useTenant, each by its access',
      {
        partitions: [{ id: 'acme/p' }, { id: 'acme/q', access: 'write' }, { id: 'acme/r', access: 'export' }],
      },
      [
        `endpoint invoke ${MODEL}`,
        'tenant readPartition AI::DataPartition:acme/p',
        'tenant writePartition AI::DataPartition:acme/q',
        'tenant exportPartition AI::DataPartition:acme/r',
        `action generate ${MODEL}`,
      ],
    ],
    [
      'tools and outputs follow the operation',
      {
        tools: [{ id: 'acme/refund', amountCents: 5 }],
        outputs: [{ id: 'acme/s3', path: 'a', classification: 1 }],
      },
      [
        `endpoint invoke ${MODEL}`,
        'tenant useTenant AI::Tenant:acme',
        `action generate ${MODEL}`,
        'action callTool AI::Tool:acme/refund',
        'action writeOutput AI::OutputSink:acme/s3',
      ],
    ],
    [
      'a lifecycle operation asks manage',
      { action: 'deploy' },
      [`endpoint manage ${MODEL}`, 'tenant useTenant AI::Tenant:acme', `action deploy ${MODEL}`],
    ],
    ['invoke is an endpoint query alone', { action: 'invoke' }, [`endpoint invoke ${MODEL}`]],
    ['manage is an endpoint query alone', { action: 'manage' }, [`endpoint manage ${MODEL}`]],
    [
      'a partition as resource has the tenant level alone',
      { action: 'readPartition', resource: { type: 'DataPartition', id: 'acme/p' } },
      ['tenant readPartition AI::DataPartition:acme/p'],
    ],
    [
      'a tool as resource has the action level alone',
      { action: 'callTool', resource: { type: 'Tool', id: 'acme/refund' } },
      ['action callTool AI::Tool:acme/refund'],
    ],
    ['levels select', { levels: ['tenant'] }, ['tenant useTenant AI::Tenant:acme']],
    [
      'levels keep plan order whatever their own',
      { levels: ['action', 'endpoint'] },
      [`endpoint invoke ${MODEL}`, `action generate ${MODEL}`],
    ],
  ])('%s', (_, fields, expected) => {
    expect(plan(fields)).toEqual(expected);
  });

  it.each(['nonsense', 'Use', 'Any', 'constructor', '__proto__', ''])('does not find action %s', id => {
    expect(planner.find(id)).toBeUndefined();
  });

  it.each<[string, Partial<DecisionRequestInput>, string]>([
    ['partitions beside invoke', { action: 'invoke', partitions: [{ id: 'acme/p' }] }, '/partitions'],
    ['tools beside invoke', { action: 'invoke', tools: [{ id: 'acme/t' }] }, '/tools'],
    [
      'outputs beside manage',
      { action: 'manage', outputs: [{ id: 'a', path: 'b', classification: 1 }] },
      '/outputs',
    ],
    ['a level that the action does not have', { action: 'invoke', levels: ['tenant'] }, '/levels'],
  ])('refuses %s, which would look decided and not be', (_, fields, pointer) => {
    expect(() => plan(fields)).toThrowError(
      expect.objectContaining({ code: 'INVALID_REQUEST', problems: [expect.objectContaining({ pointer })] }),
    );
  });

  it('tools and outputs carry the model, amount, path and classification into their own check only', () => {
    const asked = request({
      tools: [{ id: 'acme/refund', amountCents: 5 }, { id: 'acme/lookup' }],
      outputs: [{ id: 'acme/s3', path: 'a/b', classification: 2 }],
    });
    const action = planner.find('generate');
    const extras =
      action === undefined ? [] : planner.plan(asked, action, subjectOf(asked)).map(check => check.extra);
    expect(extras).toEqual([
      {},
      { model: 'acme/support-llm' },
      {},
      { model: 'acme/support-llm', amountCents: 5 },
      { model: 'acme/support-llm' },
      { model: 'acme/support-llm', path: 'a/b', classification: 2 },
    ]);
  });
});

describe('checkPlanVocabulary()', () => {
  it('finds nothing missing in the shipped schema', () => {
    expect(checkPlanVocabulary(schemaForTest())).toEqual([]);
  });

  it('names every action and type that a schema lacks', () => {
    const text = shippedSchemaText().replaceAll('useTenant', 'useAccount').replaceAll('OutputSink', 'Outlet');
    const messages = checkPlanVocabulary(schemaForTest(text)).map(problem => problem.message);
    expect(messages).toHaveLength(2);
    expect(messages[0]).toContain('`useTenant`');
    expect(messages[1]).toContain('`OutputSink`');
  });

  it('does not accept another namespace', () => {
    const text = shippedSchemaText().replace('namespace AI', 'namespace BI');
    expect(checkPlanVocabulary(schemaForTest(text))).toHaveLength(16);
  });
});
