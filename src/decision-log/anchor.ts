/**
 * Anchors: places outside the log that keep its checkpoints, so that whoever can rewrite the log cannot rewrite what
 * they hold. Invariant: an anchor never goes back to an earlier checkpoint and never takes one that contradicts it.
 */
import type { SignedCheckpoint } from './ports.ts';
import { sameHash } from './tree-hash.ts';

/** Longest checkpoint that is read from an anchor, in bytes: one of this log has some 300, each cosignature 150. */
export const MAX_ANCHOR_BYTES = 65_536;

/** What a checkpoint says, as an anchor keeps it. */
export interface AnchoredHead {
  readonly origin: string;
  readonly size: number;
  /** RFC 6962 tree head, 32 bytes. */
  readonly root: Uint8Array;
}

/** Reads and judges checkpoints on behalf of one log. */
export interface AnchorJudge {
  readonly origin: string;
  /** @throws Error with what is wrong when it is no checkpoint, or names this log and its key did not sign it */
  read(note: string): AnchoredHead;
  /** Whether the first entry of this log records that it took the place of that log, at this size or a later one. */
  replaces(origin: string, size: number): boolean;
}

/** One place that keeps checkpoints. */
export interface AnchorTarget {
  /** `local`, `file:/mnt/worm/checkpoint`, `directory:/mnt/bucket`, `witness:witness.example/w1`: unique, short. */
  readonly name: string;
  /**
   * The newest checkpoint that is kept there; undefined: there is none. Rejects when it cannot be read. Absent on
   * a witness, which shows what it holds only by what it accepts.
   */
  readonly read?: () => Promise<string | undefined>;
  /**
   * Resolves when the place keeps the checkpoint durably, with the cosignature lines that it gave, if any. Rejects
   * with AnchorConflict when it holds a checkpoint that this one does not continue, with any other Error when the
   * attempt failed and may be repeated.
   */
  publish(checkpoint: SignedCheckpoint, signal: AbortSignal): Promise<readonly string[]>;
}

/**
 * An anchor holds a checkpoint of this log that is larger than the log, or of another history: the log went back in
 * time, or runs twice.
 */
export class AnchorConflict extends Error {
  readonly target: string;
  /** Entries of the checkpoint that the anchor holds, as far as it says. */
  readonly heldSize: number | undefined;

  constructor(target: string, heldSize: number | undefined, message: string) {
    super(message);
    this.name = 'AnchorConflict';
    this.target = target;
    this.heldSize = heldSize;
  }
}

/**
 * Whether `checkpoint` may take the place of what an anchor holds; true: it does, false: it is there already.
 * @throws AnchorConflict, or Error when what the anchor holds is damaged or belongs to another log
 */
export function mayReplace(
  target: string,
  held: string | undefined,
  checkpoint: SignedCheckpoint,
  judge: AnchorJudge,
): boolean {
  if (held === undefined) return true;
  const head = judge.read(held);
  if (head.origin !== checkpoint.origin) {
    if (judge.replaces(head.origin, head.size)) return true;
    throw new Error(`it holds a checkpoint of another log, \`${head.origin}\`: give each log its own anchor`);
  }
  if (head.size > checkpoint.size) {
    throw new AnchorConflict(
      target,
      head.size,
      `it holds a checkpoint of ${head.size} entries, the log has ${checkpoint.size}`,
    );
  }
  if (head.size < checkpoint.size) return true;
  if (!sameHash(head.root, checkpoint.root)) {
    throw new AnchorConflict(
      target,
      head.size,
      `it holds a checkpoint of another history of ${head.size} entries`,
    );
  }
  return false;
}
