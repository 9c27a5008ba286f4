/**
 * Type expressions of a schema's JSON form to `CedarType`. Invariant: types are interned by structure, so
 * two equal types of one schema are the same object.
 */
import type { AttributeType, CedarType, RecordType } from './schema.ts';

/** Deepest nesting of types: bounds the depth of every context and entity, since records are closed. */
const MAX_TYPE_DEPTH = 16;

/** Attribute names that Cedar's JSON form reads as escapes; data could not say which is meant. */
export const RESERVED_KEYS: ReadonlySet<string> = new Set(['__entity', '__extn', '__expr']);

type Json = Readonly<Record<string, unknown>>;

/** Resolves and interns the types of one schema. */
export class TypeResolver {
  readonly #common: ReadonlyMap<string, unknown>;
  readonly #enumerations: ReadonlyMap<string, ReadonlySet<string>>;
  readonly #report: (message: string) => void;
  readonly #interned = new Map<string, CedarType>();
  /** Interned types by identity to a short name, of which the keys of larger types are built. */
  readonly #names = new Map<CedarType, string>();

  /**
   * @param common common types by qualified name
   * @param enumerations ids of the enumerated entity types by qualified name
   * @param report receives every problem
   */
  constructor(
    common: ReadonlyMap<string, unknown>,
    enumerations: ReadonlyMap<string, ReadonlySet<string>>,
    report: (message: string) => void,
  ) {
    this.#common = common;
    this.#enumerations = enumerations;
    this.#report = report;
  }

  /** The type that `raw` describes. Problems are reported with `place`, and Bool stands in. */
  resolve(raw: unknown, place: string, depth = 0): CedarType {
    if (depth > MAX_TYPE_DEPTH) return this.#fail(`${place}: types are nested deeper than ${MAX_TYPE_DEPTH}`);
    if (!isObject(raw)) return this.#fail(`${place}: unreadable type`);
    const name = raw['type'];
    if (typeof name !== 'string') return this.#fail(`${place}: type without a name`);
    switch (name) {
      case 'Set': {
        const element = this.resolve(raw['element'], place, depth + 1);
        return this.#intern(`set(${this.#nameOf(element)})`, { kind: 'set', element });
      }
      case 'Record':
        return this.#resolveRecord(raw, place, depth);
      case 'Entity':
        return typeof raw['name'] === 'string'
          ? this.#resolveEntity(raw['name'])
          : this.#fail(`${place}: entity type without a name`);
      case 'Extension':
        return this.#resolveBuiltin(String(raw['name']), place);
      default: {
        // A common type hides the built-in type of its name; `__cedar::` still reaches the built-in one.
        const common = this.#common.get(name);
        return common === undefined
          ? this.#resolveBuiltin(name, place)
          : this.resolve(common, place, depth + 1);
      }
    }
  }

  #resolveEntity(name: string): CedarType {
    const enumeration = this.#enumerations.get(name);
    const type: CedarType =
      enumeration === undefined ? { kind: 'entity', name } : { kind: 'entity', name, enumeration };
    return this.#intern(`entity(${name})`, type);
  }

  #resolveRecord(raw: Json, place: string, depth: number): RecordType {
    if (raw['additionalAttributes'] === true) this.#report(`${place}: open records are not supported`);
    const attributes = new Map<string, AttributeType>();
    const parts: string[] = [];
    const described = isObject(raw['attributes']) ? raw['attributes'] : {};
    for (const name of Object.keys(described).sort()) {
      const description = described[name];
      if (RESERVED_KEYS.has(name)) this.#report(`${place}: the attribute name \`${name}\` is reserved`);
      const type = this.resolve(description, `${place}, attribute \`${name}\``, depth + 1);
      const required = !(isObject(description) && description['required'] === false);
      attributes.set(name, { type, required });
      parts.push(`${JSON.stringify(name)}${required ? '' : '?'}:${this.#nameOf(type)}`);
    }
    return this.#intern(`record(${parts.join(',')})`, { kind: 'record', attributes });
  }

  #resolveBuiltin(qualified: string, place: string): CedarType {
    const name = qualified.startsWith('__cedar::') ? qualified.slice(9) : qualified;
    switch (name) {
      case 'Bool':
      case 'Boolean':
        return this.#intern('boolean', { kind: 'boolean' });
      case 'Long':
        return this.#intern('long', { kind: 'long' });
      case 'String':
        return this.#intern('string', { kind: 'string' });
      case 'ipaddr':
      case 'decimal':
      case 'datetime':
      case 'duration':
        return this.#intern(`extension(${name})`, { kind: 'extension', name });
      default:
        return this.#fail(`${place}: the type \`${qualified}\` is not supported`);
    }
  }

  /** The first type that was made under this key. The key determines the kind, so the type fits. */
  #intern<T extends CedarType>(key: string, type: T): T {
    const found = this.#interned.get(key);
    if (found !== undefined && isSameKind(found, type)) return found;
    this.#interned.set(key, type);
    this.#names.set(type, `#${this.#names.size}`);
    return type;
  }

  #nameOf(type: CedarType): string {
    return this.#names.get(type) ?? '?';
  }

  #fail(message: string): CedarType {
    this.#report(message);
    return this.#intern('boolean', { kind: 'boolean' });
  }
}

function isSameKind<T extends CedarType>(found: CedarType, type: T): found is T {
  return found.kind === type.kind;
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
