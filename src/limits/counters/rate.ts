/**
 * Limits of kind `rate`: GCRA as a bucket that flows off at a steady speed. What is in it is kept in whole units and
 * the rest in units / period, so that nothing is rounded: in any span no more is admitted than the burst and what
 * flows off meanwhile.
 */
import { f64 } from './columns.ts';
import type { Counters } from './counters.ts';

/** What is in a bucket at an instant: `whole + part / period` units. */
export interface Level {
  whole: number;
  part: number;
}

/**
 * Fills in what is in the bucket of a counter when it has flowed off until an instant: at the speed that it was last
 * charged under, or at the one of now, if that is faster. So a limit that was raised helps at once.
 */
export function flowOff(counters: Counters, counter: number, asked: number, now: number, level: Level): void {
  const speed = Math.max(asked, f64(counters.speed, counter));
  const whole = f64(counters.used, counter);
  const part = f64(counters.held, counter);
  level.whole = whole;
  level.part = part;
  const elapsed = now - f64(counters.mark, counter);
  if (elapsed <= 0 || (whole === 0 && part === 0)) return;
  const period = f64(counters.span, counter);
  const left = whole * period + part - speed * elapsed;
  if (whole * period + part <= Number.MAX_SAFE_INTEGER && speed * elapsed <= Number.MAX_SAFE_INTEGER) {
    level.whole = left <= 0 ? 0 : Math.floor(left / period);
    level.part = left <= 0 ? 0 : left % period;
  } else {
    flowOffFar(
      whole,
      part,
      period,
      speed * elapsed <= Number.MAX_SAFE_INTEGER ? BigInt(speed * elapsed) : BigInt(speed) * BigInt(elapsed),
      level,
    );
  }
}

/** The same for products that no number holds exactly. */
function flowOffFar(whole: number, part: number, period: number, gone: bigint, level: Level): void {
  const left = BigInt(whole) * BigInt(period) + BigInt(part) - gone;
  level.whole = left <= 0n ? 0 : Number(left / BigInt(period));
  level.part = left <= 0n ? 0 : Number(left % BigInt(period));
}

/** Units in a bucket, a part of one counted as one. */
export function roundedUp({ whole, part }: Level): number {
  return part > 0 ? whole + 1 : whole;
}

/** Milliseconds until no more than `target` units are in it; Infinity when nothing flows off. */
export function timeToFall({ whole, part }: Level, target: number, period: number, speed: number): number {
  if (whole < target || (whole === target && part === 0)) return 0;
  if (speed === 0) return Number.POSITIVE_INFINITY;
  const excess = (whole - target) * period + part;
  if (excess <= Number.MAX_SAFE_INTEGER) return Math.ceil(excess / speed);
  const exact = BigInt(whole - target) * BigInt(period) + BigInt(part) + BigInt(speed) - 1n;
  return Number(exact / BigInt(speed));
}
