/**
 * Differential testing of the compiled evaluator against cedar-wasm. A triple is (policy set, request,
 * entities); both must give the same decision, determining policies and erring policies.
 */
import type { PolicyAst } from '../../src/cedar/ast.ts';
import { authorize } from '../../src/cedar/authorize.ts';
import {
  type EntityJson,
  entityToCedarJson,
  recordToCedarJson,
  uidToJson,
} from '../../src/cedar/cedar-json.ts';
import { compilePolicy } from '../../src/cedar/compile.ts';
import { collectEntities } from '../../src/cedar/entity-slice.ts';
import { decodeTemplate, linkTemplate } from '../../src/cedar/est.ts';
import { UnsupportedPolicyError } from '../../src/cedar/est-shape.ts';
import { checkLevel, checkLiterals } from '../../src/cedar/harden.ts';
import { LinearIndex, PolicyIndexBuilder } from '../../src/cedar/policy-index.ts';
import type { CedarSchema } from '../../src/cedar/schema.ts';
import { parseSchema } from '../../src/cedar/schema-parse.ts';
import type { CompiledPolicy, EvaluationRequest, PolicyIndex } from '../../src/cedar/types.ts';
import type { Answer, CedarWasm, PolicyInput, PolicySetInput } from '../../src/cedar/wasm.ts';
import { generateRequest, generateWorld, type World } from './data-generator.ts';
import { type GeneratedPolicy, generatePolicies } from './policy-generator.ts';
import type { Random } from './random.ts';
import { generateSchema } from './schema-generator.ts';

/** Registered name of the schema and of the policy set in cedar-wasm. */
const SLOT = 'differential';

/** One disagreement, with all that is needed to see it again. */
export interface Mismatch {
  readonly schema: CedarSchema;
  readonly policies: readonly PreparedPolicy[];
  readonly request: EvaluationRequest;
  readonly entities: readonly EntityJson[];
  readonly compiled: string;
  readonly oracle: string;
}

/** What a run saw: the shares show that the generator reaches every outcome. */
export interface Tally {
  triples: number;
  policies: number;
  /** Policies that do not parse or that the decoder refuses; at push they are refused, and never compared. */
  refused: number;
  allows: number;
  /** Triples with a determining policy, and with an erring one. */
  determined: number;
  erring: number;
}

export function newTally(): Tally {
  return { triples: 0, policies: 0, refused: 0, allows: 0, determined: 0, erring: 0 };
}

/** Sizes of one round: a schema, policy sets over it, and requests for each set. */
export interface RoundSize {
  readonly sets: number;
  readonly requests: number;
  /** A schema to use instead of a generated one. */
  readonly schemaText?: string;
}

/** Changes a policy before it is compiled, and so makes the evaluator wrong on purpose. */
export type Sabotage = (policy: PolicyAst) => PolicyAst;

export interface PreparedPolicy extends GeneratedPolicy {
  /** What cedar-wasm is given when the case is shrunk; undefined: the text. */
  readonly est: PolicyInput;
  readonly compiled: CompiledPolicy;
  /** Whether the entity slice holds everything that the policy can read. */
  readonly sliceable: boolean;
}

/** Runs one round with a schema of its own. Returns at the first disagreement. */
export function runRound(
  random: Random,
  wasm: CedarWasm,
  size: RoundSize,
  tally: Tally,
  sabotage: Sabotage = policy => policy,
): Mismatch | undefined {
  const parsed = parseSchema(size.schemaText ?? generateSchema(random), wasm);
  if (!parsed.ok) throw new Error(`a generated schema is refused: ${JSON.stringify(parsed.problems)}`);
  const { schema } = parsed;
  expectOk(wasm.registerSchema(SLOT, schema.text), 'schema');
  for (let set = 0; set < size.sets; set++) {
    const policies = preparePolicies(generatePolicies(random, schema), { schema, wasm, tally, sabotage });
    if (policies.length === 0) continue;
    expectOk(wasm.registerPolicySet(SLOT, toPolicySet(policies)), 'policy set');
    const indexes = [linear(policies), scoped(policies, schema)];
    for (let i = 0; i < size.requests; i++) {
      const world = generateWorld(random, schema);
      const request = generateRequest(random, schema, world);
      const entities = selectEntities(random, policies, request, world);
      const mismatch = compare(wasm, schema, { policies, indexes, request, entities }, tally);
      if (mismatch !== undefined) return mismatch;
    }
  }
  return undefined;
}

export interface Case {
  readonly policies: readonly PreparedPolicy[];
  readonly indexes: readonly PolicyIndex[];
  readonly request: EvaluationRequest;
  readonly entities: readonly EntityJson[];
}

/** Evaluates one case by cedar-wasm and by every index. The schema and the policy set are registered. */
export function compare(
  wasm: CedarWasm,
  schema: CedarSchema,
  { policies, indexes, request, entities }: Case,
  tally: Tally,
): Mismatch | undefined {
  const oracle = askOracle(wasm, request, entities);
  tally.triples += 1;
  if (oracle.startsWith('allow')) tally.allows += 1;
  if (!oracle.includes('determining []')) tally.determined += 1;
  if (!oracle.includes('erring []')) tally.erring += 1;
  for (const index of indexes) {
    const compiled = ask(index, request);
    if (compiled !== oracle) return { schema, policies, request, entities, compiled, oracle };
  }
  return undefined;
}

