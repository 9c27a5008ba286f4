/**
 * From the attributes of a CheckRequest to the question that every gateway asks. Invariants: what the attributes
 * say twice they say alike; both forms of headers and both forms of the body are read, never mixed; a body is
 * whole only when nothing says that it was cut.
 */
import type { PepProfile } from '../../domain/pep-profile.ts';
import { HeaderList, NameClasses } from '../ai-requests/header-list.ts';
import type { Question } from '../ext-authz/client-request.ts';
import { PARTIAL_HEADER } from '../ext-authz/trusted-headers.ts';
import type { HttpRequest } from './check-messages.ts';

/** A question, and what is wrong with it. */
export interface CheckQuestion {
  readonly question: Question;
  /** Why it must be denied; undefined: nothing. */
  readonly fault: string | undefined;
}

type Pair = readonly [name: string, value: string];

/** Tokens of RFC 9110 §5.6.2. */
const NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;
/** What no server takes in a value, because readers disagree on what follows: control characters but the tab. */
const CONTROL = /[^\t -~\u0080-\u{10ffff}]/u;
const NO_HEADERS = HeaderList.of([]);

/** Ends the reading of one request with its fault; caught here and nowhere else. */
class Fault extends Error {}

/** Reads the questions of gateways. */
export class QuestionReader {
  readonly #names = new NameClasses(classOfName);

  read(http: HttpRequest | undefined, profile: PepProfile): CheckQuestion {
    try {
      if (http === undefined) throw new Fault('the gateway describes no HTTP request');
      return { question: read(http, profile, this.#names), fault: undefined };
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      const question = { method: '', rest: '', headers: NO_HEADERS, bytes: undefined };
      return { question, fault: error.message };
    }
  }
}

type NameClass = 'pseudo' | 'host' | 'other' | 'none';

function classOfName(name: string): NameClass {
  if (name.startsWith(':')) return 'pseudo';
  if (!NAME.test(name)) return 'none';
  return name.toLowerCase() === 'host' ? 'host' : 'other';
}

function read(http: HttpRequest, profile: PepProfile, names: NameClasses<NameClass>): Question {
  const pairs = pairsOf(http);
  const pseudo = new Map<string, string>();
  const own: Pair[] = [];
  const hosts: Pair[] = [];
  for (const pair of pairs) {
    const [name, value] = pair;
    const kind = names.of(name);
    if (kind === 'pseudo') {
      if (pseudo.has(name)) throw new Fault(`the pseudo-header \`${name.slice(0, 32)}\` stands twice`);
      pseudo.set(name, value);
      continue;
    }
    if (kind === 'none') throw new Fault('a header has a name that is none');
    if (CONTROL.test(value)) throw new Fault('a header has a line break or a control character in its value');
    (kind === 'host' ? hosts : own).push(pair);
  }
  const host = agreed(http.host, pseudo.get(':authority'), 'host');
  const headers = HeaderList.of([...own, ...withHost(hosts, host)]);
  return {
    method: agreed(http.method, pseudo.get(':method'), 'method'),
    rest: agreed(http.path, pseudo.get(':path'), 'path'),
    headers,
    bytes: bodyOf(http, headers, profile),
  };
}

/** Names and values in either form. */
function pairsOf({ headers, header_map: map }: HttpRequest): readonly Pair[] {
  const joined = Object.entries(headers);
  if (map === undefined || map.headers.length === 0) return joined;
  if (joined.length > 0) throw new Fault('the gateway describes the headers in two forms');
  return map.headers.map(({ key, value, raw_value: raw }) => {
    if (raw === undefined || raw.byteLength === 0) return [key, value];
    if (value !== '') throw new Fault('the gateway gives a header two values');
    // one character to a byte, as node:http reads headers
    return [key, raw.toString('latin1')];
  });
}

/** A field and the pseudo-header that stands for the same. */
function agreed(field: string, pseudo: string | undefined, what: string): string {
  if (field === '' || pseudo === undefined || field === pseudo) return field === '' ? (pseudo ?? '') : field;
  throw new Fault(`the gateway gives two values for the ${what} of the request`);
}

/** With the host as the header that the other edges get. A `host` that says something else stays beside it. */
function withHost(hosts: readonly Pair[], host: string): readonly Pair[] {
  if (host === '') return hosts;
  const others = hosts.filter(([, value]) => value.toLowerCase() !== host.toLowerCase());
  return [...others, ['host', host]];
}

/** The body; undefined when it was cut, or is larger than the profile takes. */
function bodyOf(http: HttpRequest, headers: HeaderList, profile: PepProfile): Buffer | undefined {
  const text = http.body ?? Buffer.alloc(0);
  const raw = http.raw_body ?? Buffer.alloc(0);
  if (text.byteLength > 0 && raw.byteLength > 0) throw new Fault('the gateway gives the request two bodies');
  const bytes = raw.byteLength > 0 ? raw : text;
  if (bytes.byteLength > profile.maxBodyBytes) return undefined;
  if (profile.body === 'none') return bytes;
  const flags = headers.all(PARTIAL_HEADER);
  // a request whose body the gateway did not buffer has no flag, and no body is shown
  if (profile.body === 'flagged' && flags.length === 0) return bytes;
  return isCut(http.size, bytes.byteLength, headers, profile) || flags.some(flag => flag !== 'false')
    ? undefined
    : bytes;
}

/** Whether more of a body arrived at the gateway, or was announced to it, than it shows. */
function isCut(size: number, length: number, headers: HeaderList, { kind }: PepProfile): boolean {
  if (size > length) return true;
  // agentgateway says -1 of a body that it cut; Envoy says it of one whose length it does not know
  if (size < 0 && kind === 'agentgateway') return true;
  return headers.all('content-length').some(declared => declared !== String(length));
}
