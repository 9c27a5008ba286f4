/**
 * Calls into a worker thread as promises. Invariants: every call settles exactly once, also when the worker
 * dies; calls run one after the other in the order in which they were made; a failure keeps its AppError code.
 */
import { type MessagePort, Worker } from 'node:worker_threads';
import { AppError, type ErrorCode, messageOf, type Problem } from '../../domain/errors.ts';
import { Patience } from './rpc-patience.ts';

/** Most calls that wait for a worker: beyond, callers are told to come back instead of piling up memory. */
export const MAX_PENDING_CALLS = 1_024;
/** First and longest pause before a dead worker is started again, in milliseconds; it doubles in between. */
const RESTART_MIN_MS = 100;
const RESTART_MAX_MS = 5_000;
/** How long `close` waits for a worker that has answered everything to end, in milliseconds. */
const CLOSE_WAIT_MS = 10_000;

/**
 * The methods of a worker: functions over values that can be cloned between threads. One that returns a promise
 * must not wait for anything outside the thread: the next call may start before it has settled.
 */
export type WorkerApi<Api> = { readonly [Name in keyof Api]: (...args: never[]) => unknown };

type Params<F> = F extends (...args: infer P) => unknown ? P : never;
type Result<F> = F extends (...args: never[]) => infer R ? Awaited<R> : never;

interface Call<Api, Name extends keyof Api> {
  readonly id: number;
  readonly name: Name;
  readonly args: Params<Api[Name]>;
}

interface SentFailure {
  readonly code: ErrorCode | undefined;
  readonly message: string;
  readonly problems: readonly Problem[];
  readonly retryAfterSeconds: number | undefined;
  readonly stack: string | undefined;
}

