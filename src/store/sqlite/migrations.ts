/**
 * Numbered SQL migrations of one database, recorded in its `migration` table. Invariants: each migration is
 * applied once and in order, all of it or none of it; a recorded one never changes; a database that a newer
 * version has changed incompatibly is refused, not guessed at.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Database } from 'better-sqlite3';
import { AppError } from '../../domain/errors.ts';

/** One file `NNNN_name.sql`. */
export interface Migration {
  /** 1 for the first; without gaps. */
  readonly number: number;
  /** File name. */
  readonly name: string;
  readonly sql: string;
  /** Versions that do not know this migration must refuse the database (`--! breaking` on the first line). */
  readonly breaking: boolean;
}

export interface MigrationResult {
  /** Names of the migrations that this call applied, in order. */
  readonly applied: readonly string[];
  /** Names of compatible migrations of a newer version that this version does not know: worth a warning. */
  readonly newer: readonly string[];
}

/** How long a starter waits for another one that is migrating, in milliseconds. */
const MIGRATION_WAIT_MS = 30_000;

const FILE_NAME = /^(\d{4})_[a-z0-9]+(?:-[a-z0-9]+)*\.sql$/;

interface Recorded {
  readonly number: number;
  readonly name: string;
  readonly breaking: 0 | 1;
  readonly sql: string;
}

/** Reads a folder of migrations. @throws Error when a name or the numbering is wrong: a fault of the build. */
export function readMigrations(folder: string): readonly Migration[] {
  const names = readdirSync(folder)
    .filter(name => name.endsWith('.sql'))
    .sort();
  return names.map((name, at) => {
    const number = Number(FILE_NAME.exec(name)?.[1]);
    if (number !== at + 1) {
      throw new Error(
        `migration \`${name}\`: expected a file \`${String(at + 1).padStart(4, '0')}_name.sql\``,
      );
    }
    const sql = readFileSync(join(folder, name), 'utf8').replaceAll('\r\n', '\n');
    return { number, name, sql, breaking: /^--! breaking *(\n|$)/.test(sql) };
  });
}

/**
 * Brings the database up to date. Safe when several processes start at once: the second waits and finds the
 * work done. Each migration is one transaction, so a crash leaves the database at a whole migration.
 * @param at instant to record, RFC 3339
 * @throws AppError STORE_UNAVAILABLE when the database is newer, changed, foreign or cannot be written
 */
export function migrate(db: Database, migrations: readonly Migration[], at: string): MigrationResult {
  const file = db.name;
  const applied: string[] = [];
  const previousWait: unknown = db.pragma('busy_timeout', { simple: true });
  db.pragma(`busy_timeout = ${MIGRATION_WAIT_MS}`);
  try {
    for (const migration of migrations) {
      if (runOne(db, migrations, migration, at)) applied.push(migration.name);
    }
    return { applied, newer: inspect(file, readRecorded(db), migrations) };
  } finally {
    db.pragma(`busy_timeout = ${Number(previousWait)}`);
  }
}

/** Applies one migration unless it is recorded. @returns whether it was applied now */
function runOne(db: Database, migrations: readonly Migration[], migration: Migration, at: string): boolean {
  db.exec('BEGIN IMMEDIATE');
  try {
    createTable(db);
    const recorded = readRecorded(db);
    // Everything is checked again under the lock: another starter may have been faster, or newer.
    inspect(db.name, recorded, migrations);
    const missing = !recorded.some(({ number }) => number === migration.number);
    if (missing) {
      db.prepare(
        'INSERT INTO migration (number, name, breaking, sql, applied_at) VALUES (?, ?, ?, ?, ?)',
      ).run(migration.number, migration.name, migration.breaking ? 1 : 0, migration.sql, at);
      db.exec(migration.sql);
      if (!db.inTransaction) throw new Error(`migration \`${migration.name}\` ends its own transaction`);
    }
    // Durable from here on; a crash before this line leaves no trace of the migration.
    db.exec('COMMIT');
    return missing;
  } catch (error) {
    if (db.inTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

/** Compares what is recorded with what this version knows. @returns names of newer, compatible migrations */
function inspect(file: string, recorded: readonly Recorded[], known: readonly Migration[]): string[] {
  const newer: string[] = [];
  for (const row of recorded) {
    const mine = known[row.number - 1];
    if (mine === undefined) {
      if (row.breaking === 1) throw newerDatabase(file, row.name);
      newer.push(row.name);
    } else if (mine.sql !== row.sql || mine.name !== row.name) {
      throw new AppError(
        'STORE_UNAVAILABLE',
        `the database \`${file}\` was migrated with another content of \`${row.name}\` than this version ships ` +
          `(\`${mine.name}\`): install the version that made the database, or restore a backup`,
      );
    }
  }
  const gap = recorded.findIndex((row, at) => row.number !== at + 1);
  if (gap >= 0) {
    throw new AppError(
      'STORE_UNAVAILABLE',
      `the database \`${file}\` lacks migration ${gap + 1} but has a later one: restore a backup`,
    );
  }
  return newer;
}

function newerDatabase(file: string, name: string): AppError {
  return new AppError(
    'STORE_UNAVAILABLE',
    `the database \`${file}\` was changed by a newer version of duramen (migration \`${name}\`) in a way that ` +
      'this version cannot read: start the newer version, or restore a backup from before the upgrade',
  );
}

function createTable(db: Database): void {
  const tables = db
    .prepare<[], { name: string }>("SELECT name FROM sqlite_schema WHERE type = 'table'")
    .all()
    .map(({ name }) => name);
  if (tables.includes('migration')) return;
  if (tables.length > 0) {
    throw new AppError(
      'STORE_UNAVAILABLE',
      `the file \`${db.name}\` is a database of another program: choose another data folder`,
    );
  }
  db.exec(`CREATE TABLE migration (
    number     INTEGER PRIMARY KEY,
    name       TEXT NOT NULL,
    breaking   INTEGER NOT NULL CHECK (breaking IN (0, 1)),
    sql        TEXT NOT NULL,
    applied_at TEXT NOT NULL
  ) STRICT`);
}

function readRecorded(db: Database): readonly Recorded[] {
  return db.prepare<[], Recorded>('SELECT number, name, breaking, sql FROM migration ORDER BY number').all();
}
