/** What limits counted, over restarts: from snapshots and journals, whatever became of the files, and without names. */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { LimitCharge } from '../../src/domain/limit.ts';
import type { LimitTable } from '../../src/limits/counters/limit-table.ts';
import {
  chargeTo,
  decisionId,
  HOUR,
  NOON,
  quotaRule,
  usedTokens,
  windowRule,
} from '../conformance/limit-scene.ts';
import { decisionEntry } from '../decision-log/entries.ts';
import { openMemory, type OpenMemory } from '../limits/counters/memory-scene.ts';
import { makeFolder } from '../store/sqlite/sqlite-log.ts';

const PERSON = 'acme/mary-who-is-in-no-file';
const MONTH = chargeTo(quotaRule({ name: 'platform/month', period: 'month', limit: 10_000 }), {
  key: `month of ${PERSON}`,
  amount: 40,
});
const CALLS = chargeTo(windowRule({ windowMs: 24 * HOUR, limit: 1_000 }), { key: `calls of ${PERSON}` });
const CHARGES = [MONTH, CALLS];

let folder = '';
let opened: OpenMemory | undefined;
beforeEach(() => {
  folder = makeFolder();
});
afterEach(async () => {
  await close();
  rmSync(folder, { recursive: true, force: true });
});

async function open(): Promise<OpenMemory> {
  opened = await openMemory(folder, randomBytes);
  return opened;
}

async function close(): Promise<void> {
  await opened?.memory.close();
  await opened?.log.close();
  opened = undefined;
}

/** Admits calls, each with its entry. */
async function admit({ memory, log }: OpenMemory, from: number, count: number): Promise<void> {
  for (let n = from; n < from + count; n++) {
    const { journal } = memory.table.admit({
      decisionId: decisionId(n),
      now: NOON,
      holdMs: HOUR,
      charges: CHARGES,
    });
    await log.append(decisionEntry(n), journal);
  }
}

function used(table: LimitTable, charges: readonly LimitCharge[] = CHARGES): readonly number[] {
  return table
    .admit({ decisionId: 'look', now: NOON, holdMs: HOUR, charges, dryRun: true })
    .standings.map(standing => standing.used);
}

/** Thirty calls, a snapshot after twenty of them, and the fifth settled after that. */
async function fill(): Promise<void> {
  const scene = await open();
  await admit(scene, 0, 20);
  await scene.memory.snapshot();
  const { journal } = scene.memory.table.settle({
    decisionId: decisionId(5),
    now: NOON,
    actual: usedTokens(15),
    atLeastFloor: false,
  });
  await scene.log.append(decisionEntry(900), journal);
  await admit(scene, 20, 10);
  expect(used(scene.memory.table)).toEqual([29 * 40 + 15, 30]);
  await close();
}

test('a restart counts on from the snapshot and the journals since, and knows what is held', async () => {
  await fill();
  const { memory, lines } = await open();
  expect(lines.join()).toContain('"journals":11');
  expect(used(memory.table)).toEqual([29 * 40 + 15, 30]);
  const { charges, state } = memory.table.settle({
    decisionId: decisionId(7),
    now: NOON,
    actual: usedTokens(0),
    atLeastFloor: false,
  });
  expect([state, charges.map(({ charged }) => charged)]).toEqual(['settled', [0]]);
  expect(used(memory.table)).toEqual([28 * 40 + 15, 30]);
});

test('snapshots follow each other', async () => {
  for (let round = 0; round < 4; round++) {
    const scene = await open();
    await admit(scene, round * 60, 60);
    await scene.memory.snapshot();
    await admit(scene, round * 60 + 50, 10);
    await close();
  }
  const { memory, lines } = await open();
  expect(lines.join()).toContain('"journals":0');
  expect(used(memory.table)).toEqual([240 * 40, 240]);
});

