/**
 * Rebuilds what limits have counted from what the log keeps: a snapshot, and the journals since. Invariant: what was
 * admitted by an answer that anybody saw is counted, since its journal was durable before that.
 */
import { ByteReader } from './bytes.ts';
import { LimitReplay } from './limit-journal.ts';
import { StateReader } from './limit-snapshot.ts';
import type { LimitState } from './limit-state.ts';

export class LimitRebuild {
  readonly #reserve: boolean;
  #reader: StateReader;
  #replay: LimitReplay;
  #journals = 0;

  /** @param reserve whether the state will live as long as the process */
  constructor(reserve = false) {
    this.#reserve = reserve;
    this.#reader = this.#newReader();
    this.#replay = new LimitReplay(this.#reader.state);
  }

  /** Journals that were read. */
  get journals(): number {
    return this.#journals;
  }

  /** Begins with a snapshot, before any journal. @throws Error when its chunks are none; then nothing was read */
  readSnapshot(chunks: Iterable<Uint8Array>): void {
    const reader = this.#newReader();
    for (const chunk of chunks) reader.read(chunk);
    this.#reader = reader;
    this.#replay = new LimitReplay(reader.state);
  }

  /** Earlier journals are gone, and no snapshot stands for them: what is left is counted. Call it before any journal. */
  allowGap(): void {
    this.#replay = new LimitReplay(this.#reader.state, true);
  }

  /** Reads journals, each behind its length. @throws Error when they do not follow what was read before */
  readJournals(body: Uint8Array): void {
    const bytes = new ByteReader(body);
    while (!bytes.done) {
      const length = bytes.u32();
      const end = bytes.at + length;
      this.#replay.applyNext(bytes);
      if (bytes.at !== end) throw new Error('a journal has another length than it says');
      this.#journals += 1;
    }
  }

  /** What was counted. Nothing may be read afterwards. */
  finish(): LimitState {
    this.#replay.finish();
    return this.#reader.state;
  }

  #newReader(): StateReader {
    const reader = new StateReader();
    if (this.#reserve) reader.state.reserve();
    return reader;
  }
}
