/**
 * Random expressions as Cedar text. Mostly well typed, so that evaluation goes deep; now and then an operand
 * of another type, an absent attribute or a malformed literal, so that every error arises somewhere.
 */
import type { CedarSchema, CedarType, RecordType } from '../../src/cedar/schema.ts';
import { EXTENSION_TEXTS, generateUid, ODD_TEXTS, STRINGS } from './data-generator.ts';
import type { Random } from './random.ts';
import { ATTRIBUTES } from './schema-generator.ts';

/** What the variables are in the environment that an expression is meant for. */
export interface Environment {
  readonly schema: CedarSchema;
  readonly principal: string;
  readonly resource: string;
  readonly context: RecordType;
}

interface Path {
  readonly text: string;
  readonly type: CedarType;
}

const BOOLEAN: CedarType = { kind: 'boolean' };
const LONG: CedarType = { kind: 'long' };
const STRING: CedarType = { kind: 'string' };
const EXTENSIONS = ['ipaddr', 'decimal', 'datetime', 'duration'] as const;
const PATTERNS = ['*', '**', 'a*', '*b', 'a*b', '*a*', 'a\\*b', '*é*', '😀*', '', '*\\n*', 'a*a*b'];
/** Literals near the ends of 64 bits cannot be written; arithmetic reaches them. */
const EDGE_LONGS = [
  '(9007199254740991 * 1024 + 1023)',
  '(-9007199254740991 * 1024 - 1024)',
  '(9007199254740991 + 1)',
  '9007199254740991',
  '(3037000500 * 3037000500)',
];

export class ExpressionGenerator {
  readonly #random: Random;
  readonly #environment: Environment;
  readonly #paths: readonly Path[];

  constructor(random: Random, environment: Environment) {
    this.#random = random;
    this.#environment = environment;
    this.#paths = this.#findPaths();
  }

  boolean(depth: number): string {
    return this.#expression(BOOLEAN, depth);
  }

