/**
 * Makes bundles active, one at a time: build everything, then the durable compare-and-swap, then one swap in
 * memory. Invariant: what decides is always a complete set of layers that the store has on record as active,
 * and a failure at any step leaves the earlier set deciding.
 */
import type { CedarSchema } from '../cedar/schema.ts';
import type { Activation, ActivationResult, BundleReport, Digest, StoredBundle } from '../domain/bundle.ts';
import { AppError, type Problem } from '../domain/errors.ts';
import type { LayerName } from '../domain/ids.ts';
import type { EventEntry } from '../domain/log-entry.ts';
import { activationConflict } from './activation-conflict.ts';
import {
  type ActiveLayer,
  type ActiveSet,
  companionsOf,
  contentOf,
  fingerprint,
  policyOf,
  replace,
  schemaTextOf,
  withActivations,
} from './active-set.ts';
import { bundleDigest } from './digest.ts';
import { adviseOnGaps } from './limit-references.ts';
import type { BuiltLayer, BundleCompiler, BundleContent, PolicyPublisher, SchemaChange } from './pipeline.ts';
import type { ActivationRequest, BundleStore } from './ports.ts';

/** Most remembered checks: a push is usually activated soon after. */
const MAX_REMEMBERED = 256;

export interface ActivatorOptions {
  readonly store: BundleStore;
  readonly compiler: BundleCompiler;
  readonly publisher: PolicyPublisher;
  /** The schema while no platform bundle is active. */
  readonly defaultSchemaText: string;
}

/** Holds the active layers. Only `check` and `rehearse` may run beside other methods: the service queues the rest. */
export class Activator {
  readonly #options: ActivatorOptions;
  #active: ActiveSet | undefined;
  /** Bundle digest → what was active when its tests passed. */
  readonly #passed = new Map<Digest, string>();

  constructor(options: ActivatorOptions) {
    this.#options = options;
  }

