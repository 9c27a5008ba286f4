/** The log of a data folder, harmed in every way we can think of: each harm is found, at the right entry. */
import { cpSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { verifyTarget } from '../../src/cli/log-verify.ts';
import { listShards, shardFile } from '../../src/store/sqlite/log-shard-name.ts';
import { recordingTerminal } from '../cli/recording-terminal.ts';
import { decisionEntry, eventEntry, TIME } from '../decision-log/entries.ts';
import { appendTo, openWriter } from '../store/sqlite/threadless-log.ts';
import { disarm, FOLDER_MUTATORS, HarmedFolder } from './log-data-mutations.ts';
import { Dice } from './log-mutations.ts';

const MUTATIONS = 500;
const SHARD_ENTRIES = 320;
const SIZE = 800;
const OLDER_SIZE = 700;
const BATCH = 50;
const SEED = 20_261_122;
/** A slow disk under load takes a while; alone, all of it takes some ten seconds. */
const TIMEOUT_MS = 240_000;

let root: string;
let whole: string;
let older: string;
let key: string;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'duramen-harm-'));
  whole = join(root, 'whole');
  older = join(root, 'older');
  key = join(root, 'auditor.vkey');
  cpSync(mkdtempSync(join(root, 'empty-')), whole, { recursive: true });
  grow(whole, 0, OLDER_SIZE);
  cpSync(whole, older, { recursive: true });
  grow(whole, OLDER_SIZE, SIZE);
});
afterAll(() => rmSync(root, { recursive: true }));

/** Appends entries to a log and closes it, as a service that ran for a while. */
function grow(folder: string, from: number, to: number): void {
  const writer = openWriter(folder, { shardEntries: SHARD_ENTRIES });
  for (let first = from; first < to; first += BATCH) {
    const entries = Array.from({ length: BATCH }, (_, at) =>
      (first + at) % 9 === 0 ? decisionEntry(first + at) : eventEntry(first + at),
    );
    appendTo(writer, entries, TIME + first + BATCH);
    writeFileSync(join(folder, 'anchor.checkpoint'), writer.sign(TIME + first + BATCH).note);
  }
  writeFileSync(key, writer.verifierKey);
  writer.close(TIME + to);
}

function verify(data: string) {
  return verifyTarget(recordingTerminal(), { output: 'json', data, key, checkpoint: [], gatewayLog: [] });
}

function harmable(name: string): HarmedFolder {
  const folder = join(root, name);
  const pristine = join(root, `${name}-pristine`);
  const earlier = join(root, `${name}-earlier`);
  for (const [from, to] of [
    [whole, pristine],
    [older, earlier],
  ] as const) {
    cpSync(from, to, { recursive: true });
    for (const shard of listShards(to)) disarm(shardFile(to, shard));
  }
  cpSync(pristine, folder, { recursive: true });
  const shards = listShards(folder);
  const total = SIZE + 2 * (shards.length - 1);
  return new HarmedFolder(
    folder,
    pristine,
    earlier,
    shards.map(({ name: shard, first }, at) => ({
      file: join('log', `${shard}.db`),
      first,
      entries: (shards[at + 1]?.first ?? total) - first,
    })),
  );
}

/** Every file with its size and time of change. */
function stateOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
    .map(file => `${file} ${statSync(file).size} ${statSync(file).mtimeMs}`)
    .sort();
}

describe('a data folder that nobody touched', () => {
  test('raises no alarm, and is left as it is', async () => {
    const before = stateOf(whole);
    const verification = await verify(whole);
    expect(verification).toMatchObject({ verified: true, findings: [] });
    expect(verification.shards).toHaveLength(3);
    expect(verification.report?.checkpoint?.size).toBe(SIZE + 4);
    expect(stateOf(whole)).toEqual(before);
  });

  test('raises none when the service was killed or never stopped, nor while it runs', async () => {
    const folder = join(root, 'running');
    cpSync(whole, folder, { recursive: true });
    const writer = openWriter(folder, { shardEntries: SHARD_ENTRIES });
    appendTo(writer, [eventEntry(SIZE)], TIME + SIZE);
    writeFileSync(join(folder, 'anchor.checkpoint'), writer.sign(TIME + SIZE).note);
    expect(await verify(folder)).toMatchObject({ verified: true, findings: [] });
    const killed = join(root, 'killed');
    cpSync(folder, killed, { recursive: true });
    expect(await verify(killed)).toMatchObject({ verified: true, findings: [] });
    writer.close(TIME + SIZE);
    expect(await verify(folder)).toMatchObject({ verified: true, findings: [] });
  });

  test('raises none after retention removed the entries of its oldest shard', async () => {
    const folder = join(root, 'pruned');
    cpSync(whole, folder, { recursive: true });
    const writer = openWriter(folder, { shardEntries: SHARD_ENTRIES });
    const [, second] = listShards(folder);
    const details = { shards: [], firstKept: second?.first ?? 0, retentionDays: 400 };
    appendTo(writer, [eventEntry(SIZE, { kind: 'log.prune', details })], TIME + SIZE);
    for await (const _ of writer.prune(TIME + SHARD_ENTRIES + BATCH)) continue;
    writer.close(TIME + SIZE);
    expect(listShards(folder)).toHaveLength(2);
    const verification = await verify(folder);
    expect(verification).toMatchObject({ verified: true, findings: [] });
    expect(verification.report?.firstKept).toBe(second?.first);
  });
});

