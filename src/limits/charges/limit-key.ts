/**
 * Keys under which limits count. Invariant: injective: two requests have the same key exactly when they are counted
 * together; every part carries its length, so that no value can pretend to be two. The number of the limit is no part,
 * so that changing it keeps what was counted; its kind, unit, length and dimensions are, so that changing them does not.
 */
import type { LimitFacts } from '../../domain/limit-facts.ts';
import type { LimitDefinition, LimitDimension } from '../../domain/limit-definition.ts';
import type { KeyNote } from '../../domain/limit.ts';
import { GROUP_PREFIX } from './model-class.ts';
import { addressKey, UNKNOWN_ADDRESS } from '../../domain/network-address.ts';
import { modelName } from './price-book.ts';

/** What a request has of a dimension; undefined: nothing, and the limit is not for it. */
interface Dimension {
  /** As the request or the directory has it: strings that live long, so that looking them up costs no hashing. */
  readonly raw: (facts: LimitFacts) => string | undefined;
  /** What is counted together. */
  readonly value: (facts: LimitFacts) => string | undefined;
}
/** A model may be in several groups: they are visited, and not read. */
type ReadDimension = Exclude<LimitDimension, 'model_group'>;

/**
 * Keys of one limit that are remembered before the oldest half is let go: a key that is made anew, and hashed to be
 * found, costs a microsecond.
 */
const MAX_REMEMBERED = 8_192;

/** A key with what a store notes about it for as long as it is remembered. */
interface RememberedKey {
  readonly text: string;
  readonly note: KeyNote;
}

/** Takes a key. @param note only of keys that are remembered */
export type KeyVisitor = (key: string, note: KeyNote | undefined) => void;

/** Makes the keys of one limit. */
export class LimitKeys {
  readonly #head: string;
  /** The key of a limit without dimensions. */
  readonly #only: RememberedKey;
  readonly #dimensions: readonly Dimension[];
  /** Whether a request is counted once for every group of its model. */
  readonly #byGroup: boolean;
  readonly #groups: ReadonlySet<string> | undefined;
  /** By the raw value of each dimension in turn, and in the end by nothing: the key without its group. */
  #memo: KeyMemo = new Map();
  /** What was remembered before: those of it that are asked for again move up. */
  #former: KeyMemo = new Map();
  #remembered = 0;

  /**
   * @param name `<layer>/<id>`
   * @param groups keys of the groups that the limit is for; undefined: of all
   */
  constructor(name: string, definition: LimitDefinition, groups: readonly string[] | undefined) {
    // sorted, so that the order in which dimensions are written means nothing
    const dimensions = definition.key.toSorted();
    this.#head = part(name) + part(shapeOf(definition)) + part(dimensions.join(','));
    this.#only = remembered(this.#head);
    this.#byGroup = dimensions.includes('model_group');
    this.#groups = groups === undefined ? undefined : new Set(groups);
    const known = dimensionsOf(definition.prefix);
    this.#dimensions = dimensions.flatMap(name => (name === 'model_group' ? [] : [known[name]]));
  }

  /** Calls `visit` with each key under which the request is counted: none, one, or one for each group of its model. */
  visit(facts: LimitFacts, visit: KeyVisitor): void {
    const key = this.#find(facts);
    if (key === undefined) return;
    const { text, note } = key;
    if (!this.#byGroup) {
      visit(text, note);
      return;
    }
    for (const group of facts.model?.ancestors ?? []) {
      if (!group.startsWith(GROUP_PREFIX)) continue;
      if (this.#groups?.has(group) === false) continue;
      visit(text + part(group.slice(GROUP_PREFIX.length, -1)), undefined);
    }
  }

  /** The key without its group; undefined when a dimension has no value. */
  #find(facts: LimitFacts): RememberedKey | undefined {
    if (this.#dimensions.length === 0) return this.#only;
    const known = this.#recall(this.#memo, facts);
    if (known !== undefined) return known;
    const former = this.#recall(this.#former, facts);
    if (former === undefined) return this.#make(facts);
    this.#remember(facts, former);
    return former;
  }

  #recall(memo: KeyMemo, facts: LimitFacts): RememberedKey | undefined {
    let node = memo;
    for (const { raw } of this.#dimensions) {
      const value = raw(facts);
      const next = value === undefined ? undefined : node.get(value);
      if (!(next instanceof Map)) return next;
      node = next;
    }
    return undefined;
  }

  #make(facts: LimitFacts): RememberedKey | undefined {
    let whole = this.#head;
    for (const { value } of this.#dimensions) {
      const text = value(facts);
      if (text === undefined) return undefined;
      whole += part(text);
    }
    const key = remembered(whole);
    this.#remember(facts, key);
    return key;
  }

  #remember(facts: LimitFacts, key: RememberedKey): void {
    if (this.#remembered >= MAX_REMEMBERED) {
      this.#former = this.#memo;
      this.#memo = new Map();
      this.#remembered = 0;
    }
    this.#remembered += 1;
    let node = this.#memo;
    for (const [at, { raw }] of this.#dimensions.entries()) {
      const value = raw(facts) ?? '';
      if (at === this.#dimensions.length - 1) {
        node.set(value, key);
        return;
      }
      const next = node.get(value);
      const inner: KeyMemo = next instanceof Map ? next : new Map();
      node.set(value, inner);
      node = inner;
    }
  }
}

type KeyMemo = Map<string, KeyMemo | RememberedKey>;

function remembered(text: string): RememberedKey {
  return { text, note: { store: undefined, counter: 0, generation: 0 } };
}

function dimensionsOf({ ipv4, ipv6 }: LimitDefinition['prefix']): Readonly<Record<ReadDimension, Dimension>> {
  return {
    principal: plain(facts => facts.principal.key),
    key: plain(facts => facts.key),
    tenant: plain(facts => facts.tenant),
    model: {
      raw: ({ model }) => model?.uid.id,
      value: ({ model }) => (model === undefined ? undefined : modelName(model)),
    },
    operation: plain(facts => facts.operation),
    address: {
      raw: ({ address }) => address ?? UNKNOWN_ADDRESS,
      value: ({ address }) => addressKey(address, ipv4, ipv6),
    },
    pep: plain(facts => facts.pep),
  };
}

function plain(read: (facts: LimitFacts) => string | undefined): Dimension {
  return { raw: read, value: read };
}

function part(text: string): string {
  return `${text.length}:${text}`;
}

/** Kind, unit and length; what is counted under another shape means something else. */
function shapeOf(definition: LimitDefinition): string {
  const { kind } = definition;
  if (kind === 'concurrency') return kind;
  const counted = `${kind} ${definition.unit}`;
  return `${counted} ${kind === 'quota' ? definition.period : definition.per}`;
}
