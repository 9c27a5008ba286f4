/**
 * The shared store of limits with what decides while it does not answer. Invariants: for want of it an admission never
 * rejects, and never waits longer than its deadline; what is admitted without it is brought to it, and after an outage
 * before it is used again; a limit that says `deny` admits nothing meanwhile.
 */
import { AppError, messageOf } from '../../domain/errors.ts';
import { type LimitCharge, type LimitRule, type LimitStanding, NOTHING_USED } from '../../domain/limit.ts';
import { CircuitBreaker } from './circuit-breaker.ts';
import type {
  Admission,
  AdmissionRequest,
  Extension,
  LimitStore,
  Settlement,
  SettlementResult,
} from '../ports.ts';
import { type SharedLimitStore, StoreFailure } from './shared-store.ts';
import { UnmergedAdmissions } from './unmerged.ts';

/** Admissions in one merge: a few milliseconds of the shared store. */
const MERGE_STEP = 32;
/** How long one step of a recovery may take, in milliseconds: to connect, or to merge what a server admitted alone. */
const RECOVERY_STEP_MS = 5000;
/** How soon the store learns of what it missed without an outage, in milliseconds: an answer or two that were late. */
const BRING_AFTER_MS = 100;

export interface FailoverOptions {
  readonly shared: SharedLimitStore;
  /** Counts while the shared store does not answer; in memory. */
  readonly local: LimitStore;
  /** How many servers share the store: each admits this fraction alone. */
  readonly servers: number;
  /** How long a decision waits for the shared store, in milliseconds. */
  readonly timeoutMs: number;
  readonly after: (ms: number, action: () => void) => () => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** The store is not used, with the reason, or, with undefined, used again. */
  readonly onChange: (reason: string | undefined) => void;
  /** A request was decided without the store. */
  readonly onDegraded: () => void;
}

export class FailoverLimitStore implements LimitStore {
  readonly #options: FailoverOptions;
  readonly #circuit: CircuitBreaker;
  readonly #unmerged = new UnmergedAdmissions();
  /** The one attempt to bring the store what it missed. */
  #bringing: Promise<void> | undefined;
  #cancelBringing: (() => void) | undefined;

  constructor(options: FailoverOptions) {
    this.#options = options;
    const { after, onChange } = options;
    this.#circuit = new CircuitBreaker({ after, onChange, recover: close => this.#recover(close) });
  }

  /** Why the shared store is not used; undefined: it is. */
  get problem(): string | undefined {
    return this.#circuit.reason;
  }

  /** Admissions and settlements that the shared store does not know yet. */
  get unmerged(): number {
    return this.#unmerged.size;
  }

  /** Tries the shared store for the first time. Resolves also when it does not answer: then limits are degraded. */
  async start(): Promise<void> {
    try {
      await this.#withDeadline(this.#options.shared.verify(), RECOVERY_STEP_MS);
    } catch (error) {
      this.#circuit.open(messageOf(error));
    }
  }

  /** The connection is gone: nobody has to wait to find out. */
  lost(reason: string): void {
    this.#circuit.open(reason);
  }

  admit(request: AdmissionRequest): Admission | Promise<Admission> {
    return this.#circuit.isOpen ? this.#admitAlone(request, false) : this.#admitTogether(request);
  }

