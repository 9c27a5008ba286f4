/**
 * What an anchor holds, judged on behalf of one log. Invariant: a checkpoint that names this log counts only with
 * the signature of its key; one of another log counts only as far as this log's first entry takes its place.
 */
import type { AnchoredHead, AnchorJudge } from './anchor.ts';
import { parseCheckpoint } from './checkpoint.ts';
import { type NoteVerifier, parseNote, verifiedSignatures } from './signed-note.ts';

export class LogJudge implements AnchorJudge {
  readonly origin: string;
  readonly #verifier: NoteVerifier;
  readonly #replaced: readonly AnchoredHead[];

  /** @param replaced checkpoints of other logs that the first entry of this one records */
  constructor(origin: string, verifier: NoteVerifier, replaced: readonly AnchoredHead[]) {
    this.origin = origin;
    this.#verifier = verifier;
    this.#replaced = replaced;
  }

  read(note: string): AnchoredHead {
    const parsed = parseNote(note);
    const head = parseCheckpoint(parsed.text);
    if (head.origin === this.origin && verifiedSignatures(parsed, [this.#verifier]).length === 0) {
      throw new Error('its checkpoint is not signed by the key of this log');
    }
    return head;
  }

  replaces(origin: string, size: number): boolean {
    return this.#replaced.some(one => one.origin === origin && size <= one.size);
  }
}
