/**
 * Takes entries that retention removed out of the index, a little at a time. Invariant: nothing of a kept entry is
 * touched, and a pruning that was cut short starts again, since only its end is recorded.
 */
import type { Database, Statement } from 'better-sqlite3';
import { blockOf } from './query-block.ts';
import type { LeafSource } from './query-leaves.ts';

/** Terms and lookups of one step: some milliseconds. */
const TERMS_PER_STEP = 256;
const LOOKUPS_PER_STEP = 4_096;

interface LookupRow {
  readonly field: string;
  readonly value: string;
  readonly idx: number;
}

/** How far one pruning is: what it removes, and where each of its sweeps goes on. */
interface Sweep {
  /** Index of the first entry that stays. */
  readonly kept: number;
  /** Code of the last term that was looked at. */
  term: number;
  termsDone: boolean;
  /** The last lookup that was looked at. */
  lookup: LookupRow;
}

export class QueryPruner {
  private readonly db: Database;
  private readonly leaves: LeafSource;
  private readonly forgetTerms: () => void;
  private readonly nextTerms: Statement<[number, number], number>;
  private readonly dropPostings: Statement<[number, number]>;
  private readonly hasPosting: Statement<[number], number>;
  private readonly dropTerm: Statement<[number]>;
  private readonly nextLookups: Statement<[LookupRow & { limit: number }], LookupRow>;
  private readonly dropLookup: Statement<[LookupRow]>;
  private sweep: Sweep | undefined;
  private pruned: number;

  /** @param forgetTerms is called after terms were deleted */
  constructor(db: Database, leaves: LeafSource, forgetTerms: () => void) {
    this.db = db;
    this.leaves = leaves;
    this.forgetTerms = forgetTerms;
    this.nextTerms = db
      .prepare<[number, number], number>('SELECT code FROM term WHERE code > ? ORDER BY code LIMIT ?')
      .pluck();
    this.dropPostings = db.prepare('DELETE FROM posting WHERE term = ? AND block < ?');
    this.hasPosting = db.prepare<[number], number>('SELECT 1 FROM posting WHERE term = ? LIMIT 1').pluck();
    this.dropTerm = db.prepare('DELETE FROM term WHERE code = ?');
    this.nextLookups = db.prepare(
      `SELECT field, value, idx FROM lookup WHERE (field, value, idx) > (@field, @value, @idx)
       ORDER BY field, value, idx LIMIT @limit`,
    );
    this.dropLookup = db.prepare('DELETE FROM lookup WHERE field = @field AND value = @value AND idx = @idx');
    this.pruned = db.prepare<[], number>('SELECT pruned FROM progress').pluck().get() ?? 0;
  }

  /** Removes a bounded part of what is to go. @returns whether it did anything */
  step(): boolean {
    const kept = this.leaves.firstKept();
    if (this.sweep === undefined) {
      if (kept <= this.pruned) return false;
      this.sweep = { kept, term: 0, termsDone: false, lookup: { field: '', value: '', idx: -1 } };
    }
    // Names of persons can stand in the index of old leaves: what is deleted is overwritten.
    this.db.pragma('secure_delete = ON');
    this.db.exec('BEGIN IMMEDIATE');
    try {
      this.advance(this.sweep);
      this.db.exec('COMMIT');
    } catch (error) {
      // Where the sweep stands is unknown now; it starts again.
      this.sweep = undefined;
      if (this.db.inTransaction) this.db.exec('ROLLBACK');
      throw error;
    } finally {
      this.forgetTerms();
      this.db.pragma('secure_delete = OFF');
    }
    return true;
  }

  private advance(sweep: Sweep): void {
    if (!sweep.termsDone) this.sweepTerms(sweep);
    else if (this.sweepLookups(sweep)) return;
    else this.finish(sweep);
  }

  private sweepTerms(sweep: Sweep): void {
    const codes = this.nextTerms.all(sweep.term, TERMS_PER_STEP);
    for (const code of codes) {
      this.dropPostings.run(code, blockOf(sweep.kept));
      if (this.hasPosting.get(code) === undefined) this.dropTerm.run(code);
    }
    sweep.term = codes.at(-1) ?? sweep.term;
    sweep.termsDone = codes.length < TERMS_PER_STEP;
  }

  /** @returns whether some may be left */
  private sweepLookups(sweep: Sweep): boolean {
    const rows = this.nextLookups.all({ ...sweep.lookup, limit: LOOKUPS_PER_STEP });
    for (const row of rows) if (row.idx < sweep.kept) this.dropLookup.run(row);
    sweep.lookup = rows.at(-1) ?? sweep.lookup;
    return rows.length === LOOKUPS_PER_STEP;
  }

  private finish({ kept }: Sweep): void {
    const block = blockOf(kept);
    this.db.prepare('DELETE FROM block WHERE block < ?').run(block);
    this.db.prepare('DELETE FROM block_time WHERE block < ?').run(block);
    this.db.prepare('UPDATE progress SET pruned = ? WHERE id = 1').run(kept);
    this.pruned = kept;
    this.sweep = undefined;
  }
}
