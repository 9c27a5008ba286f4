/**
 * Names of keys in Redis. Invariants: all keys of one installation are in one slot of a cluster, so that every step is
 * atomic whatever it counts; no value of a request can choose another slot or another key, since the hash tag stands
 * first and what follows it is never parsed.
 */

export class LimitKeyNames {
  readonly #prefix: string;
  readonly clock: string;

  /** @param prefix small letters, digits and hyphens */
  constructor(prefix: string) {
    // the first braces are the hash tag (Redis Cluster specification); a brace in what follows means nothing
    this.#prefix = `{${prefix}}:`;
    this.clock = `${this.#prefix}clock`;
  }

  decision(decisionId: string): string {
    return `${this.#prefix}d:${decisionId}`;
  }

  counter(key: string): string {
    return `${this.#prefix}c:${key}`;
  }

  /** What is held under the key of a counter. */
  holds(key: string): string {
    return `${this.#prefix}h:${key}`;
  }
}
