/** One small world, in our types and in Cedar's, and expressions evaluated in it by both engines. */
import { type EntityJson, isAuthorized, policyToJson } from '@cedar-policy/cedar-wasm/nodejs';
import type { PolicyAst } from '../../src/cedar/ast.ts';
import { compileTest } from '../../src/cedar/compile-expression.ts';
import { makeSet } from '../../src/cedar/equality.ts';
import { decodePolicy } from '../../src/cedar/est.ts';
import { EvaluationError } from '../../src/cedar/evaluation-error.ts';
import type { EvaluationErrorCode, EvaluationRequest } from '../../src/cedar/types.ts';
import { type Entity, EntityUid, RecordValue, type Value } from '../../src/domain/value.ts';

/** What an expression comes to as a condition: its truth, or the error. */
export type Outcome = boolean | EvaluationErrorCode;

const ALICE = { type: 'User', id: 'alice' };
const VIEW = { type: 'Action', id: 'view' };
const PHOTO = { type: 'Photo', id: 'beach' };

/** alice is in team, team is in org; her friend bob exists, her enemy does not. The photo does not exist. */
const CEDAR_ENTITIES: EntityJson[] = [
  {
    uid: ALICE,
    attrs: {
      age: 30,
      name: 'alice',
      admin: true,
      friend: { __entity: { type: 'User', id: 'bob' } },
      enemy: { __entity: { type: 'User', id: 'nobody' } },
      address: { city: 'Bern', geo: { lat: 46 } },
      langs: ['de', 'fr'],
      'odd name': 1,
    },
    parents: [{ type: 'Team', id: 'team' }],
    tags: { level: 'gold' },
  },
  { uid: { type: 'User', id: 'bob' }, attrs: { age: 20 }, parents: [] },
  { uid: { type: 'Team', id: 'team' }, attrs: {}, parents: [{ type: 'Org', id: 'org' }] },
  { uid: { type: 'Org', id: 'org' }, attrs: {}, parents: [] },
  { uid: VIEW, attrs: {}, parents: [{ type: 'Action', id: 'read' }] },
];

/** The request as Cedar takes it, without policies. */
export const CEDAR_WORLD = {
  principal: ALICE,
  action: VIEW,
  resource: PHOTO,
  context: {},
  entities: CEDAR_ENTITIES,
};

function uid(type: string, id: string): EntityUid {
  return new EntityUid(type, id);
}

export function record(fields: Readonly<Record<string, Value>>): RecordValue {
  return new RecordValue(new Map(Object.entries(fields)));
}

function entity(type: string, id: string, ancestors: EntityUid[], attributes = record({})): Entity {
  return {
    uid: uid(type, id),
    attributes,
    tags: id === 'alice' ? record({ level: 'gold' }) : record({}),
    ancestors: new Set(ancestors.map(ancestor => ancestor.key)),
  };
}

/** The same world as Cedar's. */
const ENTITIES: ReadonlyMap<string, Entity> = new Map(
  [
    entity(
      'User',
      'alice',
      [uid('Team', 'team'), uid('Org', 'org')],
      record({
        age: 30,
        name: 'alice',
        admin: true,
        friend: uid('User', 'bob'),
        enemy: uid('User', 'nobody'),
        address: record({ city: 'Bern', geo: record({ lat: 46 }) }),
        langs: makeSet(['de', 'fr']),
        'odd name': 1,
      }),
    ),
    entity('User', 'bob', [], record({ age: 20 })),
    entity('Team', 'team', [uid('Org', 'org')]),
    entity('Org', 'org', []),
    entity('Action', 'view', [uid('Action', 'read')]),
  ].map(each => [each.uid.key, each]),
);

/** The world as a request, with a context. */
export function worldRequest(context: RecordValue = record({})): EvaluationRequest {
  return {
    principal: uid('User', 'alice'),
    action: uid('Action', 'view'),
    resource: uid('Photo', 'beach'),
    context,
    entities: ENTITIES,
  };
}

/** The tree of a policy in Cedar syntax. */
export function parsePolicy(text: string): PolicyAst {
  const answer = policyToJson(text);
  if (answer.type !== 'success') throw new Error(answer.errors.map(error => error.message).join('; '));
  return decodePolicy(answer.json);
}

/** The tree of a policy with this expression as its only condition. */
export function parseCondition(expression: string): PolicyAst {
  return parsePolicy(`permit(principal, action, resource) when { ${expression} };`);
}

/** What our evaluator makes of an expression. */
export function ourOutcome(expression: string, context?: RecordValue): Outcome {
  const [condition] = parseCondition(expression).conditions;
  if (condition === undefined) throw new Error('the policy has no condition');
  const test = compileTest(condition.body, new Map());
  try {
    return test(worldRequest(context));
  } catch (error) {
    if (error instanceof EvaluationError) return error.code;
    throw error;
  }
}

/** What cedar-wasm makes of each expression, by position; it says of an error only that there is one. */
export function cedarOutcomes(
  expressions: readonly string[],
  context: Record<string, string> = {},
): (boolean | 'error')[] {
  const policies = expressions.map(
    (expression, position) =>
      [`p${position}`, `permit(principal, action, resource) when { ${expression} };`] as const,
  );
  const answer = isAuthorized({
    ...CEDAR_WORLD,
    context,
    policies: { staticPolicies: Object.fromEntries(policies) },
  });
  if (answer.type !== 'success') throw new Error(answer.errors.map(error => error.message).join('; '));
  const erring = new Set(answer.response.diagnostics.errors.map(error => error.policyId));
  const satisfied = new Set(answer.response.diagnostics.reason);
  return policies.map(([id]) => (erring.has(id) ? 'error' : satisfied.has(id)));
}
