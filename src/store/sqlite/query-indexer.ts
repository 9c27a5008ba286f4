/**
 * Copies the facts of leaves into query.db, in order, at most a block at a time. Invariant: a chunk is indexed with the
 * progress that says so, or not at all, so that no entry is skipped or indexed twice, whatever stops it.
 */
import type { Database, Statement } from 'better-sqlite3';
import {
  type FactField,
  isEventLeaf,
  leafId,
  leafTime,
  principalId,
  reportedDecision,
  visitFacts,
} from '../../decision-log/leaf-facts.ts';
import { parseLeaf } from '../../decision-log/logged-leaf.ts';
import type { JsonObject } from '../../domain/json.ts';
import { BLOCK_ENTRIES, blockOf, decodeSlots, encodeSlots } from './query-block.ts';
import type { LeafRow, LeafSource } from './query-leaves.ts';

/** Dictionary entries kept in memory. */
const MAX_CACHED_TERMS = 65_536;
/** Lookups of one statement while a chunk has as many. */
const ROWS_PER_INSERT = 32;

/** Fields that are too selective for the dictionary. */
export const LOOKUP_FIELDS: ReadonlySet<string> = new Set<FactField>(['requestId']);
/** Lookup field of entry ids; events and decisions apart. */
export const DECISION_ID = 'decisionId';
const EVENT_ID = 'eventId';
/** Lookup field of entries that report an outcome, by their decision. */
export const OUTCOME_OF = 'outcomeOf';

/** Field, value and index. */
type LookupColumn = string | number;
const LOOKUP_COLUMNS = 3;

/** What one chunk adds to its block. */
interface Chunk {
  readonly slots: Map<number, number[]>;
  readonly times: number[];
  /** Decisions whose outcome is reported: they can be in blocks before. */
  readonly reported: number[];
  /** Columns of lookups that are not written yet. */
  lookups: LookupColumn[];
}

export class QueryIndexer {
  private readonly db: Database;
  private readonly leaves: LeafSource;
  private readonly addLookup: Statement<[LookupColumn[]]>;
  private readonly addLookups: Statement<[LookupColumn[]]>;
  private readonly hasLookup: Statement<[string, string], number>;
  private readonly findLookup: Statement<[string, string], number>;
  private readonly addTerm: Statement<[string, string, string | null]>;
  private readonly findTerm: Statement<[string, string], number>;
  private readonly findSlots: Statement<[number, number], Buffer>;
  private readonly setSlots: Statement<[number, number, Buffer]>;
  private readonly findTimes: Statement<[number], Buffer>;
  private readonly setTimes: Statement<[number, Buffer]>;
  private readonly setBlock: Statement<[number, number, number]>;
  private readonly setNext: Statement<[number, Buffer | null]>;
  private readonly terms = new Map<FactField, Map<string, number>>();
  private termCount = 0;
  private nextIndex: number;

  constructor(db: Database, leaves: LeafSource) {
    this.db = db;
    this.leaves = leaves;
    this.addLookup = db.prepare<[LookupColumn[]]>(insertLookups(1));
    this.addLookups = db.prepare<[LookupColumn[]]>(insertLookups(ROWS_PER_INSERT));
    this.hasLookup = db
      .prepare<[string, string], number>('SELECT 1 FROM lookup WHERE field = ? AND value = ? LIMIT 1')
      .pluck();
    this.findLookup = db
      .prepare<[string, string], number>('SELECT idx FROM lookup WHERE field = ? AND value = ? LIMIT 1')
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
    this.setNext = db.prepare('UPDATE progress SET next = ?, last = ? WHERE id = 1');
    this.nextIndex = db.prepare<[], number>('SELECT next FROM progress').pluck().get() ?? 0;
  }

  /** The first entry that is not indexed. */
  get next(): number {
    return this.nextIndex;
  }

  /**
   * Indexes what the log has of the current block. Entries that retention removed before they were indexed are
   * passed over. @returns how many entries it indexed
   */
  step(): number {
    this.nextIndex = Math.max(this.nextIndex, this.leaves.firstKept());
    const rows = this.leaves.rows(this.nextIndex, BLOCK_ENTRIES - (this.nextIndex % BLOCK_ENTRIES));
    if (rows.length === 0) return 0;
    this.db.exec('BEGIN IMMEDIATE');
    try {
      this.write(rows);
      this.db.exec('COMMIT');
    } catch (error) {
      // Codes of terms that were rolled back must not be used again.
      this.forgetTerms();
      if (this.db.inTransaction) this.db.exec('ROLLBACK');
      throw error;
    }
    this.nextIndex += rows.length;
    return rows.length;
  }

