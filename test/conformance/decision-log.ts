/** The contract of the decision log (src/decision-log/ports.ts), one test per sentence, for every backend. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { leafHash } from '../../src/decision-log/leaf-hash.ts';
import { BLANK } from '../../src/decision-log/late-values.ts';
import { LeafWriter, MAX_LEAF_BYTES } from '../../src/decision-log/leaf.ts';
import type {
  DecisionLog,
  DecisionQuery,
  EventQuery,
  LoggedLeaf,
  LogReader,
  LogTree,
  Page,
} from '../../src/decision-log/ports.ts';
import type { LogEntry } from '../../src/domain/log-entry.ts';
import {
  decisionEntry,
  entryId,
  eventEntry,
  fullDecisionEntry,
  requestOf,
  TIME,
} from '../decision-log/entries.ts';
import { testPrivacy } from '../decision-log/test-privacy.ts';

/** A log of its own for one test, with the names and keys of `testPrivacy`. */
export interface LogUnderTest {
  readonly log: DecisionLog;
  readonly reader: LogReader;
  readonly tree: LogTree;
  /** The key of its checkpoints. */
  readonly verifierKey: string;
  dispose(): Promise<void>;
}

const PAGE = { limit: 100, order: 'asc' } as const;

export function decisionLogConformance(name: string, open: () => Promise<LogUnderTest>): void {
  describe(`${name}: contract`, () => {
    let subject: LogUnderTest;
    beforeEach(async () => {
      subject = await open();
    });
    afterEach(() => subject.dispose());

    const append = (...entries: readonly LogEntry[]) =>
      Promise.all(entries.map(entry => subject.log.append(entry)));
    const decisions = async (query: Partial<DecisionQuery> = {}) =>
      ids(await subject.reader.decisions({ ...PAGE, filters: {}, ...query }));
    const events = async (query: Partial<EventQuery> = {}) =>
      ids(await subject.reader.events({ ...PAGE, ...query }));

    describe('appending', () => {
      test('indexes start at 0, have no gap and follow the order of the calls', async () => {
        const positions = await append(...Array.from({ length: 50 }, (_, at) => decisionEntry(at)));
        expect(positions.map(({ index }) => index)).toEqual(Array.from({ length: 50 }, (_, at) => at));
        expect(new Set(positions.map(({ origin }) => origin))).toEqual(new Set([subject.log.origin]));
        expect(await decisions()).toEqual(Array.from({ length: 50 }, (_, at) => entryId(at)));
      });

      test('a position names a size of the log that includes the entry', async () => {
        const positions = await append(...Array.from({ length: 10 }, (_, at) => eventEntry(at)));
        expect(positions.every(({ index, size }) => index < size && size <= 10)).toBe(true);
        expect(positions.at(-1)?.size).toBe(subject.log.size);
      });

      test('size counts the entries whose append has resolved', async () => {
        expect(subject.log.size).toBe(0);
        await append(decisionEntry(1), eventEntry(2));
        expect(subject.log.size).toBe(2);
      });

      test('a leaf beyond the largest size is refused and takes no index', async () => {
        const large = eventEntry(1, { details: { text: 'x'.repeat(MAX_LEAF_BYTES) } });
        await expect(subject.log.append(large)).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
        await expect(subject.log.append(decisionEntry(2, { time: Number.NaN }))).rejects.toMatchObject({
          code: 'INVALID_REQUEST',
        });
        expect((await subject.log.append(eventEntry(3))).index).toBe(0);
      });

      test('close resolves after everything accepted is durable, then entries are refused', async () => {
        const accepted = append(...Array.from({ length: 20 }, (_, at) => eventEntry(at)));
        await subject.log.close();
        expect(subject.log.size).toBe(20);
        expect(await accepted).toHaveLength(20);
        await expect(subject.log.append(eventEntry(21))).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' });
        await expect(subject.log.close()).resolves.toBeUndefined();
      });
    });

    describe('reading', () => {
      test('a query sees every entry whose append resolved before', async () => {
        for (let at = 0; at < 20; at++) {
          await append(decisionEntry(at));
          expect(await decisions({ order: 'desc', limit: 1 })).toEqual([entryId(at)]);
        }
        expect(await subject.reader.lag()).toBe(0);
      });

      test('a leaf is answered byte for byte, with its RFC 6962 hash and its content', async () => {
        const entries = [decisionEntry(1), fullDecisionEntry(2), eventEntry(3)];
        await append(...entries);
        const stored: string[] = [];
        for (const [index, entry] of entries.entries()) {
          const text = Buffer.from((await subject.reader.leaf(index)) ?? []).toString();
          expect(withBlanks(text)).toBe(leafText(entry));
          stored.push(text);
        }
        expect(await subject.reader.leaf(entries.length)).toBeUndefined();
        const full = await subject.reader.decision(entryId(2));
        expect(full).toMatchObject({ index: 1, json: stored[1] });
        expect(full?.leafHash).toBe(Buffer.from(leafHash(Buffer.from(stored[1] ?? ''))).toString('hex'));
        expect(full?.content).toEqual(JSON.parse(stored[1] ?? ''));
      });

      test('the newest changes that entries name are found, whatever clients wrote', async () => {
        const stores = { state: 7, subjects: 3 };
        const text = JSON.stringify({ stores });
        const context = { stores: { state: 9, subjects: 9 }, text };
        await append(
          eventEntry(0, { stores: { state: 6, subjects: 3 } }),
          eventEntry(1, { stores }),
          decisionEntry(2, { request: requestOf({ context }) }),
          eventEntry(3, { details: context }),
          eventEntry(4, { kind: 'bundle.push', details: { stores, after: 5, kind: 'entity.put' } }),
        );
        const named = (from: number, to: number) => subject.reader.named(from, to);
        const changes = { ...stores, index: 1 };
        expect(await named(0, 5)).toEqual({ changes, revision: { revision: 118, index: 2 } });
        expect(await named(0, 2)).toEqual({ changes });
        expect(await named(2, 5)).toEqual({ revision: { revision: 118, index: 2 } });
        expect(await named(3, 5)).toEqual({});
        await append(eventEntry(5, { kind: 'entity.delete', details: { after: 119 } }));
        expect(await named(0, 6)).toEqual({ changes, revision: { revision: 119, index: 5 } });
        await append(eventEntry(6, { kind: 'log.heartbeat', stores: { state: 8, subjects: 3 } }));
        expect(await named(0, 7)).toEqual({ changes: { state: 8, subjects: 3, index: 6 } });
      });

      test('a decision is found by its id, an unknown id and the id of an event are not', async () => {
        await append(decisionEntry(1), eventEntry(2));
        expect((await subject.reader.decision(entryId(1)))?.index).toBe(0);
        expect(await subject.reader.decision(entryId(2))).toBeUndefined();
        expect(await subject.reader.decision('')).toBeUndefined();
      });

      test.each(['asc', 'desc'] as const)('pages in order %s follow each other without gap', async order => {
        await append(
          ...Array.from({ length: 25 }, (_, at) => (at % 5 === 0 ? eventEntry(at) : decisionEntry(at))),
        );
        const expected = await decisions({ order });
        const seen: string[] = [];
        let cursor: string | undefined;
        for (let page = 0; page < 30; page++) {
          const answer = await subject.reader.decisions({
            ...PAGE,
            filters: {},
            order,
            limit: 7,
            ...(cursor === undefined ? {} : { cursor }),
          });
          seen.push(...ids(answer));
          // Entries that arrive between pages do not move the pages.
          if (order === 'desc') await append(decisionEntry(100 + page));
          if (answer.nextCursor === null) break;
          cursor = answer.nextCursor;
        }
        expect(expected).toHaveLength(20);
        expect(seen).toEqual(expected);
      });

      test('a page that holds the last match has no next cursor', async () => {
        await append(decisionEntry(1), decisionEntry(2), eventEntry(3));
        const page = await subject.reader.decisions({ ...PAGE, filters: {}, limit: 2 });
        expect([page.items.length, page.nextCursor]).toEqual([2, null]);
      });

      test('a cursor of another query, a damaged cursor and a limit out of range are refused', async () => {
        await append(decisionEntry(1), decisionEntry(2));
        const query: DecisionQuery = { ...PAGE, filters: {}, limit: 1 };
        const { nextCursor } = await subject.reader.decisions(query);
        const cursor = nextCursor ?? '';
        const refused = { code: 'INVALID_REQUEST' };
        expect((await subject.reader.decisions({ ...query, cursor, limit: 5 })).items).toHaveLength(1);
        const tenant = { values: ['acme'], negated: false };
        await expect(
          subject.reader.decisions({ ...query, filters: { tenant }, cursor }),
        ).rejects.toMatchObject(refused);
        for (const other of [
          { ...query, order: 'desc', cursor } as const,
          { ...query, from: 1, cursor },
          { ...query, tenants: ['acme'], cursor },
          { ...query, cursor: `${cursor}x` },
          { ...query, cursor: '' },
          { ...query, limit: 0 },
          { ...query, limit: 1_001 },
        ]) {
          await expect(subject.reader.decisions(other)).rejects.toMatchObject(refused);
        }
        await expect(subject.reader.events({ ...PAGE, cursor })).rejects.toMatchObject(refused);
      });
    });

    describe('events', () => {
      test('are found by kind, among other kinds and among decisions', async () => {
        await append(eventEntry(1), decisionEntry(2), eventEntry(3, { kind: 'key.create' }));
        const kind = { values: ['key.create', 'key.revoke'], negated: false };
        expect(await events({ kind })).toEqual([entryId(3)]);
        expect(await events({ kind: { ...kind, negated: true } })).toEqual([entryId(1)]);
        expect(await events({ order: 'desc' })).toEqual([entryId(3), entryId(1)]);
        expect(await events({ from: TIME + 2 })).toEqual([entryId(3)]);
      });

      test('an event that was appended twice is answered once, a decision never is left out', async () => {
        await append(eventEntry(1), eventEntry(2), eventEntry(1), decisionEntry(1));
        await append(eventEntry(1));
        expect(await events()).toEqual([entryId(1), entryId(2)]);
        expect(await decisions()).toEqual([entryId(1)]);
        expect(subject.log.size).toBe(5);
      });
    });
  });
}

/** A leaf as it was written: its digests have the salts and keys of one log. */
function withBlanks(text: string): string {
  return text.replaceAll(/"[\w-]{43}"/g, `"${BLANK}"`);
}

function leafText(entry: LogEntry): string {
  return new LeafWriter(testPrivacy()).write(entry).text;
}

function ids(page: Page<LoggedLeaf>): string[] {
  return page.items.map(({ content: { id } }) => (typeof id === 'string' ? id : ''));
}
