/**
 * Copies the facts of leaves into query.db, in order and in chunks. Invariant: a chunk is indexed with the
 * progress that says so, or not at all, so that no entry is skipped or indexed twice, whatever stops it.
 */
import type { Database, Statement } from 'better-sqlite3';
import { type FactField, leafFacts, type LeafFacts, principalId } from '../../decision-log/leaf-facts.ts';
import { parseLeaf } from '../../decision-log/logged-leaf.ts';

/** Leaves per transaction. */
export const CHUNK_LEAVES = 1_000;
/** Dictionary entries kept in memory. */
const MAX_CACHED_TERMS = 65_536;
export const MINUTE_MS = 60_000;

/** Fields that are too selective for the dictionary. */
export const LOOKUP_FIELDS: ReadonlySet<string> = new Set<FactField>(['requestId']);
/** Lookup field of entry ids; events and decisions apart. */
export const DECISION_ID = 'decisionId';
export const EVENT_ID = 'eventId';

interface LeafRow {
  readonly idx: number;
  readonly body: Buffer;
}

/** What one chunk adds, gathered so that it can be written in the order of the trees. */
interface Chunk {
  readonly postings: { readonly term: number; readonly idx: number }[];
  readonly minutes: Map<number, { first: number; last: number }>;
}

export class QueryIndexer {
  private readonly db: Database;
  private readonly leaves: Statement<[number, number], LeafRow>;
  private readonly addEntry: Statement<[number, number, number]>;
  private readonly addPosting: Statement<[number, number]>;
  private readonly addLookup: Statement<[string, string, number]>;
  private readonly addTerm: Statement<[string, string, string | null]>;
  private readonly findTerm: Statement<[string, string], number>;
  private readonly hasLookup: Statement<[string, string], number>;
  private readonly addMinute: Statement<[number, number, number]>;
  private readonly setNext: Statement<[number]>;
  private readonly terms = new Map<string, number>();
  private nextIndex: number;

  constructor(db: Database, log: Database) {
    this.db = db;
    this.leaves = log.prepare('SELECT idx, body FROM leaf WHERE idx >= ? ORDER BY idx LIMIT ?');
    this.addEntry = db.prepare('INSERT INTO entry (idx, time, event) VALUES (?, ?, ?)');
    this.addPosting = db.prepare('INSERT INTO posting (term, idx) VALUES (?, ?)');
    this.addLookup = db.prepare('INSERT INTO lookup (field, value, idx) VALUES (?, ?, ?)');
    this.addTerm = db.prepare('INSERT INTO term (field, value, alias) VALUES (?, ?, ?)');
    this.findTerm = db
      .prepare<[string, string], number>('SELECT code FROM term WHERE field = ? AND value = ?')
      .pluck();
    this.hasLookup = db
      .prepare<[string, string], number>('SELECT 1 FROM lookup WHERE field = ? AND value = ? LIMIT 1')
      .pluck();
    this.addMinute = db.prepare(
      `INSERT INTO minute (minute, first, last) VALUES (?, ?, ?)
       ON CONFLICT (minute) DO UPDATE SET first = min(first, excluded.first), last = max(last, excluded.last)`,
    );
    this.setNext = db.prepare('UPDATE progress SET next = ? WHERE id = 1');
    this.nextIndex = db.prepare<[], number>('SELECT next FROM progress').pluck().get() ?? 0;
  }

  /** The first entry that is not indexed. */
  get next(): number {
    return this.nextIndex;
  }

  /** Indexes at most one chunk. @returns how many entries it indexed */
  step(): number {
    const rows = this.leaves.all(this.nextIndex, CHUNK_LEAVES);
    if (rows.length === 0) return 0;
    this.db.exec('BEGIN IMMEDIATE');
    try {
      this.write(rows);
      this.db.exec('COMMIT');
    } catch (error) {
      // Codes of terms that were rolled back must not be used again.
      this.terms.clear();
      if (this.db.inTransaction) this.db.exec('ROLLBACK');
      throw error;
    }
    this.nextIndex += rows.length;
    return rows.length;
  }

  private write(rows: readonly LeafRow[]): void {
    const chunk: Chunk = { postings: [], minutes: new Map() };
    for (const [at, { idx, body }] of rows.entries()) {
      if (idx !== this.nextIndex + at) throw new Error(`entry ${this.nextIndex + at} of the log is missing`);
      this.writeLeaf(idx, leafFacts(parseLeaf(body.toString('utf8'))), chunk);
    }
    chunk.postings.sort((one, other) => one.term - other.term || one.idx - other.idx);
    for (const { term, idx } of chunk.postings) this.addPosting.run(term, idx);
    for (const [minute, { first, last }] of chunk.minutes) this.addMinute.run(minute, first, last);
    this.setNext.run(this.nextIndex + rows.length);
  }

  private writeLeaf(idx: number, facts: LeafFacts, chunk: Chunk): void {
    const repeated = facts.isEvent && this.hasLookup.get(EVENT_ID, facts.id) !== undefined;
    this.addEntry.run(idx, facts.time, facts.isEvent ? (repeated ? 2 : 1) : 0);
    const minute = Math.floor(facts.time / MINUTE_MS);
    const range = chunk.minutes.get(minute);
    if (range === undefined) chunk.minutes.set(minute, { first: idx, last: idx });
    else range.last = idx;
    if (repeated) return;
    this.addLookup.run(facts.isEvent ? EVENT_ID : DECISION_ID, facts.id, idx);
    for (const [field, values] of facts.values) {
      for (const value of values) {
        if (LOOKUP_FIELDS.has(field)) this.addLookup.run(field, value, idx);
        else chunk.postings.push({ term: this.termOf(field, value), idx });
      }
    }
  }

  private termOf(field: FactField, value: string): number {
    const key = `${field} ${value}`;
    const known = this.terms.get(key);
    if (known !== undefined) return known;
    let code = this.findTerm.get(field, value);
    if (code === undefined) {
      const alias = field === 'principal' ? principalId(value) : null;
      code = Number(this.addTerm.run(field, value, alias).lastInsertRowid);
    }
    if (this.terms.size >= MAX_CACHED_TERMS) this.terms.clear();
    this.terms.set(key, code);
    return code;
  }
}
