/**
 * What the verification of a log found. Invariants: a finding names the first entry that it concerns wherever one
 * can be named, and the number of findings that are kept is bounded, however damaged a log is.
 */

/** Every code with what it says about the log: an `error` means that it is not what was signed. */
export const FINDING_CODES = {
  CHECKPOINT_MISSING: { severity: 'error', title: 'the log has no signed checkpoint' },
  CHECKPOINT_INVALID: { severity: 'error', title: 'a checkpoint is malformed or not signed by the log' },
  HEAD_MISMATCH: { severity: 'error', title: 'the stored head is not that of its checkpoint' },
  ROOT_MISMATCH: { severity: 'error', title: 'the entries do not have the root that was signed' },
  FORK: { severity: 'error', title: 'the log contradicts an earlier checkpoint of itself' },
  LOG_SHORTER: { severity: 'error', title: 'the log is shorter than it was at an earlier checkpoint' },
  ENTRY_MISSING: { severity: 'error', title: 'entries are missing' },
  ENTRY_REPEATED: { severity: 'error', title: 'an entry is there twice or out of order' },
  ENTRY_CHANGED: { severity: 'error', title: 'an entry is not the one that was logged' },
  ENTRY_MOVED: { severity: 'error', title: 'an entry is not where it was logged' },
  LEAF_HASH_CHANGED: { severity: 'error', title: 'the hash stored with an entry is not that of the entry' },
  TILE_CHANGED: { severity: 'error', title: 'a tile does not hold the hashes of the tree' },
  TILE_MISSING: { severity: 'error', title: 'a tile is missing' },
  ENTRY_OR_TILE_CHANGED: { severity: 'error', title: 'an entry and its tile contradict each other' },
  SHARD_LINK_BROKEN: { severity: 'error', title: 'two shards are not linked as they say' },
  ENTRY_UNREADABLE: { severity: 'warning', title: 'an entry is not a JSON object' },
  UNSIGNED_TAIL: { severity: 'warning', title: 'entries follow that no checkpoint covers yet' },
  TIME_BACKWARDS: { severity: 'warning', title: 'the clock went back' },
  SILENCE: { severity: 'warning', title: 'nothing was logged while the service should have run' },
  UNCLEAN_RESTART: { severity: 'warning', title: 'the service started without having stopped' },
} as const;

export type FindingCode = keyof typeof FINDING_CODES;

export interface Finding {
  /** First entry that it concerns; undefined where the finding is about a checkpoint and no entry. */
  readonly index: number | undefined;
  readonly code: FindingCode;
  /** Lower case, one line. */
  readonly message: string;
}

/** Most findings that are kept per code; those beyond are counted. */
export const MAX_FINDINGS_PER_CODE = 100;

/** Collects findings in the order in which they come. */
export class FindingList {
  readonly #kept: Finding[] = [];
  readonly #counts = new Map<FindingCode, number>();
  #firstBad: number | undefined;

  add(code: FindingCode, index: number | undefined, message: string): void {
    const count = (this.#counts.get(code) ?? 0) + 1;
    this.#counts.set(code, count);
    if (FINDING_CODES[code].severity === 'error' && index !== undefined) {
      this.#firstBad = Math.min(index, this.#firstBad ?? index);
    }
    if (count <= MAX_FINDINGS_PER_CODE) this.#kept.push({ index, code, message });
  }

  /** The lowest index that an error names. */
  get firstBad(): number | undefined {
    return this.#firstBad;
  }

  /** All that were kept: errors first, then by index; those without one lead. */
  get findings(): readonly Finding[] {
    return [...this.#kept].sort((a, b) => rank(a) - rank(b) || (a.index ?? -1) - (b.index ?? -1));
  }

  get errors(): number {
    return this.#total('error');
  }

  get warnings(): number {
    return this.#total('warning');
  }

  #total(severity: 'error' | 'warning'): number {
    let total = 0;
    for (const [code, count] of this.#counts) {
      if (FINDING_CODES[code].severity === severity) total += count;
    }
    return total;
  }
}

function rank({ code }: Finding): number {
  return FINDING_CODES[code].severity === 'error' ? 0 : 1;
}
