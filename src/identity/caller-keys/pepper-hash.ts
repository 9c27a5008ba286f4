/**
 * Keyed hashes of callers' keys under versioned peppers. Invariants: whoever reads the store without the peppers can
 * neither check a key nor make one; a key is hashed under the pepper of its own version, however many there are.
 *
 * What is hashed is the SHA-256 of the key, so that a report of a leak may name a key by its digest alone.
 */
import { createHmac, createSecretKey, hash, type KeyObject } from 'node:crypto';

/** Fewest bytes of a pepper: those of the hash. */
export const MIN_PEPPER_BYTES = 32;

export class PepperHasher {
  readonly #peppers: ReadonlyMap<number, KeyObject>;
  /** The version for new keys: the greatest. */
  readonly newest: number;

  /** @param peppers by version, each at least MIN_PEPPER_BYTES long; kept outside the store */
  constructor(peppers: ReadonlyMap<number, Uint8Array>) {
    if (peppers.size === 0) throw new Error('there is no pepper');
    for (const [version, pepper] of peppers) {
      if (pepper.length < MIN_PEPPER_BYTES) {
        throw new Error(`pepper ${version} has fewer than ${MIN_PEPPER_BYTES} bytes`);
      }
    }
    this.#peppers = new Map([...peppers].map(([version, pepper]) => [version, createSecretKey(pepper)]));
    this.newest = Math.max(...peppers.keys());
  }

  get versions(): readonly number[] {
    return [...this.#peppers.keys()];
  }

  has(version: number): boolean {
    return this.#peppers.has(version);
  }

  /** @param digest SHA-256 of a key. A version that is gone is answered like the newest one, in the same time. */
  hash(digest: Uint8Array, version: number): Buffer {
    const pepper = this.#peppers.get(version) ?? this.#peppers.get(this.newest);
    if (pepper === undefined) throw new Error('there is no pepper');
    return createHmac('sha256', pepper).update(digest).digest();
  }
}

/** SHA-256 of the text of a key. */
export function digestOf(token: string): Buffer {
  return Buffer.from(digestText(token), 'latin1');
}

/** The same, one character for each byte: on the way of each decision, where a buffer costs five times as much. */
export function digestText(token: string): string {
  return hash('sha256', token, 'binary');
}
