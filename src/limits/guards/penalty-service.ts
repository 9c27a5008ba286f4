/**
 * Blocks as the service keeps them: begun by violations, kept over restarts, shown, lifted. Invariants: a block counts
 * at once and is durable soon after; one that is lifted is forgotten durably before that is answered; changes of the
 * store follow each other in the order in which they were made.
 */
import { type Clock, type IdSource, timestamp } from '../../domain/clock.ts';
import { AppError } from '../../domain/errors.ts';
import type { EventEntry } from '../../domain/log-entry.ts';
import type { Penalty, PenaltyBox, PenaltyKind } from './penalties.ts';
import type { PenaltyStore } from './penalty-store.ts';

/** For how long the store keeps blocks that are over: doublings that are older do not survive a start. Milliseconds. */
const KEPT_MS = 90 * 86_400_000;

export interface PenaltyServiceOptions {
  readonly box: PenaltyBox;
  readonly store: PenaltyStore;
  readonly clock: Pick<Clock, 'now'>;
  readonly ids: IdSource;
  /** Called after a change and its event are durable: carries the event to the log. Never rejects. */
  readonly announce: (event: EventEntry) => Promise<void>;
  /** Owner of a principal, by the key of its uid. */
  readonly tenantOf: (principal: string) => string | undefined;
  /** What the log calls an address at an instant: it names none. */
  readonly nameOfAddress: (address: string, time: number) => string;
  /** A block could not be kept: it counts until the next start. Must not throw. */
  readonly onFailure: (error: unknown) => void;
}

/** Who looks: undefined tenants are all of them. */
export interface PenaltyViewer {
  readonly tenants: ReadonlySet<string> | undefined;
}

/** Where a page ends: after so many of the blocks that end at this instant. It names nobody. */
export interface PenaltyPosition {
  /** Milliseconds since the epoch. */
  readonly until: number;
  readonly passed: number;
}

/** One page of blocks. */
export interface PenaltyPage {
  readonly items: readonly Penalty[];
  /** Undefined on the last page. */
  readonly next: PenaltyPosition | undefined;
}

export class PenaltyService {
  readonly #options: PenaltyServiceOptions;
  /** The last change of the store, failed or not. */
  #tail: Promise<unknown> = Promise.resolve();

  constructor(options: PenaltyServiceOptions) {
    this.#options = options;
  }

  /** Reads what the store kept. Rejects with AppError STORE_UNAVAILABLE. */
  async load(): Promise<void> {
    const { store, box } = this.#options;
    for (const penalty of await store.load()) box.restore(penalty);
  }

  /** Keeps a block that has begun. Returns at once; what goes wrong is reported. */
  begun(penalty: Penalty): void {
    const { store, announce, onFailure } = this.#options;
    const event = this.#event('penalty.block', penalty, 'system', {
      limit: penalty.limit,
      level: penalty.level,
      until: timestamp(penalty.until),
    });
    void this.#queue(() => store.save(penalty, penalty.since - KEPT_MS, event)).then(
      () => announce(event),
      onFailure,
    );
  }

  /** The blocks that a viewer may see, those that end first in front. */
  page(viewer: PenaltyViewer, limit: number, after?: PenaltyPosition): PenaltyPage {
    const { box, clock } = this.#options;
    const visible = box.list(clock.now()).filter(penalty => this.#isVisible(penalty, viewer));
    const start = after === undefined ? 0 : startAfter(visible, after);
    const items = visible.slice(start, start + limit);
    const last = items.at(-1);
    if (last === undefined || visible.length <= start + limit) return { items, next: undefined };
    const same = visible.slice(0, start + limit).filter(({ until }) => until === last.until);
    return { items, next: { until: last.until, passed: same.length } };
  }

  /**
   * Ends a block, with what led to it.
   * @throws AppError NOT_FOUND when there is none, STORE_UNAVAILABLE; then nothing has changed
   */
  async lift({ kind, id }: Pick<Penalty, 'kind' | 'id'>, reason: string, actor: string): Promise<Penalty> {
    const { box, store, clock, announce } = this.#options;
    const penalty = box.blocked(kind, id, clock.now());
    if (penalty === undefined) throw new AppError('NOT_FOUND', 'there is no such block');
    const event = this.#event('penalty.lift', penalty, actor, {
      reason,
      level: penalty.level,
      until: timestamp(penalty.until),
    });
    await this.#queue(() => store.remove(kind, id, event));
    // durable: a restart does not bring it back
    const now = clock.now();
    if (box.blocked(kind, id, now)?.since === penalty.since) box.lift(kind, id, now);
    await announce(event);
    return penalty;
  }

  /** Forgets a principal that was erased: the store has, with its erasure. */
  forgetPrincipal(key: string): void {
    this.#options.box.forget('principal', key);
  }

  /** How many blocks of a kind last, by kind. */
  counts(): Readonly<Record<PenaltyKind, number>> {
    const { box, clock } = this.#options;
    const counts = { principal: 0, address: 0 };
    for (const { kind } of box.list(clock.now())) counts[kind] += 1;
    return counts;
  }

  /** Resolves when every change so far is durable or has failed. */
  async close(): Promise<void> {
    await this.#tail;
  }

  #isVisible({ kind, id }: Penalty, { tenants }: PenaltyViewer): boolean {
    if (tenants === undefined) return true;
    const tenant = kind === 'principal' ? this.#options.tenantOf(id) : undefined;
    return tenant !== undefined && tenants.has(tenant);
  }

  #queue<T>(change: () => Promise<T>): Promise<T> {
    const done = this.#tail.then(change);
    this.#tail = done.catch(() => undefined);
    return done;
  }

  #event(
    kind: 'penalty.block' | 'penalty.lift',
    penalty: Penalty,
    actor: string,
    details: EventEntry['details'],
  ): EventEntry {
    const { clock, ids, nameOfAddress, tenantOf } = this.#options;
    const time = clock.now();
    const isPrincipal = penalty.kind === 'principal';
    const tenant = isPrincipal ? tenantOf(penalty.id) : undefined;
    return {
      kind,
      id: ids.next(),
      time,
      actor,
      ...(tenant === undefined ? {} : { tenant }),
      // the log names neither: it writes a pseudonym for the key of a principal
      subject: isPrincipal ? penalty.id : nameOfAddress(penalty.id, time),
      details: { of: penalty.kind, ...details },
    };
  }
}

/** @param blocks in the order of their ends */
function startAfter(blocks: readonly Penalty[], { until, passed }: PenaltyPosition): number {
  const first = blocks.findIndex(block => block.until >= until);
  if (first === -1) return blocks.length;
  const same = blocks.filter(block => block.until === until).length;
  return first + Math.min(passed, same);
}
