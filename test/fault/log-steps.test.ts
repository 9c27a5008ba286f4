/**
 * A process that is killed at each step of what changes the files of the log: going on to the next shard, giving a
 * former log its tree, removing old shards. Whatever the step, the next start finds a whole log and goes on.
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseLeaf } from '../../src/decision-log/logged-leaf.ts';
import { LogShards } from '../../src/store/sqlite/log-shards.ts';
import { decisionEntry } from '../decision-log/entries.ts';
import { makeFormerLog } from '../store/sqlite/former-log.ts';
import { appendTo, openWriter, WRITTEN } from '../store/sqlite/threadless-log.ts';
import { readWholeLog, type WholeLog } from '../store/sqlite/whole-log.ts';
import { runInjected, whyNoStrace } from './strace.ts';

const CHILD = fileURLToPath(new URL('./log-step-child.ts', import.meta.url));
/** What makes something durable or visible: between two of them, a crash is as a crash at the first. */
const CALLS = 'fsync,fdatasync,rename,unlink';
/** Children that run at once. */
const LANES = 2;
/** Every so many calls a kill; `LOG_STEPS_EVERY=1` tries them all. Odd, so that the kinds of calls take turns. */
const EVERY = process.env['LOG_STEPS_EVERY'] === '1' ? 1 : 3;
const WEEK_MS = 7 * 86_400_000;
/** Not a whole number of tiles. */
const ENTRIES = 300;

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'duramen-steps-'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function fill(folder: string, weeks: number): void {
  mkdirSync(folder);
  const writer = openWriter(folder);
  for (let week = 0; week < weeks; week++) {
    const entries = Array.from({ length: ENTRIES }, (_, at) => decisionEntry(week * ENTRIES + at));
    appendTo(writer, entries, WRITTEN + week * WEEK_MS);
  }
  writer.close(WRITTEN + (weeks - 1) * WEEK_MS);
}

/** Kills the step at every one of its calls, each time on a copy. @returns how many kills there were */
async function killAtEach(
  step: string,
  before: string,
  check: (folder: string) => Promise<void>,
): Promise<number> {
  let when = 1;
  let kills = 0;
  let finished = false;
  const lane = async (): Promise<void> => {
    while (!finished) {
      const at = when;
      when += EVERY;
      const folder = join(root, `${step}-${at}`);
      cpSync(before, folder, { recursive: true });
      const { code, stderr } = await runInjected(
        [`${CALLS}:signal=SIGKILL:when=${at}`],
        [CHILD, folder, step],
      );
      if (code === 0) finished = true;
      else if (code === undefined) kills++;
      else throw new Error(`the child failed at call ${at}: ${stderr}`);
      await check(folder);
      rmSync(folder, { recursive: true });
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return kills;
}

/** The log goes on, a week later, and is whole. */
async function goOn(folder: string): Promise<WholeLog> {
  const writer = openWriter(folder, { now: WRITTEN + 5 * WEEK_MS });
  const index = appendTo(writer, [decisionEntry(999_999)], WRITTEN + 5 * WEEK_MS);
  expect(writer.sign(WRITTEN + 5 * WEEK_MS).size).toBe(index + 1);
  writer.close(WRITTEN + 5 * WEEK_MS);
  const whole = await readWholeLog(folder);
  expect(whole.size).toBe(index + 1);
  return whole;
}

const missing = whyNoStrace();
if (missing !== undefined && process.env['CI'] !== undefined) throw new Error(missing);

describe.skipIf(missing !== undefined)('a kill at each step of', () => {
  test('going on to the next shard leaves a log without a gap or a fork', { timeout: 180_000 }, async () => {
    const before = join(root, 'rotate');
    fill(before, 1);
    const { ids, root: earlier } = await readWholeLog(before);
    const kills = await killAtEach('rotate', before, async folder => {
      const after = await goOn(folder);
      expect(after.ids.slice(0, ENTRIES)).toEqual(ids);
      const kinds = linkKinds(folder);
      expect(kinds.length % 2).toBe(0);
      expect(kinds).toEqual(kinds.map((_, at) => (at % 2 === 0 ? 'log.seal' : 'log.open')));
      expect(after.root).not.toBe(earlier);
    });
    expect(kills).toBeGreaterThan(12 / EVERY);
    process.stdout.write(`${kills} kills while going on to the next shard\n`);
  });

  test('removing old shards leaves each whole, or its tiles', { timeout: 180_000 }, async () => {
    const before = join(root, 'prune');
    fill(before, 3);
    const whole = await readWholeLog(before);
    const kills = await killAtEach('prune', before, async folder => {
      openWriter(folder).close(WRITTEN);
      const after = await readWholeLog(folder);
      expect([after.size, after.root]).toEqual([whole.size, whole.root]);
      expect(after.ids).toEqual(whole.ids.slice(after.firstKept));
    });
    expect(kills).toBeGreaterThan(12 / EVERY);
    process.stdout.write(`${kills} kills while removing old shards\n`);
  });

  test('giving a former log its tree loses no entry', { timeout: 180_000 }, async () => {
    const before = join(root, 'open');
    const bodies = makeFormerLog(before, ENTRIES);
    const kills = await killAtEach('open', before, async folder => {
      await goOn(folder);
      const shards = LogShards.open(folder);
      expect(bodies.map((_, index) => shards.leaf(index)?.body.toString())).toEqual(bodies);
      shards.close();
    });
    expect(kills).toBeGreaterThan(12 / EVERY);
    process.stdout.write(`${kills} kills while a former log got its tree\n`);
  });
});

/** Kinds of the entries that link shards, in order. */
function linkKinds(folder: string): unknown[] {
  const shards = LogShards.open(folder);
  try {
    return Array.from({ length: shards.size() }, (_, index) => shards.leaf(index)?.body.toString() ?? '{}')
      .map(json => parseLeaf(json)['kind'])
      .filter(kind => kind === 'log.seal' || kind === 'log.open');
  } finally {
    shards.close();
  }
}
