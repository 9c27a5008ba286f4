/** Questions to the log writer's thread beside the batches. Invariant: each is settled exactly once. */
import type { JournalChunk, LogExport, LogExports, SignedCheckpoint } from '../../decision-log/ports.ts';
import { AppError, type ErrorCode } from '../../domain/errors.ts';
import type { LogAnswer, LogAsk } from './log-messages.ts';
import type { Pruning } from './log-retention.ts';

/** Most questions that wait: beyond, callers are told to come back instead of piling up memory. */
const MAX_PENDING = 1_024;

interface Pending {
  readonly resolve: (answer: LogAnswer) => void;
  readonly reject: (error: Error) => void;
}

/** Posts a question to the thread. @throws AppError LOG_UNAVAILABLE when there is none */
type Post = (id: number, ask: LogAsk) => void;

export class LogAsks implements LogExports {
  private readonly post: Post;
  private readonly pending = new Map<number, Pending>();
  private nextId = 1;
  /** A question for a checkpoint that was not posted yet is shared by all who ask meanwhile. */
  private signing: { readonly size: number; readonly checkpoint: Promise<SignedCheckpoint> } | undefined;

  constructor(post: Post) {
    this.post = post;
  }

  /** @param size leaves that are durable now @param now milliseconds since the epoch */
  sign(size: number, now: number): Promise<SignedCheckpoint> {
    // Questions and commits are answered in order: one asked at this size is answered with at least this size.
    if (this.signing?.size === size) return this.signing.checkpoint;
    const checkpoint = this.ask({ op: 'sign', now }).then(answer =>
      answer.op === 'sign' ? answer.checkpoint : mismatch(answer),
    );
    const signing = { size, checkpoint };
    this.signing = signing;
    // A failure is not kept: who asks next asks again.
    checkpoint.catch(() => {
      if (this.signing === signing) this.signing = undefined;
    });
    return checkpoint;
  }

  async prune(op: 'prunable' | 'prune', before: number): Promise<Pruning> {
    const answer = await this.ask({ op, before });
    return answer.op === 'prune' ? answer.pruning : mismatch(answer);
  }

  async lastEntryBefore(before: number): Promise<number | undefined> {
    const answer = await this.ask({ op: 'seen', before });
    return answer.op === 'seen' ? answer.time : mismatch(answer);
  }

  async journals(from: number): Promise<JournalChunk | undefined> {
    const answer = await this.ask({ op: 'journals', from });
    return answer.op === 'journals' ? answer.chunk : mismatch(answer);
  }

  async list(): Promise<readonly LogExport[]> {
    const answer = await this.ask({ op: 'exports' });
    return answer.op === 'exports' ? answer.exports : mismatch(answer);
  }

  async save(name: string, acknowledged: number, time: number): Promise<LogExport> {
    const answer = await this.ask({ op: 'save', name, acknowledged, time });
    return answer.op === 'save' ? answer.saved : mismatch(answer);
  }

  async remove(name: string): Promise<boolean> {
    const answer = await this.ask({ op: 'remove', name });
    return answer.op === 'remove' ? answer.existed : mismatch(answer);
  }

  answered(id: number, answer: LogAnswer): void {
    this.take(id)?.resolve(answer);
  }

  declined(id: number, code: ErrorCode, message: string): void {
    this.take(id)?.reject(new AppError(code, message));
  }

  /** The thread ended: it answers nothing any more. */
  abandon(error: Error): void {
    this.signing = undefined;
    for (const id of this.pending.keys()) this.take(id)?.reject(error);
  }

  private ask(ask: LogAsk): Promise<LogAnswer> {
    return new Promise((resolve, reject) => {
      if (this.pending.size >= MAX_PENDING) {
        throw new AppError('LOG_BACKPRESSURE', `${MAX_PENDING} questions wait for the decision log`, {
          retryAfterSeconds: 1,
        });
      }
      const id = this.nextId++;
      this.post(id, ask);
      this.pending.set(id, { resolve, reject });
    });
  }

  private take(id: number): Pending | undefined {
    const pending = this.pending.get(id);
    this.pending.delete(id);
    return pending;
  }
}

function mismatch(answer: LogAnswer): never {
  throw new Error(`the log writer answered another question: \`${answer.op}\``);
}