type Reply =
  | { readonly kind: 'ready' }
  | { readonly kind: 'refused'; readonly failure: SentFailure }
  | { readonly kind: 'result'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failure'; readonly id: number; readonly failure: SentFailure };

type Request<Api> = { readonly call: Call<Api, keyof Api> } | { readonly close: true };

/** What a worker serves. */
export interface Service<Api> {
  readonly api: Api;
  /** Releases everything; no call follows. */
  close(): void;
}

/**
 * The worker's side: opens the service, answers calls in order, ends after `close`.
 * A service that cannot be opened is reported to the owner and the worker ends.
 */
export function serve<Api extends WorkerApi<Api>>(port: MessagePort, open: () => Service<Api>): void {
  const send = (reply: Reply): void => port.postMessage(reply, []);
  let service: Service<Api>;
  try {
    service = open();
  } catch (error) {
    send({ kind: 'refused', failure: describeFailure(error) });
    port.close();
    return;
  }
  port.on('message', (request: Request<Api>) => {
    if ('close' in request) {
      service.close();
      port.close();
      return;
    }
    const { id, name, args } = request.call;
    const fail = (error: unknown): void => send({ kind: 'failure', id, failure: describeFailure(error) });
    try {
      const value = invoke(service.api, name, args);
      if (!(value instanceof Promise)) send({ kind: 'result', id, value });
      else value.then((settled: unknown) => send({ kind: 'result', id, value: settled })).catch(fail);
    } catch (error) {
      fail(error);
    }
  });
  send({ kind: 'ready' });
}

function invoke<Api extends WorkerApi<Api>>(
  api: Api,
  name: keyof Api,
  args: Params<Api[keyof Api]>,
): unknown {
  const method: (...args: Params<Api[keyof Api]>) => unknown = api[name];
  return method(...args);
}

interface Pending {
  /** A method, not a property: the value comes from the thread that `Api` types, which is our own code. */
  resolve(value: unknown): void;
  reject(error: Error): void;
}

export interface RpcOptions {
  /** What it is, for messages: `the state store`. */
  readonly name: string;
  readonly script: URL;
  readonly workerData: unknown;
  /** Hears of a death of the worker and of its return; for readiness and the log. */
  readonly onHealth?: (healthy: boolean, detail: string) => void;
  /** How long the worker may answer nothing, in milliseconds: then callers are told, until it does. Undefined: for ever. */
  readonly patienceMs?: number;
}

type Phase = 'starting' | 'running' | 'down' | 'closed';

/** The owner's side. Restarts a dead worker by itself; a worker that refuses its first start is final. */
export class RpcClient<Api extends WorkerApi<Api>> {
  private readonly options: RpcOptions;
  private readonly pending = new Map<number, Pending>();
  private worker: Worker | undefined;
  private phase: Phase = 'starting';
  private nextId = 1;
  private restartMs = RESTART_MIN_MS;
  private restartTimer: NodeJS.Timeout | undefined;
  /** The start in progress, which `close` has to wait for. */
  private starting: Promise<void> | undefined;
  private drained: (() => void) | undefined;
  private readonly patience: Patience | undefined;

  private constructor(options: RpcOptions) {
    this.options = options;
    const { patienceMs } = options;
    if (patienceMs !== undefined) this.patience = new Patience(patienceMs, () => this.giveUp());
  }

  /** Starts the worker. @throws whatever the worker's `open` threw, with its AppError code */
  static async start<Api extends WorkerApi<Api>>(options: RpcOptions): Promise<RpcClient<Api>> {
    const client = new RpcClient<Api>(options);
    try {
      await client.launch();
    } catch (error) {
      client.phase = 'closed';
      throw error;
    }
    return client;
  }

  get healthy(): boolean {
    return this.problem === undefined;
  }

  /** What is wrong with it now; undefined: nothing. */
  get problem(): string | undefined {
    if (this.phase !== 'running') return `${this.options.name} is restarting`;
    return this.patience?.isLost === true ? this.hangs() : undefined;
  }

  /** Calls that were made and not answered, of callers who were told as well. */
  get waiting(): number {
    return this.pending.size;
  }

  /**
   * Calls a method of the worker. Rejects with AppError STORE_UNAVAILABLE when the worker is down, too busy, or
   * dies or hangs before it answers; in the last cases the call may have taken effect.
   */
  call<Name extends keyof Api>(name: Name, ...args: Params<Api[Name]>): Promise<Result<Api[Name]>> {
    const worker = this.worker;
    if (this.phase !== 'running' || worker === undefined) return Promise.reject(this.unavailable());
    if (this.pending.size >= MAX_PENDING_CALLS) {
      return Promise.reject(
        new AppError('STORE_UNAVAILABLE', `${this.options.name} has ${MAX_PENDING_CALLS} calls waiting`, {
          retryAfterSeconds: 1,
        }),
      );
    }
    if (this.patience?.isLost === true) return Promise.reject(this.unavailable());
    const id = this.nextId++;
    return new Promise<Result<Api[Name]>>((resolve, reject) => {
      this.pending.set(id, { resolve, reject });
      const request: Request<Api> = { call: { id, name, args } };
      worker.postMessage(request, []);
      this.patience?.asked();
    });
  }

  /** Refuses new calls, waits for those made, ends the worker. Rejects when it hangs: then it lives on. */
  async close(): Promise<void> {
    if (this.phase === 'closed') return;
    this.phase = 'closed';
    clearTimeout(this.restartTimer);
    await this.starting?.catch(() => undefined);
    if (this.pending.size > 0 && this.patience?.isLost !== true) {
      await new Promise<void>(resolve => {
        this.drained = resolve;
      });
    }
    const worker = this.worker;
    if (worker === undefined) return;
    if (this.patience?.isLost === true) {
      void worker.terminate();
      throw new AppError('STORE_UNAVAILABLE', this.hangs());
    }
    await new Promise<void>(resolve => {
      const deadline = setTimeout(() => void worker.terminate(), CLOSE_WAIT_MS);
      worker.once('exit', () => {
        clearTimeout(deadline);
        resolve();
      });
      const request: Request<Api> = { close: true };
      worker.postMessage(request, []);
    });
  }

  private launch(): Promise<void> {
    this.starting = new Promise((resolve, reject) => {
      const worker = new Worker(this.options.script, { workerData: this.options.workerData });
      let cause: unknown;
      let refusal: Error | undefined;
      worker.on('message', (reply: Reply) => {
        if (reply.kind === 'ready') {
          this.worker = worker;
          if (this.phase !== 'closed') this.phase = 'running';
          resolve();
        } else if (reply.kind === 'refused') {
          refusal = restoreFailure(reply.failure);
        } else {
          this.settle(reply);
        }
      });
      worker.on('error', error => {
        cause = error;
      });
      worker.on('exit', () => {
        this.abandon(cause);
        const { name } = this.options;
        const why = messageOf(cause ?? 'its thread ended');
        reject(refusal ?? new AppError('STORE_UNAVAILABLE', `${name} could not start: ${why}`, { cause }));
      });
    });
    return this.starting;
  }

  private settle(reply: Extract<Reply, { id: number }>): void {
    const pending = this.pending.get(reply.id);
    this.pending.delete(reply.id);
    this.restartMs = RESTART_MIN_MS;
    if (this.patience?.answered(this.pending.size) === true) {
      this.options.onHealth?.(true, `${this.options.name} answers again`);
    }
    if (reply.kind === 'result') pending?.resolve(reply.value);
    else pending?.reject(restoreFailure(reply.failure));
    if (this.pending.size === 0) this.drained?.();
  }

  /** The worker hangs: who waits is told. What was sent to it stays counted until it answers, as it fills its memory. */
  private giveUp(): void {
    const error = new AppError('STORE_UNAVAILABLE', this.hangs(), { retryAfterSeconds: 1 });
    for (const call of this.pending.values()) call.reject(error);
    this.drained?.();
    this.options.onHealth?.(false, this.hangs());
  }

  private hangs(): string {
    const { name, patienceMs = 0 } = this.options;
    return `${name} has answered nothing for ${Math.round(patienceMs / 1000)} s: the disk hangs, or is far too slow`;
  }

  /** After the end of a worker: nobody waits for an answer that cannot come. */
  private abandon(cause: unknown): void {
    this.worker = undefined;
    this.patience?.stop();
    const detail = `${this.options.name} stopped before it answered`;
    for (const call of this.pending.values()) {
      call.reject(new AppError('STORE_UNAVAILABLE', detail, { retryAfterSeconds: 1, cause }));
    }
    this.pending.clear();
    this.drained?.();
    if (this.phase !== 'running') return;
    this.phase = 'down';
    this.options.onHealth?.(false, `${this.options.name} stopped: ${messageOf(cause ?? 'it ended')}`);
    this.scheduleRestart();
  }

  private scheduleRestart(): void {
    const pause = this.restartMs;
    this.restartMs = Math.min(pause * 2, RESTART_MAX_MS);
    this.restartTimer = setTimeout(() => {
      this.launch().then(
        () => this.options.onHealth?.(true, `${this.options.name} runs again`),
        (error: unknown) => {
          if (this.phase !== 'down') return;
          this.options.onHealth?.(false, `${this.options.name} could not start: ${messageOf(error)}`);
          this.scheduleRestart();
        },
      );
    }, pause);
  }

  private unavailable(): AppError {
    const { name } = this.options;
    if (this.phase === 'closed') return new AppError('STORE_UNAVAILABLE', `${name} is closed`);
    return new AppError('STORE_UNAVAILABLE', this.problem ?? name, { retryAfterSeconds: 1 });
  }
}

function describeFailure(error: unknown): SentFailure {
  const app = error instanceof AppError ? error : undefined;
  return {
    code: app?.code,
    message: messageOf(error),
    problems: app?.problems ?? [],
    retryAfterSeconds: app?.retryAfterSeconds,
    stack: error instanceof Error ? error.stack : undefined,
  };
}

/** The error of the other thread: an AppError again, or a bug with its original stack as the cause. */
function restoreFailure(failure: SentFailure): Error {
  const { code, message, problems, retryAfterSeconds, stack } = failure;
  if (code === undefined) return new Error(message, { cause: stack });
  return new AppError(code, message, {
    problems,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  });
}
