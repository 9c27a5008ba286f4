/** Which keys a report is about. Invariant: what is not asked does not filter. */
import type { EntityRef } from '../../domain/ids.ts';
import type { KeyEntry } from './key-table.ts';

/** What has become of a key. `leaked`: reported, whether it works or not. */
export const KEY_STATES = ['active', 'expired', 'revoked', 'leaked'] as const;
export type KeyState = (typeof KEY_STATES)[number];

export interface KeyFilter {
  readonly owner?: EntityRef | undefined;
  readonly tenant?: string | undefined;
  readonly state?: KeyState | undefined;
  /** RFC 3339: active keys that were made before and have not been used since. */
  readonly unusedSince?: string | undefined;
  /** RFC 3339: active keys that end before. */
  readonly expiresBefore?: string | undefined;
}

const MINUTE_MS = 60_000;

/** @param now milliseconds since the epoch */
export function matchesFilter(entry: KeyEntry, filter: KeyFilter, now: number): boolean {
  const { key, expiresAt, lastUse } = entry;
  const { owner, tenant, state, unusedSince, expiresBefore } = filter;
  if (owner !== undefined && (key.owner.type !== owner.type || key.owner.id !== owner.id)) return false;
  if (tenant !== undefined && key.tenant !== tenant) return false;
  if (state !== undefined && !isIn(state, entry, now)) return false;
  if (unusedSince === undefined && expiresBefore === undefined) return true;
  if (!isIn('active', entry, now)) return false;
  if (expiresBefore !== undefined && expiresAt >= Date.parse(expiresBefore)) return false;
  if (unusedSince === undefined) return true;
  const since = Date.parse(unusedSince);
  // the minute of a use began before the use itself
  const usedUntil = lastUse === undefined ? Number.NEGATIVE_INFINITY : (lastUse.minute + 1) * MINUTE_MS;
  return Date.parse(key.createdAt) < since && usedUntil <= since;
}

function isIn(state: KeyState, { key, expiresAt }: KeyEntry, now: number): boolean {
  switch (state) {
    case 'leaked':
      return key.leakedAt !== undefined;
    case 'revoked':
      return key.revoked !== undefined;
    case 'expired':
      return key.revoked === undefined && expiresAt <= now;
    default:
      return key.revoked === undefined && expiresAt > now;
  }
}
