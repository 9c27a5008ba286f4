/** What a start makes of the files of a log: of this version, of a former one, of different moments, without key. */
import { chmodSync, copyFileSync, cpSync, existsSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import SqliteDatabase from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { formatSignerKey } from '../../../src/decision-log/signed-note.ts';
import { LogShards } from '../../../src/store/sqlite/log-shards.ts';
import { formerLeaf, makeFormerLog } from './former-log.ts';
import { LogScene, pruneAll } from './log-scene.ts';
import { ORIGIN } from './sqlite-log.ts';
import { readWholeLog } from './whole-log.ts';

let scene: LogScene;
beforeEach(() => {
  scene = new LogScene();
});
afterEach(() => scene.dispose());

describe('a former log', () => {
  test.each([0, 1, 255, 256, 1_000])('of %i entries becomes the first shard, with its tree', async count => {
    const bodies = makeFormerLog(scene.folder, count);
    const said: string[] = [];
    scene.using(writer => void scene.add(writer, 5, 1), { say: progress => said.push(progress) });
    expect(existsSync(join(scene.folder, 'log.db'))).toBe(false);
    expect(said.length > 0).toBe(count > 0);
    const shards = LogShards.open(scene.folder);
    expect(bodies.map((_, index) => shards.leaf(index)?.body.toString())).toEqual(bodies);
    expect([shards.origin, scene.names()[0]?.slice(0, 8)]).toEqual([
      ORIGIN,
      count === 0 ? '2026-W01' : '2025-W49',
    ]);
    shards.close();
    await readWholeLog(scene.folder);
  });

  test('that was not closed keeps what is in its write-ahead log', async () => {
    const bodies = makeFormerLog(scene.folder, 300, formerLeaf, false);
    expect(statSync(join(scene.folder, 'log.db-wal')).size).toBeGreaterThan(100_000);
    scene.using(writer => expect(writer.size).toBe(300));
    const shards = LogShards.open(scene.folder);
    expect(shards.bodies(0, 300).map(String)).toEqual(bodies);
    shards.close();
    await readWholeLog(scene.folder);
  });

  test('that is damaged or lies beside a new one is refused, and stays as it is', () => {
    makeFormerLog(scene.folder, 10);
    scene.using(() => undefined);
    makeFormerLog(scene.folder, 10);
    expect(scene.refusal()).toMatch(/log\.db` is a log of a former version beside/);
    rmSync(join(scene.folder, 'log'), { recursive: true });
    rmSync(join(scene.folder, 'log-signing-key'));
    const db = new SqliteDatabase(join(scene.folder, 'log.db'));
    db.exec("DROP TRIGGER leaf_is_never_updated; UPDATE leaf SET body = x'7b7d' WHERE idx = 3");
    db.close();
    expect(scene.refusal()).toMatch(/log\.db` is damaged: entry 3 does not match its hash/);
  });
});

describe('a start is refused, with what to do,', () => {
  const seed = (weeks = 3): void =>
    scene.using(writer => {
      for (let week = 0; week < weeks; week++) scene.add(writer, 20, week);
    });

  test('when a shard is missing', () => {
    seed();
    rmSync(scene.shardAt(1));
    expect(scene.refusal()).toMatch(/LOG_UNAVAILABLE.*ends at entry 21 and names.*restore all of it/);
    rmSync(scene.shardAt(0));
    expect(scene.refusal()).toMatch(/LOG_UNAVAILABLE.*entries from 0 to 43 are missing/);
  });

  test('when one shard is of an earlier moment than the others', () => {
    seed(1);
    const copy = `${scene.shardAt(0)}.copy`;
    cpSync(scene.shardAt(0), copy);
    seed(2);
    renameSync(copy, scene.shardAt(0));
    expect(scene.refusal()).toMatch(/LOG_UNAVAILABLE.*names `none` as the next one/);
  });

  test('when the tiles of what was removed are of an earlier moment', async () => {
    seed();
    const archive = join(scene.folder, 'log', 'tiles.db');
    const copy = `${archive}.copy`;
    cpSync(archive, copy);
    await scene.during(async writer => await pruneAll(writer));
    renameSync(copy, archive);
    expect(scene.refusal()).toMatch(/LOG_UNAVAILABLE.*entries from 0 to 43 are missing/);
  });

  test('but not because removed shards came back with a backup: they go again', async () => {
    seed();
    const copy = join(scene.folder, 'copy.db');
    cpSync(scene.shardAt(0), copy);
    const file = scene.shardAt(0);
    await scene.during(async writer => await pruneAll(writer));
    renameSync(copy, file);
    expect(scene.refusal()).toBe('it started');
    expect(scene.names()).toHaveLength(1);
  });

  test.each([
    ['a tile', 'DROP TRIGGER tile_is_never_updated; UPDATE tile SET data = zeroblob(8192) WHERE level = 0'],
    ['the root of a tile', 'DROP TRIGGER tile_is_never_updated; UPDATE tile SET root = zeroblob(32)'],
    [
      'the hash of a leaf',
      'DROP TRIGGER leaf_is_never_updated; UPDATE leaf SET hash = zeroblob(32) WHERE idx = 299',
    ],
    ['the signed checkpoint', 'UPDATE head SET root = zeroblob(32)'],
    ['the size that was signed', 'UPDATE head SET size = size + 1'],
  ])('when %s of the newest shard was changed', (_name, sql) => {
    scene.using(writer => void scene.add(writer, 300));
    const db = new SqliteDatabase(scene.shardAt(0));
    db.exec(sql);
    db.close();
    expect(scene.refusal()).toMatch(/LOG_UNAVAILABLE.*is damaged/);
  });

  test('when the key is lost, of another log, damaged, or readable for others', () => {
    seed(1);
    const key = join(scene.folder, 'log-signing-key');
    expect(statSync(key).mode & 0o777).toBe(0o600);
    chmodSync(key, 0o640);
    expect(scene.refusal()).toMatch(/can be read by others: run `chmod 600/);
    chmodSync(key, 0o600);
    const other = formatSignerKey('another.log', new Uint8Array(32).fill(1));
    expect(scene.refusal({ signingKey: other })).toMatch(
      /`another\.log\+[0-9a-f]{8}` is not that of the decision log/,
    );
    const forged = formatSignerKey(ORIGIN, new Uint8Array(32).fill(1));
    expect(scene.refusal({ signingKey: forged })).toMatch(
      /is not that of the decision log, which is `duramen\.test/,
    );
    expect(scene.refusal({ signingKey: 'PRIVATE+KEY+nonsense' })).toMatch(
      /configured key .* cannot be used: .*malformed/,
    );
    renameSync(key, `${key}.away`);
    expect(scene.refusal()).toMatch(/log-signing-key` is missing.*DURAMEN_LOG_SIGNING_KEY.*open-new/);
    renameSync(`${key}.away`, key);
    expect(scene.refusal()).toBe('it started');
  });

  test('when the tiles of another log were put back, which counts a shard of the same name as removed', async () => {
    const other = new LogScene(1_000);
    other.using(writer => {
      for (const week of [0, 1]) other.add(writer, 3, week);
    });
    await other.during(writer => pruneAll(writer));
    expect(other.names()).toHaveLength(1);
    scene.using(writer => {
      for (const week of [0, 1]) scene.add(writer, 3, week);
    });
    const names = scene.names();
    expect(names).not.toEqual(other.names());
    copyFileSync(join(other.folder, 'log/tiles.db'), join(scene.folder, 'log/tiles.db'));
    expect(scene.refusal()).toMatch(/tiles\.db.*counts the shard .* as removed.*belongs to another log/);
    expect(scene.names()).toEqual(names);
    other.dispose();
  });

  test('when the log is gone and its key is not, so that no second log begins under its name', () => {
    seed(1);
    rmSync(join(scene.folder, 'log'), { recursive: true });
    expect(scene.refusal()).toMatch(/LOG_UNAVAILABLE.*gone while its key .* is there: restore the folder/);
  });
});

test('a key that is given names the log, and no file is made', () => {
  const signingKey = formatSignerKey('logs.example/pdp-1', new Uint8Array(32).fill(3));
  scene.using(
    writer => {
      expect([writer.origin, writer.verifierKey.split('+')[0]]).toEqual([
        'logs.example/pdp-1',
        'logs.example/pdp-1',
      ]);
      scene.add(writer, 1);
    },
    { signingKey },
  );
  expect(existsSync(join(scene.folder, 'log-signing-key'))).toBe(false);
  scene.using(writer => expect(writer.size).toBe(1), { signingKey });
});
