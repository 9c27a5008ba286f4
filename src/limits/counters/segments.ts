/**
 * A log of charges in segments: the exact log of a window, with neighbours merged. Invariant: a charge leaves never
 * earlier than a full span after it was made, and at most a 60th of the span later, so no span ever holds more than
 * was admitted into it.
 */
import type { Counters } from './counters.ts';
import { f64, i32, largerF64, largerI32, NONE, Numbers } from './columns.ts';

/** Segments of a span: with 60 a steady flow at exactly the limit loses less than one in a hundred. */
const PER_SPAN = 60;

export class Segments {
  readonly numbers = new Numbers(capacity => this.#grow(capacity));
  /** Milliseconds of the last charge in it. */
  time = new Float64Array(this.numbers.capacity);
  sum = new Float64Array(this.numbers.capacity);
  next = new Int32Array(this.numbers.capacity);

  #grow(capacity: number): void {
    this.time = largerF64(this.time, capacity);
    this.sum = largerF64(this.sum, capacity);
    this.next = largerI32(this.next, capacity);
  }
}

/** Length of a segment in milliseconds. */
export function segmentWidth(span: number): number {
  return Math.ceil(span / PER_SPAN);
}

/** Adds a charge; not before the last one. */
export function record(
  counters: Counters,
  segments: Segments,
  counter: number,
  at: number,
  amount: number,
): void {
  if (amount === 0) return;
  counters.used[counter] = f64(counters.used, counter) + amount;
  const width = segmentWidth(f64(counters.span, counter));
  const last = i32(counters.lastSegment, counter);
  if (last !== NONE && Math.floor(f64(segments.time, last) / width) === Math.floor(at / width)) {
    segments.time[last] = at;
    segments.sum[last] = f64(segments.sum, last) + amount;
    return;
  }
  append(counters, segments, counter, at, amount);
}

/** Adds a segment behind the last one. */
export function append(
  counters: Counters,
  segments: Segments,
  counter: number,
  at: number,
  amount: number,
): void {
  const last = i32(counters.lastSegment, counter);
  const segment = segments.numbers.take();
  segments.time[segment] = at;
  segments.sum[segment] = amount;
  segments.next[segment] = NONE;
  if (last === NONE) counters.firstSegment[counter] = segment;
  else segments.next[last] = segment;
  counters.lastSegment[counter] = segment;
}

/** Lets go what has left the span. */
export function dropOld(counters: Counters, segments: Segments, counter: number, now: number): void {
  const from = now - f64(counters.span, counter);
  for (;;) {
    const first = i32(counters.firstSegment, counter);
    if (first === NONE || f64(segments.time, first) > from) return;
    counters.used[counter] = f64(counters.used, counter) - f64(segments.sum, first);
    removeFirst(counters, segments, counter, first);
  }
}

/** Gives back part of a charge that was made at an instant; nothing when it has left the span. */
export function giveBack(
  counters: Counters,
  segments: Segments,
  counter: number,
  at: number,
  amount: number,
): void {
  const width = segmentWidth(f64(counters.span, counter));
  const wanted = Math.floor(at / width);
  for (let one = i32(counters.firstSegment, counter); one !== NONE; one = i32(segments.next, one)) {
    if (Math.floor(f64(segments.time, one) / width) !== wanted) continue;
    const back = Math.min(amount, f64(segments.sum, one));
    segments.sum[one] = f64(segments.sum, one) - back;
    counters.used[counter] = f64(counters.used, counter) - back;
    return;
  }
}

/** When so much has left that `amount` more is free, milliseconds since the epoch; it must be there. */
export function timeOfRoom(counters: Counters, segments: Segments, counter: number, amount: number): number {
  let left = amount;
  let time = 0;
  for (
    let one = i32(counters.firstSegment, counter);
    one !== NONE && left > 0;
    one = i32(segments.next, one)
  ) {
    left -= f64(segments.sum, one);
    time = f64(segments.time, one);
  }
  return time + f64(counters.span, counter);
}

/** When the last charge leaves; `now` when there is none. */
export function timeOfEnd(counters: Counters, segments: Segments, counter: number, now: number): number {
  if (f64(counters.used, counter) === 0) return now;
  const last = i32(counters.lastSegment, counter);
  if (f64(segments.sum, last) > 0) return f64(segments.time, last) + f64(counters.span, counter);
  let time = now;
  for (let one = i32(counters.firstSegment, counter); one !== NONE; one = i32(segments.next, one)) {
    // what was given back may have left a segment without a charge
    if (f64(segments.sum, one) > 0) time = f64(segments.time, one) + f64(counters.span, counter);
  }
  return time;
}

/** Gives back every segment of a counter. */
export function clear(counters: Counters, segments: Segments, counter: number): void {
  for (;;) {
    const first = i32(counters.firstSegment, counter);
    if (first === NONE) return;
    removeFirst(counters, segments, counter, first);
  }
}

function removeFirst(counters: Counters, segments: Segments, counter: number, first: number): void {
  const next = i32(segments.next, first);
  counters.firstSegment[counter] = next;
  if (next === NONE) counters.lastSegment[counter] = NONE;
  segments.numbers.giveBack(first);
}
