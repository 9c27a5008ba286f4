/** The answer to a question about access, as the edge writes it. Invariant: it says of itself whether it is complete. */
import type { Revision } from '../../domain/decision.ts';
import type { EntityRef } from '../../domain/ids.ts';
import type { Objection } from '../standing.ts';
import type { AccessFacts } from './question.ts';
import type { PairAccess } from './pair-judge.ts';

/** Whose access is asked about: that of one principal, or that to one model. */
export type AccessSide = 'principal' | 'model';

/** What one entity of the other side has to do with the one that was asked about. */
export interface AccessItem extends PairAccess {
  readonly entity: EntityRef;
}

/** Why more access may exist than is listed as allowed. */
export type IncompleteCode =
  /** Other contexts allow more. */
  | 'context'
  /** Requests that name partitions may be allowed more. */
  | 'partitions'
  /** Entities of other tenants were not looked at: the key does not see them. */
  | 'tenants'
  /** A check could not be evaluated. */
  | 'evaluation'
  /** There is another page. */
  | 'page';

/** A policy on which something hangs. */
export interface Condition {
  readonly effect: 'permit' | 'forbid';
  readonly reason: string;
  /** Clauses that read the open part of the context, as Cedar text. */
  readonly clauses: readonly string[];
}

export interface AccessPage {
  /** Why the principal is denied everything; undefined: policies decide. */
  readonly standing: Objection | undefined;
  /** What every request has in common. */
  readonly facts: AccessFacts;
  readonly operations: readonly string[];
  readonly revision: Revision;
  /** Milliseconds since the epoch: `context.now` of every request. */
  readonly now: number;
  readonly items: readonly AccessItem[];
  /** By full id of the policy. */
  readonly conditions: ReadonlyMap<string, Condition>;
  /** Of all pages until now; none: every access that there is has been listed. */
  readonly incomplete: readonly IncompleteCode[];
  readonly nextCursor: string | null;
}
