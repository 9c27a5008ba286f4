/** Worker of rpc.test.ts: a service that answers, fails, lingers and dies on command. */
import { appendFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { AppError } from '../../../src/domain/errors.ts';
import { serve } from '../../../src/store/sqlite/rpc.ts';

/** The methods that the tests call. */
export interface TestApi {
  add(a: number, b: number): number;
  note(text: string): void;
  /** Settles within the turn of the event loop. */
  settle(text: string): Promise<string>;
  refuse(): void;
  /** Hears nothing for so many milliseconds. */
  hang(ms: number): void;
  fault(): void;
  /** Throws outside the call, as a crash of the thread would. */
  die(): void;
}

if (!isMainThread && parentPort !== null) {
  const folder = String(workerData);
  const port = parentPort;
  serve<TestApi>(port, () => {
    if (existsSync(join(folder, 'refuse'))) throw new AppError('STORE_UNAVAILABLE', 'the folder says no');
    if (existsSync(join(folder, 'crash'))) process.exit(1);
    const note = (text: string): void => appendFileSync(join(folder, 'notes'), `${text}\n`);
    return {
      api: {
        add: (a, b) => a + b,
        note,
        settle: async text => {
          if (text === 'refuse') throw new AppError('ALREADY_EXISTS', 'it is there');
          return text;
        },
        refuse: () => {
          throw new AppError('ALREADY_EXISTS', 'it is there', {
            problems: [{ message: 'one', hint: 'two' }],
            retryAfterSeconds: 7,
          });
        },
        hang: ms => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms),
        fault: () => {
          throw new TypeError('a bug');
        },
        die: () => {
          process.exit(1);
        },
      },
      close: () => note('closed'),
    };
  });
}
