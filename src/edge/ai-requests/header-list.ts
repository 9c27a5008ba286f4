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

  private constructor(values: ReadonlyMap<string, readonly string[]>) {
    this.#values = values;
  }

  static of(pairs: Iterable<readonly [name: string, value: string]>): HeaderList {
    const values = new Map<string, string[]>();
    for (const [name, value] of pairs) {
      const key = name.toLowerCase();
      const known = values.get(key);
      if (known === undefined) values.set(key, [value]);
      else known.push(value);
    }
    return new HeaderList(values);
  }

  /** From `rawHeaders` of node:http: name, value, name, value. */
  static ofRaw(raw: readonly string[]): HeaderList {
    const pairs: [string, string][] = [];
    for (let at = 0; at + 1 < raw.length; at += 2) pairs.push([raw[at] ?? '', raw[at + 1] ?? '']);
    return HeaderList.of(pairs);
  }

  /** Names in lower case, each once. */
  names(): IterableIterator<string> {
    return this.#values.keys();
  }

  all(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
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
    return new HeaderList(new Map([...this.#values].filter(([name]) => !names.has(name))));
  }
}

/** A header name as a lax reader may take it: CGI and WSGI turn `-` into `_`, some frameworks `.` as well. */
export function foldHeaderName(name: string): string {
  return name.toLowerCase().replaceAll(/[_.]/g, '-');
}
