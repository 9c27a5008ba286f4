/**
 * Request headers as a list in which nothing is merged. Invariant: names are compared in lower case and a
 * header that stands twice is seen twice, so no reader downstream can prefer the other one.
 */

/** Most headers of one request: Node itself stops at 2,000, gateways at about 100. */
export const MAX_HEADERS = 512;

/** Thrown by `single` for a header that stands more than once. */
export class RepeatedHeader extends Error {
  readonly header: string;
  constructor(header: string) {
    super(`the header \`${header}\` stands more than once`);
    this.name = 'RepeatedHeader';
    this.header = header;
  }
}

export class HeaderList {
  readonly #values: ReadonlyMap<string, readonly string[]>;
  /** Headers as they stand, those of one name counted each. */
  readonly size: number;

  private constructor(values: ReadonlyMap<string, readonly string[]>, size: number) {
    this.#values = values;
    this.size = size;
  }

  static of(pairs: Iterable<readonly [name: string, value: string]>): HeaderList {
    const values = new Map<string, string[]>();
    let size = 0;
    for (const [name, value] of pairs) {
      add(values, name, value);
      size += 1;
    }
    return new HeaderList(values, size);
  }

  /** From `rawHeaders` of node:http: name, value, name, value. */
  static ofRaw(raw: readonly string[]): HeaderList {
    const values = new Map<string, string[]>();
    const size = raw.length >> 1;
    for (let at = 0; at < size; at += 1) add(values, raw[2 * at] ?? '', raw[2 * at + 1] ?? '');
    return new HeaderList(values, size);
  }

  /** Names in lower case, each once. */
  names(): IterableIterator<string> {
    return this.#values.keys();
  }

  all(name: string): readonly string[] {
    return this.#values.get(name) ?? NONE;
  }

  /** The only value of a header; undefined when it is absent. @throws RepeatedHeader */
  single(name: string): string | undefined {
    const values = this.#values.get(name);
    if (values === undefined) return undefined;
    if (values.length > 1) throw new RepeatedHeader(name);
    return values[0];
  }

  /** The same list without some headers. */
  without(names: ReadonlySet<string>): HeaderList {
    const values = new Map<string, readonly string[]>();
    let size = 0;
    for (const [name, own] of this.#values) {
      if (names.has(name)) continue;
      values.set(name, own);
      size += own.length;
    }
    return new HeaderList(values, size);
  }
}

const NONE: readonly string[] = Object.freeze([]);

function add(values: Map<string, string[]>, name: string, value: string): void {
  const key = name.toLowerCase();
  const known = values.get(key);
  if (known === undefined) values.set(key, [value]);
  else known.push(value);
}

/** Most names whose class is remembered; clients can invent more, which are looked at each time. */
const MAX_REMEMBERED = 1024;
/** Longest such name. */
const MAX_NAME_LENGTH = 64;

/** What a name means, worked out once for each of the names that come again and again. */
export class NameClasses<C> {
  readonly #known = new Map<string, C>();
  readonly #classify: (name: string) => C;

  constructor(classify: (name: string) => C) {
    this.#classify = classify;
  }

  of(name: string): C {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const found = this.#classify(name);
    if (this.#known.size < MAX_REMEMBERED && name.length <= MAX_NAME_LENGTH) this.#known.set(name, found);
    return found;
  }
}

/** A header name as a lax reader may take it: CGI and WSGI turn `-` into `_`, some frameworks `.` as well. */
export function foldHeaderName(name: string): string {
  return name.toLowerCase().replaceAll(/[_.]/g, '-');
}
