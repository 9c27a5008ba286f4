/** The board of loads: newest report of each source, until it expires. */
import { describe, expect, test } from 'vitest';
import {
  LoadBoard,
  type LoadReport,
  MAX_LOAD_SKEW_MS,
  MAX_LOAD_SOURCES,
  MAX_LOAD_SUBJECTS,
} from '../../../src/limits/guards/load-board.ts';

const MODEL = 'AI::Model::"acme/support-llm"';

function report(changes: Partial<LoadReport> = {}): LoadReport {
  return { subject: MODEL, source: 'gpu-1', reporter: 'k1', observedAt: 0, ttlMs: 10_000, ...changes };
}

describe('the load of a model', () => {
  test('is the mean over its replicas, rounded up, and the sum of what waits', () => {
    const board = new LoadBoard();
    board.report(report({ gpuPercent: 50, queueDepth: 3, kvCachePercent: 10 }), 0);
    board.report(report({ source: 'gpu-2', gpuPercent: 81, queueDepth: 4, observedAt: 5, ttlMs: 5_000 }), 5);
    expect(board.load(MODEL, 5)).toEqual({
      subject: MODEL,
      sources: 2,
      gpuPercent: 66,
      kvCachePercent: 10,
      queueDepth: 7,
      queues: 2,
      observedAt: 5,
      expiresAt: 10_000,
    });
  });

  test('has null for what no replica says, which is not the same as 0', () => {
    const board = new LoadBoard();
    board.report(report({ gpuPercent: 0 }), 0);
    expect(board.load(MODEL, 0)).toMatchObject({ gpuPercent: 0, kvCachePercent: null, queueDepth: null });
  });

  test('forgets each report when it expires', () => {
    const board = new LoadBoard();
    board.report(report({ gpuPercent: 90, ttlMs: 1_000 }), 0);
    board.report(report({ source: 'gpu-2', gpuPercent: 10, ttlMs: 2_000 }), 0);
    expect(board.load(MODEL, 999)?.gpuPercent).toBe(50);
    expect(board.load(MODEL, 1_000)?.gpuPercent).toBe(10);
    expect(board.load(MODEL, 2_000)).toBeUndefined();
    expect(board.list(2_000)).toEqual([]);
    expect(board.size).toBe(0);
  });
});

describe('a report', () => {
  test.each([
    ['that is new', {}, 0, 'accepted'],
    ['that expired on its way', {}, 10_000, 'stale'],
    ['from a clock that is a little ahead', { observedAt: MAX_LOAD_SKEW_MS }, 0, 'accepted'],
    ['from the future', { observedAt: MAX_LOAD_SKEW_MS + 1 }, 0, 'early'],
  ] as const)('%s', (_, changes, now, outcome) => {
    expect(new LoadBoard().report(report(changes), now)).toBe(outcome);
  });

  test('never replaces one that was observed later', () => {
    const board = new LoadBoard();
    board.report(report({ gpuPercent: 90, observedAt: 100 }), 100);
    expect(board.report(report({ gpuPercent: 10, observedAt: 99 }), 101)).toBe('stale');
    expect(board.report(report({ gpuPercent: 20, observedAt: 100 }), 101)).toBe('accepted');
    expect(board.load(MODEL, 101)?.gpuPercent).toBe(20);
  });

  test('does not speak for a source of another reporter, however both are named', () => {
    const board = new LoadBoard();
    board.report(report({ gpuPercent: 90 }), 0);
    board.report(report({ gpuPercent: 0, reporter: 'k2' }), 0);
    board.report(report({ gpuPercent: 0, reporter: 'k', source: '1","gpu-1' }), 0);
    expect(board.load(MODEL, 0)).toMatchObject({ sources: 3, gpuPercent: 30 });
  });
});

describe('memory', () => {
  test('holds so many sources of a model, until some expire', () => {
    const board = new LoadBoard();
    for (let at = 0; at < MAX_LOAD_SOURCES; at++) board.report(report({ source: `s${at}` }), 0);
    expect(board.report(report({ source: 'one more' }), 0)).toBe('full');
    expect(board.report(report({ source: 's0', observedAt: 1 }), 1)).toBe('accepted');
    expect(board.report(report({ source: 'one more', observedAt: 10_000 }), 10_000)).toBe('accepted');
    expect(board.load(MODEL, 10_000)?.sources).toBe(2);
  });

  test('holds so many models, until some expire', () => {
    const board = new LoadBoard();
    for (let at = 0; at < MAX_LOAD_SUBJECTS; at++) board.report(report({ subject: `m${at}` }), 0);
    expect(board.report(report({ subject: 'one more' }), 0)).toBe('full');
    expect(board.report(report({ subject: 'one more', observedAt: 10_000 }), 10_000)).toBe('accepted');
    expect(board.size).toBe(1);
  });
});
