/**
 * Which limits hold for somebody or something, and where their numbers come from. Invariants: it counts and changes
 * nothing; a credential that is limited to tenants sees the limits of the platform and of those tenants alone.
 */
import type { Clock } from '../domain/clock.ts';
import type { Credential } from '../domain/credential.ts';
import type { LayerName } from '../domain/ids.ts';
import type { EffectiveLimit, LimitExplaining, ListedPrice } from '../limits/planning.ts';
import { type PartialCall, PartialCalls } from './partial-call.ts';
import type { Snapshot, SnapshotHolder } from './snapshot.ts';

export interface EffectiveLimits {
  readonly limits: readonly EffectiveLimit[];
  /** Empty when no model was asked for, or none has a price. */
  readonly prices: readonly ListedPrice[];
  /** The layers that declare them. */
  readonly layers: readonly { readonly layer: LayerName; readonly digest: string }[];
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export class EffectiveLimitsDesk {
  readonly #calls: PartialCalls;
  readonly #explaining: LimitExplaining;
  readonly #clock: Clock;

  constructor(snapshots: SnapshotHolder, explaining: LimitExplaining, clock: Clock) {
    this.#calls = new PartialCalls(snapshots);
    this.#explaining = explaining;
    this.#clock = clock;
  }

  /** @throws AppError NOT_READY, INVALID_REQUEST, or NOT_FOUND for what is not there or not to be seen */
  find(call: PartialCall, asker: Credential): EffectiveLimits {
    const { snapshot, facts, layers, unknown } = this.#calls.read(call, [], asker);
    const now = this.#clock.now();
    return {
      limits: this.#explaining.explain(facts, layers, now, unknown),
      prices: facts.model === undefined ? [] : this.#explaining.prices(facts.model, layers),
      layers: layers.map(({ layer }) => ({ layer, digest: digestOf(snapshot, layer) })),
      now,
    };
  }
}

function digestOf({ layers }: Snapshot, layer: LayerName): string {
  const found = layers.get(layer);
  if (found === undefined) throw new Error(`layer ${layer} limits and is not active`);
  return found.digest;
}
