/**
 * What servers behind a gateway could make of a request: every reading that one of them is known to have, of method,
 * path, headers, encoding and JSON. Nothing here shares code with the service.
 */
import { gunzipSync } from 'node:zlib';

/** A request as its bytes say it. */
export interface RawRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
}

/** What one reading comes to. */
export interface Run {
  readonly operation: string;
  readonly models: readonly string[];
  readonly stream: boolean;
  /** Which reading it is. */
  readonly reading: string;
}

type Named<T> = readonly (readonly [name: string, of: T])[];

/** What an object of JSON is to a reader that keeps every member. */
type Loose = null | boolean | number | string | readonly Loose[] | LooseObject;
interface LooseObject {
  readonly members: readonly (readonly [key: string, value: Loose])[];
}

const PATHS: Named<(path: string) => string> = [
  ['as it is', path => path],
  ['decoded', decode],
  ['decoded twice', path => decode(decode(path))],
  ['with dots resolved', resolve],
  ['decoded, then with dots resolved', path => resolve(decode(path))],
  ['with slashes merged', path => path.replaceAll(/\/{2,}/g, '/')],
  ['without parameters of segments', path => path.replaceAll(/;[^/]*/g, '')],
  ['without case', path => path.toLowerCase()],
  ['without a slash at the end', path => path.replace(/(?<=.)\/+$/, '')],
  ['with backslashes as slashes', path => path.replaceAll('\\', '/')],
  ['up to a NUL', path => decode(path).split('\0', 1)[0] ?? ''],
  [
    'all of it',
    path =>
      resolve(
        decode(path)
          .replaceAll('\\', '/')
          .replaceAll(/;[^/]*/g, ''),
      )
        .replaceAll(/\/{2,}/g, '/')
        .toLowerCase(),
  ],
];

const METHODS: Named<(request: RawRequest) => string> = [
  ['as it is', ({ method }) => method],
  ['without case', ({ method }) => method.toUpperCase()],
  ['of the first override', request => headers(request, 'x-http-method-override')[0] ?? request.method],
  ['of the last override', request => headers(request, 'x-http-method-override').at(-1) ?? request.method],
  ['of another override', request => headers(request, 'x-http-method').at(-1) ?? request.method],
  ['of the query', request => parameters(request, '_method')[0] ?? request.method],
];

const TARGETS: Named<(request: RawRequest) => string> = [
  ['as it is', ({ target }) => target],
  ['of a rewrite', request => headers(request, 'x-original-url')[0] ?? request.target],
  ['of another rewrite', request => headers(request, 'x-rewrite-url')[0] ?? request.target],
];

const CHARSETS: readonly BufferEncoding[] = ['utf8', 'latin1', 'utf16le'];
type Pick = (object: LooseObject, key: string) => Loose | undefined;
const PICKS: Named<Pick> = [
  ['the last key', (object, key) => object.members.findLast(([name]) => name === key)?.[1]],
  ['the first key', (object, key) => object.members.find(([name]) => name === key)?.[1]],
  [
    'the last key without case',
    (object, key) => object.members.findLast(([name]) => fold(name) === key)?.[1],
  ],
  ['the first key without case', (object, key) => object.members.find(([name]) => fold(name) === key)?.[1]],
];

/** Where a model is read, for requests that name it in the body. */
const SOURCES: Named<(request: RawRequest, body: LooseObject, pick: Pick) => readonly string[]> = [
  ['the body', (_, body, pick) => textsOf(pick(body, 'model'))],
  ['the fallbacks as well', (_, body, pick) => [...textsOf(pick(body, 'model')), ...fallbacksOf(body, pick)]],
  [
    'a header before the body',
    (request, body, pick) => firstOf(headers(request, 'x-model'), textsOf(pick(body, 'model'))),
  ],
  [
    'the query before the body',
    (request, body, pick) => firstOf(parameters(request, 'model'), textsOf(pick(body, 'model'))),
  ],
  [
    'the last of the query before the body',
    (request, body, pick) => firstOf(parameters(request, 'model').slice(-1), textsOf(pick(body, 'model'))),
  ],
];

