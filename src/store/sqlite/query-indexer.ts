/**
 * Copies the facts of leaves into query.db, in order, at most a block at a time. Invariant: a chunk is indexed with the
 * progress that says so, or not at all, so that no entry is skipped or indexed twice, whatever stops it.
 */
import type { Database, Statement } from 'better-sqlite3';
import { type FactField, leafFacts, type LeafFacts, principalId } from '../../decision-log/leaf-facts.ts';
import { parseLeaf } from '../../decision-log/logged-leaf.ts';
import { BLOCK_ENTRIES, blockOf, decodeSlots, encodeSlots } from './query-block.ts';

/** Dictionary entries kept in memory. */
const MAX_CACHED_TERMS = 65_536;

/** Fields that are too selective for the dictionary. */
export const LOOKUP_FIELDS: ReadonlySet<string> = new Set<FactField>(['requestId']);
/** Lookup field of entry ids; events and decisions apart. */
export const DECISION_ID = 'decisionId';
const EVENT_ID = 'eventId';

interface LeafRow {
  readonly idx: number;
  readonly body: Buffer;
}

/** What one chunk adds to its block. */
interface Chunk {
  readonly slots: Map<number, number[]>;
  readonly times: number[];
}

export class QueryIndexer {
  private readonly db: Database;
  private readonly leaves: Statement<[number, number], LeafRow>;
  private readonly addLookup: Statement<[string, string, number]>;
  private readonly hasLookup: Statement<[string, string], number>;
  private readonly addTerm: Statement<[string, string, string | null]>;
  private readonly findTerm: Statement<[string, string], number>;
  private readonly findSlots: Statement<[number, number], Buffer>;
  private readonly setSlots: Statement<[number, number, Buffer]>;
  private readonly findTimes: Statement<[number], Buffer>;
  private readonly setTimes: Statement<[number, Buffer]>;
  private readonly setBlock: Statement<[number, number, number]>;
  private readonly setNext: Statement<[number]>;
  private readonly terms = new Map<string, number>();
  private nextIndex: number;

  constructor(db: Database, log: Database) {
    this.db = db;
    this.leaves = log.prepare('SELECT idx, body FROM leaf WHERE idx >= ? ORDER BY idx LIMIT ?');
    this.addLookup = db.prepare('INSERT INTO lookup (field, value, idx) VALUES (?, ?, ?)');
    this.hasLookup = db
      .prepare<[string, string], number>('SELECT 1 FROM lookup WHERE field = ? AND value = ? LIMIT 1')
      .pluck();
    this.addTerm = db.prepare('INSERT INTO term (field, value, alias) VALUES (?, ?, ?)');
    this.findTerm = db
      .prepare<[string, string], number>('SELECT code FROM term WHERE field = ? AND value = ?')
      .pluck();
    this.findSlots = db
      .prepare<[number, number], Buffer>('SELECT slots FROM posting WHERE term = ? AND block = ?')
      .pluck();
    this.setSlots = db.prepare('INSERT OR REPLACE INTO posting (term, block, slots) VALUES (?, ?, ?)');
    this.findTimes = db.prepare<[number], Buffer>('SELECT times FROM block_time WHERE block = ?').pluck();
    this.setTimes = db.prepare('INSERT OR REPLACE INTO block_time (block, times) VALUES (?, ?)');
    this.setBlock = db.prepare(
      `INSERT INTO block (block, earliest, latest) VALUES (?, ?, ?) ON CONFLICT (block) DO UPDATE
       SET earliest = min(earliest, excluded.earliest), latest = max(latest, excluded.latest)`,
    );
    this.setNext = db.prepare('UPDATE progress SET next = ? WHERE id = 1');
    this.nextIndex = db.prepare<[], number>('SELECT next FROM progress').pluck().get() ?? 0;
  }

  /** The first entry that is not indexed. */
  get next(): number {
    return this.nextIndex;
  }

  /** Indexes what the log has of the current block. @returns how many entries it indexed */
  step(): number {
    const rows = this.leaves.all(this.nextIndex, BLOCK_ENTRIES - (this.nextIndex % BLOCK_ENTRIES));
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
    const chunk: Chunk = { slots: new Map(), times: [] };
    for (const [at, { idx, body }] of rows.entries()) {
      if (idx !== this.nextIndex + at) throw new Error(`entry ${this.nextIndex + at} of the log is missing`);
      this.gather(idx, leafFacts(parseLeaf(body.toString('utf8'))), chunk);
    }
    const block = blockOf(this.nextIndex);
    const isNew = this.nextIndex % BLOCK_ENTRIES === 0;
    // In the order of the tree, so that neighbours are written together.
    for (const [term, slots] of [...chunk.slots].sort(([one], [other]) => one - other)) {
      const before = isNew ? undefined : this.findSlots.get(term, block);
      this.setSlots.run(
        term,
        block,
        encodeSlots(before === undefined ? slots : [...decodeSlots(before), ...slots]),
      );
    }
    const times = Buffer.from(Float64Array.from(chunk.times).buffer);
    const earlier = isNew ? undefined : this.findTimes.get(block);
    this.setTimes.run(block, earlier === undefined ? times : Buffer.concat([earlier, times]));
    this.setBlock.run(block, Math.min(...chunk.times), Math.max(...chunk.times));
    this.setNext.run(this.nextIndex + rows.length);
  }

  private gather(idx: number, facts: LeafFacts, chunk: Chunk): void {
    chunk.times.push(facts.time);
    const idField = facts.isEvent ? EVENT_ID : DECISION_ID;
    // An event that is in the log already keeps its place and its time, but has no facts: no query finds it.
    if (facts.isEvent && this.hasLookup.get(idField, facts.id) !== undefined) return;
    this.addLookup.run(idField, facts.id, idx);
    for (const [field, values] of facts.values) {
      for (const value of values) {
        if (LOOKUP_FIELDS.has(field)) this.addLookup.run(field, value, idx);
        else addSlot(chunk, this.termOf(field, value), idx % BLOCK_ENTRIES);
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

function addSlot({ slots }: Chunk, term: number, slot: number): void {
  const known = slots.get(term);
  if (known === undefined) slots.set(term, [slot]);
  else known.push(slot);
}
