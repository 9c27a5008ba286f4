/**
 * When and from where keys were used last. Invariants: a use costs the decision no write and no wait; the store hears
 * of all uses of a minute in one transaction, once a minute at most; of an address its network alone is kept.
 */
import { isIP } from 'node:net';
import type { CallerKeyUse } from '../../domain/caller-key.ts';
import type { Clock } from '../../domain/clock.ts';
import type { KeyEntry } from './key-table.ts';
import type { CallerKeyStore } from './ports.ts';

const MINUTE_MS = 60_000;

/** Timers as a value to be injected. */
export interface UseTimers {
  /** Runs `action` once after so many milliseconds, unless the returned function is called before. */
  after(ms: number, action: () => void): () => void;
}

export interface LastUseOptions {
  readonly store: Pick<CallerKeyStore, 'recordUses'>;
  readonly clock: Pick<Clock, 'now'>;
  readonly timers: UseTimers;
  /** Hears of uses that could not be written and are tried again. Must not throw. */
  readonly failed: (error: unknown) => void;
}

export class LastUse {
  readonly #options: LastUseOptions;
  /** Uses that the store has not heard of, by key: at most one for each. */
  #pending = new Map<string, CallerKeyUse>();
  #cancel: (() => void) | undefined;
  #writing: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: LastUseOptions) {
    this.#options = options;
  }

  /** @param address as the gateway names it; undefined: it names none */
  note(entry: KeyEntry, address: string | undefined): void {
    const minute = Math.floor(this.#options.clock.now() / MINUTE_MS);
    // the first use of a minute stands for all of it, and a clock that went back tells nothing new
    if (entry.lastUse !== undefined && entry.lastUse.minute >= minute) return;
    const { id } = entry.key;
    const network = address === undefined ? undefined : networkOf(address);
    const use = { id, minute, ...(network === undefined ? {} : { network }) };
    entry.lastUse = use;
    this.#pending.set(id, use);
    this.#writeLater();
  }

  /** Writes what is pending. Never rejects: what could not be written is tried again a minute later. */
  flush(): Promise<void> {
    const uses = this.#pending;
    if (uses.size === 0) return this.#writing;
    this.#pending = new Map();
    this.#writing = this.#writing.then(() => this.#write(uses));
    return this.#writing;
  }

  /** Writes what is pending, for the last time; what cannot be written now is lost. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.flush();
  }

  #writeLater(): void {
    if (this.#closed) return;
    this.#cancel ??= this.#options.timers.after(MINUTE_MS, () => {
      this.#cancel = undefined;
      void this.flush();
    });
  }

  async #write(uses: ReadonlyMap<string, CallerKeyUse>): Promise<void> {
    try {
      await this.#options.store.recordUses([...uses.values()]);
    } catch (error) {
      this.#pending = new Map([...uses, ...this.#pending]);
      this.#options.failed(error);
      this.#writeLater();
    }
  }
}

/** /24 of an IPv4 address, /48 of an IPv6 address; undefined when the text is no address. */
export function networkOf(address: string): string | undefined {
  const bare = address.replace(/^::ffff:(?=\d+\.)/i, '');
  if (isIP(bare) === 4) return `${bare.slice(0, bare.lastIndexOf('.'))}.0/24`;
  if (isIP(bare) !== 6) return undefined;
  const [head = '', tail] = bare.toLowerCase().replace(/%.*$/, '').split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  // an embedded IPv4 address stands for two groups
  const written = front.length + back.length + (bare.includes('.') ? 1 : 0);
  const zeros = tail === undefined ? 0 : 8 - written;
  const groups = [...front, ...Array.from({ length: zeros }, () => '0'), ...back].slice(0, 3);
  return `${groups.map(group => group.replace(/^0+(?=.)/, '')).join(':')}::/48`;
}
