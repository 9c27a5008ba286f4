/** Old entries go once an hour, after an entry that says so; a failure is told and tried again. */
import { expect, test } from 'vitest';
import { loggedLeaf } from '../../src/decision-log/logged-leaf.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import type { EventEntry } from '../../src/domain/log-entry.ts';
import type { Pruning } from '../../src/store/sqlite/log-retention.ts';
import { makeLogger } from '../../src/telemetry/logger.ts';
import { RetentionKeeper } from '../../src/wiring/log-retention.ts';
import { countedIds, manualClock } from '../identity/clock.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const SHARD = { name: '2025-W01-000000000000', first: 0, entries: 9, opened: 1, sealed: 2, bytes: 3 };
const NOTHING: Pruning = { removed: [], firstKept: 0, heldBackBy: undefined };
const ONE: Pruning = { removed: [SHARD], firstKept: 9, heldBackBy: undefined };

/** Ages of entries of a service that ran all the time. */
const ALL_HOURS = Array.from({ length: 72 }, (_, hours) => hours * HOUR_MS);

/**
 * A keeper whose log would remove `plans`, one after the other. What happens is told in order.
 * @param ages of the entries, the youngest first, in milliseconds
 */
function scene(
  plans: (Pruning | Error)[],
  recordFails = false,
  countsKept = true,
  ages = ALL_HOURS,
  {
    named = [],
    known = [],
  }: { readonly named?: readonly JsonObject[]; readonly known?: readonly string[] } = {},
) {
  const clock = manualClock();
  const steps: unknown[] = [];
  const lines: string[] = [];
  let due: { ms: number; action: () => void } | undefined;
  const keeper = new RetentionKeeper({
    retention: {
      prunable: async before => {
        steps.push(['plan', before - clock.now()]);
        const plan = plans.shift() ?? NOTHING;
        if (plan instanceof Error) throw plan;
        return plan;
      },
      lastEntryBefore: async time => {
        expect(clock.now() - time).toBeGreaterThanOrEqual(DAY_MS);
        return ages.map(age => clock.now() - age).find(at => at <= time);
      },
      prune: async before => {
        steps.push(['prune', before - clock.now()]);
        return ONE;
      },
    },
    exports: { list: async () => known.map(name => ({ name, acknowledged: 9, createdAt: 0, updatedAt: 0 })) },
    reader: {
      events: async ({ kind, order, cursor = '0' }) => {
        expect([kind?.values, order]).toEqual([['log.export', 'log.prune'], 'desc']);
        const at = Number(cursor);
        const items = named.slice(at, at + 1).map(entry => loggedLeaf(at, '', JSON.stringify(entry)));
        return { items, nextCursor: at + 1 < named.length ? String(at + 1) : null };
      },
    },
    keepCounts: async () => {
      steps.push('counts');
      return countsKept;
    },
    retentionDays: 400,
    events: {
      record: async (event: EventEntry) => {
        steps.push([event.kind, event.details]);
        if (recordFails) throw new Error('the log is full');
      },
    },
    clock,
    ids: countedIds(),
    timers: {
      after: (ms, action) => {
        due = { ms, action };
        return () => {
          due = undefined;
        };
      },
    },
    logger: makeLogger('warn', clock, { write: line => void lines.push(line) }),
  });
  return { keeper, steps, lines, due: () => due };
}

test('what goes is in the log before it goes, and is what is older than the retention', async () => {
  const { keeper, steps } = scene([ONE]);
  await keeper.start();
  expect(steps).toEqual([
    ['plan', -400 * DAY_MS],
    'counts',
    ['log.prune', { shards: [SHARD.name], firstKept: 9, retentionDays: 400, exports: [] }],
    ['prune', -400 * DAY_MS],
  ]);
});

test('nothing goes when the log does not take the entry, and the next hour tries again', async () => {
  const { keeper, steps, lines, due } = scene([ONE], true);
  await keeper.start();
  expect(steps).toEqual([['plan', -400 * DAY_MS], 'counts', ['log.prune', expect.anything()]]);
  expect(lines.join()).toContain('could not be removed');
  expect(due()?.ms).toBe(HOUR_MS);
});

test('nothing goes while what limits counted with it is in no snapshot', async () => {
  const { keeper, steps, lines } = scene([ONE], false, false);
  await keeper.start();
  expect(steps).toEqual([['plan', -400 * DAY_MS], 'counts']);
  expect(lines.join()).toContain('no snapshot of limits could be written');
});

