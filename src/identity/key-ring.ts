/**
 * The keys in memory, by id: authentication touches no store. Invariants: unknown and known ids cost the same
 * work; expiry and revocation count from the next request on, also on a connection that proved its key before.
 */
import type { Clock } from '../domain/clock.ts';
import type { ApiKey, Credential } from '../domain/credential.ts';
import { readKey } from './key-format.ts';
import { HASH_BYTES, type KeyHasher, sameHash } from './key-hash.ts';
import { ProvenKey } from './proven-key.ts';

/** Longest token that is looked at, in characters: twice the longest that can be right. */
const MAX_TOKEN_LENGTH = 1024;
/** Id of the key that `DURAMEN_BOOTSTRAP_KEY` sets; such a key need not have the form of a generated one. */
export const BOOTSTRAP_KEY_ID = 'bootstrap';

export type AuthFailureCause =
  | 'missing'
  | 'scheme'
  | 'malformed'
  | 'checksum'
  | 'unknown'
  | 'mismatch'
  | 'expired'
  | 'revoked';

export interface AuthFailure {
  readonly cause: AuthFailureCause;
  /** Id that the presented key names; it proves nothing unless the cause is `expired` or `revoked`. */
  readonly keyId?: string;
}

export type Authentication =
  | { readonly credential: Credential; readonly failure?: undefined }
  | { readonly credential?: undefined; readonly failure: AuthFailure };

/** A key as it is compared. It is replaced, never changed: whoever holds one can tell that the key changed. */
interface Entry {
  readonly key: ApiKey;
  readonly hash: Uint8Array;
  /** Milliseconds since the epoch; Infinity: never. */
  readonly expiresAt: number;
  readonly authentication: Authentication;
}

/** What a connection remembers between its requests; a new one knows nothing. */
export type ConnectionMemory = ProvenKey<Entry>;

export function rememberNothing(): ConnectionMemory {
  return new ProvenKey();
}

/** Every key of the store, ready to be compared with what is presented. */
export class KeyRing {
  readonly #hasher: KeyHasher;
  readonly #clock: Clock;
  /** Compared with when the id is unknown, so that the answer takes as long. No token hashes to zeros. */
  readonly #nobody = new Uint8Array(HASH_BYTES);
  #entries: ReadonlyMap<string, Entry> = new Map();

  constructor(hasher: KeyHasher, clock: Clock) {
    this.#hasher = hasher;
    this.#clock = clock;
  }

  /** All keys, in the order in which they were given. */
  get keys(): readonly ApiKey[] {
    return [...this.#entries.values()].map(({ key }) => key);
  }

  find(id: string): ApiKey | undefined {
    return this.#entries.get(id)?.key;
  }

  /** Swaps the whole ring. */
  replace(keys: readonly ApiKey[]): void {
    this.#entries = new Map(keys.map(key => [key.id, entryOf(key)]));
  }

  /** Adds a key, or puts a changed one in the place of the old. */
  put(key: ApiKey): void {
    this.#entries = new Map(this.#entries).set(key.id, entryOf(key));
  }

  /** Whether a key works now: neither revoked nor expired. */
  isActive(key: ApiKey): boolean {
    return key.revokedAt === undefined && this.#clock.now() < expiryOf(key);
  }

  /**
   * Verifies a header in full, unless the connection proved the same text against an entry that still stands.
   * @param header the value of `Authorization`.
   * @param memory of the connection on which the header came, and of no other.
   */
  authenticate(header: string | undefined, memory = rememberNothing()): Authentication {
    const proven = header === undefined ? undefined : memory.recall(header);
    // any change of a key makes a new entry, revocation too, and then the text is verified anew
    if (proven !== undefined && this.#entries.get(proven.key.id) === proven) return this.#standing(proven);
    return this.#verify(header, memory);
  }

  #verify(header: string | undefined, memory: ConnectionMemory): Authentication {
    if (header === undefined || header === '') return { failure: { cause: 'missing' } };
    const token = bearerToken(header);
    if (token === undefined) return { failure: { cause: 'scheme' } };
    if (token.length > MAX_TOKEN_LENGTH) return { failure: { cause: 'malformed' } };
    const reading = readKey(token);
    const id = reading.kind === 'key' ? reading.id : BOOTSTRAP_KEY_ID;
    const entry = this.#entries.get(id);
    const matches = sameHash(this.#hasher.hash(token), entry?.hash ?? this.#nobody);
    if (entry === undefined || !matches) {
      if (reading.kind !== 'key') return { failure: { cause: reading.kind } };
      return { failure: { cause: entry === undefined ? 'unknown' : 'mismatch', keyId: id } };
    }
    memory.keep(header, entry);
    return this.#standing(entry);
  }

  /** Whether the proven key works now. */
  #standing(entry: Entry): Authentication {
    const { id, revokedAt } = entry.key;
    if (revokedAt !== undefined) return { failure: { cause: 'revoked', keyId: id } };
    if (this.#clock.now() >= entry.expiresAt) return { failure: { cause: 'expired', keyId: id } };
    return entry.authentication;
  }
}

/** The token of `Bearer <token>`; the scheme is case-insensitive (RFC 9110 §11.1). */
function bearerToken(header: string): string | undefined {
  if (header.length < 8 || header.slice(0, 7).toLowerCase() !== 'bearer ') return undefined;
  return header.slice(7).trim();
}

function entryOf(key: ApiKey): Entry {
  const hash = Buffer.from(key.hash, 'base64url');
  return { key, hash, expiresAt: expiryOf(key), authentication: { credential: credentialOf(key) } };
}

/** Who a key is when it is presented. */
export function credentialOf(key: Omit<ApiKey, 'hash'>): Credential {
  return {
    keyId: key.id,
    roles: new Set(key.roles),
    tenants: key.tenants === undefined ? undefined : new Set(key.tenants),
    mayAssert: key.mayAssert,
    ...(key.callers === undefined ? {} : { callers: key.callers }),
    ...(key.expiresAt === undefined ? {} : { expiresAt: Date.parse(key.expiresAt) }),
    ...(key.breakGlass === undefined ? {} : { breakGlass: key.breakGlass }),
  };
}

function expiryOf(key: Pick<ApiKey, 'expiresAt'>): number {
  return key.expiresAt === undefined ? Number.POSITIVE_INFINITY : Date.parse(key.expiresAt);
}
