/**
 * Idempotent request ids: within five minutes and per credential, the same id and request give the same
 * answer. Invariant: one id never stands for two different requests, and memory stays bounded.
 */
import type { Clock } from '../domain/clock.ts';
import type { Decision } from '../domain/decision.ts';
import type { DecisionRequest } from '../domain/decision-request.ts';
import { AppError } from '../domain/errors.ts';

/** How long an id is remembered, in milliseconds (api.md, POST /decide). */
export const IDEMPOTENCY_WINDOW_MS = 300_000;
/** Most remembered ids: about 1 KB each; beyond it the oldest are forgotten early. */
export const MAX_REMEMBERED = 200_000;

interface Remembered {
  readonly fingerprint: string;
  readonly answer: Promise<Decision>;
  readonly expiresAt: number;
}

/** Remembers answers by (credential, request id). */
export class IdempotencyWindow {
  /** In order of insertion, which is the order of expiry. */
  readonly #answers = new Map<string, Remembered>();
  readonly #clock: Clock;
  readonly #fingerprint: (request: DecisionRequest) => string;

  /** @param fingerprint what is equal for equal requests alone, however they are written. */
  constructor(clock: Clock, fingerprint: (request: DecisionRequest) => string) {
    this.#clock = clock;
    this.#fingerprint = fingerprint;
  }

  get size(): number {
    return this.#answers.size;
  }

  /**
   * Runs `decide` unless the id is known. A failure is forgotten, so that a retry decides afresh.
   * Rejects with REQUEST_ID_CONFLICT when the id came with another request.
   */
  run(
    credential: string,
    requestId: string,
    request: DecisionRequest,
    decide: () => Promise<Decision>,
  ): Promise<Decision> {
    const now = this.#clock.monotonic();
    this.#forgetExpired(now);
    // neither part can hold a space (ids.ts), so the pair is unambiguous
    const key = `${credential} ${requestId}`;
    const fingerprint = this.#fingerprint(request);
    const known = this.#answers.get(key);
    if (known !== undefined) {
      if (known.fingerprint === fingerprint) return known.answer;
      return Promise.reject(
        new AppError('REQUEST_ID_CONFLICT', `request id \`${requestId}\` was used with another request`, {
          problems: [
            {
              pointer: '/requestId',
              message: `request id \`${requestId}\` was used with another request in the last five minutes`,
              hint: 'use a new id for each request, and the same id only to repeat one',
            },
          ],
        }),
      );
    }
    const answer = decide();
    const remembered: Remembered = { fingerprint, answer, expiresAt: now + IDEMPOTENCY_WINDOW_MS };
    this.#answers.set(key, remembered);
    answer.catch(() => {
      if (this.#answers.get(key) === remembered) this.#answers.delete(key);
    });
    return answer;
  }

  #forgetExpired(now: number): void {
    for (const [key, remembered] of this.#answers) {
      if (remembered.expiresAt > now && this.#answers.size < MAX_REMEMBERED) return;
      this.#answers.delete(key);
    }
  }
}
