/**
 * Calls to the policy worker as promises. Invariants: every call settles exactly once, also when the worker
 * dies or takes too long; a dead worker is started again, at the latest by the next call; a failure keeps its
 * AppError code across the threads.
 */
import { type MessagePort, Worker } from 'node:worker_threads';
import { AppError, type ErrorCode, messageOf, type Problem } from '../domain/errors.ts';

/** Most calls that wait: each may hold a bundle of megabytes. */
export const MAX_PENDING_CALLS = 256;
/** Longest time that the worker may be silent over its calls, in milliseconds: the largest check takes a fraction. */
const CALL_TIMEOUT_MS = 120_000;

/** First and longest pause before a dead worker is started again, in milliseconds; it doubles in between. */
const RESTART_MIN_MS = 100;
const RESTART_MAX_MS = 10_000;

/** Largest heap of the worker in MB: a bundle that needs more ends the worker, not the service. */
const MAX_HEAP_MB = 1024;

/** Methods of a worker: functions over values that can be cloned between threads. */
export type ThreadApi<Api> = { readonly [Name in keyof Api]: (...args: never[]) => unknown };
type Params<F> = F extends (...args: infer P) => unknown ? P : never;
type Result<F> = F extends (...args: never[]) => infer R ? Awaited<R> : never;

interface Call<Api> {
  readonly id: number;
  readonly name: keyof Api;
  readonly args: Params<Api[keyof Api]>;
}

interface SentFailure {
  readonly code: ErrorCode | undefined;
  readonly message: string;
  readonly problems: readonly Problem[];
  readonly stack: string | undefined;
}

type Reply =
  | { readonly isReady: true }
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly failure: SentFailure };

/** The worker's side: answers calls one after the other, in their order. */
export function serveThread<Api extends ThreadApi<Api>>(port: MessagePort, api: Api): void {
  let last = Promise.resolve();
  port.on('message', (call: Call<Api>) => {
    last = last.then(async () => {
      port.postMessage(await answer(api, call), []);
    });
  });
  const ready: Reply = { isReady: true };
  port.postMessage(ready, []);
}

async function answer<Api extends ThreadApi<Api>>(api: Api, { id, name, args }: Call<Api>): Promise<Reply> {
  const method: (...args: Params<Api[keyof Api]>) => unknown = api[name];
  try {
    return { id, value: await method(...args) };
  } catch (error) {
    const app = error instanceof AppError ? error : undefined;
    const stack = error instanceof Error ? error.stack : undefined;
    return {
      id,
      failure: { code: app?.code, message: messageOf(error), problems: app?.problems ?? [], stack },
    };
  }
}

interface Pending {
  /** A method, not a property: the value comes from the thread that `Api` types, which is our own code. */
  resolve(value: unknown): void;
  reject(error: Error): void;
}

export interface PolicyThreadOptions {
  /** What it is, for messages: `the policy compiler`. */
  readonly name: string;
  readonly script: URL;
  readonly timeoutMs?: number;
  /** Hears of a death of the worker and of its return; for readiness and the log. */
  readonly onHealth?: (healthy: boolean, detail: string) => void;
}

/** One worker thread, started with the first call. */
export class PolicyThread<Api extends ThreadApi<Api>> {
  readonly #options: PolicyThreadOptions;
  readonly #pending = new Map<number, Pending>();
  #worker: Worker | undefined;
  #nextId = 1;
  #generation = 0;
  #isHealthy = true;
  #isClosed = false;
  #deadline: NodeJS.Timeout | undefined;
  #restart: NodeJS.Timeout | undefined;
  #restartMs = RESTART_MIN_MS;

  constructor(options: PolicyThreadOptions) {
    this.#options = options;
  }

  /** False from the death of the worker until another one is ready. */
  get healthy(): boolean {
    return this.#isHealthy;
  }

