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