describe('what is found beside the entries', () => {
  test('an entry with an index that no log reaches, without looking for all before it', async () => {
    const log = harmable('far');
    const newest = log.shards.at(-1);
    if (newest === undefined) throw new Error('the log has no shard');
    const index = newest.first + 20;
    log.sql(newest.file, db => db.prepare('UPDATE leaf SET idx = ? WHERE idx = ?').run(2 ** 52, index));
    const { verified, firstBad, findings } = await verify(log.folder);
    expect({ verified, firstBad }).toEqual({ verified: false, firstBad: index });
    expect(findings.map(({ code }) => code)).toContain('ENTRY_MISPLACED');
  });

  test.each([
    ['an entry that is nothing', 'body = NULL', 'ENTRY_MISSING'],
    ['an entry that is a number', 'body = 5', 'ENTRY_MISSING'],
    ['a hash that is nothing', 'hash = NULL', 'LEAF_HASH_CHANGED'],
    ['a hash of one byte', "hash = x'00'", 'LEAF_HASH_CHANGED'],
  ])('in a table that was made anew: %s', async (_, change, code) => {
    for (const place of [0, -1]) {
      const log = harmable(`anew-${code}-${change.length}-${place}`);
      const shard = log.shards.at(place);
      if (shard === undefined) throw new Error('the log has no shard');
      const index = shard.first + 20;
      log.sql(shard.file, db => {
        db.exec('CREATE TABLE anew (idx INTEGER PRIMARY KEY, body, hash, subject, sealed)');
        db.exec('INSERT INTO anew SELECT idx, body, hash, subject, sealed FROM leaf');
        db.exec('DROP TABLE leaf');
        db.exec('ALTER TABLE anew RENAME TO leaf');
        db.prepare(`UPDATE leaf SET ${change} WHERE idx = ?`).run(index);
      });
      const { firstBad, findings } = await verify(log.folder);
      expect(firstBad).toBe(index);
      expect(findings.map(finding => finding.code)).toContain(code);
    }
  });

  test('a newest file that cannot be read, and not at the shards before it, which are sound', async () => {
    const log = harmable('newest');
    const newest = log.shards.at(-1);
    if (newest === undefined) throw new Error('the log has no shard');
    writeFileSync(join(log.folder, newest.file), '');
    const { verified, firstBad } = await verify(log.folder);
    expect(verified).toBe(false);
    // the tile in which the shard begins is lost with it
    expect(firstBad).toBe(newest.first - (newest.first % 256));
  });

  test('harm to the hashes that removed entries left', async () => {
    const folder = join(root, 'remains');
    cpSync(whole, folder, { recursive: true });
    const writer = openWriter(folder, { shardEntries: SHARD_ENTRIES });
    const details = { shards: [], firstKept: listShards(folder)[1]?.first ?? 0, retentionDays: 400 };
    appendTo(writer, [eventEntry(SIZE, { kind: 'log.prune', details })], TIME + SIZE);
    for await (const _ of writer.prune(TIME + SHARD_ENTRIES + BATCH)) continue;
    writer.close(TIME + SIZE);
    const log = new HarmedFolder(folder, folder, folder, []);
    disarm(join(folder, 'log/tiles.db'));
    log.sql('log/tiles.db', db => db.exec('UPDATE tile SET data = zeroblob(8192) WHERE level = 0 AND n = 0'));
    expect((await verify(folder)).verified).toBe(false);
    rmSync(join(folder, 'log/tiles.db'));
    expect(await verify(folder)).toMatchObject({ verified: false, firstBad: 0 });
  });
});

describe(`${MUTATIONS} mutations of a data folder`, () => {
  test(
    'are each found, with the first entry that is harmed',
    async () => {
      const log = harmable('harmed');
      const dice = new Dice(SEED);
      const kinds = Object.entries(FOLDER_MUTATORS);
      const missed: unknown[] = [];
      for (let done = 0, tried = 0; done < MUTATIONS; tried++) {
        const [kind, mutate] = kinds[tried % kinds.length] ?? dice.pick(kinds);
        const mutation = mutate(log, dice);
        if (mutation !== undefined) {
          const { index, atLeast = index } = mutation;
          const { verified, firstBad, findings } = await verify(log.folder);
          const right =
            index === undefined ||
            atLeast === undefined ||
            (firstBad !== undefined && firstBad >= atLeast && firstBad <= index);
          if (verified || !right)
            missed.push({ kind, ...mutation, verified, firstBad, findings: findings.slice(0, 3) });
          done += 1;
        }
        log.mend();
      }
      expect(missed).toEqual([]);
      expect(await verify(log.folder)).toMatchObject({ verified: true, findings: [] });
    },
    TIMEOUT_MS,
  );
});
