/** Leaves as they are stored, with salts that are the same in every run. */
import { LeafCompleter } from '../../src/decision-log/late-values.ts';
import type { WrittenLeaf } from '../../src/decision-log/leaf.ts';
import { openOpening } from '../../src/decision-log/opening.ts';

export interface CompletedLeaf {
  readonly text: string;
  /** What the log keeps of its personal values. */
  readonly sealed: Uint8Array | undefined;
  /** The same, opened. */
  readonly disclosures: readonly string[];
}

export function completed({ text, late }: WrittenLeaf): CompletedLeaf {
  if (late === undefined) return { text, sealed: undefined, disclosures: [] };
  const bytes = Buffer.from(text);
  const sealed = new LeafCompleter(testRandom).complete(bytes, late);
  const key = late.subject?.key;
  const opened =
    sealed === undefined || key === undefined ? undefined : openOpening(sealed, key, late.decisionId);
  return { text: bytes.toString(), sealed, disclosures: opened?.split('~') ?? [] };
}

/** `saltsaltsaltsalt`, again and again. */
export function testRandom(size: number): Uint8Array {
  return Buffer.alloc(size, 'salt');
}
