/**
 * A clock that goes on from a Thursday noon, whatever day it is. Invariant: no week ends under it, so a log opens no
 * shard that a test did not ask for, and nothing that a test counts at a later date is over.
 */
import type { Clock } from '../../src/domain/clock.ts';

/** The noon of a day in the middle of 2026-W01, in milliseconds since the epoch. */
const THURSDAY_NOON = Date.UTC(2026, 0, 1, 12);

export const midweekClock: Clock = {
  now: () => THURSDAY_NOON + Math.floor(performance.now()),
  monotonic: () => performance.now(),
};
