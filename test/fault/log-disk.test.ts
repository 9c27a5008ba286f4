/** Disks that are full, broken or read-only, and databases that are damaged, newer or in use. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import SqliteDatabase from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AppError, messageOf } from '../../src/domain/errors.ts';
import type { LogClient } from '../../src/store/sqlite/log-client.ts';
import { isTransient } from '../../src/store/sqlite/log-writer.ts';
import { decisionEntry, entryId } from '../decision-log/entries.ts';
import { makeFolder, newestShard, openBoth, openLog, until } from '../store/sqlite/sqlite-log.ts';
import { ThreadlessLog } from '../store/sqlite/threadless-log.ts';

const CHILD = fileURLToPath(new URL('./log-child.ts', import.meta.url));

let folder: string;
beforeEach(() => {
  folder = makeFolder();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Appends until an entry is refused. @returns ids and indexes of those that were taken, and the refusal */
async function fill(log: LogClient, firstSequence = 0) {
  const taken: [string, number][] = [];
  for (let at = firstSequence; ; at++) {
    try {
      const { index } = await log.append(decisionEntry(at));
      taken.push([entryId(at), index]);
    } catch (error) {
      return { taken, error };
    }
  }
}

/** Whether a command of the system succeeded. */
function shell(command: string): boolean {
  return spawnSync('sh', ['-c', command]).status === 0;
}

describe('a full disk', () => {
  test('refuses the entry, keeps what was acknowledged, and takes entries again when there is space', async () => {
    const health: boolean[] = [];
    const small = await openLog(folder, {
      maxPages: 40,
      observer: { onHealth: healthy => void health.push(healthy) },
    });
    const { taken, error } = await fill(small);
    expect(error).toMatchObject({ code: 'LOG_UNAVAILABLE', retryAfterSeconds: 1 });
    expect([small.healthy, small.status, health]).toEqual([
      false,
      expect.stringMatching(/full: free some disk space/),
      [false],
    ]);
    expect(small.size).toBe(taken.length);
    await expect(small.append(decisionEntry(998))).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' });
    expect(health).toEqual([false]);
    // Nothing grows for a probe, so the log finds out by itself that it can be written.
    await until(() => small.healthy);
    await expect(small.append(decisionEntry(999))).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' });
    await small.close();

    const { log, reader, dispose } = await openBoth(folder);
    expect(await log.append(decisionEntry(1_000))).toMatchObject({ index: taken.length });
    expect(await reader.decision(entryId(999))).toBeUndefined();
    for (const [id, index] of taken) expect((await reader.decision(id))?.index).toBe(index);
    await dispose();
  });

  test('of its own file system refuses entries until space is freed, without a restart', async ctx => {
    const mounted = shell(`mount -t tmpfs -o size=6m tmpfs "${folder}"`);
    ctx.skip(!mounted, 'mounting a small file system is not permitted here');
    try {
      const { log, reader, dispose } = await openBoth(join(folder, mkdir('data')));
      await log.append(decisionEntry(0));
      const ballast = join(folder, 'ballast');
      writeUntilFull(ballast);
      const { taken, error } = await fill(log, 1);
      expect(error).toMatchObject({ code: 'LOG_UNAVAILABLE' });
      expect(messageOf(error)).toContain('free some disk space');
      await expect(reader.decisions({ filters: {}, limit: 1, order: 'desc' })).rejects.toMatchObject({
        code: 'STORE_UNAVAILABLE',
        message: 'no room is left to index the newest entries of the decision log: free some disk space',
      });
      rmSync(ballast);
      await until(() => log.healthy);
      expect(await log.append(decisionEntry(5_000))).toMatchObject({ index: taken.length + 1 });
      for (const [id, index] of taken) expect((await reader.decision(id))?.index).toBe(index);
      await dispose();
    } finally {
      shell(`umount "${folder}"`);
    }
  });

  function mkdir(name: string): string {
    mkdirSync(join(folder, name));
    return name;
  }

  function writeUntilFull(file: string): void {
    for (const size of [65_536, 4_096]) {
      try {
        for (;;) writeFileSync(file, Buffer.alloc(size), { flag: 'a' });
      } catch {
        // Full, to within this size.
      }
    }
  }
});

describe('a disk that fails', () => {
  test('makes the log refuse everything until a restart, and nothing acknowledged is lost', async () => {
    // The shell's limit counts blocks of 512 or 1,024 bytes: a write-ahead log of a megabyte exceeds both.
    const command = `ulimit -f 400; exec "${process.execPath}" "${CHILD}" "${folder}" 0 2000`;
    const { stdout } = spawnSync('sh', ['-c', command], { encoding: 'utf8', timeout: 55_000 });
    const acknowledged = [...stdout.matchAll(/^(\S+-\S+) (\d+)$/gm)];
    expect(acknowledged.length).toBeGreaterThan(10);
    expect(stdout).toContain('! LOG_UNAVAILABLE');
    expect(stdout).toMatch(/^end .*restart duramen$/m);
    // After the failure nothing was acknowledged any more.
    expect(stdout.lastIndexOf(acknowledged.at(-1)?.[0] ?? '')).toBeLessThan(stdout.indexOf('! LOG_'));
    const { reader, dispose } = await openBoth(folder);
    for (const [, id = '', index] of acknowledged) {
      expect((await reader.decision(id))?.index).toBe(Number(index));
    }
    await dispose();
  });

  test.each([
    ['SQLITE_FULL', true],
    ['SQLITE_BUSY', true],
    ['SQLITE_READONLY_DBMOVED', true],
    ['SQLITE_NOMEM', true],
    ['SQLITE_IOERR_FSYNC', false],
    ['SQLITE_IOERR', false],
    ['SQLITE_CORRUPT', false],
    ['SQLITE_NOTADB', false],
    ['SQLITE_FULLY', false],
    ['SQLITE_CONSTRAINT_PRIMARYKEY', false],
  ])('%s may be tried again: %s', (code, expected) => {
    expect(isTransient(new SqliteDatabase.SqliteError('a failure', code))).toBe(expected);
  });

  test('an error that SQLite did not report is never tried again', () => {
    expect(isTransient(new TypeError('a bug'))).toBe(false);
  });
});

