/** What has to be stopped, in the opposite order of its start. Invariant: every step runs once, whatever fails. */
import type { Timers } from '../decision-log/timers.ts';
import { AppError, messageOf } from '../domain/errors.ts';

export class Cleanup {
  readonly #steps: (() => Promise<void>)[] = [];
  #done: Promise<void> | undefined;

  add(step: () => Promise<void>): void {
    this.#steps.push(step);
  }

  /** Rejects with what each failure says, after every step has run. Idempotent. */
  run(): Promise<void> {
    this.#done ??= this.#runAll();
    return this.#done;
  }

  /** As `run`, and rejects when that takes longer: a thread whose disk hangs never answers. @param why says what hangs */
  async runWithin(ms: number, timers: Timers, why: () => string): Promise<void> {
    const late = Promise.withResolvers<never>();
    const cancel = timers.after(ms, () => {
      const seconds = Math.round(ms / 1000);
      late.reject(new AppError('LOG_UNAVAILABLE', `the service did not stop within ${seconds} s: ${why()}`));
    });
    try {
      await Promise.race([this.run(), late.promise]);
    } finally {
      cancel();
    }
  }

  async #runAll(): Promise<void> {
    const failures: unknown[] = [];
    for (const step of this.#steps.reverse()) {
      try {
        await step();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failureOf(failures);
  }
}

/** One error in the words of all; a failure that is known, such as a full disk, stays one. */
function failureOf(failures: readonly unknown[]): Error {
  const said = [...new Set(failures.map(messageOf))].join('; ');
  const message = `the service did not stop cleanly: ${said}`;
  const all = new AggregateError(failures, message);
  const [first] = failures;
  const isKnown = first instanceof AppError && failures.every(one => one instanceof AppError);
  return isKnown ? new AppError(first.code, message, { cause: all }) : all;
}
