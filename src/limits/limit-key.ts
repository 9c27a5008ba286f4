/**
 * Keys under which limits count. Invariant: injective: two requests have the same key exactly when they are counted
 * together; every part carries its length, so that no value can pretend to be two. The number of the limit is no part,
 * so that changing it keeps what was counted; its kind, unit, length and dimensions are, so that changing them does not.
 */
import type { LimitFacts } from '../domain/limit-facts.ts';
import type { LimitDefinition, LimitDimension } from '../domain/limit-definition.ts';
import { GROUP_PREFIX } from './model-class.ts';
import { addressKey } from './network-address.ts';
import { modelName } from './price-book.ts';

/** The value of a dimension in a request; undefined: it has none, and the limit is not for it. */
type ReadValue = (facts: LimitFacts) => string | undefined;
/** A model may be in several groups: they are visited, and not read. */
type ReadDimension = Exclude<LimitDimension, 'model_group'>;

/** Makes the keys of one limit. */
export class LimitKeys {
  readonly #head: string;
  readonly #values: readonly ReadValue[];
  /** Whether a request is counted once for every group of its model. */
  readonly #byGroup: boolean;
  readonly #groups: ReadonlySet<string> | undefined;

  /**
   * @param name `<layer>/<id>`
   * @param groups keys of the groups that the limit is for; undefined: of all
   */
  constructor(name: string, definition: LimitDefinition, groups: readonly string[] | undefined) {
    // sorted, so that the order in which dimensions are written means nothing
    const dimensions = definition.key.toSorted();
    this.#head = part(name) + part(shapeOf(definition)) + part(dimensions.join(','));
    this.#byGroup = dimensions.includes('model_group');
    this.#groups = groups === undefined ? undefined : new Set(groups);
    const read = readers(definition.prefix);
    this.#values = dimensions.flatMap(dimension => (dimension === 'model_group' ? [] : [read[dimension]]));
  }

  /** Calls `visit` with each key under which the request is counted: none, one, or one for each group of its model. */
  visit(facts: LimitFacts, visit: (key: string) => void): void {
    let key = this.#head;
    for (const read of this.#values) {
      const value = read(facts);
      if (value === undefined) return;
      key += part(value);
    }
    if (!this.#byGroup) {
      visit(key);
      return;
    }
    for (const group of facts.model?.ancestors ?? []) {
      if (!group.startsWith(GROUP_PREFIX)) continue;
      if (this.#groups?.has(group) === false) continue;
      visit(key + part(group.slice(GROUP_PREFIX.length, -1)));
    }
  }
}

function part(text: string): string {
  return `${text.length}:${text}`;
}

/** Kind, unit and length; what is counted under another shape means something else. */
function shapeOf(definition: LimitDefinition): string {
  const { kind } = definition;
  if (kind === 'concurrency') return kind;
  const counted = `${kind} ${definition.unit}`;
  if (kind === 'rate') return counted;
  return `${counted} ${kind === 'window' ? definition.per : definition.period}`;
}

function readers({ ipv4, ipv6 }: LimitDefinition['prefix']): Readonly<Record<ReadDimension, ReadValue>> {
  return {
    principal: facts => facts.principal.key,
    key: facts => facts.key,
    tenant: facts => facts.tenant,
    model: ({ model }) => (model === undefined ? undefined : modelName(model)),
    operation: facts => facts.operation,
    address: facts => addressKey(facts.address, ipv4, ipv6),
    pep: facts => facts.pep,
  };
}
