/** Answers by Idempotency-Key in memory: the reference of the contract. */
import {
  ANSWER_TTL_MS,
  type IdempotencyStore,
  MAX_ANSWERS,
  type StoredAnswer,
} from '../../identity/ports.ts';

export class MemoryIdempotencyStore implements IdempotencyStore {
  readonly #most: number;
  /** By credential and key; in the order of being saved. */
  readonly #answers = new Map<string, { readonly answer: StoredAnswer; readonly savedMs: number }>();

  constructor(most: number = MAX_ANSWERS) {
    this.#most = most;
  }

  /** Forgets answers that hold a text. @returns how many */
  forget(text: string): number {
    let forgotten = 0;
    for (const [name, { answer }] of this.#answers) {
      if (answer.body.includes(text) && this.#answers.delete(name)) forgotten += 1;
    }
    return forgotten;
  }

  find(credential: string, key: string): Promise<StoredAnswer | undefined> {
    return Promise.resolve(this.#answers.get(nameOf(credential, key))?.answer);
  }

  save(credential: string, key: string, answer: StoredAnswer, now: number): Promise<void> {
    for (const [name, { savedMs }] of this.#answers) {
      if (savedMs <= now - ANSWER_TTL_MS) this.#answers.delete(name);
    }
    const name = nameOf(credential, key);
    if (!this.#answers.has(name)) this.#answers.set(name, { answer, savedMs: now });
    for (const oldest of this.#answers.keys()) {
      if (this.#answers.size <= this.#most) break;
      this.#answers.delete(oldest);
    }
    return Promise.resolve();
  }
}

/** Injective: a JSON text of two strings. */
function nameOf(credential: string, key: string): string {
  return JSON.stringify([credential, key]);
}
