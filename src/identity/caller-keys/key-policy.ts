/** What keys of callers may be, as the operator set it. Invariant: no key lasts longer than its tenant allows. */
import type { LeakResponse, SelfService } from '../../domain/caller-key.ts';

export interface CallerKeyPolicy {
  /** Longest life of a key of the tenant, in milliseconds; undefined: of an owner without a tenant. */
  maxLifetimeMs(tenant: string | undefined): number;
  /** Longest time in which a key and its successor both work, in milliseconds. */
  readonly maxOverlapMs: number;
  readonly onLeak: LeakResponse;
  readonly selfService: ReadonlySet<SelfService>;
}