  /** Digest and activation of each active layer. */
  get activations(): ReadonlyMap<LayerName, Activation> {
    return new Map([...(this.#active?.layers ?? [])].map(([name, layer]) => [name, layer.activation]));
  }

  /** Of the platform layer; undefined before the active bundles are loaded. */
  get schemaText(): string | undefined {
    return this.#active?.schema.text;
  }

  /**
   * Loads and publishes what the store has on record as active, as at the end of the last run.
   * @throws AppError BUNDLE_INVALID, naming the layer, when a stored bundle is damaged or no longer valid, and
   * SCHEMA_BREAKS_ACTIVE when the directory does not fit: the service must not start with less policy than it had.
   */
  async restore(): Promise<void> {
    const recorded = await this.#options.store.active();
    const bundles = await this.#readAll(recorded, undefined);
    const schema = await this.#schemaOf(bundles, undefined);
    // The directory is read while the worker parses policies.
    const preparing = this.#prepare(schema);
    // It may fail before it is awaited below, which must not count as unhandled.
    preparing.catch(() => undefined);
    try {
      const loaded = { schema, layers: await this.#buildAll(recorded, bundles, schema, undefined) };
      (await preparing).commit(policyOf(loaded));
      this.#active = loaded;
    } catch (error) {
      await preparing.then(change => change.abandon()).catch(() => undefined);
      throw error;
    }
  }

  /**
   * Brings the published layers in line with the store: after a failed write that may have taken effect, and
   * when another process activated a bundle.
   */
  async synchronise(): Promise<void> {
    const active = this.#current();
    const recorded = await this.#options.store.active();
    const current = recorded.filter(({ layer, digest }) => active.layers.get(layer)?.built.digest === digest);
    if (current.length === recorded.length && recorded.length === active.layers.size) {
      this.#active = { ...active, layers: withActivations(active.layers, recorded) };
      return;
    }
    const bundles = await this.#readAll(recorded, active);
    const schema = await this.#schemaOf(bundles, active);
    const loaded = { schema, layers: await this.#buildAll(recorded, bundles, schema, active) };
    if (schema === active.schema) this.#options.publisher.publish(policyOf(loaded));
    else (await this.#prepare(schema)).commit(policyOf(loaded));
    this.#active = loaded;
  }

  /**
   * Checks a bundle beside what is active now.
   * Rejects with AppError BUNDLE_INVALID, BUNDLE_TESTS_FAILED or SCHEMA_BREAKS_ACTIVE.
   */
  async check(bundle: BundleContent): Promise<BundleReport> {
    const active = this.#current();
    const schema = await this.#schemaFor(bundle, active);
    if (schema !== active.schema) {
      // Its own problems first; then what it would break; then its tests beside layers that fit its schema.
      await this.#options.compiler.check({
        bundle,
        schemaText: schema.text,
        companions: [],
        runTests: false,
      });
      (await this.#prepareSchemaChange(schema, active)).change.abandon();
    }
    return await this.#runTests(bundle, active);
  }

  /**
   * Runs the tests of a stored bundle that the activation will ask for, where they have not passed beside what
   * is active now. Comes before the queue, so that long tests hold up nobody.
   */
  async rehearse(stored: StoredBundle): Promise<void> {
    await this.#runTestsAgain(contentOf(stored), this.#current());
  }

  /**
   * Activates a stored bundle. A rollback skips its tests, and what it takes away from other layers is a warning: going
   * back must not be held up by what a newer platform layer broke. The schema is checked all the same.
   * @param eventOf called once, before anything changes
   * Rejects with AppError ACTIVATION_CONFLICT, BUNDLE_INVALID, BUNDLE_TESTS_FAILED, SCHEMA_BREAKS_ACTIVE or
   * STORE_UNAVAILABLE; then nothing changed.
   */
  async activate(
    stored: StoredBundle,
    request: ActivationRequest,
    eventOf: (warnings: readonly Problem[]) => EventEntry,
  ): Promise<ActivationResult> {
    const active = this.#current();
    const bundle = contentOf(stored);
    refuseConflict(request, active.layers.get(request.layer)?.activation.digest ?? null);
    if (request.kind === 'activate') await this.#runTestsAgain(bundle, active);
    const schema = await this.#schemaFor(bundle, active);
    if (schema === active.schema) {
      const built = await this.#options.compiler.build(bundle, schema);
      const warnings = adviseOnGaps(built, builtIn(active.layers));
      const activation = await this.#options.store.activate(request, eventOf(warnings));
      // Durable: from here on a crash restarts with the new bundle. What follows cannot fail.
      this.#active = { schema, layers: replace(active.layers, { activation, bundle, built }) };
      this.#options.publisher.publish(policyOf(this.#active));
      return { ...activation, warnings };
    }
    const { change, tenants } = await this.#prepareSchemaChange(schema, active);
    let isCommitted = false;
    try {
      const built = await this.#options.compiler.build(bundle, schema);
      const warnings = adviseOnGaps(built, builtIn(tenants));
      const activation = await this.#options.store.activate(request, eventOf(warnings));
      // Durable: from here on a crash restarts with the new schema. What follows cannot fail.
      this.#active = { schema, layers: replace(tenants, { activation, bundle, built }) };
      change.commit(policyOf(this.#active));
      isCommitted = true;
      return { ...activation, warnings };
    } finally {
      if (!isCommitted) change.abandon();
    }
  }

  #current(): ActiveSet {
    if (this.#active === undefined) {
      throw new AppError('NOT_READY', 'the active bundles are not loaded yet', { retryAfterSeconds: 1 });
    }
    return this.#active;
  }

  async #runTests(bundle: BundleContent, active: ActiveSet): Promise<BundleReport> {
    const report = await this.#options.compiler.check({
      bundle,
      schemaText: schemaTextOf(bundle) ?? active.schema.text,
      companions: companionsOf(bundle, active),
      runTests: true,
    });
    if (this.#passed.size >= MAX_REMEMBERED) this.#passed.clear();
    this.#passed.set(bundle.digest, fingerprint(bundle, active));
    return report;
  }

  /** Tests passed at push say nothing about layers that were activated since. */
  async #runTestsAgain(bundle: BundleContent, active: ActiveSet): Promise<void> {
    if (this.#passed.get(bundle.digest) !== fingerprint(bundle, active)) await this.check(bundle);
  }

  /** The schema under which a bundle is active: its own, or that of the active platform layer. */
  async #schemaFor(bundle: BundleContent, active: ActiveSet): Promise<CedarSchema> {
    const text = schemaTextOf(bundle);
    return text === undefined || text === active.schema.text
      ? active.schema
      : await this.#options.compiler.schema(text);
  }

  /** Builds every active tenant layer and reads the directory by a new schema, or says what does not fit. */
  async #prepareSchemaChange(
    schema: CedarSchema,
    active: ActiveSet,
  ): Promise<{ change: SchemaChange; tenants: Map<LayerName, ActiveLayer> }> {
    const problems: Problem[] = [];
    const tenants = new Map<LayerName, ActiveLayer>();
    for (const [name, layer] of active.layers) {
      if (name === 'platform') continue;
      try {
        tenants.set(name, { ...layer, built: await this.#options.compiler.build(layer.bundle, schema) });
      } catch (error) {
        if (!(error instanceof AppError) || error.code !== 'BUNDLE_INVALID') throw error;
        problems.push(...error.problems.map(problem => inLayer(name, layer.built.digest, problem)));
      }
    }
    const change = await this.#options.publisher.prepareSchema(schema);
    problems.push(...change.problems);
    if (problems.length === 0) return { change, tenants };
    change.abandon();
    throw schemaBreaks(problems);
  }

  async #prepare(schema: CedarSchema): Promise<SchemaChange> {
    const change = await this.#options.publisher.prepareSchema(schema);
    if (change.problems.length === 0) return change;
    change.abandon();
    throw schemaBreaks(change.problems);
  }

  /** The recorded bundles, from `known` where they are loaded already. */
  async #readAll(
    recorded: readonly Activation[],
    known: ActiveSet | undefined,
  ): Promise<Map<LayerName, BundleContent>> {
    const bundles = new Map<LayerName, BundleContent>();
    for (const { layer, digest } of recorded) {
      const kept = known?.layers.get(layer)?.bundle;
      bundles.set(layer, kept?.digest === digest ? kept : await this.#read(layer, digest));
    }
    return bundles;
  }

  async #schemaOf(
    bundles: ReadonlyMap<LayerName, BundleContent>,
    known: ActiveSet | undefined,
  ): Promise<CedarSchema> {
    const platform = bundles.get('platform');
    const own = platform === undefined ? undefined : schemaTextOf(platform);
    const text = own ?? this.#options.defaultSchemaText;
    return known?.schema.text === text ? known.schema : await this.#options.compiler.schema(text);
  }

  /** The recorded layers, from `known` where they are built by this schema already. */
  async #buildAll(
    recorded: readonly Activation[],
    bundles: ReadonlyMap<LayerName, BundleContent>,
    schema: CedarSchema,
    known: ActiveSet | undefined,
  ): Promise<Map<LayerName, ActiveLayer>> {
    const layers = new Map<LayerName, ActiveLayer>();
    for (const activation of recorded) {
      const { layer, digest } = activation;
      const bundle = bundles.get(layer);
      if (bundle === undefined) continue;
      const kept = known?.schema === schema ? known.layers.get(layer)?.built : undefined;
      const built = kept?.digest === digest ? kept : await this.#rebuild(layer, bundle, schema);
      layers.set(layer, { activation, bundle, built });
    }
    return layers;
  }

  async #read(layer: LayerName, digest: Digest): Promise<BundleContent> {
    const bundle = await this.#options.store.get(digest);
    if (bundle === undefined) throw damaged(layer, `bundle ${digest} is active and not in the store`);
    const { manifest, files } = bundle;
    if (bundleDigest(manifest, files) !== digest || manifest.layer !== layer) {
      throw damaged(layer, `the stored files of bundle ${digest} do not have this digest`);
    }
    return contentOf(bundle);
  }

