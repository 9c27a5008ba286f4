/**
 * Which layers limit a request: the platform's, and those of the tenants that it concerns. Invariant: the same list for
 * the same tenants, so that what is derived from a list can be kept with it; no layer stands twice.
 */
import { type LayerName, tenantLayer } from '../domain/ids.ts';
import type { LayerLimits, LimitLayers } from '../limits/planning.ts';
import type { Parties } from './parties.ts';

/** What of a layer counts here. */
interface LimitedLayer {
  readonly limits?: LayerLimits | undefined;
}

/** What of the parties tells whose limits hold. */
type LimitedParties = Pick<Parties, 'tenant' | 'principalEntity' | 'resourceEntity'>;
/** The layers of a decision, as its revision has them. */
type LayerDigests = Readonly<Partial<Record<LayerName, string>>>;

const NONE: readonly never[] = [];
/** Most lists that are kept: one for each tenant with limits, and some for requests across tenants. */
const MAX_LISTS = 4096;

export class LimitLayerLists {
  readonly #byTenant: ReadonlyMap<string, LayerLimits>;
  readonly #platform: LimitLayers;
  readonly #lists = new Map<string, LimitLayers>();
  /** By the layers that decided, which are the same object for most requests: those of them that have limits. */
  readonly #limiting = new WeakMap<LayerDigests, readonly LayerLimits[]>();

  constructor(layers: ReadonlyMap<LayerName, LimitedLayer>) {
    const platform = layers.get('platform')?.limits;
    this.#platform = platform === undefined ? NONE : [platform];
    const byTenant = new Map<string, LayerLimits>();
    for (const [name, { limits }] of layers) {
      if (limits !== undefined && name !== 'platform') byTenant.set(name, limits);
    }
    this.#byTenant = byTenant;
  }

  /**
   * Empty: nothing limits the request.
   * @param used layers that decided: owners of partitions and tools have a say too, and their permits may name sets
   */
  of(parties: LimitedParties, used?: LayerDigests): LimitLayers {
    const list = this.#ofParties(parties);
    if (used === undefined || this.#byTenant.size === 0) return list;
    let all = list;
    for (const limits of this.#limitingIn(used)) if (!all.includes(limits)) all = [...all, limits];
    return all;
  }

  #limitingIn(used: LayerDigests): readonly LayerLimits[] {
    let found = this.#limiting.get(used);
    if (found === undefined) {
      found = Object.keys(used).flatMap(name => this.#byTenant.get(name) ?? []);
      this.#limiting.set(used, found);
    }
    return found;
  }

  #ofParties({ tenant, principalEntity, resourceEntity }: LimitedParties): LimitLayers {
    if (this.#byTenant.size === 0) return this.#platform;
    const own = this.#nameOf(tenant, '', '');
    const principals = this.#nameOf(principalEntity?.tenant, own, '');
    const resources = this.#nameOf(resourceEntity?.tenant, own, principals);
    if (own === '' && principals === '' && resources === '') return this.#platform;
    // ids of tenants hold no space
    const key = `${own} ${principals} ${resources}`;
    let list = this.#lists.get(key);
    if (list === undefined) {
      list = [...this.#platform];
      for (const name of [own, principals, resources]) {
        const limits = this.#byTenant.get(name);
        if (limits !== undefined) list = [...list, limits];
      }
      if (this.#lists.size >= MAX_LISTS) this.#lists.clear();
      this.#lists.set(key, list);
    }
    return list;
  }

  /** The name of a tenant's layer; empty when it has no limits, or is one of those named already. */
  #nameOf(tenant: string | undefined, known: string, other: string): string {
    if (tenant === undefined || tenant === '') return '';
    const name = tenantLayer(tenant);
    return name === known || name === other || !this.#byTenant.has(name) ? '' : name;
  }
}
