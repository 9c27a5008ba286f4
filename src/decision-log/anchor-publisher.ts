/**
 * Publishes the newest checkpoint to every anchor at a steady pace. Invariants: an anchor that fails or hangs delays
 * no other one and no decision; it is tried again sooner than the next round; nothing but a signed checkpoint of
 * durable entries is ever handed out.
 */
import type { Clock } from '../domain/clock.ts';
import { messageOf } from '../domain/errors.ts';
import { AnchorConflict, type AnchorTarget } from './anchor.ts';
import type { DecisionLog, SignedCheckpoint } from './ports.ts';
import type { Timers } from './timers.ts';

/** Longest time for one attempt at one anchor, in milliseconds. */
export const ATTEMPT_MS = 10_000;
/** Pause after a first failed attempt, in milliseconds; it doubles up to the interval. */
export const RETRY_MIN_MS = 1_000;
/** Doublings after which the pause grows no more: far beyond any interval. */
const MAX_DOUBLINGS = 16;
/** Longest time for the last round when the service stops, in milliseconds. */
export const CLOSE_MS = 3_000;

/** How things stand with one anchor. */
export interface AnchorStatus {
  readonly name: string;
  /** Seconds since it last took a checkpoint; undefined: not since the start of the process. */
  readonly ageSeconds: number | undefined;
  /** Seconds since it last took one, or since the start of the process. */
  readonly waitingSeconds: number;
  /** Entries of the checkpoint that it took last. */
  readonly size: number | undefined;
  /** Failed attempts since the start of the process. */
  readonly failures: number;
  /** Why the last attempt failed; undefined: it did not. */
  readonly problem: string | undefined;
}

/** A checkpoint with what witnesses signed under it. */
export interface CosignedCheckpoint {
  readonly checkpoint: SignedCheckpoint;
  /** The note of the log, followed by the signature lines of the witnesses. */
  readonly note: string;
  /** Names of the anchors that cosigned. */
  readonly witnesses: readonly string[];
}

/** Hears what happens; for the service's log and events. Must not throw. */
export interface AnchorObserver {
  /** @param first it worked before */
  failed(target: string, problem: string, first: boolean): void;
  recovered(target: string): void;
  /** The log contradicts what the anchor holds. Said once for each anchor. */
  conflict(conflict: AnchorConflict): void;
  /** The newest cosigned checkpoint changed. */
  cosigned(checkpoint: CosignedCheckpoint): void;
}

export interface PublisherOptions {
  readonly log: Pick<DecisionLog, 'signCheckpoint'>;
  readonly targets: readonly AnchorTarget[];
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly observer: AnchorObserver;
  /** What witnesses cosigned before this process started. */
  readonly kept?: CosignedCheckpoint | undefined;
}

/** One anchor and what was seen of it. Mutable. */
interface Seat {
  readonly target: AnchorTarget;
  /** Milliseconds of the monotonic clock. */
  publishedAt: number | undefined;
  size: number | undefined;
  failures: number;
  /** In a row. */
  failing: number;
  problem: string | undefined;
  conflicted: boolean;
  attempt: Promise<void> | undefined;
  cancelRetry: (() => void) | undefined;
}

/** One checkpoint on its way to the anchors, and what came back. Mutable. */
interface Round {
  readonly checkpoint: SignedCheckpoint;
  /** Cosignature lines by anchor. */
  readonly lines: Map<string, readonly string[]>;
  /** Every anchor answered, failed, or was still busy. */
  settled: boolean;
}