  async #admitTogether(request: AdmissionRequest): Promise<Admission> {
    try {
      return await this.#ask(() => this.#options.shared.admit(request));
    } catch (error) {
      if (!(error instanceof StoreFailure)) throw error;
      return this.#admitAlone(request, true);
    }
  }

  async settle(settlement: Settlement): Promise<SettlementResult> {
    // what this server admitted alone is held here too, whoever settles it
    const alone = await this.#options.local.settle(settlement);
    if (this.#isUsed(settlement.decisionId)) {
      try {
        const together = await this.#ask(() => this.#options.shared.settle(settlement));
        return together.state === 'unknown' ? alone : { ...together, journal: alone.journal };
      } catch (error) {
        // it is settled when the store is back
        if (!(error instanceof StoreFailure)) throw error;
      }
    }
    if (!this.#unmerged.settle(settlement)) throw this.#unavailable();
    this.#bringSoon();
    return alone.state === 'unknown' ? DEFERRED : alone;
  }

  async extend(decisionId: string, now: number, holdMs: number): Promise<Extension> {
    const alone = await this.#options.local.extend(decisionId, now, holdMs);
    if (this.#isUsed(decisionId)) {
      try {
        const together = await this.#ask(() => this.#options.shared.extend(decisionId, now, holdMs));
        return together.state === 'unknown' ? alone : { ...together, journal: alone.journal };
      } catch (error) {
        throw error instanceof StoreFailure ? this.#unavailable(error) : error;
      }
    }
    if (alone.state === 'unknown') throw this.#unavailable();
    this.#unmerged.extend(decisionId, now, holdMs);
    return alone;
  }

  async reset(key: string, now: number): Promise<Uint8Array | undefined> {
    if (this.#circuit.isOpen) throw this.#unavailable();
    try {
      await this.#ask(async () => this.#options.shared.reset(key, now));
    } catch (error) {
      throw error instanceof StoreFailure ? this.#unavailable(error) : error;
    }
    return this.#options.local.reset(key, now);
  }

  async close(): Promise<void> {
    this.#circuit.stop();
    this.#cancelBringing?.();
    await this.#options.shared.close();
    await this.#options.local.close();
  }

  /**
   * What each limit says without the store: those that deny deny all; those that allow are not asked; the others
   * count here.
   * @param maybeCounted whether the store may have taken the request although nobody heard its answer
   */
  async #admitAlone(request: AdmissionRequest, maybeCounted: boolean): Promise<Admission> {
    const { charges } = request;
    this.#options.onDegraded();
    const denied = charges.some(({ rule }) => rule.mode === 'enforce' && rule.onStoreFailure === 'deny');
    const own = charges
      .filter(({ rule }) => rule.onStoreFailure === 'local')
      .map(charge => this.#share(charge));
    const dryRun = denied || request.dryRun === true;
    const counted = await this.#options.local.admit({ ...request, charges: own, dryRun });
    const admitted = counted.admitted && !denied;
    if (request.dryRun !== true) this.#remember(request, admitted, maybeCounted);
    let next = 0;
    const standings = charges.map(({ rule }) => {
      if (rule.onStoreFailure !== 'local') return this.#uncounted(rule);
      const standing = counted.standings[next++];
      if (standing === undefined) throw new Error('a charge without a standing');
      return { ...standing, degraded: true };
    });
    // what is counted here alone is kept in the log of this server
    return { admitted, standings, journal: counted.journal };
  }

  /** What the store has to learn of a request that was answered without it. */
  #remember(request: AdmissionRequest, admitted: boolean, maybeCounted: boolean): void {
    const { decisionId, now } = request;
    if (admitted) this.#unmerged.add(request);
    else if (maybeCounted) {
      // a reserve nobody may use is given back; when there is no room for that, it expires
      this.#unmerged.settle({ decisionId, now, actual: NOTHING_USED, atLeastFloor: false });
    }
    this.#bringSoon();
  }

  /** Whether the shared store knows what there is to know of a decision. */
  #isUsed(decisionId: string): boolean {
    return !this.#circuit.isOpen && !this.#unmerged.has(decisionId);
  }

  /** Without an outage nobody else brings the store what it missed. */
  #bringSoon(): void {
    if (this.#circuit.isOpen || this.#unmerged.size === 0 || this.#cancelBringing !== undefined) return;
    this.#cancelBringing = this.#options.after(BRING_AFTER_MS, () => {
      this.#cancelBringing = undefined;
      this.#bring().then(
        () => this.#bringSoon(),
        (error: unknown) => {
          this.#circuit.failed(messageOf(error));
          this.#bringSoon();
        },
      );
    });
  }

  /** The part of a limit that this server may admit alone. */
  #share(charge: LimitCharge): LimitCharge {
    const { servers } = this.#options;
    if (servers === 1) return charge;
    const { rule } = charge;
    const limit = partOf(rule.limit, servers);
    if (rule.kind === 'rate')
      return { ...charge, rule: { ...rule, limit, burst: partOf(rule.burst, servers) } };
    if (rule.kind !== 'concurrency' || rule.fair === undefined)
      return { ...charge, rule: { ...rule, limit } };
    const { ownKey, guaranteed, highWater } = rule.fair;
    const fair = {
      ownKey,
      guaranteed: partOf(guaranteed, servers),
      highWater: partOf(highWater, servers),
    };
    return { ...charge, rule: { ...rule, limit, fair } };
  }

  /** The standing of a limit that is not counted here. Nobody knows what was used. */
  #uncounted({ limit, onStoreFailure }: LimitRule): LimitStanding {
    const violated = onStoreFailure === 'deny';
    return {
      violated,
      used: 0,
      held: 0,
      remaining: violated ? 0 : limit,
      resetMs: 0,
      retryAfterMs: violated ? this.#circuit.pauseMs : null,
      degraded: true,
    };
  }

  /** Asks the shared store within the deadline. */
  async #ask<T>(action: () => Promise<T>): Promise<T> {
    try {
      const answer = await this.#withDeadline(action(), this.#options.timeoutMs);
      this.#circuit.succeeded();
      return answer;
    } catch (error) {
      if (error instanceof StoreFailure) this.#circuit.failed(error.message);
      throw error;
    }
  }

  #withDeadline<T>(answer: Promise<T>, timeoutMs: number): Promise<T> {
    const { after } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const late = (): void => reject(new StoreFailure(`no answer within ${timeoutMs} ms`));
    // one more turn: when this process itself was busy, the answer is in its socket already
    let cancel = after(timeoutMs, () => {
      cancel = after(0, late);
    });
    answer.then(resolve, reject).finally(() => cancel());
    return promise;
  }

  async #recover(close: () => void): Promise<void> {
    await this.#withDeadline(this.#options.shared.verify(), RECOVERY_STEP_MS);
    // whoever is answered between the end of one attempt and the next look is brought too
    do await this.#bring();
    while (this.#unmerged.size > 0);
    close();
  }

  /** Brings the store what it missed, oldest first, until nothing is left. One attempt at a time. */
  #bring(): Promise<void> {
    this.#bringing ??= this.#bringAll().finally(() => {
      this.#bringing = undefined;
    });
    return this.#bringing;
  }

  async #bringAll(): Promise<void> {
    for (;;) {
      const step = this.#nextStep();
      if (step === undefined) return;
      await this.#withDeadline(step.run(), RECOVERY_STEP_MS);
      step.done();
    }
  }

  /** Admissions first: nothing can be settled or extended that the store does not know. */
  #nextStep(): { readonly run: () => Promise<unknown>; readonly done: () => void } | undefined {
    const { shared, now } = this.#options;
    const unmerged = this.#unmerged;
    const admissions = unmerged.admissions(MERGE_STEP);
    if (admissions.length > 0) {
      return { run: () => shared.merge(admissions), done: () => unmerged.merged(admissions) };
    }
    const [decisionId, until] = unmerged.extension() ?? [];
    if (decisionId !== undefined && until !== undefined) {
      return {
        run: () => shared.extend(decisionId, now(), Math.max(0, until - now())),
        done: () => unmerged.extended(decisionId),
      };
    }
    const settlement = unmerged.settlement();
    if (settlement === undefined) return undefined;
    return { run: () => shared.settle(settlement), done: () => unmerged.settled(settlement) };
  }

  #unavailable(cause?: unknown): AppError {
    return new AppError('STORE_UNAVAILABLE', 'the shared store of limits does not answer', {
      retryAfterSeconds: Math.ceil(this.#circuit.pauseMs / 1000),
      cause: cause ?? new Error(this.#circuit.reason),
    });
  }
}

const DEFERRED: SettlementResult = { state: 'deferred', charges: [], journal: undefined };

/** At least 1 of what is at least 1. */
function partOf(amount: number, servers: number): number {
  return amount === 0 ? 0 : Math.max(1, Math.floor(amount / servers));
}