interface Route {
  readonly method: string;
  readonly path: RegExp;
  readonly operation: string;
  /** Whether the path names the model. */
  readonly byPath: boolean;
}

const ROUTES: readonly Route[] = [
  { method: 'POST', path: /^\/v1\/(?:chat\/)?completions$/, operation: 'generate', byPath: false },
  { method: 'POST', path: /^\/v1\/embeddings$/, operation: 'embed', byPath: false },
  { method: 'POST', path: /^\/v1\/moderations$/, operation: 'moderate', byPath: false },
  { method: 'GET', path: /^\/v1\/models\/(.+)$/, operation: 'invoke', byPath: true },
  { method: 'DELETE', path: /^\/v1\/models\/(.+)$/, operation: 'delete', byPath: true },
  { method: 'POST', path: /^\/predictions\/(.+)$/, operation: 'predict', byPath: true },
];

/** Everything that some server would run. */
export function runsOf(request: RawRequest): readonly Run[] {
  const runs: Run[] = [];
  const bodies = bodiesOf(request);
  for (const [targetName, targetOf] of TARGETS) {
    for (const [methodName, methodOf] of METHODS) {
      for (const [pathName, pathOf] of PATHS) {
        const path = pathOf(targetOf(request).split('?', 1)[0] ?? '');
        const method = methodOf(request);
        const reading = `target ${targetName}, method ${methodName}, path ${pathName}`;
        for (const route of ROUTES) {
          const found = route.method === method ? route.path.exec(path) : null;
          if (found === null) continue;
          if (route.byPath) {
            runs.push({
              operation: route.operation,
              models: [decode(found[1] ?? '')],
              stream: false,
              reading,
            });
          } else runs.push(...runsByBody(request, route, bodies, reading));
        }
      }
    }
  }
  return runs;
}

function runsByBody(
  request: RawRequest,
  { operation }: Route,
  bodies: Named<LooseObject>,
  reading: string,
): readonly Run[] {
  return bodies
    .flatMap(([bodyName, body]) =>
      PICKS.flatMap(([pickName, pick]) =>
        SOURCES.map(([sourceName, read]) => ({
          operation,
          models: read(request, body, pick).map(name => name.trim()),
          // other operations answer as a whole, whatever is asked
          stream: operation === 'generate' && isTruthy(pick(body, 'stream')),
          reading: `${reading}, ${bodyName}, ${pickName}, ${sourceName}`,
        })),
      ),
    )
    .filter(({ models }) => models.length > 0);
}

/** The objects that a body can be read as. */
function bodiesOf(request: RawRequest): Named<LooseObject> {
  const encoded = headers(request, 'content-encoding').some(value => value.includes('gzip'));
  const variants: (readonly [string, Buffer])[] = [['the bytes', request.body]];
  if (encoded) {
    try {
      variants.push(['the unpacked bytes', gunzipSync(request.body)]);
    } catch {
      // a server that unpacks it answers an error
    }
  }
  return variants.flatMap(([name, bytes]) =>
    CHARSETS.flatMap(charset => {
      const value = new LooseReader(bytes.toString(charset)).read();
      return isObject(value) ? [[`${name} as ${charset}`, value] as const] : [];
    }),
  );
}