  #findPaths(): Path[] {
    const { schema, principal, resource, context } = this.#environment;
    const found: Path[] = [
      { text: 'principal', type: { kind: 'entity', name: principal } },
      { text: 'resource', type: { kind: 'entity', name: resource } },
      { text: 'context', type: context },
    ];
    let frontier = found.slice();
    for (let step = 0; step < 3; step++) {
      const next: Path[] = [];
      for (const { text, type } of frontier) {
        const record = type.kind === 'entity' ? schema.entityTypes.get(type.name)?.shape : type;
        if (record?.kind !== 'record') continue;
        for (const [name, attribute] of record.attributes)
          next.push({ text: access(text, name), type: attribute.type });
      }
      frontier = next.length > 40 ? this.#random.some(next, 50) : next;
      found.push(...frontier);
    }
    return found;
  }

  #expression(type: CedarType, depth: number): string {
    const random = this.#random;
    if (random.chance(4)) return this.#expression(this.#anyType(), depth);
    if (depth <= 0 || random.chance(15)) return this.#leaf(type);
    if (random.chance(8)) {
      return `(if ${this.boolean(depth - 1)} then ${this.#expression(type, depth - 1)} else ${this.#expression(type, depth - 1)})`;
    }
    switch (type.kind) {
      case 'boolean':
        return this.#booleanOperation(depth - 1);
      case 'long':
        return this.#longOperation(depth - 1);
      case 'extension':
        return this.#extensionOperation(type.name, depth - 1);
      case 'set':
        return random.chance(50) ? this.#setLiteral(type.element, depth - 1) : this.#leaf(type);
      case 'record':
        return random.chance(50) ? this.#recordLiteral(type, depth - 1) : this.#leaf(type);
      default:
        return this.#leaf(type);
    }
  }

  #anyType(): CedarType {
    const random = this.#random;
    return random.chance(70)
      ? random.pick(this.#paths).type
      : random.pick<CedarType>([
          BOOLEAN,
          LONG,
          STRING,
          ...EXTENSIONS.map(name => ({ kind: 'extension', name }) as const),
        ]);
  }

  #leaf(type: CedarType): string {
    const fitting = this.#paths.filter(path => isSame(path.type, type));
    if (fitting.length > 0 && this.#random.chance(70)) return this.#random.pick(fitting).text;
    return this.#literal(type);
  }

  #literal(type: CedarType): string {
    const random = this.#random;
    switch (type.kind) {
      case 'boolean':
        return random.pick(['true', 'false']);
      case 'long':
        return random.chance(75) ? String(random.between(-3, 3)) : random.pick(EDGE_LONGS);
      case 'string':
        return quoted(random.pick(STRINGS));
      case 'entity':
        return this.#uid(type.name, type.enumeration);
      case 'extension':
        return this.#constructorCall(type.name, 0);
      case 'set':
        return this.#setLiteral(type.element, 0);
      default:
        return this.#recordLiteral(type, 0);
    }
  }

  #uid(name: string, enumeration?: ReadonlySet<string>): string {
    const uid = generateUid(this.#random, name, enumeration);
    return `${uid.type}::${quoted(uid.id)}`;
  }

  #setLiteral(element: CedarType, depth: number): string {
    return `[${this.#random.list(0, 3, () => this.#expression(element, depth)).join(', ')}]`;
  }

  #recordLiteral(type: RecordType, depth: number): string {
    const fields = [...type.attributes]
      .filter(([, attribute]) => attribute.required || this.#random.chance(50))
      .map(([name, attribute]) => `${quoted(name)}: ${this.#expression(attribute.type, depth)}`);
    return `{${fields.join(', ')}}`;
  }

  #constructorCall(name: (typeof EXTENSIONS)[number], depth: number): string {
    const random = this.#random;
    const call = name === 'ipaddr' ? 'ip' : name;
    if (random.chance(10)) return `${call}(${this.#expression(STRING, depth)})`;
    const text = random.chance(80) ? random.pick<string>(EXTENSION_TEXTS[name]) : random.pick(ODD_TEXTS);
    return `${call}(${quoted(text)})`;
  }

  #booleanOperation(depth: number): string {
    const random = this.#random;
    const either = (type: CedarType): string => this.#expression(type, depth);
    switch (random.below(16)) {
      case 0:
        return `(!(${either(BOOLEAN)}))`;
      case 1:
      case 2:
        return `(${either(BOOLEAN)} && ${either(BOOLEAN)})`;
      case 3:
      case 4:
        return `(${either(BOOLEAN)} || ${either(BOOLEAN)})`;
      case 5: {
        const type = this.#anyType();
        return `(${either(type)} ${random.pick(['==', '!='])} ${either(type)})`;
      }
      case 6: {
        const type = random.pick<CedarType>([
          LONG,
          LONG,
          { kind: 'extension', name: 'datetime' },
          { kind: 'extension', name: 'duration' },
        ]);
        return `(${either(type)} ${random.pick(['<', '<=', '>', '>='])} ${either(type)})`;
      }
      case 7:
      case 8:
        return this.#hierarchyTest(depth);
      case 9:
        return this.#presenceTest(depth);
      case 10:
        return `(${either(STRING)} like "${random.pick(PATTERNS)}")`;
      case 11:
      case 12:
        return this.#setTest(depth);
      case 13:
        return this.#tagTest(depth);
      default:
        return this.#extensionTest(depth);
    }
  }

  #hierarchyTest(depth: number): string {
    const random = this.#random;
    const names = [...this.#environment.schema.entityTypes.keys()];
    const [member, group] = [this.#entity(depth), this.#entity(depth)];
    switch (random.below(5)) {
      case 0:
        return `(${member} in ${group})`;
      case 1:
        return `(${member} in [${random.list(0, 3, () => this.#entity(depth)).join(', ')}])`;
      case 2:
        return `(${member} is ${random.pick(names)})`;
      case 3:
        return `(${member} is ${random.pick(names)} in ${group})`;
      default: {
        const [action, other] = [0, 1].map(
          () => random.pick([...this.#environment.schema.actions.values()]).uid,
        );
        const literal = `${other?.type}::${quoted(other?.id ?? '')}`;
        return random.chance(60)
          ? `(action in ${literal})`
          : `(${action?.type}::${quoted(action?.id ?? '')} in [${literal}])`;
      }
    }
  }

  #entity(depth: number): string {
    const name = this.#random.pick([...this.#environment.schema.entityTypes.keys()]);
    const enumeration = this.#environment.schema.entityTypes.get(name)?.enumeration;
    return this.#expression(
      enumeration === undefined ? { kind: 'entity', name } : { kind: 'entity', name, enumeration },
      depth,
    );
  }

  #presenceTest(depth: number): string {
    const random = this.#random;
    const containers = this.#paths.filter(({ type }) => type.kind === 'entity' || type.kind === 'record');
    const target = random.chance(85)
      ? random.pick(containers).text
      : this.#expression(this.#anyType(), depth);
    const name = random.pick(ATTRIBUTES);
    if (random.chance(30))
      return `(${target} has ${random.list(2, 3, () => random.pick(['a', 'b', 'c', 'd'])).join('.')})`;
    const test = `(${target} has ${quoted(name)})`;
    return random.chance(40)
      ? `(${test} && (${access(target, name)} == ${this.#expression(this.#anyType(), depth)}))`
      : test;
  }

  #setTest(depth: number): string {
    const random = this.#random;
    const element = this.#anyType();
    const set: CedarType = { kind: 'set', element };
    const target = this.#expression(set, depth);
    switch (random.below(4)) {
      case 0:
        return `(${target}.contains(${this.#expression(element, depth)}))`;
      case 1:
        return `(${target}.containsAll(${this.#expression(set, depth)}))`;
      case 2:
        return `(${target}.containsAny(${this.#expression(set, depth)}))`;
      default:
        return `(${target}.isEmpty())`;
    }
  }

  #tagTest(depth: number): string {
    const random = this.#random;
    const [target, key] = [this.#entity(depth), this.#expression(STRING, depth)];
    if (random.chance(50)) return `(${target}.hasTag(${key}))`;
    return `(${target}.getTag(${key}) == ${this.#expression(this.#anyType(), depth)})`;
  }

  #extensionTest(depth: number): string {
    const random = this.#random;
    const ip = (): string => this.#extension('ipaddr', depth);
    if (random.chance(40)) {
      const method = random.pick(['lessThan', 'lessThanOrEqual', 'greaterThan', 'greaterThanOrEqual']);
      return `(${this.#extension('decimal', depth)}.${method}(${this.#extension('decimal', depth)}))`;
    }
    if (random.chance(50))
      return `(${ip()}.${random.pick(['isIpv4', 'isIpv6', 'isLoopback', 'isMulticast'])}())`;
    return `(${ip()}.isInRange(${random.list(1, random.chance(10) ? 2 : 1, ip).join(', ')}))`;
  }

  #extension(name: (typeof EXTENSIONS)[number], depth: number): string {
    return this.#expression({ kind: 'extension', name }, depth);
  }

  #extensionOperation(name: (typeof EXTENSIONS)[number], depth: number): string {
    const random = this.#random;
    if (name === 'datetime' && random.chance(50)) {
      return random.chance(60)
        ? `(${this.#extension('datetime', depth)}.offset(${this.#extension('duration', depth)}))`
        : `(${this.#extension('datetime', depth)}.toDate())`;
    }
    if (name === 'duration' && random.chance(50)) {
      return random.chance(60)
        ? `(${this.#extension('datetime', depth)}.durationSince(${this.#extension('datetime', depth)}))`
        : `(${this.#extension('datetime', depth)}.toTime())`;
    }
    return random.chance(50) ? this.#constructorCall(name, depth) : this.#leaf({ kind: 'extension', name });
  }

  #longOperation(depth: number): string {
    const random = this.#random;
    if (random.chance(15)) return `(-(${this.#expression(LONG, depth)}))`;
    if (random.chance(15)) {
      const unit = random.pick(['toMilliseconds', 'toSeconds', 'toMinutes', 'toHours', 'toDays']);
      return `(${this.#extension('duration', depth)}.${unit}())`;
    }
    return `(${this.#expression(LONG, depth)} ${random.pick(['+', '-', '*'])} ${this.#expression(LONG, depth)})`;
  }
}

function access(target: string, name: string): string {
  return /^[a-z]+$/.test(name) && name !== 'constructor' ? `${target}.${name}` : `${target}[${quoted(name)}]`;
}

/** A Cedar string literal. Control characters are written as Unicode escapes. */
export function quoted(text: string): string {
  let literal = '"';
  for (const character of text) {
    if (character === '"' || character === '\\') literal += `\\${character}`;
    else if (character < ' ') literal += `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
    else literal += character;
  }
  return `${literal}"`;
}

function isSame(a: CedarType, b: CedarType): boolean {
  if (a.kind === 'entity') return b.kind === 'entity' && a.name === b.name;
  if (a.kind === 'extension') return b.kind === 'extension' && a.name === b.name;
  if (a.kind === 'set') return b.kind === 'set' && isSame(a.element, b.element);
  return a.kind === 'record' ? a === b : a.kind === b.kind;
}
