/**
 * Finds the policies whose scope can match, so that the cost of a decision follows those and not all that
 * exist. Soundness: leaving out a policy whose scope does not match changes neither the decision nor the
 * determining nor the erring policies, because a scope cannot fail and comes before all conditions.
 */
import { getOrAdd } from '../domain/get-or-add.ts';
import { unreachable } from './ast.ts';
import { type ActionGroups, ancestorsOf } from './operators.ts';
import { ScopeTable } from './scope-table.ts';
import type { CompiledPolicy, EvaluationRequest, PolicyIndex } from './types.ts';

/** Policies by principal, then by resource. */
type PolicyRow = ScopeTable<CompiledPolicy[]>;
type PolicyTable = ScopeTable<PolicyRow>;

/** Stands for "any action" among the keys of actions; those hold a quote. */
const ANY_ACTION = '*';

/** Collects policies one by one, so that a large layer can be indexed in slices of time. */
export class PolicyIndexBuilder {
  readonly #actions: ActionGroups;
  /** Keys of the declared actions in each action or group, by its key; the action itself included. */
  readonly #members = new Map<string, string[]>();
  readonly #policies: CompiledPolicy[] = [];
  readonly #ids = new Set<string>();
  /** For each declared action everything that can match it, groups resolved. */
  readonly #declared = new Map<string, PolicyTable>();
  /** For other actions: policies as they are written, by the uid in their scope or `ANY_ACTION`. */
  readonly #undeclared = new Map<string, PolicyTable>();

  /** @param actions the schema's actions; the policies must have been compiled with the same. */
  constructor(actions: ActionGroups) {
    this.#actions = actions;
    for (const [key, { ancestors }] of actions) {
      this.#declared.set(key, new ScopeTable());
      for (const group of [key, ...ancestors]) getOrAdd(this.#members, group, () => []).push(key);
    }
  }

  /** Adds a policy. Two policies with one id are a bug of the caller: answers name policies by id. */
  add(policy: CompiledPolicy): void {
    if (this.#ids.has(policy.id)) throw new Error(`two policies have the id \`${policy.id}\``);
    this.#ids.add(policy.id);
    this.#policies.push(policy);
    const { action } = policy.scope;
    const written =
      action.kind === 'any'
        ? [ANY_ACTION]
        : (action.kind === 'equal' ? [action.uid] : action.uids).map(({ key }) => key);
    for (const key of new Set(written)) file(getOrAdd(this.#undeclared, key, newTable), policy);
    for (const key of this.#declaredMatches(policy)) file(getOrAdd(this.#declared, key, newTable), policy);
  }

  #declaredMatches({ scope: { action } }: CompiledPolicy): Iterable<string> {
    switch (action.kind) {
      case 'any':
        return this.#actions.keys();
      case 'equal':
        return this.#actions.has(action.uid.key) ? [action.uid.key] : [];
      case 'in':
        return new Set(action.uids.flatMap(({ key }) => this.#members.get(key) ?? []));
      default:
        return unreachable(action);
    }
  }

  /** The finished index; the builder must not be used afterwards. */
  build(): PolicyIndex {
    return new ScopeIndex(this.#policies, this.#actions, this.#declared, this.#undeclared);
  }
}

class ScopeIndex implements PolicyIndex {
  readonly policies: readonly CompiledPolicy[];
  readonly #actions: ActionGroups;
  readonly #declared: ReadonlyMap<string, PolicyTable>;
  readonly #undeclared: ReadonlyMap<string, PolicyTable>;

  constructor(
    policies: readonly CompiledPolicy[],
    actions: ActionGroups,
    declared: ReadonlyMap<string, PolicyTable>,
    undeclared: ReadonlyMap<string, PolicyTable>,
  ) {
    this.policies = policies;
    this.#actions = actions;
    this.#declared = declared;
    this.#undeclared = undeclared;
  }

  get size(): number {
    return this.policies.length;
  }

  candidates(request: EvaluationRequest, visit: (policy: CompiledPolicy) => void): void {
    const table = this.#declared.get(request.action.key);
    if (table === undefined) this.#undeclaredCandidates(request, visit);
    else this.#lookUp(table, request, visit);
  }

  /** A policy can be filed under several keys of an undeclared action (`action in [A, B]`), hence the set. */
  #undeclaredCandidates(request: EvaluationRequest, visit: (policy: CompiledPolicy) => void): void {
    const found = new Set<CompiledPolicy>();
    const groups = ancestorsOf(request, this.#actions, request.action) ?? [];
    for (const key of [ANY_ACTION, request.action.key, ...groups]) {
      const table = this.#undeclared.get(key);
      if (table !== undefined) this.#lookUp(table, request, policy => found.add(policy));
    }
    found.forEach(visit);
  }

  /** Every policy stands in one cell of one row, so none is visited twice. */
  #lookUp(table: PolicyTable, request: EvaluationRequest, visit: (policy: CompiledPolicy) => void): void {
    const { principal, resource } = request;
    const rows: PolicyRow[] = [];
    table.collect(principal, ancestorsOf(request, this.#actions, principal), rows);
    if (rows.length === 0) return;
    const cells: CompiledPolicy[][] = [];
    const resourceAncestors = ancestorsOf(request, this.#actions, resource);
    for (const row of rows) row.collect(resource, resourceAncestors, cells);
    for (const cell of cells) for (const policy of cell) visit(policy);
  }
}

/** All policies for every request: the reference that the index is tested against. */
export class LinearIndex implements PolicyIndex {
  readonly policies: readonly CompiledPolicy[];

  constructor(policies: readonly CompiledPolicy[]) {
    this.policies = policies;
  }

  get size(): number {
    return this.policies.length;
  }

  candidates(_request: EvaluationRequest, visit: (policy: CompiledPolicy) => void): void {
    this.policies.forEach(visit);
  }
}

function file(table: PolicyTable, policy: CompiledPolicy): void {
  const row = table.cell(policy.scope.principal, () => new ScopeTable<CompiledPolicy[]>());
  row.cell(policy.scope.resource, () => []).push(policy);
}

function newTable(): PolicyTable {
  return new ScopeTable();
}
