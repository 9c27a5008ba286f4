/**
 * Failed authentications as log entries, counted by the minute (minute-counts.ts). Invariant: an entry names neither
 * a credential nor an address.
 *
 * Entry: kind `auth.failed`, actor `anonymous`, subject a name of the source (an address may be a person's), details
 * `{"cause", "count", "minute": start of the minute in ms, "summary": false for the first failure, true for the rest}`.
 */
import { MinuteCounts, type MinuteCountOptions, OTHERS } from './minute-counts.ts';

/** Longest cause, in characters. */
const MAX_CAUSE = 64;

export interface AuthFailure {
  /** Address of the client, as the listener or a trusted proxy says. */
  readonly address: string;
  /** What was wrong, from a closed set of words: never the credential. */
  readonly cause: string;
}

interface Source {
  readonly source: string;
  readonly cause: string;
}

export interface AuthFailureOptions extends Pick<MinuteCountOptions<Source>, 'log' | 'clock' | 'ids'> {
  /**
   * What a leaf calls a source, at `time` in milliseconds; called for the first failure of a source and cause in a
   * minute and for their summary.
   */
  readonly nameOf: (source: string, cause: string, time: number) => string;
}

export class AuthFailureRecorder {
  readonly #counts: MinuteCounts<Source>;

  constructor({ log, clock, ids, nameOf }: AuthFailureOptions) {
    this.#counts = new MinuteCounts({
      log,
      clock,
      ids,
      describe: (from, counted, time) => ({
        kind: 'auth.failed',
        actor: 'anonymous',
        subject: from === undefined ? OTHERS : nameOf(from.source, from.cause, time),
        details: { cause: from?.cause ?? OTHERS, ...counted },
      }),
    });
  }

  /** Writes summaries at the end of each minute from now on. */
  start(): void {
    this.#counts.start();
  }

  /** Counts a failure; returns at once and never throws, so that a refusal costs its sender nothing to wait for. */
  record({ address, cause }: AuthFailure): void {
    const from = { source: sourceOf(address), cause: cause.slice(0, MAX_CAUSE) };
    this.#counts.record(`${from.source} ${from.cause}`, from);
  }

  /** Writes the summaries of minutes that are over. Resolves when they are durable or put back. */
  flush(): Promise<void> {
    return this.#counts.flush();
  }

  /** Writes every summary, that of the running minute too. */
  close(): Promise<void> {
    return this.#counts.close();
  }
}

/** Longest address that is taken as it is. */
const MAX_ADDRESS = 64;

/**
 * What counts as one source: an IPv4 address, or the /64 of an IPv6 address, since whoever has one address of it
 * has them all. Anything else is one source by its first characters.
 */
export function sourceOf(address: string): string {
  const bare = address
    .toLowerCase()
    .replace(/%.*$/, '')
    .replace(/^::ffff:(?=\d+\.)/, '');
  if (!bare.includes(':')) return bare.slice(0, MAX_ADDRESS) || 'unknown';
  const [head = '', tail] = bare.split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const gap = tail === undefined ? 0 : Math.max(0, 8 - front.length - back.length);
  const groups = [...front, ...Array.from({ length: gap }, () => '0'), ...back];
  const network = groups.slice(0, 4).map(group => group.replace(/^0+(?=.)/, ''));
  return `${network.join(':').slice(0, MAX_ADDRESS)}::/64`;
}
