/** The key store as a contract; every backend passes test/conformance/key-store.ts. */
import type { ApiKey } from '../domain/credential.ts';
import type { EventEntry } from '../domain/log-entry.ts';

export interface KeyStore {
  /** All keys, revoked ones too, oldest first. */
  list(): Promise<readonly ApiKey[]>;
  /** Durable when it resolves. Rejects with AppError ALREADY_EXISTS when the id is taken. */
  create(key: ApiKey, event: EventEntry): Promise<void>;
  /** Sets `revokedAt`; false when there is no such key or it is revoked already (then no event either). */
  revoke(id: string, at: string, event: EventEntry): Promise<boolean>;
}

/** How long an answer is kept, in milliseconds. */
export const ANSWER_TTL_MS = 86_400_000;
/** Most answers kept at once; beyond, the oldest are forgotten early. */
export const MAX_ANSWERS = 10_000;

/**
 * Answers to POST requests with an `Idempotency-Key`, kept for 24 hours. They are stored as they are: an
 * answer that holds a secret, such as a new key, must not be saved.
 */
export interface IdempotencyStore {
  find(credential: string, key: string): Promise<StoredAnswer | undefined>;
  /**
   * Keeps the first answer for a key. Forgets answers older than ANSWER_TTL_MS at `now` (milliseconds since
   * the epoch), and the oldest beyond MAX_ANSWERS.
   */
  save(credential: string, key: string, answer: StoredAnswer, now: number): Promise<void>;
}

export interface StoredAnswer {
  /** SHA-256 of method, path and body, hex. */
  readonly requestHash: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What a revocation names: one token by its `jti`, or all earlier tokens of a subject or a client. */
export const REVOCATION_KINDS = ['token', 'subject', 'client'] as const;
export type RevocationKind = (typeof REVOCATION_KINDS)[number];

/** One revocation. It holds names that tokens carry, never a token. */
export interface Revocation {
  readonly id: string;
  readonly kind: RevocationKind;
  /** Exact `iss`. */
  readonly issuer: string;
  /** `jti`, `sub` or client id. */
  readonly value: string;
  /** RFC 3339 UTC; tokens of a subject or client that were issued until then are refused. */
  readonly at: string;
  readonly by: string;
  readonly reason: string;
  /** RFC 3339 UTC: from then on every token that it could hit has expired. */
  readonly forgetAt: string;
}

/** Revocations that outlive the process; every backend passes test/conformance/revocation-store.ts. */
export interface RevocationStore {
  /** All that are kept, oldest first. */
  list(): Promise<readonly Revocation[]>;
  /**
   * Durable with its event when it resolves. Forgets those whose `forgetAt` is not after the new one's `at`.
   * Rejects with AppError ALREADY_EXISTS when the id is taken.
   */
  add(revocation: Revocation, event: EventEntry): Promise<void>;
}
