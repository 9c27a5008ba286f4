/**
 * Where limits are counted, as a contract. Each sentence of these interfaces is a named test in
 * test/conformance/limit-store.ts, which every backend passes; memory is the reference.
 */
import type { LimitCharge, LimitStanding, UnitAmounts } from '../domain/limit.ts';

export interface AdmissionRequest {
  /** Id of the decision; its holds and leases are known by it. */
  readonly decisionId: string;
  /** Milliseconds since the epoch; a store never goes back behind an instant that it has seen. */
  readonly now: number;
  /** How long a hold waits for its settlement, in milliseconds. */
  readonly holdMs: number;
  readonly charges: readonly LimitCharge[];
  /** Looks and changes nothing. */
  readonly dryRun?: boolean;
}

export interface Admission {
  readonly admitted: boolean;
  /** One for each charge, in their order. */
  readonly standings: readonly LimitStanding[];
  /** What changed, for the log (see LimitJournal): undefined when nothing did, or when the store is durable itself. */
  readonly journal: Uint8Array | undefined;
}

export interface Settlement {
  readonly decisionId: string;
  readonly now: number;
  /** What the call really used. Each limit takes its unit; requests stay charged, leases end. */
  readonly actual: UnitAmounts;
  /** Whether each charge pays at least its floor: a cancelled call does. */
  readonly atLeastFloor: boolean;
}

export interface SettledCharge {
  readonly name: string;
  readonly reserved: number;
  readonly charged: number;
  /** What went over the limit with this settlement; recorded, never clipped. */
  readonly overdraft: number;
}

export interface SettlementResult {
  /**
   * `unknown`: no such decision, or it was forgotten; `repeated`: settled before, nothing changed; `deferred`: the
   * shared store does not answer, and learns of it when it does.
   */
  readonly state: 'settled' | 'repeated' | 'unknown' | 'deferred';
  readonly charges: readonly SettledCharge[];
  readonly journal: Uint8Array | undefined;
}

export interface Extension {
  /** `unknown`: nothing is held or it has expired; `settled`: too late. */
  readonly state: 'extended' | 'settled' | 'unknown';
  /** Until when holds and leases last now, milliseconds since the epoch. */
  readonly expiresAt: number;
  readonly journal: Uint8Array | undefined;
}

/** One step for all limits of a request. Answers at once (memory) or later (a shared store). */
export interface LimitStore {
  /**
   * Checks every charge at one instant and takes all or none. A denied request leaves every enforced limit's state
   * byte for byte as it was. Shadow charges are taken on their own and influence nothing else.
   */
  admit(request: AdmissionRequest): Admission | Promise<Admission>;
  /** Replaces what was held by what was used. The first settlement counts; a late one (after expiry) records the difference. */
  settle(settlement: Settlement): SettlementResult | Promise<SettlementResult>;
  /** Lets holds and leases of a decision last `holdMs` from now. */
  extend(decisionId: string, now: number, holdMs: number): Extension | Promise<Extension>;
  /** Forgets what a key has counted (holds and leases included). Answers the change for the log. */
  reset(key: string, now: number): Uint8Array | undefined | Promise<Uint8Array | undefined>;
  close(): Promise<void>;
}
