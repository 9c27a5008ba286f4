/**
 * Questions to introspection endpoints (RFC 7662). Invariants: no answer refuses; an answer is believed for a short
 * time, a refusal no longer; the token leaves for the configured address alone; tokens that anybody can invent cannot
 * push out what was found about real ones, nor keep an issuer from being asked about those.
 */
import type { Clock } from '../../domain/clock.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { Checked } from './claims-check.ts';
import type { Issuer } from './issuer.ts';
import { DocumentError, type Documents } from './remote-documents.ts';

/** Most answers remembered: as many accepted ones, and as many refusals. */
export const MAX_ANSWERS = 10_000;
/** Most questions to one issuer at once: a slow one holds up its own tokens alone. */
export const MAX_IN_FLIGHT = 32;
/** Pause after a failure in milliseconds, in which tokens are refused without asking. */
const PAUSE_MS = 1_000;

interface Answer<T> {
  readonly found: Checked<T>;
  /** Monotonic instant in milliseconds. */
  readonly until: number;
}

/** A question about one token. */
export interface IntrospectionQuestion<T> {
  readonly issuer: Issuer;
  readonly text: string;
  /** SHA-256 of the text. */
  readonly digest: string;
  /** What the answer says. */
  readonly judge: (answer: JsonObject) => Checked<T>;
}

export class IntrospectionDesk<T> {
  readonly #documents: Documents;
  readonly #clock: Clock;
  /** By name of the issuer. */
  readonly #secrets: ReadonlyMap<string, string>;
  readonly #accepted = new Map<string, Answer<T>>();
  readonly #refused = new Map<string, Answer<T>>();
  readonly #inFlight = new Map<string, Promise<Checked<T>>>();
  readonly #pausedUntil = new Map<string, number>();
  readonly #asking = new Map<string, number>();

  constructor(documents: Documents, clock: Clock, secrets: ReadonlyMap<string, string>) {
    this.#documents = documents;
    this.#clock = clock;
    this.#secrets = secrets;
  }

  /** What was found within the time that answers are believed; undefined: it has to be asked. */
  recall(issuer: Issuer, digest: string): Checked<T> | undefined {
    const key = `${issuer.name} ${digest}`;
    const known = this.#accepted.get(key) ?? this.#refused.get(key);
    return known !== undefined && this.#clock.monotonic() < known.until ? known.found : undefined;
  }

  /** Asks, unless it is known. Never rejects for what the issuer does. */
  async ask(question: IntrospectionQuestion<T>): Promise<Checked<T>> {
    const { issuer, digest } = question;
    const known = this.recall(issuer, digest);
    if (known !== undefined) return known;
    const { name } = issuer;
    const key = `${name} ${digest}`;
    const asked = this.#inFlight.get(key);
    if (asked !== undefined) return asked;
    const paused = this.#clock.monotonic() < (this.#pausedUntil.get(name) ?? 0);
    const count = this.#asking.get(name) ?? 0;
    if (paused || count >= MAX_IN_FLIGHT) return { cause: 'introspection_unavailable' };
    this.#asking.set(name, count + 1);
    const asking = this.#ask(question, key).finally(() => {
      this.#inFlight.delete(key);
      this.#asking.set(name, (this.#asking.get(name) ?? 1) - 1);
    });
    this.#inFlight.set(key, asking);
    return asking;
  }

  async #ask({ issuer, text, judge }: IntrospectionQuestion<T>, key: string): Promise<Checked<T>> {
    const { introspection, hosts: rules, name } = issuer;
    if (introspection === undefined) return { cause: 'introspection_unavailable' };
    const { url, clientId, cacheSeconds } = introspection;
    try {
      const secret = this.#secrets.get(name);
      if (secret === undefined) throw new DocumentError('the secret of the client was not read');
      const form = {
        body: new URLSearchParams({ token: text, token_type_hint: 'access_token' }).toString(),
        authorization: basic(clientId, secret),
      };
      const found = judge(await this.#documents.read({ url, rules, form }));
      const isAccepted = found.value !== undefined;
      // what was found before has ended: left where it is, it would stand before the new answer
      (isAccepted ? this.#refused : this.#accepted).delete(key);
      keep(isAccepted ? this.#accepted : this.#refused, key, {
        found,
        until: this.#clock.monotonic() + cacheSeconds * 1000,
      });
      return found;
    } catch (error) {
      if (!(error instanceof DocumentError)) throw error;
      // 400 is about the question: whoever invents tokens must not keep those of others from being asked about
      if (error.status !== 400) this.#pausedUntil.set(name, this.#clock.monotonic() + PAUSE_MS);
      return { cause: 'introspection_unavailable' };
    }
  }
}

function keep<T>(answers: Map<string, Answer<T>>, key: string, answer: Answer<T>): void {
  answers.delete(key);
  for (const oldest of answers.keys()) {
    if (answers.size < MAX_ANSWERS) break;
    answers.delete(oldest);
  }
  answers.set(key, answer);
}

/** RFC 6749 §2.3.1: both parts are form-encoded before they are joined. */
function basic(id: string, secret: string): string {
  const encode = (text: string): string => new URLSearchParams({ v: text }).toString().slice(2);
  return `Basic ${Buffer.from(`${encode(id)}:${encode(secret)}`, 'utf8').toString('base64')}`;
}
