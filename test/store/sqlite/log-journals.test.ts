/** Journals beside the entries of the log: as durable as they are, in their order, across shards and restarts. */
import { rmSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { LogJournals } from '../../../src/decision-log/ports.ts';
import { JournalRows } from '../../../src/store/sqlite/journal-rows.ts';
import { listShards } from '../../../src/store/sqlite/log-shard-name.ts';
import { decisionEntry } from '../../decision-log/entries.ts';
import { makeFolder, openLog } from './sqlite-log.ts';

const SHARD_ENTRIES = 20;

let folder = '';
beforeEach(() => {
  folder = makeFolder();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function journal(n: number): Uint8Array {
  return Buffer.from(`journal ${n}${'.'.repeat(n % 7)}`);
}

/** Every journal from a batch on, as text. */
async function readAll(journals: Pick<LogJournals, 'chunk'>, from = 0): Promise<string[]> {
  const texts: string[] = [];
  for (
    let chunk = await journals.chunk(from);
    chunk !== undefined;
    chunk = await journals.chunk(chunk.next)
  ) {
    const body = Buffer.from(chunk.body);
    for (let at = 0; at < body.length; ) {
      const length = body.readUInt32LE(at);
      texts.push(body.toString('utf8', at + 4, at + 4 + length));
      at += 4 + length;
    }
  }
  return texts;
}

const text = (n: number): string => Buffer.from(journal(n)).toString();

test('journals are read back in the order of their entries, whatever shard they are in, also after a restart', async () => {
  const expected: string[] = [];
  for (let start = 0; start < 90; start += 30) {
    const log = await openLog(folder, { shardEntries: SHARD_ENTRIES });
    for (let n = start; n < start + 30; n++) {
      // every third entry changes nothing beside the log
      if (n % 3 !== 0) expected.push(text(n));
      await log.append(decisionEntry(n), n % 3 === 0 ? undefined : journal(n));
    }
    expect(await readAll(log.journals)).toEqual(expected);
    await log.close();
  }
  expect(listShards(folder).length).toBeGreaterThan(2);
});

test('a chunk says where to go on, and reading may begin at any batch', async () => {
  const log = await openLog(folder, { shardEntries: SHARD_ENTRIES });
  const first = await Promise.all(
    Array.from({ length: 5 }, (_, n) => log.append(decisionEntry(n), journal(n))),
  );
  const { size } = log;
  expect(first.every(({ index }) => index < size)).toBe(true);
  for (let n = 5; n < 40; n++) await log.append(decisionEntry(n), journal(n));
  const later = Array.from({ length: 35 }, (_, n) => text(n + 5));
  expect(await readAll(log.journals, size)).toEqual(later);
  expect(await log.journals.chunk(log.size)).toBeUndefined();
  const rows = new JournalRows(folder, 1);
  expect(await readAll({ chunk: async from => rows.chunk(from) }, size)).toEqual(later);
  rows.close();
  await log.close();
});

test('a journal is told as soon as it is durable, before whoever appended it hears of it', async () => {
  const log = await openLog(folder);
  const heard: string[] = [];
  log.journals.listen(one => heard.push(Buffer.from(one).toString()));
  await Promise.all(
    Array.from({ length: 40 }, async (_, n) => {
      await log.append(decisionEntry(n), journal(n));
      expect(heard).toContain(text(n));
    }),
  );
  expect(heard).toEqual(Array.from({ length: 40 }, (_, n) => text(n)));
  await log.close();
});

test('a journal whose entry is not in the log is neither told nor kept', async () => {
  const log = await openLog(folder, { maxPages: 40 });
  const heard: string[] = [];
  log.journals.listen(one => heard.push(Buffer.from(one).toString()));
  const written: string[] = [];
  for (let n = 0; n < 600; n++) {
    const appended = log.append(decisionEntry(n), journal(n));
    const lasts = await appended.then(
      () => true,
      () => false,
    );
    if (lasts) written.push(text(n));
  }
  expect(written.length).toBeLessThan(600);
  expect(heard).toEqual(written);
  expect(await readAll(log.journals)).toEqual(written);
  await log.close();
});
