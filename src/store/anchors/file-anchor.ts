/**
 * An anchor in one file, best on another volume or another machine's export. Invariant: the file never goes back to
 * a smaller checkpoint and is never replaced when what it holds is damaged, contradicts the log or belongs to another.
 */
import {
  type AnchorJudge,
  type AnchorTarget,
  MAX_ANCHOR_BYTES,
  mayReplace,
} from '../../decision-log/anchor.ts';
import type { SignedCheckpoint } from '../../decision-log/ports.ts';
import { readSmallFile, replaceFile } from './durable-file.ts';

export class FileAnchor implements AnchorTarget {
  readonly name: string;
  readonly #file: string;
  readonly #judge: AnchorJudge;

  constructor(name: string, file: string, judge: AnchorJudge) {
    this.name = name;
    this.#file = file;
    this.#judge = judge;
  }

  read(): Promise<string | undefined> {
    return readSmallFile(this.#file, MAX_ANCHOR_BYTES);
  }

  async publish(checkpoint: SignedCheckpoint, signal: AbortSignal): Promise<readonly string[]> {
    if (mayReplace(this.name, await this.read(), checkpoint, this.#judge)) {
      await replaceFile(this.#file, checkpoint.note, signal);
    }
    return [];
  }
}