test.each<[string, number[]]>([
  ['the day before yesterday has no entry', ALL_HOURS.filter(age => age < DAY_MS || age > 2 * DAY_MS)],
  ['the log begins within the last day', ALL_HOURS.filter(age => age < DAY_MS)],
  [
    'the clock was as far ahead after the start of yesterday',
    [...ALL_HOURS.slice(0, 1), 1.5 * DAY_MS, 1.5 * DAY_MS + 60_000, 1.5 * DAY_MS + 120_000, 500 * DAY_MS],
  ],
  ['five hours of that day have entries', ALL_HOURS.filter(age => age < DAY_MS + 5 * HOUR_MS)],
])('nothing goes while %s: the clock may have jumped', async (_what, ages) => {
  const { keeper, steps, lines, due } = scene([ONE, ONE], false, true, ages);
  await keeper.start();
  expect(steps).toEqual([['plan', -400 * DAY_MS]]);
  expect(lines.join()).toContain('check the clock');
  expect(due()?.ms).toBe(HOUR_MS);
});

test('a service that runs some hours a day lets go as well', async () => {
  const { keeper, steps } = scene(
    [ONE],
    false,
    true,
    [0, 30, 31, 32, 33.5, 35, 36].map(hours => hours * HOUR_MS),
  );
  await keeper.start();
  expect(steps.at(-1)).toEqual(['prune', -400 * DAY_MS]);
});

const saved = (subject: string): JsonObject => ({
  kind: 'log.export',
  subject,
  details: { acknowledged: 1 },
});
const gone = (subject: string): JsonObject => ({ kind: 'log.export', subject, details: { removed: true } });
const pruned = (...exports: readonly string[]): JsonObject => ({ kind: 'log.prune', details: { exports } });
/** As an earlier version wrote it. */
const prunedOnce: JsonObject = { kind: 'log.prune', details: { shards: [] } };

test.each<[what: string, named: readonly JsonObject[], known: readonly string[]]>([
  ['none is named', [], ['siem']],
  ['all are there', [saved('siem'), saved('copy')], ['copy', 'siem']],
  ['one was removed', [gone('copy'), saved('copy'), saved('siem')], ['siem']],
  ['one was removed since the last removal', [gone('siem'), pruned('siem'), saved('copy')], []],
])(
  'entries go, and the exports are named, when of those that the log names %s',
  async (_what, named, known) => {
    const { keeper, steps } = scene([ONE], false, true, ALL_HOURS, { named, known });
    await keeper.start();
    expect(steps).toContainEqual(['log.prune', expect.objectContaining({ exports: known })]);
    expect(steps).toContainEqual(['prune', -400 * DAY_MS]);
  },
);

test.each<[what: string, named: readonly JsonObject[], known: readonly string[], lost: string]>([
  ['one is missing', [saved('siem'), saved('copy')], ['siem'], 'copy'],
  ['one was removed and made again', [saved('copy'), gone('copy')], [], 'copy'],
  ['one was there at the last removal', [pruned('siem'), saved('copy')], [], 'siem'],
  ['one is older than a removal by an earlier version', [prunedOnce, saved('siem')], [], 'siem'],
])('nothing goes when of the exports that the log names %s', async (_what, named, known, lost) => {
  const { keeper, steps, lines } = scene([ONE], false, true, ALL_HOURS, { named, known });
  await keeper.start();
  expect(steps).toEqual([['plan', -400 * DAY_MS]]);
  expect(lines.join()).toContain(`"exports":["${lost}"]`);
  expect(lines.join()).toContain('an older one was put back');
});

test('nothing is logged when nothing is old; an export that lags is told', async () => {
  const { keeper, steps, lines, due } = scene([{ ...NOTHING, heldBackBy: 'siem' }, new Error('unreadable')]);
  await keeper.start();
  expect(steps).toHaveLength(1);
  expect(lines.join()).toContain('"export":"siem"');
  due()?.action();
  await new Promise(setImmediate);
  expect(steps).toHaveLength(2);
  expect(lines.join()).toContain('unreadable');
});

test('after the end nothing is looked at any more', async () => {
  const { keeper, due } = scene([]);
  await keeper.start();
  expect(due()).toBeDefined();
  await keeper.close();
  expect(due()).toBeUndefined();
  const stopping = scene([]);
  const first = stopping.keeper.start();
  await stopping.keeper.close();
  await first;
  expect(stopping.due()).toBeUndefined();
  const cutShort = scene([new Error('closed')]);
  const last = cutShort.keeper.start();
  await cutShort.keeper.close();
  await last;
  expect(cutShort.lines).toEqual([]);
});
