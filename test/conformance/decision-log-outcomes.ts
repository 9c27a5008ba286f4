/** Which decisions have an outcome: those that reported, those that are yet to, those after which nothing is called. */
import { describe, expect, test } from 'vitest';
import type { ValueFilter } from '../../src/decision-log/ports.ts';
import type { EventEntry, LogEntry } from '../../src/domain/log-entry.ts';
import { decisionEntry, entryId, eventEntry, requestOf, TIME } from '../decision-log/entries.ts';
import type { LogUnderTest } from './decision-log.ts';

/** More than a block of the index, so that reports reach back into others. */
const MANY = 1_500;

/** The decision that `sequence` numbers ended. */
function report(sequence: number, decision: number, over: Partial<EventEntry> = {}): EventEntry {
  const details = { status: 'completed' };
  return eventEntry(sequence, { kind: 'decision.outcome', subject: entryId(decision), details, ...over });
}

const allow = (sequence: number) => decisionEntry(sequence);
const deny = (sequence: number) => decisionEntry(sequence, { decision: 'deny' });
const tried = (sequence: number) => decisionEntry(sequence, { request: requestOf({ consume: false }) });

export function decisionLogOutcomeConformance(name: string, open: () => Promise<LogUnderTest>): void {
  /** Runs `body` on a log with these entries. */
  async function withLog(entries: readonly LogEntry[], body: (log: LogUnderTest) => Promise<void>) {
    const log = await open();
    try {
      await Promise.all(entries.map(entry => log.log.append(entry)));
      await body(log);
    } finally {
      await log.dispose();
    }
  }

  const listed = async ({ reader }: LogUnderTest, outcome: ValueFilter): Promise<readonly number[]> => {
    const page = await reader.decisions({ filters: { outcome }, limit: 100, order: 'asc' });
    return page.items.map(({ index }) => index);
  };

  describe(`${name}: outcomes`, () => {
    const ENTRIES = [
      allow(0),
      deny(1),
      tried(2),
      allow(3),
      allow(4),
      report(5, 3),
      report(6, 0),
      report(7, 99),
    ];

    test.each<[readonly string[], boolean, readonly number[]]>([
      [['missing'], false, [4]],
      [['reported'], false, [0, 3]],
      [['none'], false, [1, 2]],
      [['missing', 'reported'], false, [0, 3, 4]],
      [['missing', 'none'], false, [1, 2, 4]],
      [['missing'], true, [0, 1, 2, 3]],
      [['reported'], true, [1, 2, 4]],
      [['missing', 'reported', 'none'], false, [0, 1, 2, 3, 4]],
      [['missing', 'reported', 'none'], true, []],
    ])('the filter outcome of %j, negated %j, finds entries %j', async (values, negated, expected) => {
      await withLog(ENTRIES, async log => {
        expect(await listed(log, { values, negated })).toEqual(expected);
      });
    });

    test('a report that comes later takes its decision from the missing, in whatever block it is', async () => {
      const decisions = Array.from({ length: MANY }, (_, at) => allow(at));
      const reported = [0, 7, 1_023, 1_024, MANY - 1];
      await withLog(decisions, async log => {
        expect(await listed(log, { values: ['reported'], negated: false })).toEqual([]);
        await Promise.all(reported.map((at, place) => log.log.append(report(MANY + place, at))));
        expect(await listed(log, { values: ['reported'], negated: false })).toEqual(reported);
        const missing = await listed(log, { values: ['missing'], negated: false });
        expect(missing).toEqual(
          Array.from({ length: 102 }, (_, at) => at).filter(at => at !== 0 && at !== 7),
        );
      });
    });

    test('the outcome of a decision is the first entry that reports it', async () => {
      const again = report(2, 0, { id: entryId(20), time: TIME + 9 });
      await withLog([allow(0), report(1, 0), again], async ({ reader }) => {
        expect((await reader.outcome(entryId(0)))?.index).toBe(1);
        expect(await reader.outcome(entryId(1))).toBeUndefined();
      });
    });
  });
}