  /** Calls without an answer. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Counts starts: what an earlier worker was told is gone when this number has grown. */
  get generation(): number {
    return this.#generation;
  }

  /**
   * Rejects with the AppError of the method, or NOT_READY when the worker is closed, too busy, died or was
   * ended because it took too long.
   */
  call<Name extends keyof Api>(name: Name, ...args: Params<Api[Name]>): Promise<Result<Api[Name]>> {
    if (this.#isClosed) return Promise.reject(this.#unavailable('is closed'));
    if (this.#pending.size >= MAX_PENDING_CALLS) {
      return Promise.reject(this.#unavailable(`has ${MAX_PENDING_CALLS} calls waiting`));
    }
    const worker = this.start();
    const id = this.#nextId++;
    return new Promise<Result<Api[Name]>>((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      if (this.#pending.size === 1) this.#watch(worker);
      const call: Call<Api> = { id, name, args };
      worker.postMessage(call, []);
    });
  }

  /** Starts the worker unless it runs; the first call does so too. */
  start(): Worker {
    if (this.#worker !== undefined) return this.#worker;
    clearTimeout(this.#restart);
    const worker = new Worker(this.#options.script, {
      resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
    });
    let cause: unknown;
    worker.on('message', (reply: Reply) => {
      if ('isReady' in reply) this.#recover();
      else this.#settle(worker, reply);
    });
    worker.on('error', error => {
      cause = error;
    });
    worker.on('exit', () => this.#abandon(worker, cause));
    this.#worker = worker;
    this.#generation++;
    return worker;
  }

  /** Ends the worker; calls without an answer are rejected. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#restart);
    const worker = this.#worker;
    if (worker === undefined) return;
    await worker.terminate();
    this.#abandon(worker, undefined);
  }

  #recover(): void {
    this.#restartMs = RESTART_MIN_MS;
    if (this.#isHealthy) return;
    this.#isHealthy = true;
    this.#options.onHealth?.(true, `${this.#options.name} runs again`);
  }

  #settle(worker: Worker, reply: Exclude<Reply, { isReady: true }>): void {
    const pending = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    this.#watch(worker);
    if ('failure' in reply) pending?.reject(restore(reply.failure));
    else pending?.resolve(reply.value);
  }

  /** Restarts the deadline: the worker answers in order, so each answer proves that it is alive. */
  #watch(worker: Worker): void {
    clearTimeout(this.#deadline);
    if (this.#pending.size === 0) return;
    const timeoutMs = this.#options.timeoutMs ?? CALL_TIMEOUT_MS;
    this.#deadline = setTimeout(() => {
      this.#abandon(worker, new Error(`no answer within ${timeoutMs} ms`));
      void worker.terminate();
    }, timeoutMs);
    this.#deadline.unref();
  }

  /** Nobody waits for an answer that cannot come. */
  #abandon(worker: Worker, cause: unknown): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    clearTimeout(this.#deadline);
    if (!this.#isClosed) {
      this.#isHealthy = false;
      this.#options.onHealth?.(false, `${this.#options.name} stopped: ${messageOf(cause ?? 'it ended')}`);
      this.#restart = setTimeout(() => this.start(), this.#restartMs);
      this.#restart.unref();
      this.#restartMs = Math.min(2 * this.#restartMs, RESTART_MAX_MS);
    }
    const waiting = [...this.#pending.values()];
    this.#pending.clear();
    for (const call of waiting) call.reject(this.#unavailable('stopped before it answered', cause));
  }

  #unavailable(what: string, cause?: unknown): AppError {
    return new AppError('NOT_READY', `${this.#options.name} ${what}`, { retryAfterSeconds: 1, cause });
  }
}

/** The error of the other thread: an AppError again, or a bug with its original stack as the cause. */
function restore({ code, message, problems, stack }: SentFailure): Error {
  return code === undefined
    ? new Error(message, { cause: stack })
    : new AppError(code, message, { problems });
}
