/** One writer at a time, in the order of asking, with a bound. */
import { AppError } from '../domain/errors.ts';

/** Most writers that wait behind an import or a schema change; later ones are told to come back. */
export const MAX_WAITING_WRITES = 256;

/** A first-in first-out lock. */
export class WriteQueue {
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;
  #closed = false;

  /** Resolves with the release function when all earlier writers have released. @throws AppError */
  async acquire(): Promise<() => void> {
    if (this.#closed) throw new AppError('STORE_UNAVAILABLE', 'the directory is closed');
    if (this.#waiting >= MAX_WAITING_WRITES) {
      throw new AppError('STORE_UNAVAILABLE', `${MAX_WAITING_WRITES} writes to the directory are waiting`, {
        retryAfterSeconds: 1,
      });
    }
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = promise;
    this.#waiting += 1;
    await before;
    this.#waiting -= 1;
    return resolve;
  }

  async run<T>(write: () => Promise<T>): Promise<T> {
    const release = await this.acquire();
    try {
      return await write();
    } finally {
      release();
    }
  }

  /** Refuses new writers and waits for those that were accepted. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#last;
  }
}
