/**
 * The keys of callers in memory, by id: verification touches no store and costs the same however many there are.
 * Invariants: unknown and known ids cost the same work; revocation, expiry and supersession count from the next
 * verification on.
 */
import type { CallerKey, CallerKeyUse, CallerNarrowing } from '../../domain/caller-key.ts';
import type { Clock } from '../../domain/clock.ts';
import { idIn, readKey } from '../key-format.ts';
import { HASH_BYTES, sameHash } from '../key-hash.ts';
import { sameText } from '../proven-key.ts';
import type { KeyCause } from './key-cause.ts';
import { digestText, type PepperHasher } from './pepper-hash.ts';

/** Characters of every key: longer or shorter texts are not looked at. */
const KEY_LENGTH = 70;

/** A key as it is compared. It is replaced, never changed, but for its last use and what was proven of it. */
export interface KeyEntry {
  readonly key: CallerKey;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
  readonly notBefore: number;
  /** undefined: the key is as wide as its owner. */
  readonly narrowing: CallerNarrowing | undefined;
  lastUse: CallerKeyUse | undefined;
  /** SHA-256 of the key since it was verified in full, as `digestText` has it; never written anywhere. */
  proven: string | undefined;
}

export type KeyVerification =
  | { readonly entry: KeyEntry; readonly cause?: undefined }
  /** `id`: what the key names itself, where it has the form of one. */
  | { readonly entry?: undefined; readonly cause: KeyCause; readonly id?: string };

export class CallerKeyTable {
  readonly #hasher: PepperHasher;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #entries = new Map<string, KeyEntry>();
  /** Compared with when the id is unknown. Nothing hashes to zeros. */
  readonly #nobody = Buffer.alloc(HASH_BYTES).toString('base64url');

  constructor(hasher: PepperHasher, clock: Pick<Clock, 'now'>) {
    this.#hasher = hasher;
    this.#clock = clock;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** In the order in which the keys were made. */
  get entries(): IterableIterator<KeyEntry> {
    return this.#entries.values();
  }

  find(id: string): KeyEntry | undefined {
    return this.#entries.get(id);
  }

  /** Adds a key, or puts a changed one in the place of the old. Counts from the next verification on. */
  put(key: CallerKey, lastUse = this.#entries.get(key.id)?.lastUse): void {
    const { scopes, networks, expiresAt, notBefore } = key;
    this.#entries.set(key.id, {
      key,
      expiresAt: Date.parse(expiresAt),
      notBefore: notBefore === undefined ? Number.NEGATIVE_INFINITY : Date.parse(notBefore),
      narrowing: scopes.length + networks.length === 0 ? undefined : { scopes, networks },
      lastUse,
      proven: undefined,
    });
  }

  drop(id: string): void {
    this.#entries.delete(id);
  }

  /** Whether a key works now. */
  isActive({ key, expiresAt }: KeyEntry): boolean {
    return key.revoked === undefined && this.#clock.now() < expiresAt;
  }

  verify(token: string): KeyVerification {
    if (token.length !== KEY_LENGTH) return { cause: 'key_malformed' };
    const id = idIn(token);
    const entry = this.#entries.get(id);
    const digest = digestText(token);
    // the same text again: its digest spares all that was found out then, and only for whoever holds the key
    if (entry?.proven === undefined || !sameText(digest, entry.proven)) {
      return this.#prove(token, digest, entry);
    }
    return this.#standing(entry);
  }

  /** Verifies a text in full. @param entry the one that its id names */
  #prove(token: string, digest: string, entry: KeyEntry | undefined): KeyVerification {
    const reading = readKey(token, 'dmc');
    if (reading.kind !== 'key') {
      return { cause: reading.kind === 'checksum' ? 'key_checksum' : 'key_malformed' };
    }
    const { id } = reading;
    const hash = this.#hasher.hash(Buffer.from(digest, 'latin1'), entry?.key.pepper ?? this.#hasher.newest);
    const matches = sameHash(hash, Buffer.from(entry?.key.hash ?? this.#nobody, 'base64url'));
    if (entry === undefined) return { cause: 'key_unknown', id };
    if (!this.#hasher.has(entry.key.pepper)) return { cause: 'key_pepper', id };
    if (!matches) return { cause: 'key_mismatch', id };
    entry.proven = digest;
    return this.#standing(entry);
  }

  #standing(entry: KeyEntry): KeyVerification {
    const cause = this.#objection(entry);
    return cause === undefined ? { entry } : { cause, id: entry.key.id };
  }

  /**
   * Keys by SHA-256 digests of their texts, whatever has become of them since; undefined for what was no key.
   * Cost: one pass over all keys, whatever the number of digests.
   */
  recogniseDigests(digests: readonly Uint8Array[]): readonly (KeyEntry | undefined)[] {
    const byHash = new Map([...this.#entries.values()].map(entry => [entry.key.hash, entry]));
    return digests.map(digest => {
      for (const version of this.#hasher.versions) {
        const entry = byHash.get(this.#hasher.hash(digest, version).toString('base64url'));
        if (entry?.key.pepper === version) return entry;
      }
      return undefined;
    });
  }

  /** What has become of a key that was proven. */
  #objection({ key, expiresAt, notBefore }: KeyEntry): KeyCause | undefined {
    if (key.revoked !== undefined) return 'key_revoked';
    const now = this.#clock.now();
    if (now >= expiresAt) return 'key_expired';
    return now < notBefore ? 'key_not_yet' : undefined;
  }
}
