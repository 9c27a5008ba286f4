/** The context of a request: every key parsed, defaulted or refused; nothing forged, nothing ignored. */
import { describe, expect, it } from 'vitest';
import { type DecisionRequestInput, decisionRequestSchema } from '../../src/domain/decision-request.ts';
import { AppError } from '../../src/domain/errors.ts';
import { DatetimeValue, EntityUid, IpValue, RecordValue } from '../../src/domain/value.ts';
import { buildContexts } from '../../src/pdp/context.ts';
import { Planner, qualify } from '../../src/pdp/plan.ts';
import { schemaForTest, shippedSchemaText } from './shipped-schema.ts';

const planner = new Planner(schemaForTest());
/** A schema from before there was `auth.mode`. */
const former = new Planner(
  schemaForTest(
    shippedSchemaText()
      .split('\n')
      .filter(line => !line.includes('mode?: String'))
      .join('\n'),
  ),
);
const NOW = Date.parse('2026-03-10T12:00:00.000Z');

function build(fields: Partial<DecisionRequestInput>, by = planner) {
  const request = decisionRequestSchema.parse({
    principal: { type: 'User', id: 'acme/alice' },
    action: 'generate',
    resource: { type: 'Model', id: 'acme/support-llm' },
    ...fields,
  });
  const action = by.find(request.action);
  if (action === undefined) throw new Error('unknown action');
  const resource = qualify(request.resource.type, request.resource.id);
  const checks = by.plan(request, action, { resource, tenantUid: qualify('Tenant', 'acme') });
  const facts = { now: NOW, defaultEnv: 'production' };
  return buildContexts(by, checks, request, facts).map(context => context.entries);
}

function problemsOf(fields: Partial<DecisionRequestInput>) {
  try {
    build(fields);
  } catch (error) {
    if (error instanceof AppError) return error.problems;
    throw error;
  }
  return [];
}

describe('buildContexts()', () => {
  it('gives each check the keys that its action declares', () => {
    const keys = build({}).map(entries => [...entries.keys()].toSorted());
    expect(keys).toEqual([
      ['auth', 'env', 'now'],
      ['auth', 'env', 'model', 'now'],
      ['auth', 'env', 'input', 'now', 'params'],
    ]);
  });

  it('tells policies that the service verified the caller, where the schema has a word for it', () => {
    const auth = { method: 'jwt', assurance: 2, scopes: ['a'], issuer: 'https://idp.example' };
    const entriesOf = (given: typeof auth & { mode?: 'verify' }, by: Planner) => {
      const value = build({ auth: given }, by)[0]?.get('auth');
      return value instanceof RecordValue ? Object.fromEntries(value.entries) : {};
    };
    expect(entriesOf({ ...auth, mode: 'verify' }, planner)).toMatchObject({ method: 'jwt', mode: 'verify' });
    expect(entriesOf(auth, planner)).not.toHaveProperty('mode');
    expect(entriesOf({ ...auth, mode: 'verify' }, former)).not.toHaveProperty('mode');
    expect(entriesOf({ ...auth, mode: 'verify' }, former)).toEqual(entriesOf(auth, former));
  });

  it('parses values by the schema and takes the time from the service', () => {
    const [endpoint, tenant] = build({
      context: { env: 'staging', ip: '10.0.0.1', region: 'eu' },
      onBehalfOf: 'm1',
    });
    expect(endpoint?.get('env')).toBe('staging');
    expect(endpoint?.get('now')).toEqual(new DatetimeValue(NOW));
    expect(endpoint?.get('ip')).toEqual(new IpValue(4, 0x0a000001n, 32));
    expect(endpoint?.get('onBehalfOf')).toEqual(new EntityUid('AI::Tenant', 'm1'));
    expect(tenant?.get('model')).toEqual(new EntityUid('AI::Model', 'acme/support-llm'));
  });

  it.each<[string, Partial<DecisionRequestInput>, string, RegExp]>([
    ['a misspelt key', { context: { regoin: 'eu' } }, '/context/regoin', /did you mean `region`/],
    ['an undeclared key', { context: { colour: 'red' } }, '/context/colour', /schema of the platform layer/],
    [
      'a prototype key',
      { context: Object.fromEntries([['__proto__', { env: 'x' }]]) },
      '/context/__proto__',
      /schema/,
    ],
    ['constructor as a key', { context: { constructor: 1 } }, '/context/constructor', /schema/],
    ['a forged clock', { context: { now: '2020-01-01T00:00:00Z' } }, '/context/now', /clock of the service/],
    ['a forged auth', { context: { auth: { method: 'mtls' } } }, '/context/auth', /`auth`/],
    ['a forged delegation', { context: { via: {} } }, '/context/via', /`via`/],
    ['a forged model', { context: { model: 'acme/other' } }, '/context/model', /`tenant`/],
    ['a malformed address', { context: { ip: '10.0.0.256' } }, '/context/ip', /^$/],
    [
      'an entity escape',
      { context: { region: { __entity: { type: 'AI::User', id: 'x' } } } },
      '/context/region/__entity',
      /plain|write/,
    ],
    [
      'an extension escape',
      { context: { ip: { __extn: { fn: 'unknown', arg: 'x' } } } },
      '/context/ip/__extn',
      /plain|write/,
    ],
  ])('refuses %s', (_, fields, pointer, hint) => {
    const problems = problemsOf(fields);
    expect(problems).toHaveLength(1);
    expect(problems[0]?.pointer).toBe(pointer);
    expect(problems[0]?.hint ?? '').toMatch(hint);
  });

  it('names a bad value once, however many checks read it', () => {
    expect(problemsOf({ context: { ip: 'nonsense', region: 7 } }).map(problem => problem.pointer)).toEqual([
      '/context/ip',
      '/context/region',
    ]);
  });

  it('asks for what an action requires', () => {
    const partition = { type: 'DataPartition', id: 'acme/payments' };
    const problems = problemsOf({ action: 'readPartition', resource: partition });
    expect(problems).toMatchObject([{ pointer: '/context/model', hint: 'add `model` to `context`' }]);
    const [context] = build({ action: 'readPartition', resource: partition, context: { model: 'acme/m' } });
    expect(context?.get('model')).toEqual(new EntityUid('AI::Model', 'acme/m'));
  });

  it('keeps the amounts of several tools apart', () => {
    const contexts = build({
      tools: [{ id: 'a', amountCents: 1 }, { id: 'b', amountCents: 2 }, { id: 'c' }],
    });
    expect(contexts.slice(3).map(entries => entries.get('amountCents'))).toEqual([1, 2, undefined]);
  });
});