  private write(rows: readonly LeafRow[]): void {
    const chunk: Chunk = { slots: new Map(), times: [], reported: [], lookups: [] };
    let expected = this.nextIndex;
    for (const { idx, json } of rows) {
      if (idx !== expected) throw new Error(`entry ${expected} of the log is missing`);
      expected++;
      this.gather(idx, parseLeaf(json), chunk);
    }
    this.writeLookups(chunk);
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
    this.writeReported(chunk);
    this.writeTimes(block, chunk.times);
    const next = this.nextIndex + rows.length;
    this.setNext.run(next, this.leaves.leaf(next - 1)?.hash ?? null);
  }

  /** Decisions get a fact that their own leaf does not have. */
  private writeReported({ reported }: Chunk): void {
    if (reported.length === 0) return;
    const term = this.termOf('outcome', 'reported');
    for (const [block, indexes] of Map.groupBy(reported, blockOf)) {
      const before = this.findSlots.get(term, block);
      const slots = new Set(before === undefined ? [] : decodeSlots(before));
      for (const index of indexes) slots.add(index % BLOCK_ENTRIES);
      this.setSlots.run(term, block, encodeSlots([...slots].sort((one, other) => one - other)));
    }
  }

  /** Times are found by their place, so entries of the block that were never indexed get one too. */
  private writeTimes(block: number, times: readonly number[]): void {
    const added = Buffer.from(Float64Array.from(times).buffer);
    const before = (this.nextIndex % BLOCK_ENTRIES) * Float64Array.BYTES_PER_ELEMENT;
    const earlier = before === 0 ? Buffer.alloc(0) : (this.findTimes.get(block) ?? Buffer.alloc(0));
    const gap = Buffer.alloc(before - earlier.length);
    this.setTimes.run(block, Buffer.concat([earlier, gap, added]));
    this.setBlock.run(block, Math.min(...times), Math.max(...times));
  }

  private gather(idx: number, leaf: JsonObject, chunk: Chunk): void {
    chunk.times.push(leafTime(leaf));
    const isEvent = isEventLeaf(leaf);
    const id = leafId(leaf);
    if (isEvent) {
      // An event that is in the log already keeps its place and its time, but has no facts: no query finds it.
      this.writeLookups(chunk);
      if (this.hasLookup.get(EVENT_ID, id) !== undefined) return;
      this.report(leaf, idx, chunk);
    }
    this.lookUp(chunk, isEvent ? EVENT_ID : DECISION_ID, id, idx);
    const slot = idx % BLOCK_ENTRIES;
    visitFacts(leaf, (field, value) => {
      if (LOOKUP_FIELDS.has(field)) this.lookUp(chunk, field, value, idx);
      else addSlot(chunk, this.termOf(field, value), slot);
    });
  }

  /** What an entry says of the outcome of a decision before it. */
  private report(leaf: JsonObject, idx: number, chunk: Chunk): void {
    const decision = reportedDecision(leaf);
    if (decision === undefined) return;
    this.lookUp(chunk, OUTCOME_OF, decision, idx);
    const index = this.findLookup.get(DECISION_ID, decision);
    if (index !== undefined) chunk.reported.push(index);
  }

  private lookUp(chunk: Chunk, field: string, value: string, idx: number): void {
    chunk.lookups.push(field, value, idx);
    if (chunk.lookups.length < ROWS_PER_INSERT * LOOKUP_COLUMNS) return;
    this.addLookups.run(chunk.lookups);
    chunk.lookups = [];
  }

  /** Writes the lookups that wait for a full statement. */
  private writeLookups(chunk: Chunk): void {
    const { lookups } = chunk;
    for (let at = 0; at < lookups.length; at += LOOKUP_COLUMNS) {
      this.addLookup.run(lookups.slice(at, at + LOOKUP_COLUMNS));
    }
    chunk.lookups = [];
  }

  private termOf(field: FactField, value: string): number {
    let codes = this.terms.get(field);
    if (codes === undefined) this.terms.set(field, (codes = new Map<string, number>()));
    const known = codes.get(value);
    if (known !== undefined) return known;
    let code = this.findTerm.get(field, value);
    if (code === undefined) {
      const alias = field === 'principal' ? principalId(value) : null;
      code = Number(this.addTerm.run(field, value, alias).lastInsertRowid);
    }
    if (this.termCount >= MAX_CACHED_TERMS) this.forgetTerms();
    codes.set(value, code);
    this.termCount++;
    return code;
  }

  /** To be called when terms were deleted: their codes may be given out again. */
  forgetTerms(): void {
    for (const codes of this.terms.values()) codes.clear();
    this.termCount = 0;
  }
}

function insertLookups(rows: number): string {
  return `INSERT INTO lookup (field, value, idx) VALUES ${Array(rows).fill('(?, ?, ?)').join(', ')}`;
}

/** Entries come in order, so a fact that an entry has twice is the last one of its list. */
function addSlot({ slots }: Chunk, term: number, slot: number): void {
  const known = slots.get(term);
  if (known === undefined) slots.set(term, [slot]);
  else if (known.at(-1) !== slot) known.push(slot);
}
