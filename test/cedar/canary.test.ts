/** Trial evaluations: every environment of a schema has a request that cedar-wasm accepts, and failures are found. */
import { describe, expect, it } from 'vitest';
import { decodePolicy } from '../../src/cedar/est.ts';
import { runCanaries } from '../../src/cedar/canary.ts';
import { CanaryWorld, findEnvironment } from '../../src/cedar/canary-world.ts';
import { entityToCedarJson, recordToCedarJson, uidToJson } from '../../src/cedar/cedar-json.ts';
import type { CedarSchema } from '../../src/cedar/schema.ts';
import { CedarWasm } from '../../src/cedar/wasm.ts';
import { schemaForTest } from '../pdp/shipped-schema.ts';
import { generateSchema } from '../fuzz/schema-generator.ts';
import { Random } from '../fuzz/random.ts';

const wasm = new CedarWasm();
const schema = schemaForTest();

function subject(text: string) {
  const answer = wasm.parsePolicy(text);
  if (!answer.ok) throw new Error(answer.messages[0]?.message);
  return { text, ast: decodePolicy(answer.value) };
}

/** What cedar-wasm says of every environment with every filling, except that it allows. */
function refusals(by: CedarSchema): readonly unknown[] {
  const refused: unknown[] = [];
  wasm.registerSchema('test', by.text);
  wasm.registerPolicySet('test', { policies: { p: 'permit(principal, action, resource);' } });
  for (const filling of ['full', 'sparse'] as const) {
    const world = new CanaryWorld(by, filling);
    const entities = world.entities.map(entityToCedarJson);
    for (const action of by.actions.values()) {
      for (const principalType of action.principalTypes) {
        for (const resourceType of action.resourceTypes) {
          const request = world.requestFor({ action, principalType, resourceType });
          const answer = wasm.authorize({
            principal: uidToJson(request.principal),
            action: uidToJson(request.action),
            resource: uidToJson(request.resource),
            context: recordToCedarJson(request.context),
            entities,
            policySet: 'test',
            schema: 'test',
            validateRequest: true,
          });
          if (!answer.ok || answer.value.decision !== 'allow') refused.push(answer);
        }
      }
    }
  }
  return refused;
}

describe('canary requests conform', () => {
  it('to the shipped schema', () => expect(refusals(schema)).toEqual([]));

  it('to generated schemas, with hierarchies that could be cyclic, enumerations and tags', () => {
    for (let seed = 1; seed <= 20; seed++) {
      expect(refusals(schemaForTest(generateSchema(new Random(seed))))).toEqual([]);
    }
  });
});

describe('the environment of a policy', () => {
  it.each([
    ['permit(principal, action, resource);', 'Model'],
    ['permit(principal is AI::Service, action in AI::Action::"Lifecycle", resource);', 'Service Model'],
    ['permit(principal == AI::User::"a", action == AI::Action::"callTool", resource);', 'callTool User Tool'],
    ['permit(principal in AI::Role::"r", action in [AI::Action::"useTenant"], resource);', 'useTenant'],
    ['permit(principal, action == AI::Action::"manage", resource in AI::Tenant::"t");', 'manage'],
    [
      'permit(principal is AI::Agent in AI::Team::"t", action == AI::Action::"embed", resource is AI::Model in AI::ModelGroup::"g");',
      'embed Agent Model',
    ],
  ])('%s has %s', (text, words) => {
    const environment = findEnvironment(schema, subject(text).ast.scope);
    const rendered = [environment?.action.uid.id, environment?.principalType, environment?.resourceType]
      .join(' ')
      .replaceAll('AI::', '');
    for (const word of words.split(' ')) expect(rendered).toContain(word);
  });

  it.each([
    'permit(principal is AI::Tenant, action, resource);',
    'permit(principal, action == AI::Action::"callTool", resource is AI::Model);',
    'permit(principal is AI::Agent, action in AI::Action::"Manage", resource);',
    'permit(principal, action == AI::Action::"Any", resource);',
    'permit(principal, action == AI::Action::"writeOutput", resource in AI::ToolGroup::"g");',
  ])('%s is none', text => {
    expect(findEnvironment(schema, subject(text).ast.scope)).toBeUndefined();
  });
});

describe('a trial', () => {
  const fine = Array.from({ length: 10 }, (_, i) =>
    subject(
      `@permit("(") permit(principal == AI::User::"u${i}", action == AI::Action::"generate", resource) when { principal.clearance > ${i} && context has ip };`,
    ),
  );

  it('passes policies that agree', () => expect(runCanaries(fine, schema, wasm)).toEqual([]));

  it('finds the one policy about which the evaluators disagree', () => {
    const other = subject(
      'permit(principal, action == AI::Action::"generate", resource) when { principal.clearance < 5 };',
    );
    const lying = { text: other.text, ast: subject(other.text.replace('<', '>')).ast };
    const found = runCanaries([...fine, lying, other], schema, wasm);
    expect(found.map(finding => finding.subject)).toEqual([lying]);
    expect(found[0]?.message).toContain('disagree');
  });

  it('finds a disagreement about errors', () => {
    const erring = subject(
      'permit(principal, action == AI::Action::"generate", resource) when { context.region == "" };',
    );
    const lying = {
      text: erring.text,
      ast: subject(erring.text.replace('context.region', 'context.env')).ast,
    };
    expect(runCanaries([...fine, lying], schema, wasm).map(finding => finding.subject)).toEqual([lying]);
  });

  it('finds the policies that cedar-wasm traps on, and clears the others', () => {
    const text = `permit(principal, action == AI::Action::"generate", resource) when { ${'('.repeat(2_000)}true${')'.repeat(2_000)} };`;
    const [first] = fine;
    if (first === undefined) throw new Error('no policies');
    const trapping = { text, ast: first.ast };
    const own = new CedarWasm();
    const found = runCanaries([...fine, trapping, subject(first.text)], schema, own);
    expect(found.map(finding => finding.subject)).toEqual([trapping]);
    expect(own.traps).toBeGreaterThan(0);
  });

  it('reports a policy without an environment', () => {
    const nowhere = subject('permit(principal is AI::Tenant, action, resource);');
    expect(runCanaries([nowhere], schema, wasm).map(finding => finding.message)).toEqual([
      'the policy applies to no action with these principals and resources',
    ]);
  });
});
