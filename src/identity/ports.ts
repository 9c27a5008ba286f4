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

/** Answers to POST requests with an `Idempotency-Key`, kept for 24 hours. */
export interface IdempotencyStore {
  find(credential: string, key: string): Promise<StoredAnswer | undefined>;
  /** Keeps the first answer for a key. */
  save(credential: string, key: string, answer: StoredAnswer, now: number): Promise<void>;
}

export interface StoredAnswer {
  /** SHA-256 of method, path and body, hex. */
  readonly requestHash: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}
