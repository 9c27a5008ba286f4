/** The bundle store in memory: the reference of the contract. */
import { activationConflict } from '../../bundles/activation-conflict.ts';
import type { ActivationRequest, BundleStore } from '../../bundles/ports.ts';
import type { Activation, BundleSummary, Digest, StoredBundle } from '../../domain/bundle.ts';
import { AppError } from '../../domain/errors.ts';
import type { LayerName } from '../../domain/ids.ts';
import type { EventEntry } from '../../domain/log-entry.ts';
import type { MemoryOutbox } from './outbox.ts';

export class MemoryBundleStore implements BundleStore {
  readonly #outbox: MemoryOutbox;
  /** In the order of being pushed. */
  readonly #bundles: StoredBundle[] = [];
  readonly #activations = new Map<LayerName, Activation[]>();

  constructor(outbox: MemoryOutbox) {
    this.#outbox = outbox;
  }

  put(bundle: StoredBundle, event: EventEntry): Promise<boolean> {
    if (this.#find(bundle.digest) !== undefined) return Promise.resolve(false);
    this.#outbox.add(event);
    this.#bundles.push(bundle);
    return Promise.resolve(true);
  }

  /** Bundles whose files hold a text. */
  naming(text: string): number {
    return this.#bundles.filter(({ files }) => Object.values(files).some(file => file.includes(text))).length;
  }

  get(digest: Digest): Promise<StoredBundle | undefined> {
    return Promise.resolve(this.#find(digest));
  }

  async list({ layer, limit, cursor }: { layer?: LayerName; limit: number; cursor?: string }): Promise<{
    items: readonly BundleSummary[];
    nextCursor: string | null;
  }> {
    const below = cursor === undefined ? this.#bundles.length : parseCursor(cursor);
    const matching = this.#bundles
      .map((bundle, sequence) => ({ bundle, sequence }))
      .filter(
        ({ bundle, sequence }) =>
          sequence < below && (layer ?? bundle.manifest.layer) === bundle.manifest.layer,
      )
      .reverse();
    const page = matching.slice(0, limit);
    const last = page.at(-1);
    return {
      items: page.map(({ bundle: { files: _files, archive: _archive, ...summary } }) => summary),
      nextCursor: last !== undefined && matching.length > limit ? String(last.sequence) : null,
    };
  }

  async activate(request: ActivationRequest, event: EventEntry): Promise<Activation> {
    const { expectedActive, ...rest } = request;
    const history = this.#activations.get(request.layer) ?? [];
    const previous = history.at(-1)?.digest ?? null;
    if (expectedActive !== undefined && expectedActive !== previous) {
      throw activationConflict(request.layer, previous);
    }
    if (this.#find(request.digest) === undefined) {
      throw new AppError('NOT_FOUND', `there is no bundle \`${request.digest}\``);
    }
    this.#outbox.add(event);
    const activation = { ...rest, previous, sequence: history.length + 1 };
    this.#activations.set(request.layer, [...history, activation]);
    return activation;
  }

  active(): Promise<readonly Activation[]> {
    const latest = [...this.#activations.values()].flatMap(history => history.slice(-1));
    return Promise.resolve(latest.sort((a, b) => (a.layer < b.layer ? -1 : 1)));
  }

  history(layer: LayerName, limit: number, below = Infinity): Promise<readonly Activation[]> {
    const earlier = (this.#activations.get(layer) ?? []).filter(({ sequence }) => sequence < below);
    return Promise.resolve(earlier.toReversed().slice(0, limit));
  }

  #find(digest: Digest): StoredBundle | undefined {
    return this.#bundles.find(bundle => bundle.digest === digest);
  }
}

function parseCursor(cursor: string): number {
  if (/^\d{1,15}$/.test(cursor)) return Number(cursor);
  throw new AppError('INVALID_REQUEST', 'the cursor is not one that this service gave', {
    problems: [{ pointer: '?cursor', message: 'unknown cursor', hint: 'start again without a cursor' }],
  });
}
