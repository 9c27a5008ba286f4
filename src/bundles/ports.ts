/** The bundle store as a contract; every backend passes test/conformance/bundle-store.ts. */
import type { Activation, BundleSummary, Digest, StoredBundle } from '../domain/bundle.ts';
import type { LayerName } from '../domain/ids.ts';
import type { EventEntry } from '../domain/log-entry.ts';

export interface ActivationRequest {
  readonly layer: LayerName;
  readonly digest: Digest;
  /** The digest that must be active now (null: none); undefined: do not compare. */
  readonly expectedActive: Digest | null | undefined;
  readonly actor: string;
  readonly reason: string;
  readonly kind: 'activate' | 'rollback';
  readonly at: string;
}

export interface BundleStore {
  /** Stores a bundle and the event, or nothing. False when the digest is stored already (then no event either). */
  put(bundle: StoredBundle, event: EventEntry): Promise<boolean>;
  get(digest: Digest): Promise<StoredBundle | undefined>;
  /** Newest first. */
  list(query: {
    layer?: LayerName;
    limit: number;
    cursor?: string;
  }): Promise<{ items: readonly BundleSummary[]; nextCursor: string | null }>;
  /**
   * Compare-and-swap: records the activation and the event durably, or rejects with AppError
   * ACTIVATION_CONFLICT when `expectedActive` is not what is active, NOT_FOUND when the digest is not stored,
   * and changes nothing. Sequences of a layer count up from 1.
   */
  activate(request: ActivationRequest, event: EventEntry): Promise<Activation>;
  /** The latest activation of every layer, in the order of layer names. */
  active(): Promise<readonly Activation[]>;
  /** Newest first: those with a sequence below `below`, or the latest without it. */
  history(layer: LayerName, limit: number, below?: number): Promise<readonly Activation[]>;
}
