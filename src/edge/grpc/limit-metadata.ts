/**
 * Limits as dynamic metadata. Each limit stands under its own name in the form that Envoy's rate limit actions read as
 * an override (`requests_per_unit`, `unit`), where its window is one that Envoy knows; all stand under `limits` as they
 * are. Invariant: no name of a limit is one of the other members: all of them hold a slash.
 */
import type { LimitResult } from '../../domain/limit-answer.ts';
import type { StructValue } from './struct.ts';

/** Units of Envoy's `RateLimitUnit` that a window or period here can be. */
type EnvoyUnit = 'SECOND' | 'MINUTE' | 'HOUR' | 'DAY' | 'WEEK' | 'MONTH';

const UNITS: ReadonlyMap<number, EnvoyUnit> = new Map([
  [1, 'SECOND'],
  [60, 'MINUTE'],
  [3_600, 'HOUR'],
  [86_400, 'DAY'],
  [604_800, 'WEEK'],
]);
const PERIODS = { hour: 'HOUR', day: 'DAY', week: 'WEEK', month: 'MONTH' } as const;
/** `requests_per_unit` is an unsigned 32-bit number. */
const MAX_PER_UNIT = 4_294_967_295;

/** The unit of Envoy's `RateLimitUnit` that a limit is counted by; undefined: it has none. */
export function envoyUnit({ windowSeconds, period }: LimitResult): EnvoyUnit | undefined {
  if (period !== undefined) return PERIODS[period];
  return windowSeconds === undefined ? undefined : UNITS.get(windowSeconds);
}

export function limitMetadata(limits: readonly LimitResult[]): Readonly<Record<string, StructValue>> {
  const members: Record<string, StructValue> = {};
  const details: Record<string, StructValue> = {};
  for (const result of limits) {
    const { name, unit, mode, limit, remaining, reserved, resetSeconds, violated } = result;
    details[name] = {
      unit,
      mode,
      limit,
      remaining,
      reserved,
      reset_seconds: resetSeconds,
      violated: violated === true ? 1 : 0,
    };
    const per = envoyUnit(result);
    if (mode === 'enforce' && per !== undefined) {
      members[name] = { requests_per_unit: Math.min(limit, MAX_PER_UNIT), unit: per };
    }
  }
  return { ...members, limits: details };
}
