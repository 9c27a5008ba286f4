/**
 * Entries of the decision log before they become leaf bytes. Invariant: an entry holds everything needed to
 * decide again, and nothing secret: no key, no token, no prompt, no raw input.
 */
import type { CallerAuthentication } from './caller-authentication.ts';
import type { Decision, LevelResult, Obligation, Reason, Revision, Verdict } from './decision.ts';
import type { DecisionRequest } from './decision-request.ts';
import type { JsonObject } from './json.ts';
import type { LimitResult } from './limit-answer.ts';
import type { Level } from './reason.ts';
import type { EntityUid } from './value.ts';

/** Format version of leaves written by this build. */
export const LEAF_VERSION = 2;

/** The request of a decision as it is logged, with what the service filled in. */
export interface LoggedRequest {
  /** What was asked. Its `input` has no content but a hash, which a leaf holds as a keyed digest. */
  readonly asked: Omit<DecisionRequest, 'explain'>;
  /** The tenant whose data is used, after defaults. */
  readonly tenant: string;
  /** `context.env` where the request names none; undefined when no context was read. */
  readonly defaultEnv: string | undefined;
  /** Whether a schema has read the context that was asked with; only then is it logged. */
  readonly contextRead: boolean;
  /** Tenant of the principal; undefined when it has none. It decides which auditors may see the entry. */
  readonly principalTenant: string | undefined;
  /** Tenant of the resource by its attributes; undefined: by the prefix of its id. */
  readonly resourceTenant: string | undefined;
}

/** An entity and the directory revision that wrote it. */
export interface EntityRevision {
  readonly entity: EntityUid;
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
  /** The stored entities that the request names, with their revisions then, the principal first; a name may stand twice. */
  readonly entities: readonly EntityRevision[];
  /** The limits that matched, as the answer has them; absent: none did. */
  readonly limits?: readonly LimitResult[] | undefined;
  /** Evaluator and its version: `compiled/1+cedar-4.13.0`. */
  readonly engine: string;
  /** Id of the API key of the PEP. */
  readonly pep: string;
  /** How the service verified the caller; absent: the PEP asserted it. */
  readonly caller?: CallerAuthentication | undefined;
  /** W3C trace context of the request, when it carried one. */
  readonly trace?: string | undefined;
  /** Request id of the HTTP exchange. */
  readonly httpRequestId?: string | undefined;
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
  'credential.revoke',
  'caller_key.create',
  'caller_key.rotate',
  'caller_key.revoke',
  'caller_key.leak',
  'pep_profile.put',
  'pep_profile.delete',
  'decision.outcome',
  'decision.extension',
  'limit.check',
  'limit.reset',
  'limit.alert',
  'penalty.block',
  'penalty.lift',
  'load.step',
  'auth.failed',
  'control.denied',
  'control.break_glass',
  'audit.erase',
  'audit.verify_input',
  'access.read',
  'engine.disagreement',
  'engine.restored',
  'service.start',
  'service.stop',
  'log.open',
  'log.seal',
  'log.heartbeat',
  'log.anchor_missing',
  'log.anchor_conflict',
  'log.export',
  'log.prune',
] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

/** How often the databases beside the log had been changed when an entry was appended. */
export interface StoreChanges {
  readonly state: number;
  readonly subjects: number;
}

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
  /** Absent where it was not asked for. A start refuses databases that have less. */
  readonly stores?: StoreChanges;
}

export type LogEntry = DecisionEntry | EventEntry;

/** A decision without its place in the log, which is known only after the commit, and without who authenticated. */
export type UnloggedDecision = Omit<Decision, 'log' | 'auth'>;
