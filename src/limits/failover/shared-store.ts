/** A store of limits that several servers share, as the contract of what may fail. */
import type {
  Admission,
  AdmissionRequest,
  Extension,
  LimitStore,
  Settlement,
  SettlementResult,
} from '../ports.ts';

/** The store did not do what it was asked to. Anything else that is thrown is a bug, and nobody else decides instead. */
export class StoreFailure extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'StoreFailure';
  }
}

/** Every method rejects with StoreFailure when the store does not answer, or is not safe to count in. */
export interface SharedLimitStore extends LimitStore {
  admit(request: AdmissionRequest): Promise<Admission>;
  settle(settlement: Settlement): Promise<SettlementResult>;
  extend(decisionId: string, now: number, holdMs: number): Promise<Extension>;
  reset(key: string, now: number): Promise<undefined>;
  /** Whether it answers and is safe to count in. */
  verify(): Promise<void>;
  /**
   * Takes what was admitted elsewhere, at the instants when it was, whatever it exceeds. What is known by its decision
   * already changes nothing, and neither does what has left its window or period.
   */
  merge(admissions: readonly AdmissionRequest[]): Promise<void>;
}
