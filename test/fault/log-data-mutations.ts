/**
 * Damage to the log of a data folder, one piece at a time: to rows by SQL, as somebody with the file can do it, and to
 * the bytes of its files. Each mutation says which entry is the first that it harms, where it harms one.
 */
import { copyFileSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import SqliteDatabase, { type Database } from 'better-sqlite3';
import { type Dice, flipped, type Mutation } from './log-mutations.ts';

/** A shard of the folder. */
export interface HarmedShard {
  /** Path within the data folder. */
  readonly file: string;
  readonly first: number;
  readonly entries: number;
}

/** A data folder that can be harmed and mended. */
export class HarmedFolder {
  readonly folder: string;
  /** The same, never touched. */
  readonly whole: string;
  /** The same as it was earlier. */
  readonly older: string;
  readonly shards: readonly HarmedShard[];
  #touched = new Set<string>();

  constructor(folder: string, whole: string, older: string, shards: readonly HarmedShard[]) {
    this.folder = folder;
    this.whole = whole;
    this.older = older;
    this.shards = shards;
  }

  /** Changes a database by SQL. */
  sql<T>(file: string, change: (db: Database) => T): T {
    this.#touched.add(file);
    const db = new SqliteDatabase(join(this.folder, file));
    try {
      db.pragma('ignore_check_constraints = ON');
      db.pragma('synchronous = OFF');
      db.pragma('journal_mode = MEMORY');
      return change(db);
    } finally {
      db.close();
    }
  }

  read(file: string): Buffer {
    return readFileSync(join(this.folder, file));
  }

  write(file: string, bytes: Uint8Array): void {
    this.#touched.add(file);
    writeFileSync(join(this.folder, file), bytes);
  }

  remove(file: string): void {
    this.#touched.add(file);
    rmSync(join(this.folder, file));
  }

  /** Puts the file of an earlier time in place. */
  replay(file: string): void {
    this.#touched.add(file);
    copyFileSync(join(this.older, file), join(this.folder, file));
  }

  swap(one: string, other: string): void {
    this.#touched.add(one).add(other);
    const aside = join(this.folder, 'aside');
    renameSync(join(this.folder, one), aside);
    renameSync(join(this.folder, other), join(this.folder, one));
    renameSync(aside, join(this.folder, other));
  }

  /** Makes it whole again. */
  mend(): void {
    for (const file of this.#touched) {
      for (const side of ['-wal', '-shm', '-journal'])
        rmSync(join(this.folder, file + side), { force: true });
      if (existsSync(join(this.whole, file))) copyFileSync(join(this.whole, file), join(this.folder, file));
      else rmSync(join(this.folder, file), { force: true });
    }
    this.#touched = new Set();
  }
}

/** Takes the guard rails out of a database, as somebody with the file can, and leaves no file beside it. */
export function disarm(file: string): void {
  const db = new SqliteDatabase(file);
  const names = db.prepare<[], string>("SELECT name FROM sqlite_schema WHERE type = 'trigger'").pluck().all();
  for (const name of names) db.exec(`DROP TRIGGER ${name}`);
  db.pragma('journal_mode = DELETE');
  db.close();
}

/** One way to harm a folder; undefined when the dice chose what would change nothing. */
export type FolderMutator = (log: HarmedFolder, dice: Dice) => Mutation | undefined;

const WIDTH = 256;
const HASH = 32;

interface Cell {
  readonly value: Buffer;
}

export const FOLDER_MUTATORS: Readonly<Record<string, FolderMutator>> = {
  'flip a bit of an entry': (log, dice) => changeLeaf(log, dice, 'body'),
  'flip a bit of a leaf hash': (log, dice) => changeLeaf(log, dice, 'hash'),
  'flip a bit of an entry in the file': (log, dice) => {
    const { shard, index } = entryOf(log, dice);
    const body = log.sql(shard.file, db => cell(db, 'SELECT body AS value FROM leaf WHERE idx = ?', index));
    log.mend();
    const bytes = log.read(shard.file);
    // the id makes the front of a leaf unique; it is on one page
    const at = bytes.indexOf(body.subarray(0, 200));
    // SQLite may have left a copy of a row that moved: only one that is alone is the row
    if (at < 0 || bytes.includes(body.subarray(0, 200), at + 1)) return undefined;
    const place = dice.roll(200);
    log.write(shard.file, flipped(bytes, at + place, dice));
    return { what: `byte ${place} of entry ${index}`, index };
  },
  'delete an entry': (log, dice) => {
    const { shard, index } = entryOf(log, dice);
    log.sql(shard.file, db => db.prepare('DELETE FROM leaf WHERE idx = ?').run(index));
    return { what: `entry ${index}`, index };
  },
  'delete the last entries': (log, dice) => {
    const { shard, index } = entryOf(log, dice);
    log.sql(shard.file, db => db.prepare('DELETE FROM leaf WHERE idx >= ?').run(index));
    return { what: `from ${index} to the end of ${shard.file}`, index };
  },
  'swap two entries': (log, dice) => {
    const shard = dice.pick(log.shards);
    const [one, other] = dice
      .pair(shard.entries)
      .map(at => shard.first + at)
      .sort((a, b) => a - b);
    if (one === undefined || other === undefined) return undefined;
    log.sql(shard.file, db => {
      const move = db.prepare('UPDATE leaf SET idx = ? WHERE idx = ?');
      move.run(1_000_000, one);
      move.run(one, other);
      move.run(other, 1_000_000);
    });
    return { what: `${one} and ${other}`, index: one, ...unlessTiled(log, one) };
  },
  'repeat an entry in the place of another': (log, dice) => {
    const shard = dice.pick(log.shards);
    const [from, to] = dice.pair(shard.entries);
    const index = shard.first + to;
    log.sql(shard.file, db =>
      db
        .prepare('UPDATE leaf SET (body, hash) = (SELECT body, hash FROM leaf WHERE idx = ?) WHERE idx = ?')
        .run(shard.first + from, index),
    );
    return { what: `${shard.first + from} as ${index}`, index, ...unlessTiled(log, index) };
  },
  'give an entry another index': (log, dice) => {
    const { shard, index } = entryOf(log, dice);
    const beyond = dice.roll(2) === 0;
    const to = beyond ? 2_000 + dice.roll(5_000) : dice.roll(Math.max(1, shard.first));
    if (!beyond && shard.first === 0) return undefined;
    log.sql(shard.file, db => db.prepare('UPDATE leaf SET idx = ? WHERE idx = ?').run(to, index));
    return { what: `${index} to ${to}`, index: Math.min(index, to) };
  },
  'flip a bit of a tile': (log, dice) => {
    const shard = dice.pick(log.shards);
    return log.sql(shard.file, db => {
      const tiles = db
        .prepare<[], { n: number; data: Buffer }>('SELECT n, data FROM tile WHERE level = 0')
        .all();
      if (tiles.length === 0) return undefined;
      const { n, data } = dice.pick(tiles);
      const at = dice.roll(data.length);
      db.prepare('UPDATE tile SET data = ? WHERE n = ? AND level = 0').run(flipped(data, at, dice), n);
      return { what: `byte ${at} of tile ${n}`, index: n * WIDTH + Math.floor(at / HASH) };
    });
  },
  'flip a bit of the root of a tile': (log, dice) => {
    const shard = dice.pick(log.shards);
    return log.sql(shard.file, db => {
      const tiles = db
        .prepare<[], { n: number; root: Buffer }>('SELECT n, root FROM tile WHERE level = 0')
        .all();
      if (tiles.length === 0) return undefined;
      const { n, root } = dice.pick(tiles);
      db.prepare('UPDATE tile SET root = ? WHERE n = ?').run(flipped(root, dice.roll(HASH), dice), n);
      return { what: `of tile ${n}`, index: undefined };
    });
  },
  'delete a tile': (log, dice) => {
    const shard = dice.pick(log.shards);
    return log.sql(shard.file, db => {
      const tiles = db.prepare<[], number>('SELECT n FROM tile WHERE level = 0').pluck().all();
      if (tiles.length === 0) return undefined;
      const n = dice.pick(tiles);
      db.prepare('DELETE FROM tile WHERE n = ?').run(n);
      return { what: `tile ${n}`, index: n * WIDTH };
    });
  },
  'flip a bit of what a shard carried over': (log, dice) => {
    const shard = dice.pick(log.shards);
    return log.sql(shard.file, db => {
      const carry = db.prepare<[], Cell>('SELECT data AS value FROM carry WHERE level = 0').get()?.value;
      if (carry === undefined || carry.length === 0) return undefined;
      const at = dice.roll(carry.length);
      db.prepare('UPDATE carry SET data = ? WHERE level = 0').run(flipped(carry, at, dice));
      const index = shard.first - (shard.first % WIDTH) + Math.floor(at / HASH);
      return { what: `byte ${at} in ${shard.file}`, index };
    });
  },
  'change the head': (log, dice) =>
    log.sql(newest(log).file, db => {
      const what = dice.pick(['size', 'root', 'note', 'delete']);
      const row = db
        .prepare<[], { size: number; root: Buffer; note: string }>('SELECT size, root, note FROM head')
        .get();
      if (row === undefined) return undefined;
      if (what === 'delete') db.exec('DELETE FROM head');
      if (what === 'size') db.prepare('UPDATE head SET size = ?').run(row.size + 1 + dice.roll(9));
      if (what === 'root')
        db.prepare('UPDATE head SET root = ?').run(flipped(row.root, dice.roll(HASH), dice));
      if (what === 'note') db.prepare('UPDATE head SET note = ?').run(harmedText(row.note, dice));
      return { what, index: undefined };
    }),
  'change a published checkpoint': (log, dice) =>
    log.sql(dice.pick(log.shards).file, db => {
      const rows = db.prepare<[], { size: number; note: string }>('SELECT size, note FROM checkpoint').all();
      if (rows.length === 0) return undefined;
      const { size, note } = dice.pick(rows);
      if (dice.roll(2) === 0) {
        db.prepare('UPDATE checkpoint SET note = ? WHERE size = ?').run(harmedText(note, dice), size);
      } else {
        const other = rows.some(row => row.size === size - 1) ? 5_000 : size - 1;
        db.prepare('UPDATE checkpoint SET size = ? WHERE size = ?').run(other, size);
      }
      return { what: `of ${size} entries`, index: undefined };
    }),
  'change the name of the log': (log, dice) => {
    const shard = dice.pick(log.shards);
    const key = dice.pick(['origin', 'verifierKey']);
    log.sql(shard.file, db => {
      const value =
        db.prepare<[string], string>('SELECT value FROM meta WHERE key = ?').pluck().get(key) ?? '';
      db.prepare('UPDATE meta SET value = ? WHERE key = ?').run(harmedText(value, dice), key);
    });
    return { what: `${key} of ${shard.file}`, index: undefined };
  },
  'flip a bit of a key or an anchor': (log, dice) => {
    const file = dice.pick(['log-signing-key', 'anchor.checkpoint']);
    const bytes = log.read(file);
    log.write(file, flipped(bytes, dice.roll(bytes.length - 1), dice));
    return { what: file, index: undefined };
  },
  'delete a shard': (log, dice) => {
    const shard = dice.pick(log.shards);
    log.remove(shard.file);
    return { what: shard.file, index: shard.first };
  },
  'swap two shards': (log, dice) => {
    const [one, other] = dice.pair(log.shards.length).map(at => log.shards[at]);
    if (one === undefined || other === undefined) return undefined;
    log.swap(one.file, other.file);
    return { what: `${one.file} and ${other.file}`, index: Math.min(one.first, other.first) };
  },
  'cut a shard short': (log, dice) => {
    const { file } = dice.pick(log.shards);
    const bytes = log.read(file);
    log.write(file, bytes.subarray(0, dice.roll(bytes.length)));
    return { what: file, index: undefined };
  },
  'replay an older shard': log => {
    const { file, first } = newest(log);
    log.replay(file);
    const entries = log.sql(
      file,
      db => db.prepare<[], number>('SELECT count(*) FROM leaf').pluck().get() ?? 0,
    );
    return { what: file, index: first + entries };
  },
  'flip a bit of a file': (log, dice) => {
    const { file } = dice.pick(log.shards);
    const bytes = log.read(file);
    const at = dice.roll(bytes.length);
    const harmed = flipped(bytes, at, dice);
    // unused bytes of a page, times that nobody signs, and openings are no part of what the log vouches for
    if (contentOf(log, harmed) === contentOf(log, bytes)) return undefined;
    log.write(file, harmed);
    return { what: `byte ${at} of ${file}`, index: undefined };
  },
};

function changeLeaf(log: HarmedFolder, dice: Dice, column: 'body' | 'hash'): Mutation {
  const { shard, index } = entryOf(log, dice);
  const at = log.sql(shard.file, db => {
    const value = cell(db, `SELECT ${column} AS value FROM leaf WHERE idx = ?`, index);
    const place = dice.roll(value.length);
    db.prepare(`UPDATE leaf SET ${column} = ? WHERE idx = ?`).run(flipped(value, place, dice), index);
    return place;
  });
  return { what: `byte ${at} of entry ${index}`, index };
}

/**
 * The last entries are in no tile yet: when they are changed with the hashes beside them, only signed roots tell, and
 * those tell between which two checkpoints it was.
 */
function unlessTiled(log: HarmedFolder, index: number): { atLeast?: number } {
  const { file, first, entries } = newest(log);
  if (index < first + entries - ((first + entries) % WIDTH)) return {};
  const signed = log.sql(file, db =>
    db
      .prepare<[number], number | null>('SELECT max(size) FROM checkpoint WHERE size <= ?')
      .pluck()
      .get(index),
  );
  return { atLeast: signed ?? first };
}

function entryOf(log: HarmedFolder, dice: Dice): { shard: HarmedShard; index: number } {
  const shard = dice.pick(log.shards);
  return { shard, index: shard.first + dice.roll(shard.entries) };
}

function newest(log: HarmedFolder): HarmedShard {
  const shard = log.shards.at(-1);
  if (shard === undefined) throw new Error('the folder has no shard');
  return shard;
}

function cell(db: Database, sql: string, index: number): Buffer {
  const row = db.prepare<[number], Cell>(sql).get(index);
  if (row === undefined) throw new Error(`there is no entry ${index}`);
  return row.value;
}

/** Changes one character, so that the text stays one that a database can hold. */
function harmedText(text: string, dice: Dice): string {
  const at = dice.roll(text.length);
  return `${text.slice(0, at)}${text.charAt(at) === 'x' ? 'y' : 'x'}${text.slice(at + 1)}`;
}

/** What the log vouches for in a shard, as far as SQLite can read it. */
function contentOf(log: HarmedFolder, bytes: Uint8Array): string {
  const probe = join(log.folder, 'probe.db');
  writeFileSync(probe, bytes);
  try {
    const db = new SqliteDatabase(probe);
    try {
      return CONTENT.map(sql => JSON.stringify(db.prepare(sql).all())).join('\n');
    } finally {
      db.close();
    }
  } catch {
    return 'cannot be read';
  } finally {
    for (const side of ['', '-wal', '-shm', '-journal']) rmSync(probe + side, { force: true });
  }
}

const CONTENT = [
  'SELECT idx, hex(body), hex(hash) FROM leaf ORDER BY idx',
  'SELECT level, n, hex(root), hex(data) FROM tile ORDER BY level, n',
  'SELECT level, hex(data) FROM carry ORDER BY level',
  'SELECT size, hex(root), note FROM head',
  'SELECT size, note FROM checkpoint ORDER BY size',
  "SELECT key, value FROM meta WHERE key IN ('origin', 'verifierKey') ORDER BY key",
] as const;
