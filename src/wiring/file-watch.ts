/**
 * Hears of changed files. Invariant: it may call too often, and never too late by more than POLL_MS: folders are
 * watched, since secrets are replaced by renaming links beside them, and looked at from time to time, since not every
 * file system tells.
 */
import { type FSWatcher, statSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import type { Timers } from '../decision-log/timers.ts';

/** Quiet time after the last change before it counts, in milliseconds: certificate and key are written one after the other. */
export const DEBOUNCE_MS = 300;
/** How often the files are looked at, in milliseconds. */
export const POLL_MS = 30_000;

export interface FileWatchOptions {
  readonly files: readonly string[];
  readonly timers: Timers;
  readonly changed: () => void;
  /** Hears that a folder cannot be watched; its files are still looked at. */
  readonly unwatched: (folder: string, error: unknown) => void;
}

export class FileWatch {
  readonly #options: FileWatchOptions;
  readonly #watchers: FSWatcher[] = [];
  #signature: string;
  #cancelPoll: () => void = () => undefined;
  #cancelDebounce: () => void = () => undefined;

  constructor(options: FileWatchOptions) {
    this.#options = options;
    this.#signature = signatureOf(options.files);
  }

  start(): void {
    for (const folder of new Set(this.#options.files.map(file => dirname(file)))) this.#watch(folder);
    this.#poll();
  }

  close(): void {
    this.#cancelPoll();
    this.#cancelDebounce();
    for (const watcher of this.#watchers) watcher.close();
  }

  #watch(folder: string): void {
    const { unwatched } = this.#options;
    try {
      const watcher = watch(folder, { persistent: false }, () => this.#touched());
      watcher.on('error', error => unwatched(folder, error));
      this.#watchers.push(watcher);
    } catch (error) {
      unwatched(folder, error);
    }
  }

  #touched(): void {
    this.#cancelDebounce();
    this.#cancelDebounce = this.#options.timers.after(DEBOUNCE_MS, () => this.#look());
  }

  #poll(): void {
    this.#cancelPoll = this.#options.timers.after(POLL_MS, () => {
      this.#look();
      this.#poll();
    });
  }

  #look(): void {
    const signature = signatureOf(this.#options.files);
    if (signature === this.#signature) return;
    this.#signature = signature;
    this.#options.changed();
  }
}

/** What changes when a file is written or replaced. */
function signatureOf(files: readonly string[]): string {
  return files
    .map(file => {
      const stat = statSync(file, { bigint: true, throwIfNoEntry: false });
      return stat === undefined
        ? '-'
        : `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}`;
    })
    .join(' ');
}
