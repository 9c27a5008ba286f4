/**
 * All that the PDP knows at one moment. Invariant: a decision reads exactly one snapshot; writers publish a
 * new one by swapping one pointer, so a decision never sees half of a change.
 */
import type { CedarSchema } from '../cedar/schema.ts';
import type { PolicyIndex } from '../cedar/types.ts';
import type { DirectoryEntity, DirectoryView } from '../directory/view.ts';
import type { Digest } from '../domain/bundle.ts';
import type { Revision } from '../domain/decision.ts';
import { type LayerName, tenantLayer } from '../domain/ids.ts';
import type { JsonObject } from '../domain/json.ts';
import type { LayerLimits } from '../limits/planning.ts';
import { type Entity, type EntitySource, RecordValue } from '../domain/value.ts';
import { LimitLayerLists } from './limit-layers.ts';
import { Planner } from './plan.ts';

/** One active layer. */
export interface CompiledLayer {
  readonly name: LayerName;
  readonly digest: Digest;
  readonly index: PolicyIndex;
  /** The same policies for the oracle: full id → Cedar text, or the JSON form of a linked template. */
  readonly sources: Readonly<Record<string, string | JsonObject>>;
  /** Absent: the layer declares none. */
  readonly limits?: LayerLimits | undefined;
}

/** What changes only when a schema or a layer is activated. */
export interface PolicyState {
  readonly schema: CedarSchema;
  readonly layers: ReadonlyMap<LayerName, CompiledLayer>;
}

export type LayerDigests = Readonly<Partial<Record<LayerName, string>>>;

/**
 * The layers that decide about a resource of one tenant: the platform's and the tenant's own; no other tenant's
 * policies are ever read. The same list for the same tenant, made when it is first asked for.
 */
export class LayerLists {
  readonly #layers: ReadonlyMap<LayerName, CompiledLayer>;
  readonly #platform: readonly CompiledLayer[];
  readonly #byTenant = new Map<string, readonly CompiledLayer[]>();
  readonly #digests = new Map<readonly CompiledLayer[], LayerDigests>();

  constructor(layers: ReadonlyMap<LayerName, CompiledLayer>) {
    this.#layers = layers;
    const platform = layers.get('platform');
    this.#platform = platform === undefined ? [] : [platform];
    this.#digests.set(this.#platform, digestsOf(this.#platform));
  }

  of(tenant: string | undefined): readonly CompiledLayer[] {
    if (tenant === undefined) return this.#platform;
    const known = this.#byTenant.get(tenant);
    if (known !== undefined) return known;
    const own = this.#layers.get(tenantLayer(tenant));
    // tenants without a layer share one list, so that unknown ones cannot fill the memory
    if (own === undefined || this.#platform.length === 0) return this.#platform;
    const list = [...this.#platform, own];
    this.#byTenant.set(tenant, list);
    this.#digests.set(list, digestsOf(list));
    return list;
  }

  /** The digests of a list that `of` gave, by name: the same object each time, so that it is encoded once. */
  digestsOf(list: readonly CompiledLayer[]): LayerDigests {
    return this.#digests.get(list) ?? digestsOf(list);
  }
}

export interface Snapshot extends PolicyState {
  readonly layersOf: LayerLists;
  readonly limitLayersOf: LimitLayerLists;
  readonly directory: DirectoryView;
  readonly planner: Planner;
  /** Directory entities and the schema's actions, as the evaluator reads them. */
  readonly entities: EntitySource;
  readonly revision: Revision;
}

const NO_ATTRIBUTES = new RecordValue(new Map());

/** The directory joined with the action entities of the schema, whose uids it can never hold. */
class SnapshotEntities implements EntitySource {
  readonly #directory: DirectoryView;
  readonly #actions: ReadonlyMap<string, Entity>;

  constructor(directory: DirectoryView, actions: ReadonlyMap<string, Entity>) {
    this.#directory = directory;
    this.#actions = actions;
  }

  get(key: string): DirectoryEntity | Entity | undefined {
    return this.#directory.get(key) ?? this.#actions.get(key);
  }
}

/** Holds the current snapshot. Every publish is one synchronous swap. */
export class SnapshotHolder {
  #current: Snapshot | undefined;
  #policy: PolicyState | undefined;
  #planner: Planner | undefined;
  #layersOf: LayerLists | undefined;
  #limitLayersOf: LimitLayerLists | undefined;
  #actions: ReadonlyMap<string, Entity> = new Map();

  /** undefined until a schema and a directory have been published. */
  get current(): Snapshot | undefined {
    return this.#current;
  }

  /** Publishes policy and directory together: the directory must have been parsed by this schema. */
  publish(policy: PolicyState, directory: DirectoryView): void {
    if (this.#policy?.schema !== policy.schema) {
      this.#planner = new Planner(policy.schema);
      this.#actions = actionEntities(policy.schema);
    }
    if (this.#policy?.layers !== policy.layers) {
      this.#layersOf = new LayerLists(policy.layers);
      this.#limitLayersOf = new LimitLayerLists(policy.layers);
    }
    this.#policy = policy;
    this.#assemble(directory);
  }

  /** Publishes new layers over the directory as it is. */
  publishPolicy(policy: PolicyState): void {
    if (this.#current === undefined) throw new Error('no directory was published');
    this.publish(policy, this.#current.directory);
  }

  /** Publishes a new directory over the policy as it is. */
  publishDirectory(directory: DirectoryView): void {
    this.#assemble(directory);
  }

  #assemble(directory: DirectoryView): void {
    const policy = this.#policy;
    const planner = this.#planner;
    const layersOf = this.#layersOf;
    const limitLayersOf = this.#limitLayersOf;
    if (!policy || !planner || !layersOf || !limitLayersOf) throw new Error('no policy was published');
    const layers = digestsOf([...policy.layers.values()]);
    this.#current = {
      schema: policy.schema,
      layers: policy.layers,
      layersOf,
      limitLayersOf,
      directory,
      planner,
      entities: new SnapshotEntities(directory, this.#actions),
      revision: { layers, directory: directory.revision, schema: policy.schema.digest },
    };
  }
}

function digestsOf(layers: readonly CompiledLayer[]): LayerDigests {
  const digests: Partial<Record<LayerName, string>> = {};
  for (const layer of layers) digests[layer.name] = layer.digest;
  return digests;
}

function actionEntities(schema: CedarSchema): ReadonlyMap<string, Entity> {
  const entities = new Map<string, Entity>();
  for (const [key, { uid, ancestors }] of schema.actions) {
    entities.set(key, { uid, attributes: NO_ATTRIBUTES, tags: NO_ATTRIBUTES, ancestors });
  }
  return entities;
}