const FILE = 'limits.snapshot';
test.each<[string, (bytes: Buffer) => Buffer]>([
  ['was cut', bytes => bytes.subarray(0, bytes.length - 40)],
  ['lost its end', bytes => bytes.subarray(0, bytes.length - 36)],
  ['is empty', () => Buffer.alloc(0)],
  [
    'has another byte',
    bytes => Buffer.from(bytes.map((byte, at) => (at === bytes.length - 90 ? byte ^ 1 : byte))),
  ],
  ['has another head', bytes => Buffer.from(bytes.map((byte, at) => (at === 60 ? byte ^ 1 : byte)))],
])('a snapshot that %s is not used: every journal is read', async (_, damage) => {
  await fill();
  writeFileSync(join(folder, FILE), damage(readFileSync(join(folder, FILE))));
  const { memory, lines } = await open();
  expect(lines.join()).toContain('the snapshot of limits was not used');
  expect(used(memory.table)).toEqual([29 * 40 + 15, 30]);
});

test('a snapshot of another log is not used', async () => {
  await fill();
  const stranger = readFileSync(join(folder, FILE));
  rmSync(folder, { recursive: true, force: true });
  folder = makeFolder();
  const scene = await open();
  await admit(scene, 700, 40);
  await close();
  writeFileSync(join(folder, FILE), stranger);
  const { memory, lines } = await open();
  expect(lines.join()).toContain('it is about other entries than the log has');
  expect(used(memory.table)).toEqual([40 * 40, 40]);
});

test('a start is refused when neither snapshot nor journals tell what was counted', async () => {
  const first = await open();
  await admit(first, 0, 250);
  await first.memory.snapshot();
  await first.log.prune(Number.MAX_SAFE_INTEGER);
  await close();
  const { memory } = await open();
  expect(used(memory.table)).toEqual([250 * 40, 250]);
  await close();
  writeFileSync(join(folder, FILE), 'rubbish');
  await expect(open()).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' });
});

test('without the snapshot that removed entries left, limits count what the kept entries tell', async () => {
  const first = await open();
  await admit(first, 0, 250);
  await first.memory.keep();
  await first.log.prune(Number.MAX_SAFE_INTEGER);
  await close();
  rmSync(join(folder, FILE));
  // the kept journals go by numbers of counters that only removed ones named
  const second = await open();
  expect(used(second.memory.table)).toEqual([0, 0]);
  await admit(second, 250, 10);
  await second.memory.keep();
  expect(used(second.memory.table)).toEqual([10 * 40, 10]);
  await close();
  const { memory } = await open();
  expect(used(memory.table)).toEqual([10 * 40, 10]);
});

test('a snapshot from before entries that were removed since is not used', async () => {
  const first = await open();
  await admit(first, 0, 20);
  await first.memory.snapshot();
  const old = readFileSync(join(folder, FILE));
  await admit(first, 20, 230);
  await first.memory.keep();
  await first.log.prune(Number.MAX_SAFE_INTEGER);
  await close();
  writeFileSync(join(folder, FILE), old);
  await expect(open()).rejects.toThrow(/it is about 20 entries, and those up to \d+ are gone/);
});

test('a start is refused when another version wrote what was counted', async () => {
  const { log } = await open();
  await log.append(decisionEntry(0), Uint8Array.of(1, ...Buffer.alloc(8)));
  await close();
  await expect(open()).rejects.toThrow(/another version of Duramen .*: start that version/);
});

test('a start is refused when the secret is lost under which keys were counted', async () => {
  await fill();
  rmSync(join(folder, 'limits.secret'));
  await expect(open()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
});

test('nobody is named in the files', async () => {
  await fill();
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(file => file.isFile());
  expect(files.map(({ name }) => name)).toContain(FILE);
  const naming = files.filter(file => readFileSync(join(file.parentPath, file.name)).includes(PERSON));
  expect(naming.map(({ name }) => name)).toEqual([]);
});

test('a journal that was lost takes nothing with it that later ones need', async () => {
  const scene = await open();
  // counted, and never in the log: nobody was told to go on
  scene.memory.table.admit({ decisionId: decisionId(1), now: NOON, holdMs: HOUR, charges: CHARGES });
  await admit(scene, 2, 3);
  await close();
  const { memory } = await open();
  expect(used(memory.table)).toEqual([3 * 40, 3]);
});
