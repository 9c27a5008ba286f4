/**
 * An anchor in a folder, such as a mounted bucket or what a job copies to one: every checkpoint as a file of its own,
 * `<log>/<day>/<size>.checkpoint`, and the newest as `latest`. Invariants: a checkpoint file is never changed or
 * removed; `latest` is written after the file it repeats, and never goes back.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type AnchorJudge,
  type AnchorTarget,
  MAX_ANCHOR_BYTES,
  mayReplace,
} from '../../decision-log/anchor.ts';
import type { SignedCheckpoint } from '../../decision-log/ports.ts';
import { timestamp } from '../../domain/clock.ts';
import { isMissing, makeFolder, readSmallFile, replaceFile } from './durable-file.ts';

/** Digits of a size in a file name, so that names sort as sizes do. */
const SIZE_DIGITS = 16;
const CHECKPOINT = /^\d{16}\.checkpoint$/;
const DAY = /^\d{4}-\d\d-\d\d$/;

export class DirectoryAnchor implements AnchorTarget {
  readonly name: string;
  readonly #folder: string;
  readonly #judge: AnchorJudge;

  constructor(name: string, folder: string, judge: AnchorJudge) {
    this.name = name;
    this.#folder = folder;
    this.#judge = judge;
  }

  /** `latest`, or a larger checkpoint of this log that a crash, or somebody, left beside it. */
  async read(): Promise<string | undefined> {
    const [latest, kept] = await Promise.all([this.#readLatest(), this.#readNewestKept()]);
    if (latest === undefined || kept === undefined) return latest ?? kept;
    const [one, other] = [this.#judge.read(latest), this.#judge.read(kept)];
    return one.origin === other.origin && other.size > one.size ? kept : latest;
  }

  async publish(checkpoint: SignedCheckpoint, signal: AbortSignal): Promise<readonly string[]> {
    // `latest` alone: listing the folder every minute would cost a bucket more than it says
    const replaces = mayReplace(this.name, await this.#readLatest(), checkpoint, this.#judge);
    await this.#keep(checkpoint, signal);
    if (replaces) await replaceFile(join(this.#folder, 'latest'), checkpoint.note, signal);
    return [];
  }

  async #keep(checkpoint: SignedCheckpoint, signal: AbortSignal): Promise<void> {
    const day = timestamp(checkpoint.time).slice(0, 10);
    const folder = await makeFolder(this.#folder, folderNameOf(checkpoint.origin), day);
    const file = join(folder, `${String(checkpoint.size).padStart(SIZE_DIGITS, '0')}.checkpoint`);
    const kept = await readSmallFile(file, MAX_ANCHOR_BYTES);
    // the same size is the same checkpoint, or a conflict
    if (mayReplace(this.name, kept, checkpoint, this.#judge))
      await replaceFile(file, checkpoint.note, signal);
  }

  #readLatest(): Promise<string | undefined> {
    return readSmallFile(join(this.#folder, 'latest'), MAX_ANCHOR_BYTES);
  }

  async #readNewestKept(): Promise<string | undefined> {
    const log = join(this.#folder, folderNameOf(this.#judge.origin));
    const day = (await namesIn(log, DAY)).at(-1);
    if (day === undefined) return undefined;
    const name = (await namesIn(join(log, day), CHECKPOINT)).at(-1);
    return name === undefined ? undefined : readSmallFile(join(log, day, name), MAX_ANCHOR_BYTES);
  }
}

/** The origin of a log as the name of a folder: `duramen.local/3f2a…` becomes `duramen.local_3f2a…`. */
export function folderNameOf(origin: string): string {
  return origin.replace(/[^A-Za-z0-9.-]/g, '_').replace(/^\.+/, '_');
}

async function namesIn(folder: string, pattern: RegExp): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).filter(name => pattern.test(name)).sort();
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}
