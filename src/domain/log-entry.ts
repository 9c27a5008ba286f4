/**
 * Entries of the decision log before they become leaf bytes. Invariant: an entry holds everything needed to
 * decide again, and nothing secret: no key, no token, no prompt, no raw input.
 */
import type { Decision, LevelResult, Obligation, Reason, Revision, Verdict } from './decision.ts';
import type { EntityRef } from './ids.ts';
import type { JsonObject } from './json.ts';
import type { Level } from './reason.ts';

/** Format version of leaves written by this build. */
export const LEAF_VERSION = 1;

/** The request of a decision as it is logged: `context` is the projected Cedar context of the checks. */
export interface LoggedRequest {
  readonly requestId?: string;
  readonly principal: EntityRef;
  readonly action: string;
  readonly resource: EntityRef;
  /** The tenant whose data is used, after defaults. */
  readonly tenant: string;
  /** Tenants of the principal and of the resource by their attributes; absent: by the prefixes of their ids. */
  readonly principalTenant?: string;
  readonly resourceTenant?: string;
  readonly partitions?: readonly { readonly id: string; readonly access: string }[];
  readonly tools?: readonly { readonly id: string; readonly amountCents?: number | undefined }[];
  readonly outputs?: readonly {
    readonly id: string;
    readonly path: string;
    readonly classification: number;
  }[];
  readonly levels?: readonly Level[];
  /** Digest that the gateway gave for the input; never the input. */
  readonly inputHash?: string;
  /** Context in plain JSON as the schema reads it: env, now, auth, ip, region, via, input, params, declared keys. */
  readonly context: JsonObject;
}

/** `AI::User::"acme/alice"` and the directory revision that wrote it. A leaf holds them as an object. */
export interface EntityRevision {
  readonly entity: string;
  readonly revision: number;
}

export interface DecisionEntry {
  readonly kind: 'decision';
  readonly id: string;
  /** Milliseconds since the epoch: the instant at which the decision was evaluated. */
  readonly time: number;
  readonly request: LoggedRequest;
  readonly decision: Verdict;
  readonly reason: Reason;
  readonly levels: Readonly<Partial<Record<Level, LevelResult>>>;
  readonly obligations: readonly Obligation[];
  readonly revision: Revision;
  /** The stored entities that the request names, with their revisions then; a name may stand twice. */
  readonly entities: readonly EntityRevision[];
  /** Evaluator and its version: `compiled/1+cedar-4.13.0`. */
  readonly engine: string;
  /** Id of the API key of the PEP. */
  readonly pep: string;
  /** W3C trace context of the request, when it carried one. */
  readonly trace?: string;
  /** Request id of the HTTP exchange. */
  readonly httpRequestId?: string;
}

/** Kinds of entries that are not decisions. */
export const EVENT_KINDS = [
  'entity.put',
  'entity.delete',
  'entity.import',
  'bundle.push',
  'bundle.activate',
  'bundle.rollback',
  'bundle.reject',
  'key.create',
  'key.revoke',
  'key.bootstrap',
  'auth.failed',
  'audit.erase',
  'audit.verify_input',
  'engine.disagreement',
  'engine.restored',
  'service.start',
  'service.stop',
  'log.open',
  'log.seal',
  'log.heartbeat',
  'log.anchor_missing',
  'log.anchor_conflict',
] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

/** An administrative change or an event of the service itself. */
export interface EventEntry {
  readonly kind: EventKind;
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly time: number;
  /** Key id of who did it, or `system`. */
  readonly actor: string;
  /** Tenant that it concerns, where there is one. */
  readonly tenant?: string;
  /** What it concerns: an entity key, a bundle digest, a layer, a key id. */
  readonly subject: string;
  readonly details: JsonObject;
}

export type LogEntry = DecisionEntry | EventEntry;

/** A decision without its place in the log, which is known only after the commit. */
export type UnloggedDecision = Omit<Decision, 'log'>;
