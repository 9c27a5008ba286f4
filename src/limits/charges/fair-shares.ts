/**
 * Fair shares of a pool: what of it is a tenant's own, and how many tenants divide what is left to all others.
 * Invariants: what is guaranteed to all tenants together never exceeds the pool: a share
 * that is not used is lent up to the high water, and what is above it stays free for those who come back to their own.
 */
import type { FairShare } from '../../domain/limit.ts';

/** How a pool is divided, as a limit declares it. */
export interface FairDeclaration {
  /** By tenant. */
  readonly weights: Readonly<Record<string, number>>;
  /** Weight of all tenants together that have none of their own. */
  readonly others: number;
  readonly highWaterPercent: number;
}

/** Looked at on the decision path. */
export interface PoolActivity {
  /**
   * Notes that a tenant without a weight of its own asked for a pool.
   * @param pool key of the pool @param now milliseconds since the epoch
   * @returns how many such tenants asked for it lately, this one included: 1 or more
   */
  asked(pool: string, tenant: string, now: number): number;
  /** What `asked` would answer now. Notes nothing: nobody loses a part of a share to whom merely looks. */
  looked(pool: string, tenant: string, now: number): number;
}

/** How many tenants divide what is left to those without a weight. */
export type PoolDivision = Pick<PoolActivity, 'asked'>;

/** For how long a tenant that asked has a share, in milliseconds. */
export const ACTIVE_MS = 60_000;
/** Most pools, and most tenants of one, that are told apart. */
export const MAX_ACTIVE_POOLS = 1_000;
export const MAX_ACTIVE_TENANTS = 10_000;
/** Tenants that are looked at for each question, to forget those that are quiet. */
const SWEEP_STEPS = 4;
const NOBODY: readonly string[] = [];

export class ActiveTenants implements PoolActivity {
  /** By pool: tenants with when they asked last, those that are quiet longest in front. */
  readonly #pools = new Map<string, Map<string, number>>();
  #now = Number.NEGATIVE_INFINITY;

  asked(pool: string, tenant: string, at: number): number {
    const now = Math.max(this.#now, at);
    this.#now = now;
    const tenants = this.#tenantsOf(pool);
    if (tenants === undefined) return MAX_ACTIVE_TENANTS;
    tenants.delete(tenant);
    for (const quiet of quietOf(tenants, now - ACTIVE_MS)) tenants.delete(quiet);
    if (tenants.size < MAX_ACTIVE_TENANTS) tenants.set(tenant, now);
    return Math.max(1, tenants.size);
  }

  looked(pool: string, tenant: string, at: number): number {
    const now = Math.max(this.#now, at);
    const tenants = this.#pools.get(pool);
    if (tenants === undefined) return this.#hasRoom(now) ? 1 : MAX_ACTIVE_TENANTS;
    const others = tenants.size - (tenants.has(tenant) ? 1 : 0);
    const staying = others - quietOf(tenants, now - ACTIVE_MS, tenant).length;
    return Math.min(staying + 1, MAX_ACTIVE_TENANTS);
  }

  #tenantsOf(pool: string): Map<string, number> | undefined {
    const known = this.#pools.get(pool);
    if (known !== undefined) return known;
    if (this.#pools.size >= MAX_ACTIVE_POOLS && !this.#makeRoom()) return undefined;
    const made = new Map<string, number>();
    this.#pools.set(pool, made);
    return made;
  }

  #makeRoom(): boolean {
    for (const [pool, tenants] of this.#pools) {
      for (const quiet of quietOf(tenants, this.#now - ACTIVE_MS)) tenants.delete(quiet);
      if (tenants.size === 0) return this.#pools.delete(pool);
    }
    return false;
  }

  /** Whether a new pool could be told apart. */
  #hasRoom(now: number): boolean {
    if (this.#pools.size < MAX_ACTIVE_POOLS) return true;
    for (const tenants of this.#pools.values()) {
      if (quietOf(tenants, now - ACTIVE_MS).length === tenants.size) return true;
    }
    return false;
  }
}

/** A few of the tenants that asked last at `before` or earlier, to be forgotten: more leave than can come. */
function quietOf(tenants: ReadonlyMap<string, number>, before: number, but?: string): readonly string[] {
  let quiet = NOBODY;
  for (const [tenant, at] of tenants) {
    if (at > before || quiet.length === SWEEP_STEPS) break;
    if (tenant !== but) quiet = [...quiet, tenant];
  }
  return quiet;
}

/**
 * The share of a tenant. Tenants with a weight have their part of the pool whether they ask or not; the part of all
 * others is divided evenly between those that ask. Parts are rounded down, so that they never add up to more than the
 * pool; who has none borrows like everybody, up to the high water.
 * @param limit leases of the pool @param pool its key, which has no tenant in it
 */
export function fairShare(
  { weights, others, highWaterPercent }: FairDeclaration,
  { limit, pool, tenant }: { readonly limit: number; readonly pool: string; readonly tenant: string },
  division: PoolDivision,
  now: number,
): FairShare {
  const own = Object.hasOwn(weights, tenant) ? weights[tenant] : undefined;
  const total = Object.values(weights).reduce((sum, weight) => sum + weight, others);
  const part = (weight: number): number => (total === 0 ? 0 : Math.floor((limit * weight) / total));
  const guaranteed =
    own === undefined ? Math.floor(part(others) / division.asked(pool, tenant, now)) : part(own);
  return {
    // a length in front keeps pool and tenant apart whatever they contain
    ownKey: `${pool.length}:${pool}${tenant}`,
    guaranteed,
    highWater: Math.floor((limit * highWaterPercent) / 100),
  };
}
