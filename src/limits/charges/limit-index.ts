/**
 * Limits by what they are for, so that finding those of a request costs what matches and not what is declared.
 * Invariant: every limit is filed under one kind of name that its match requires, the rarest; so a request finds a
 * superset of the limits that match it, and at most a few entries lead to the same limit.
 */
import type { LimitFacts } from '../../domain/limit-facts.ts';
import { refKey } from '../../domain/limit-definition.ts';
import type { CompiledLimit } from './compiled-limit.ts';
import { type ActionNames, operationsOf } from './limit-match.ts';
import { groupKey, modelKey } from './model-class.ts';

type Shelf = Map<string, CompiledLimit[]>;

export class LimitIndex {
  readonly #byPrincipal: Shelf = new Map();
  readonly #byKey: Shelf = new Map();
  /** By key of a model or of a group of models. */
  readonly #byModel: Shelf = new Map();
  readonly #byPrincipalGroup: Shelf = new Map();
  readonly #byTenant: Shelf = new Map();
  readonly #byOperation: Shelf = new Map();
  readonly #others: CompiledLimit[] = [];

  constructor(limits: readonly CompiledLimit[], actions: ActionNames) {
    for (const limit of limits) this.#file(limit, actions);
  }

  /** Calls `visit` for a superset of the limits of a request; the same one may come again. */
  visit(facts: LimitFacts, visit: (limit: CompiledLimit) => void): void {
    visitAll(this.#others, visit);
    if (this.#byPrincipal.size > 0) visitAll(this.#byPrincipal.get(facts.principal.key), visit);
    if (this.#byKey.size > 0 && facts.key !== undefined) visitAll(this.#byKey.get(facts.key), visit);
    if (this.#byModel.size > 0 && facts.model !== undefined) {
      visitAll(this.#byModel.get(facts.model.uid.key), visit);
      for (const ancestor of facts.model.ancestors) visitAll(this.#byModel.get(ancestor), visit);
    }
    if (this.#byPrincipalGroup.size > 0) {
      for (const group of facts.principalAncestors) visitAll(this.#byPrincipalGroup.get(group), visit);
    }
    if (this.#byTenant.size > 0) visitAll(this.#byTenant.get(facts.tenant), visit);
    if (this.#byOperation.size > 0) visitAll(this.#byOperation.get(facts.operation), visit);
  }

  #file(limit: CompiledLimit, actions: ActionNames): void {
    const { match } = limit.definition;
    const { principals, keys, models, modelGroups, principalGroups, tenants } = match;
    const shelves: readonly (readonly [Shelf, Iterable<string> | undefined])[] = [
      [this.#byPrincipal, principals?.map(ref => refKey(ref))],
      [this.#byKey, keys],
      [this.#byModel, models?.map(id => modelKey(id))],
      [this.#byModel, modelGroups?.map(id => groupKey(id))],
      [this.#byPrincipalGroup, principalGroups?.map(ref => refKey(ref))],
      [this.#byTenant, tenants],
      [this.#byOperation, operationsOf(match, actions)],
    ];
    for (const [shelf, names] of shelves) {
      if (names === undefined) continue;
      for (const name of names) {
        const filed = shelf.get(name);
        if (filed === undefined) shelf.set(name, [limit]);
        else filed.push(limit);
      }
      return;
    }
    this.#others.push(limit);
  }
}

function visitAll(limits: readonly CompiledLimit[] | undefined, visit: (limit: CompiledLimit) => void): void {
  if (limits === undefined) return;
  for (const limit of limits) visit(limit);
}
