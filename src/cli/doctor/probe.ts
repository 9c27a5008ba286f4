/** What a probe is, and what came of it. */
import type { RawRequest } from './raw-client.ts';

/** What must come of a request. */
export type Expectation =
  /** It reaches the models: without that, a refusal proves nothing. */
  | 'passes'
  /** It is refused before anybody was identified. */
  | 'nobody'
  /** It is refused. */
  | 'refused'
  /** It is refused, or decided as for the caller who sent it. */
  | 'unmoved'
  /** It is refused, or the upstream gets no header with the value that it spoofs. */
  | 'stripped'
  /** It is refused, or forwarded under the very path that was decided. */
  | 'same-path';

export type Outcome = 'pass' | 'fail' | 'inconclusive';

/** One thing to find out, by one or more requests. */
export interface Probe {
  readonly id: string;
  readonly group: string;
  /** What is tried, in a few words. */
  readonly what: string;
  readonly expects: Expectation;
  /** Needs the credential of a caller. */
  readonly needsCaller: boolean;
  readonly attempts: readonly Attempt[];
  /** What it means when the gateway lets it through. */
  readonly danger: string;
  /** What to do then. */
  readonly fix: string;
}

export interface Attempt {
  /** What sets this request apart from the others of its probe. */
  readonly label: string;
  readonly request: RawRequest;
}

/** What a gateway made of a request. */
export interface Seen {
  /** undefined: there was no answer. */
  readonly status: number | undefined;
  /** A reason code of Duramen; undefined: the answer has none. */
  readonly reason: string | undefined;
  /** What the upstream got; null: nothing; undefined: it is not ours to know. */
  readonly received: Forwarded | null | undefined;
  /** Why there was no answer. */
  readonly failure: string | undefined;
}

/** A request as the upstream got it. */
export interface Forwarded {
  readonly target: string;
  readonly headers: ReadonlyMap<string, readonly string[]>;
}

export interface Finding {
  readonly id: string;
  readonly group: string;
  readonly what: string;
  readonly outcome: Outcome;
  /** `403 UNAUTHENTICATED`, of the request that decided the outcome. */
  readonly seen: string;
  readonly meaning: string;
  /** Absent for what passed. */
  readonly fix?: string;
}