/** JSON as the laxest servers take it: with comments, commas at the end, NaN, and whatever follows the value. */
class LooseReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text.replace(/^\ufeff/, '');
  }

  read(): Loose | undefined {
    try {
      return this.#value(0);
    } catch (error) {
      if (error instanceof Unreadable) return undefined;
      throw error;
    }
  }

  #value(depth: number): Loose {
    if (depth > 200) throw new Unreadable();
    this.#skip();
    const character = this.#text[this.#at];
    if (character === '{') return this.#object(depth);
    if (character === '[') return this.#list(depth);
    if (character === '"') return this.#string();
    const word = /^[-+\w.]+/.exec(this.#text.slice(this.#at))?.[0];
    if (word === undefined) throw new Unreadable();
    this.#at += word.length;
    if (word === 'null') return null;
    return word === 'true' || word === 'false' ? word === 'true' : Number(word);
  }

  #object(depth: number): Loose {
    const members: (readonly [string, Loose])[] = [];
    this.#at += 1;
    while (!this.#closes('}')) {
      this.#skip();
      if (this.#text[this.#at] !== '"') throw new Unreadable();
      const key = this.#string();
      this.#skip();
      if (this.#text[this.#at] !== ':') throw new Unreadable();
      this.#at += 1;
      members.push([key, this.#value(depth + 1)]);
    }
    return { members };
  }

  #list(depth: number): Loose {
    const items: Loose[] = [];
    this.#at += 1;
    while (!this.#closes(']')) items.push(this.#value(depth + 1));
    return items;
  }

  /** Steps over the commas before the next item, or over the end. */
  #closes(end: string): boolean {
    for (;;) {
      this.#skip();
      const character = this.#text[this.#at];
      if (character === undefined) throw new Unreadable();
      if (character !== ',' && character !== end) return false;
      this.#at += 1;
      if (character === end) return true;
    }
  }

  #string(): string {
    const found = /^"(?:[^"\\]|\\[^])*"/.exec(this.#text.slice(this.#at))?.[0];
    if (found === undefined) throw new Unreadable();
    this.#at += found.length;
    return found
      .slice(1, -1)
      .replaceAll(/\\(?:u([0-9A-Fa-f]{4})|([^]))/g, (_, code: string | undefined, one: string) => {
        if (code !== undefined) return String.fromCharCode(Number.parseInt(code, 16));
        const plain: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f' };
        return plain[one] ?? one;
      });
  }

  #skip(): void {
    const space = /^(?:\s|\/\*[^]*?\*\/|\/\/[^\n]*)+/.exec(this.#text.slice(this.#at))?.[0] ?? '';
    this.#at += space.length;
  }
}

class Unreadable extends Error {}

function fallbacksOf(body: LooseObject, pick: Pick): readonly string[] {
  return ['models', 'fallbacks'].flatMap(key => {
    const value = pick(body, key);
    const items = isList(value) ? value : [];
    return items.flatMap(item => (isObject(item) ? textsOf(pick(item, 'model')) : textsOf(item)));
  });
}

function textsOf(value: Loose | undefined): readonly string[] {
  return typeof value === 'string' ? [value] : [];
}

/** The first list that says anything: one value of it. */
function firstOf(...lists: readonly (readonly string[])[]): readonly string[] {
  return lists.find(list => list.length > 0)?.slice(0, 1) ?? [];
}

function isTruthy(value: Loose | undefined): boolean {
  return (
    value === true ||
    (typeof value === 'string' && value !== '' && value !== 'false') ||
    (typeof value === 'number' && value !== 0)
  );
}

function isObject(value: Loose | undefined): value is LooseObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isList(value: Loose | undefined): value is readonly Loose[] {
  return Array.isArray(value);
}

/** Values of a header as servers find it: without case, and as CGI writes names. */
function headers(request: RawRequest, name: string): readonly string[] {
  return request.headers.flatMap(([own, value]) =>
    own.toLowerCase().replaceAll('_', '-') === name ? [value] : [],
  );
}

function parameters({ target }: RawRequest, name: string): readonly string[] {
  const query = target.split('?').slice(1).join('?');
  return new URLSearchParams(query).getAll(name);
}

function fold(key: string): string {
  return key.normalize('NFKC').toLowerCase();
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function resolve(path: string): string {
  try {
    return new URL(`http://upstream${path.startsWith('/') ? '' : '/'}${path}`).pathname;
  } catch {
    return path;
  }
}