  async #rebuild(layer: LayerName, bundle: BundleContent, schema: CedarSchema): Promise<BuiltLayer> {
    try {
      return await this.#options.compiler.build(bundle, schema);
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'BUNDLE_INVALID') throw error;
      const problems = error.problems.map(problem => inLayer(layer, bundle.digest, problem));
      throw new AppError('BUNDLE_INVALID', `the active bundle of layer \`${layer}\` is no longer valid`, {
        problems,
      });
    }
  }
}

function builtIn(layers: ReadonlyMap<LayerName, ActiveLayer>): BuiltLayer[] {
  return [...layers.values()].map(({ built }) => built);
}

/** Fails early what the store would refuse after all the work; the store's answer is the one that counts. */
function refuseConflict(request: ActivationRequest, digest: Digest | null): void {
  if (request.expectedActive === undefined || request.expectedActive === digest) return;
  throw activationConflict(request.layer, digest);
}

function inLayer(layer: LayerName, digest: Digest, problem: Problem): Problem {
  const file = problem.file === undefined ? layer : `${layer}/${problem.file}`;
  return {
    ...problem,
    file,
    message: `${problem.message} (active bundle ${digest.slice(0, 19)}… of layer \`${layer}\`)`,
  };
}

function schemaBreaks(problems: readonly Problem[]): AppError {
  return new AppError(
    'SCHEMA_BREAKS_ACTIVE',
    'the schema does not fit what is active under the present one',
    {
      problems,
    },
  );
}

function damaged(layer: LayerName, message: string): AppError {
  return new AppError('BUNDLE_INVALID', `the active bundle of layer \`${layer}\` is damaged`, {
    problems: [{ message, hint: 'restore the data folder from a backup' }],
  });
}