describe('a start is refused, with what to do,', () => {
  const refusal = (over: { folder?: string } = {}): string => {
    try {
      new ThreadlessLog({ folder: over.folder ?? folder }).close();
      return 'it started';
    } catch (error) {
      return error instanceof AppError
        ? `${error.code}: ${error.message}`
        : `not an AppError: ${String(error)}`;
    }
  };
  const seed = (): void => {
    const log = new ThreadlessLog({ folder });
    log.append([0, 1, 2].map(at => decisionEntry(at)));
    log.close();
  };
  const edit = (sql: string): void => {
    const db = new SqliteDatabase(newestShard(folder));
    db.exec(sql);
    db.close();
  };

  test('when the folder is missing or cannot be written', () => {
    expect(refusal({ folder: join(folder, 'missing') })).toMatch(
      /LOG_UNAVAILABLE.*cannot be written.*create it/,
    );
    // Nobody, root included, can make files there.
    const unwritable = existsSync('/proc/self') ? '/proc' : join(folder, 'missing');
    expect(refusal({ folder: unwritable })).toMatch(/LOG_UNAVAILABLE.*cannot be/);
  });

  test('when another process uses the folder', async () => {
    const log = await openLog(folder);
    expect(refusal()).toMatch(/LOG_UNAVAILABLE.*in use by another duramen process/);
    await log.close();
    expect(refusal()).toBe('it started');
  });

  test('when the database is not one', () => {
    const text = 'this is not a database, it only has the right name '.repeat(400);
    seed();
    writeFileSync(newestShard(folder), text);
    expect(refusal()).toMatch(/LOG_UNAVAILABLE.*is damaged.*restore all of it from a backup/);
    rmSync(join(folder, 'log'), { recursive: true });
    writeFileSync(join(folder, 'log.db'), text);
    expect(refusal()).toMatch(/LOG_UNAVAILABLE.*log\.db` is damaged/);
  });

  test('when the database was cut short', () => {
    seed();
    truncateSync(newestShard(folder), 12_288);
    expect(refusal()).toMatch(/LOG_UNAVAILABLE.*is damaged/);
  });

  test('when a shard was emptied', () => {
    seed();
    truncateSync(newestShard(folder));
    expect(refusal()).toMatch(/LOG_UNAVAILABLE.*is damaged: .*restore all of it from a backup/);
  });

  test('when what outlives the entries is gone', () => {
    seed();
    const archive = join(folder, 'log', 'tiles.db');
    rmSync(archive);
    expect(refusal()).toMatch(/LOG_UNAVAILABLE.*tiles\.db` is missing, .*restore it from a backup/);
    expect(existsSync(archive)).toBe(false);
    writeFileSync(archive, '');
    expect(refusal()).toBe('it started');
  });

  test('when a leaf was changed behind its hash', () => {
    seed();
    const file = newestShard(folder);
    const bytes = readFileSync(file);
    const at = bytes.lastIndexOf('acme/support-llm');
    expect(at).toBeGreaterThan(0);
    bytes.write('acme/another-llm', at);
    writeFileSync(file, bytes);
    expect(refusal()).toMatch(/LOG_UNAVAILABLE.*does not match its hash/);
  });

  test('when a leaf was taken out', () => {
    seed();
    edit('DROP TRIGGER leaf_is_never_deleted; DELETE FROM leaf WHERE idx = 1');
    expect(refusal()).toMatch(/LOG_UNAVAILABLE.*entry 1 is missing/);
  });

  test('when a newer version has changed it incompatibly, not when compatibly', () => {
    seed();
    const add = (number: number, breaking: 0 | 1) =>
      edit(`INSERT INTO migration (number, name, breaking, sql, applied_at)
            VALUES (${number}, '000${number}_newer.sql', ${breaking}, '', '2026-01-01T00:00:00.000Z')`);
    add(4, 0);
    expect(refusal()).toBe('it started');
    add(5, 1);
    expect(refusal()).toMatch(/STORE_UNAVAILABLE.*newer version of duramen/);
  });

  test('when the leaves are of another format', () => {
    seed();
    edit("UPDATE meta SET value = '3' WHERE key = 'format'");
    expect(refusal()).toMatch(/LOG_UNAVAILABLE.*format `3`/);
  });
});

test('leaves can be neither changed nor deleted by mistake', async () => {
  const log = await openLog(folder);
  await log.append(decisionEntry(0));
  await log.close();
  const db = new SqliteDatabase(newestShard(folder));
  expect(() => db.exec("UPDATE leaf SET body = x'00'")).toThrow('append-only');
  expect(() => db.exec('DELETE FROM leaf')).toThrow('append-only');
  db.close();
});
