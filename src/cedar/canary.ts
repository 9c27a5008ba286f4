/**
 * One trial evaluation of every policy before it is accepted. Invariant: a policy that makes cedar-wasm trap,
 * or about which the compiled evaluator and cedar-wasm disagree, is found here and never activated.
 */
import type { PolicyAst } from './ast.ts';
import { authorize } from './authorize.ts';
import { CanaryWorld, findEnvironment, type RequestEnvironment } from './canary-world.ts';
import { entityToCedarJson, recordToCedarJson, uidToJson } from './cedar-json.ts';
import { compilePolicy } from './compile.ts';
import { LinearIndex } from './policy-index.ts';
import { Tokenizer } from './policy-text.ts';
import type { CedarSchema } from './schema.ts';
import type { EvaluationRequest } from './types.ts';
import type { Answer, AuthorizationAnswer, CedarWasm } from './wasm.ts';

/** A policy to try out. `text` and `ast` are the same policy. */
export interface CanarySubject {
  readonly ast: PolicyAst;
  readonly text: string;
}

export interface CanaryFinding<S extends CanarySubject> {
  readonly subject: S;
  readonly message: string;
}

/** Registered names: apart from those of the oracle. */
const CANARY = 'canary';

/**
 * Evaluates the conditions of every policy by both evaluators, with all optional data present and with none.
 * Policies that share an environment share one call: as permits without a scope they do not interact.
 */
export function runCanaries<S extends CanarySubject>(
  subjects: readonly S[],
  schema: CedarSchema,
  wasm: CedarWasm,
): CanaryFinding<S>[] {
  const findings: CanaryFinding<S>[] = [];
  const groups = new Map<string, { environment: RequestEnvironment; members: S[] }>();
  for (const subject of subjects) {
    const environment = findEnvironment(schema, subject.ast.scope);
    if (environment === undefined) {
      findings.push({
        subject,
        message: 'the policy applies to no action with these principals and resources',
      });
      continue;
    }
    const key = [environment.action.uid.key, environment.principalType, environment.resourceType].join(' ');
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { environment, members: [subject] });
    else group.members.push(subject);
  }
  const worlds = [new CanaryWorld(schema, 'full'), new CanaryWorld(schema, 'sparse')];
  const trial = new Trial(schema, wasm);
  for (const { environment, members } of groups.values()) {
    findings.push(...trial.run(members, worlds, environment));
  }
  return findings;
}

class Trial {
  readonly #schema: CedarSchema;
  readonly #wasm: CedarWasm;
  /** `wasm.traps` when the schema was registered: a trap forgets it. */
  #registeredAt: number | undefined;

  constructor(schema: CedarSchema, wasm: CedarWasm) {
    this.#schema = schema;
    this.#wasm = wasm;
  }

  run<S extends CanarySubject>(
    members: readonly S[],
    worlds: readonly CanaryWorld[],
    environment: RequestEnvironment,
  ): CanaryFinding<S>[] {
    const failure = this.#register(members);
    if (failure !== undefined) return this.#split(members, worlds, environment, failure);
    const policies = members.map(({ ast }, i) =>
      compilePolicy({ id: nameOf(i), policy: asPlainPermit(ast), actions: this.#schema.actions }),
    );
    const index = new LinearIndex(policies);
    const wrong = new Set<S>();
    for (const world of worlds) {
      const request = world.requestFor(environment);
      const oracle = this.#evaluate(request, world);
      if (!oracle.ok) return this.#split(members, worlds, environment, oracle);
      const compiled = authorize([index], request);
      const outcome = (id: string): string =>
        `${compiled.determining.some(policy => policy.id === id)} ${compiled.erroring.some(policy => policy.id === id)}`;
      const expected = (id: string): string =>
        `${oracle.value.determining.includes(id)} ${oracle.value.erroring.includes(id)}`;
      for (const [i, member] of members.entries()) {
        if (outcome(nameOf(i)) !== expected(nameOf(i))) wrong.add(member);
      }
    }
    const message = 'the compiled evaluator and cedar-wasm disagree about this policy; please report it';
    return [...wrong].map(subject => ({ subject, message }));
  }

  /** Finds out which policies of a failing group fail, by halves. */
  #split<S extends CanarySubject>(
    members: readonly S[],
    worlds: readonly CanaryWorld[],
    environment: RequestEnvironment,
    failure: Extract<Answer<never>, { ok: false }>,
  ): CanaryFinding<S>[] {
    const [first] = members;
    if (first === undefined) return [];
    if (members.length === 1) {
      const message = `a trial evaluation failed: ${failure.messages[0]?.message ?? 'without a message'}`;
      return [{ subject: first, message }];
    }
    const middle = members.length >> 1;
    return [
      ...this.run(members.slice(0, middle), worlds, environment),
      ...this.run(members.slice(middle), worlds, environment),
    ];
  }

  #register(members: readonly CanarySubject[]): Extract<Answer<never>, { ok: false }> | undefined {
    if (this.#registeredAt !== this.#wasm.traps) {
      const schema = this.#wasm.registerSchema(CANARY, this.#schema.text);
      if (!schema.ok) return schema;
      this.#registeredAt = this.#wasm.traps;
    }
    const policies = Object.fromEntries(members.map(({ text }, i) => [nameOf(i), asPlainPermitText(text)]));
    const set = this.#wasm.registerPolicySet(CANARY, { policies });
    return set.ok ? undefined : set;
  }

  #evaluate(request: EvaluationRequest, world: CanaryWorld): Answer<AuthorizationAnswer> {
    return this.#wasm.authorize({
      principal: uidToJson(request.principal),
      action: uidToJson(request.action),
      resource: uidToJson(request.resource),
      context: recordToCedarJson(request.context),
      entities: world.entities.map(entityToCedarJson),
      policySet: CANARY,
      schema: CANARY,
      validateRequest: true,
    });
  }
}

function nameOf(position: number): string {
  return `canary${position}`;
}

function asPlainPermit(policy: PolicyAst): PolicyAst {
  const any = { kind: 'any' } as const;
  return { ...policy, effect: 'permit', scope: { principal: any, action: any, resource: any } };
}

/** The policy's conditions under a scope that always matches: what follows the scope's closing bracket. */
function asPlainPermitText(text: string): string {
  const tokenizer = new Tokenizer(text);
  let depth = 0;
  let inScope = false;
  let previous = '';
  for (let token = tokenizer.next(); token.kind !== 'end'; token = tokenizer.next()) {
    const word = text.slice(token.start, token.end);
    // `@permit(…)` is an annotation.
    const isEffect = depth === 0 && previous !== '@' && (word === 'permit' || word === 'forbid');
    previous = word;
    if (isEffect) inScope = true;
    else if (token.kind === 'open') depth += 1;
    else if (token.kind === 'close') {
      depth -= 1;
      if (inScope && depth === 0) return `permit (principal, action, resource)${text.slice(token.end)}`;
    }
  }
  throw new Error('a parsed policy has no scope');
}
