/**
 * Cedar runtime values. Invariants: a Long is a JS number when it is a safe integer and a bigint only
 * beyond (so `===` compares Longs exactly); sets hold no two equal elements; every value is immutable.
 */

/** A Cedar `Long` (signed 64 bits) in canonical form. */
export type Long = number | bigint;

/** An entity reference. `key` identifies it in maps: type names contain no quote, so the form is injective. */
export class EntityUid {
  readonly type: string;
  readonly id: string;
  readonly key: string;

  /** @param type fully qualified, `AI::User`; @param id the raw id. */
  constructor(type: string, id: string) {
    this.type = type;
    this.id = id;
    this.key = `${type}::"${id}"`;
  }
}

/** Cedar `decimal`: four fractional digits, `units` = value × 10⁴ within 64 bits. */
export class DecimalValue {
  readonly units: Long;
  constructor(units: Long) {
    this.units = units;
  }
}

/** Cedar `datetime`: milliseconds since the Unix epoch. */
export class DatetimeValue {
  readonly epochMs: Long;
  constructor(epochMs: Long) {
    this.epochMs = epochMs;
  }
}

/** Cedar `duration` in milliseconds. */
export class DurationValue {
  readonly ms: Long;
  constructor(ms: Long) {
    this.ms = ms;
  }
}

/** Cedar `ipaddr`: an address with its prefix length; `bits` is 32 wide for version 4, 128 for version 6. */
export class IpValue {
  readonly version: 4 | 6;
  readonly bits: bigint;
  readonly prefix: number;
  constructor(version: 4 | 6, bits: bigint, prefix: number) {
    this.version = version;
    this.bits = bits;
    this.prefix = prefix;
  }
}

/** A Cedar record. `entries` is never mutated after construction. */
export class RecordValue {
  readonly entries: ReadonlyMap<string, Value>;
  constructor(entries: ReadonlyMap<string, Value>) {
    this.entries = entries;
  }
}

/** A Cedar set without duplicates; build it with `cedar/equality.ts` `makeSet`, which keeps that invariant. */
export class SetValue {
  readonly elements: readonly Value[];
  readonly #keyOf: (element: Value) => string;
  #keys: ReadonlySet<string> | undefined;

  /** @param keyOf the canonical key of a value (`valueKey`) */
  constructor(elements: readonly Value[], keyOf: (element: Value) => string) {
    this.elements = elements;
    this.#keyOf = keyOf;
  }

  /** Canonical keys of the elements. Made when first asked for: most sets of a request are small and are not. */
  get keys(): ReadonlySet<string> {
    this.#keys ??= new Set(this.elements.map(this.#keyOf));
    return this.#keys;
  }
}

export type Value =
  | boolean
  | Long
  | string
  | EntityUid
  | SetValue
  | RecordValue
  | IpValue
  | DecimalValue
  | DatetimeValue
  | DurationValue;

/** An entity as the evaluator sees it. */
export interface Entity {
  readonly uid: EntityUid;
  readonly attributes: RecordValue;
  readonly tags: RecordValue;
  /** Keys of all transitive ancestors, the entity itself excluded. */
  readonly ancestors: ReadonlySet<string>;
}

/** Where the evaluator finds entities. Absent entities are ordinary: Cedar decides what that means. */
export interface EntitySource {
  /** @param key `EntityUid.key` */
  get(key: string): Entity | undefined;
}
