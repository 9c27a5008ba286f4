/** Alerts: once when a limit is used to some per cent, and again only when it has been free. */
import { describe, expect, test } from 'vitest';
import type { LimitCharge, LimitStanding } from '../../../src/domain/limit.ts';
import { AlertBook, REPEAT_MS } from '../../../src/limits/guards/alerts.ts';

function charge(key = 'k', limit = 100, alertAtPercent: readonly number[] = [80, 100]): LimitCharge {
  return {
    rule: {
      kind: 'window',
      name: 'platform/burst',
      unit: 'requests',
      mode: 'enforce',
      limit,
      windowMs: 1_000,
      source: 'base',
      scope: ['principal'],
      onStoreFailure: 'local',
      alertAtPercent,
    },
    key,
    amount: 1,
    floor: 1,
  };
}

function standing(used: number, changes: Partial<LimitStanding> = {}): LimitStanding {
  const rest = { violated: false, held: 0, remaining: 0, resetMs: 0, retryAfterMs: 0, degraded: false };
  return { used, ...rest, ...changes };
}

function percents(book: AlertBook, used: number, now: number, of = charge()): readonly number[] {
  return book.observe([{ charge: of, standing: standing(used) }], now).map(({ percent }) => percent);
}

describe('an alert', () => {
  test('is raised once for each percentage, the highest that is reached', () => {
    const book = new AlertBook();
    const raised = [0, 79, 80, 85, 99, 100, 100].map(used => percents(book, used, 0));
    expect(raised).toEqual([[], [], [80], [], [], [100], []]);
    expect(percents(book, 100, 0, charge('another key'))).toEqual([100]);
  });

  test('is not repeated while what was counted has not left', () => {
    const book = new AlertBook();
    const day = 86_400_000;
    book.observe([{ charge: charge(), standing: standing(80, { resetMs: day }) }], 0);
    expect(percents(book, 90, day - 1)).toEqual([]);
    expect(percents(book, 90, day)).toEqual([80]);
  });

  test('is not repeated each second by a window of a second', () => {
    const book = new AlertBook();
    const raised = Array.from({ length: REPEAT_MS / 1000 + 1 }, (_, second) =>
      percents(book, 100, second * 1000),
    );
    expect(raised.flat()).toEqual([100, 100]);
  });

  test('is of 100 per cent when the limit denies, though something smaller would fit', () => {
    const book = new AlertBook();
    const [alert] = book.observe([{ charge: charge(), standing: standing(60, { violated: true }) }], 0);
    expect(alert).toMatchObject({ percent: 100, used: 60, violated: true, key: 'k' });
  });

  test('is of a limit of 0 when it denies, and never before', () => {
    const book = new AlertBook();
    expect(percents(book, 0, 0, charge('k', 0))).toEqual([]);
    const denied = book.observe([{ charge: charge('k', 0), standing: standing(0, { violated: true }) }], 0);
    expect(denied).toHaveLength(1);
  });

  test.each([
    ['no percentages', [], 100, []],
    ['one percentage', [50], 50, [50]],
  ])('follows the rule: %s', (_, at, used, expected) => {
    expect(percents(new AlertBook(), used, 0, charge('k', 100, at))).toEqual(expected);
  });

  test('is not repeated because the clock was set back', () => {
    const book = new AlertBook();
    expect(percents(book, 80, 10 * REPEAT_MS)).toEqual([80]);
    expect(percents(book, 80, 0)).toEqual([]);
  });
});

test('memory is bounded: what cannot be remembered is counted instead of raised', () => {
  const book = new AlertBook(2);
  for (const key of ['a', 'b', 'c', 'd']) percents(book, 100, 0, charge(key));
  expect(book.suppressed).toBe(2);
  expect(percents(book, 100, REPEAT_MS, charge('c'))).toEqual([100]);
  expect(book.suppressed).toBe(2);
});