function ask(index: PolicyIndex, request: EvaluationRequest): string {
  const { decision, determining, erroring } = authorize([index], request);
  return render(
    decision,
    determining.map(({ id }) => id),
    erroring.map(({ id }) => id),
  );
}

function askOracle(wasm: CedarWasm, request: EvaluationRequest, entities: readonly EntityJson[]): string {
  const answer = wasm.authorize({
    principal: uidToJson(request.principal),
    action: uidToJson(request.action),
    resource: uidToJson(request.resource),
    context: recordToCedarJson(request.context),
    entities,
    policySet: SLOT,
    schema: SLOT,
    validateRequest: true,
  });
  if (!answer.ok) return `failure: ${answer.messages.map(({ message }) => message).join('; ')}`;
  return render(answer.value.decision, answer.value.determining, answer.value.erroring);
}

function render(decision: string, determining: readonly string[], erring: readonly string[]): string {
  return `${decision}, determining [${determining.join(' ')}], erring [${erring.join(' ')}]`;
}

/**
 * The entities to send: the slice of the request when every policy allows it, else all of them; flattened, or
 * with the parents that they were given. Cedar answers the same, and so must we.
 */
function selectEntities(
  random: Random,
  policies: readonly PreparedPolicy[],
  request: EvaluationRequest,
  world: World,
): readonly EntityJson[] {
  if (policies.every(policy => policy.sliceable) && random.chance(75))
    return collectEntities(request).map(entityToCedarJson);
  const all = [...world.entities.values()];
  if (random.chance(50)) return all.map(entityToCedarJson);
  return all.map(entity => ({
    ...entityToCedarJson(entity),
    parents: (world.parents.get(entity.uid.key) ?? []).map(uidToJson),
  }));
}

function preparePolicies(
  generated: readonly GeneratedPolicy[],
  {
    schema,
    wasm,
    tally,
    sabotage,
  }: { schema: CedarSchema; wasm: CedarWasm; tally: Tally; sabotage: Sabotage },
): PreparedPolicy[] {
  return generated.flatMap(policy => {
    const answer =
      policy.link === undefined ? wasm.parsePolicy(policy.text) : wasm.parseTemplate(policy.text);
    tally.policies += 1;
    const prepared = answer.ok ? preparePolicy(policy, answer.value, schema, sabotage) : undefined;
    if (prepared === undefined) tally.refused += 1;
    return prepared === undefined ? [] : [prepared];
  });
}

/** Compiles a policy; undefined when the decoder refuses it. */
export function preparePolicy(
  policy: GeneratedPolicy,
  est: PolicyInput,
  schema: CedarSchema,
  sabotage: Sabotage = ast => ast,
): PreparedPolicy | undefined {
  try {
    const ast = sabotage(linkTemplate(decodeTemplate(est), policy.link ?? {}));
    const sliceable = checkLevel(ast).length === 0 && checkLiterals(ast).length === 0;
    return {
      ...policy,
      est,
      sliceable,
      compiled: compilePolicy({ id: policy.id, policy: ast, actions: schema.actions }),
    };
  } catch (error) {
    if (error instanceof UnsupportedPolicyError) return undefined;
    throw error;
  }
}

/** @param form whether cedar-wasm is given the text or the EST of each policy. */
export function toPolicySet(
  policies: readonly PreparedPolicy[],
  form: 'text' | 'est' = 'text',
): PolicySetInput {
  const inputOf = (policy: PreparedPolicy): PolicyInput => (form === 'text' ? policy.text : policy.est);
  const linked = policies.filter(policy => policy.link !== undefined);
  return {
    policies: Object.fromEntries(
      policies.filter(policy => policy.link === undefined).map(policy => [policy.id, inputOf(policy)]),
    ),
    templates: Object.fromEntries(linked.map(policy => [`template ${policy.id}`, inputOf(policy)])),
    links: linked.map(({ id, link }) => ({
      templateId: `template ${id}`,
      newId: id,
      values: {
        ...(link?.principal !== undefined && { '?principal': { ...uidToJson(link.principal) } }),
        ...(link?.resource !== undefined && { '?resource': { ...uidToJson(link.resource) } }),
      },
    })),
  };
}

export function linear(policies: readonly PreparedPolicy[]): PolicyIndex {
  return new LinearIndex(policies.map(({ compiled }) => compiled));
}

function scoped(policies: readonly PreparedPolicy[], schema: CedarSchema): PolicyIndex {
  const builder = new PolicyIndexBuilder(schema.actions);
  for (const { compiled } of policies) builder.add(compiled);
  return builder.build();
}

export function expectOk(answer: Answer<true>, what: string): void {
  if (!answer.ok)
    throw new Error(
      `cedar-wasm refuses the ${what}: ${answer.messages.map(({ message }) => message).join('; ')}`,
    );
}

export { SLOT };
