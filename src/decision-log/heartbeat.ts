/**
 * An entry at a steady pace, so that silence in the log is visible: a stretch without one means that the service
 * was not running or that entries are missing. Invariant: nothing waits for a heartbeat, least of all the shutdown.
 */
import type { Clock, IdSource } from '../domain/clock.ts';
import type { EventEntry, StoreChanges } from '../domain/log-entry.ts';
import type { AnchorStatus } from './anchor-publisher.ts';
import type { DecisionLog } from './ports.ts';
import type { Timers } from './timers.ts';

/** Longest name of an anchor in an entry, in characters: all of them together stay far below a leaf's limit. */
const MAX_NAME = 200;
/** How long a beat waits for what the databases have, in milliseconds. */
const CHANGES_WAIT_MS = 5_000;

export interface HeartbeatOptions {
  readonly log: Pick<DecisionLog, 'append' | 'size'>;
  readonly everySeconds: number;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly ids: IdSource;
  readonly anchors: () => readonly AnchorStatus[];
  /** What the databases have, for the entry to name. Its failure costs the entry that and nothing else. */
  readonly changes: () => Promise<StoreChanges>;
  /** Hears of entries that the log refused. */
  readonly onRefused: (error: unknown) => void;
}

export class Heartbeat {
  readonly #options: HeartbeatOptions;
  #cancel: (() => void) | undefined;
  #next = 0;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
  }

  /** Beats every `everySeconds` from now on, the first time after one such period. */
  start(): void {
    this.#next = this.#options.clock.monotonic();
    this.#schedule();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** Aims at multiples of the period after the start, so that delays do not add up. */
  #schedule(): void {
    const { clock, everySeconds, timers } = this.#options;
    const now = clock.monotonic();
    const period = everySeconds * 1000;
    this.#next += period;
    // after a suspension the beats that were missed stay missed: the gap is the message
    if (this.#next <= now) this.#next = now + period;
    this.#cancel = timers.after(this.#next - now, () => {
      this.#beat();
      this.#schedule();
    });
  }

  #beat(): void {
    const { log, onRefused } = this.#options;
    this.#changes()
      .then(async stores => {
        // stopped meanwhile
        if (this.#cancel !== undefined) await log.append(this.#entry(stores));
      })
      .catch(onRefused);
  }

  /** A database that is long in answering, such as one that is rewritten, does not hold up the beat. */
  async #changes(): Promise<StoreChanges | undefined> {
    const late = Promise.withResolvers<undefined>();
    const cancel = this.#options.timers.after(CHANGES_WAIT_MS, () => late.resolve(undefined));
    try {
      return await Promise.race([this.#options.changes(), late.promise]);
    } catch {
      return undefined;
    } finally {
      cancel();
    }
  }

  #entry(stores: StoreChanges | undefined): EventEntry {
    const { log, clock, ids, everySeconds, anchors } = this.#options;
    return {
      ...(stores === undefined ? {} : { stores }),
      kind: 'log.heartbeat',
      id: ids.next(),
      time: clock.now(),
      actor: 'system',
      subject: 'log',
      details: {
        size: log.size,
        everySeconds,
        anchors: anchors().map(({ name, ageSeconds, size }) => ({
          anchor: name.slice(0, MAX_NAME),
          ageSeconds: ageSeconds === undefined ? null : Math.round(ageSeconds),
          size: size ?? null,
        })),
      },
    };
  }
}
