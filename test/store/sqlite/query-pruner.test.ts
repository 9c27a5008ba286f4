/** Retention in the query index: what was removed is found no more, leaves no trace, and what is kept stays found. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { DecisionQuery } from '../../../src/decision-log/ports.ts';
import { planDecisions } from '../../../src/decision-log/query-plan.ts';
import type { DecisionEntry } from '../../../src/domain/log-entry.ts';
import { decisionEntry, entryId, requestOf } from '../../decision-log/entries.ts';
import { ThreadlessLog } from './threadless-log.ts';

const COUNT = 3_000;
/** Within a block, so that one block is partly removed. */
const KEPT = 1_500;

/** Every entry has a request id of its own; the models of the first thousand are never seen again. */
function entry(at: number): DecisionEntry {
  const id = at < 1_000 ? `acme/early-${at % 7}` : `acme/late-${at % 3}`;
  return decisionEntry(at, { request: requestOf({ requestId: `r${at}`, resource: { type: 'Model', id } }) });
}

let log: ThreadlessLog;
beforeEach(() => {
  log = new ThreadlessLog();
  for (let at = 0; at < COUNT; at += 500) {
    log.append(Array.from({ length: 500 }, (_, offset) => entry(at + offset)));
  }
});
afterEach(() => log.dispose());

function find(filters: DecisionQuery['filters'] = {}, order: 'asc' | 'desc' = 'asc'): number {
  return log.all(cursor =>
    planDecisions({ filters, limit: 1_000, order, ...(cursor === undefined ? {} : { cursor }) }),
  ).length;
}

const by = (name: 'model' | 'requestId', value: string, negated = false) => ({
  [name]: { values: [value], negated },
});

function expectOnlyKept(): void {
  expect(find()).toBe(COUNT - KEPT);
  expect(find({}, 'desc')).toBe(COUNT - KEPT);
  expect(find(by('model', 'acme/early-1'))).toBe(0);
  expect(find(by('model', 'acme/late-1'))).toBe(500);
  expect(find(by('model', 'acme/late-1', true))).toBe(1_000);
  expect(find(by('requestId', 'r1499'))).toBe(0);
  expect(find(by('requestId', 'r1500'))).toBe(1);
  expect(log.index.search.decision(entryId(KEPT - 1), undefined)).toBeUndefined();
  expect(log.index.search.decision(entryId(KEPT), undefined)?.index).toBe(KEPT);
}

function count(sql: string): number {
  return Number(log.index.db.prepare(sql).pluck().get());
}

describe('entries that retention removed', () => {
  test('are found no more from the moment on, nor while the index is pruned, nor after', () => {
    expect(find()).toBe(COUNT);
    log.prune(KEPT);
    expectOnlyKept();
    let steps = 0;
    while (log.index.pruner.step()) {
      steps++;
      expectOnlyKept();
    }
    expect(steps).toBeGreaterThan(1);
  });

  test('leave the index, whose other entries stay', () => {
    find();
    expect(count("SELECT count(*) FROM term WHERE value LIKE '%early%'")).toBe(7);
    log.prune(KEPT);
    while (log.index.pruner.step());
    expect(count("SELECT count(*) FROM term WHERE value LIKE '%early%'")).toBe(0);
    expect(count(`SELECT count(*) FROM lookup WHERE idx < ${KEPT}`)).toBe(0);
    expect(count(`SELECT count(*) FROM lookup WHERE idx >= ${KEPT}`)).toBe(2 * (COUNT - KEPT));
    for (const table of ['posting', 'block', 'block_time']) {
      expect(count(`SELECT min(block) FROM ${table}`)).toBe(1);
    }
    expectOnlyKept();
  });

  test('whose models come back are not mixed up with others', () => {
    find();
    log.prune(KEPT);
    while (log.index.pruner.step());
    log.append([entry(3), entry(COUNT), entry(4)]);
    expect(find(by('model', 'acme/early-3'))).toBe(1);
    expect(find(by('model', 'acme/early-4'))).toBe(1);
    expect(find(by('model', 'acme/early-1'))).toBe(0);
    expect(find()).toBe(COUNT - KEPT + 3);
  });

  test('are passed over when the index is built anew, or was behind', () => {
    log.prune(KEPT);
    expectOnlyKept();
    log.run('lose index');
    expectOnlyKept();
    const from = (offset: number) =>
      log.all(cursor =>
        planDecisions({
          filters: {},
          limit: 1_000,
          order: 'asc',
          from: decisionEntry(KEPT + offset).time,
          ...(cursor === undefined ? {} : { cursor }),
        }),
      ).length;
    expect([from(0), from(10), from(1_499)]).toEqual([1_500, 1_490, 1]);
  });

  test('are pruned further when retention goes on, and a sweep that was cut short starts again', () => {
    find();
    log.prune(KEPT);
    log.index.pruner.step();
    log.run('reopen');
    log.prune(2_500);
    while (log.index.pruner.step());
    expect(count('SELECT min(idx) FROM lookup')).toBe(2_500);
    expect(count('SELECT pruned FROM progress')).toBe(2_500);
    expect(find()).toBe(500);
    expect(log.index.pruner.step()).toBe(false);
  });
});
