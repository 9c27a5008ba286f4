/** One log in a temporary folder, opened, used and closed again and again. */
import { rmSync } from 'node:fs';
import { AppError } from '../../../src/domain/errors.ts';
import { listShards, shardFile } from '../../../src/store/sqlite/log-shard-name.ts';
import type { LogWriter, LogWriterOptions } from '../../../src/store/sqlite/log-writer.ts';
import { decisionEntry } from '../../decision-log/entries.ts';
import { makeFolder } from './sqlite-log.ts';
import { appendTo, openWriter, WRITTEN } from './threadless-log.ts';

export const WEEK_MS = 7 * 86_400_000;

export class LogScene {
  readonly folder = makeFolder();
  private sequence: number;

  /** @param sequence of its first entry */
  constructor(sequence = 0) {
    this.sequence = sequence;
  }

  /** Opens, uses and closes the log. */
  using<T>(use: (writer: LogWriter) => T, over: Partial<LogWriterOptions> = {}): T {
    const writer = openWriter(this.folder, over);
    try {
      return use(writer);
    } finally {
      writer.close(WRITTEN);
    }
  }

  async during<T>(use: (writer: LogWriter) => Promise<T>): Promise<T> {
    const writer = openWriter(this.folder);
    try {
      return await use(writer);
    } finally {
      writer.close(WRITTEN);
    }
  }

  /** Appends a batch of some entries, written in some week. @returns index of the first */
  add(writer: LogWriter, count: number, week = 0): number {
    const entries = Array.from({ length: count }, () => decisionEntry(this.sequence++));
    return appendTo(writer, entries, WRITTEN + week * WEEK_MS);
  }

  names(): string[] {
    return listShards(this.folder).map(({ name }) => name);
  }

  shardAt(at: number): string {
    return shardFile(this.folder, listShards(this.folder)[at] ?? { name: '' });
  }

  /** Why the log does not open. */
  refusal(over: Partial<LogWriterOptions> = {}): string {
    try {
      this.using(() => undefined, over);
      return 'it started';
    } catch (error) {
      if (error instanceof AppError) return `${error.code}: ${error.message}`;
      throw error;
    }
  }

  dispose(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Removes every shard whose last entry is older than `before`. */
export async function pruneAll(writer: LogWriter, before = Number.MAX_SAFE_INTEGER) {
  const steps = writer.prune(before);
  for (;;) {
    const step = await steps.next();
    if (step.done === true) return step.value;
  }
}