export class AnchorPublisher {
  readonly #options: PublisherOptions;
  readonly #seats: readonly Seat[];
  readonly #since: number;
  readonly #stopping = new AbortController();
  #cancelRound: (() => void) | undefined;
  #signing = false;
  #newest: Round | undefined;
  #cosigned: CosignedCheckpoint | undefined;
  #closed = false;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#since = options.clock.monotonic();
    this.#cosigned = options.kept;
    this.#seats = options.targets.map(target => ({
      target,
      publishedAt: undefined,
      size: undefined,
      failures: 0,
      failing: 0,
      problem: undefined,
      conflicted: false,
      attempt: undefined,
      cancelRetry: undefined,
    }));
  }

  /** Publishes now and at every interval from now on. */
  start(): void {
    if (this.#closed) return;
    this.#cancelRound = this.#options.timers.after(this.#options.intervalMs, () => this.start());
    void this.publish();
  }

  /**
   * One round: signs the newest checkpoint and offers it to every anchor. Resolves when each has answered, failed
   * or run out of time; never rejects.
   */
  async publish(): Promise<void> {
    // a log that cannot sign must not gather rounds that wait for it
    if (this.#signing) return;
    this.#signing = true;
    let round: Round;
    try {
      round = { checkpoint: await this.#options.log.signCheckpoint(), lines: new Map(), settled: false };
    } catch (error) {
      for (const seat of this.#seats) this.#fail(seat, `no checkpoint could be signed: ${messageOf(error)}`);
      return;
    } finally {
      this.#signing = false;
    }
    this.#newest = round;
    await Promise.all(this.#seats.map(seat => this.#offer(seat, round)));
    round.settled = true;
    this.#showCosigned(round);
  }

  /**
   * The newest checkpoint that a witness cosigned, with all cosignatures that it has; undefined: none yet. A round
   * shows its own only when every witness answered or failed, so that a quorum does not come and go.
   */
  get cosigned(): CosignedCheckpoint | undefined {
    return this.#cosigned;
  }

  /** In the order of the targets. */
  get status(): readonly AnchorStatus[] {
    const now = this.#options.clock.monotonic();
    return this.#seats.map(({ target, publishedAt, size, failures, problem }) => ({
      name: target.name,
      ageSeconds: publishedAt === undefined ? undefined : Math.max(0, now - publishedAt) / 1000,
      waitingSeconds: Math.max(0, now - (publishedAt ?? this.#since)) / 1000,
      size,
      failures,
      problem,
    }));
  }

  /** Publishes what was logged last, the stop included, as far as that takes no longer than CLOSE_MS. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelRound?.();
    for (const { cancelRetry } of this.#seats) cancelRetry?.();
    const { promise: late, resolve } = Promise.withResolvers<undefined>();
    const cancel = this.#options.timers.after(CLOSE_MS, () => resolve(undefined));
    await Promise.race([late, this.#lastRound()]);
    cancel();
    this.#stopping.abort(new Error('the service stops'));
  }

  /** What is under way holds an earlier checkpoint: the last one comes after it. */
  async #lastRound(): Promise<void> {
    await Promise.all(this.#seats.map(({ attempt }) => attempt ?? Promise.resolve()));
    if (!this.#stopping.signal.aborted) await this.publish();
  }

  /** One attempt at a time: an anchor that hangs gets no second one before the first has ended. */
  #offer(seat: Seat, round: Round): Promise<void> {
    seat.cancelRetry?.();
    seat.cancelRetry = undefined;
    if (seat.attempt !== undefined) return Promise.resolve();
    const timeout = new AbortController();
    const { promise: late, resolve } = Promise.withResolvers<undefined>();
    const cancel = this.#options.timers.after(ATTEMPT_MS, () => {
      const problem = `no answer within ${ATTEMPT_MS / 1000} s`;
      timeout.abort(new Error(problem));
      this.#fail(seat, problem);
      resolve(undefined);
    });
    const signal = AbortSignal.any([timeout.signal, this.#stopping.signal]);
    seat.attempt = seat.target
      .publish(round.checkpoint, signal)
      .then(
        lines => this.#succeed(seat, round, lines),
        (error: unknown) => {
          if (!timeout.signal.aborted) this.#refused(seat, error);
        },
      )
      .finally(() => {
        cancel();
        seat.attempt = undefined;
      });
    return Promise.race([late, seat.attempt]);
  }

  #succeed(seat: Seat, round: Round, lines: readonly string[]): void {
    seat.publishedAt = this.#options.clock.monotonic();
    seat.size = round.checkpoint.size;
    seat.problem = undefined;
    if (seat.failing > 0) this.#options.observer.recovered(seat.target.name);
    seat.failing = 0;
    if (lines.length === 0) return;
    round.lines.set(seat.target.name, lines);
    if (round.settled) this.#showCosigned(round);
  }

  #refused(seat: Seat, error: unknown): void {
    this.#fail(seat, messageOf(error));
    if (!(error instanceof AnchorConflict) || seat.conflicted) return;
    seat.conflicted = true;
    this.#options.observer.conflict(error);
  }

  #fail(seat: Seat, problem: string): void {
    const { intervalMs, timers, observer } = this.#options;
    seat.failures++;
    seat.failing++;
    seat.problem = problem;
    observer.failed(seat.target.name, problem, seat.failing === 1);
    if (this.#closed) return;
    const pause = Math.min(intervalMs, RETRY_MIN_MS * 2 ** Math.min(seat.failing - 1, MAX_DOUBLINGS));
    seat.cancelRetry?.();
    seat.cancelRetry = timers.after(pause, () => {
      if (this.#newest !== undefined) void this.#offer(seat, this.#newest);
    });
  }

  #showCosigned({ checkpoint, lines }: Round): void {
    if (lines.size === 0 || checkpoint.size < (this.#cosigned?.checkpoint.size ?? 0)) return;
    const note =
      checkpoint.note + [...lines.values()].flatMap(each => each.map(line => `${line}\n`)).join('');
    this.#cosigned = { checkpoint, note, witnesses: [...lines.keys()] };
    this.#options.observer.cosigned(this.#cosigned);
  }
}
