/**
 * The bundle compiler as the main thread sees it: parsing, checking and testing in a worker, and closures made
 * here in slices of time. Invariant: no step on the main thread lasts much longer than `SLICE_MS`, so that
 * decisions go on while a large bundle is built.
 */
import { compilePolicy } from '../cedar/compile.ts';
import { decodePolicy } from '../cedar/est.ts';
import { PolicyIndexBuilder } from '../cedar/policy-index.ts';
import type { CedarSchema } from '../cedar/schema.ts';
import type { BundleReport, Digest } from '../domain/bundle.ts';
import type { Clock } from '../domain/clock.ts';
import type { LayerName } from '../domain/ids.ts';
import type { LimitDefinition } from '../domain/limit-definition.ts';
import { EntityUid } from '../domain/value.ts';
import { actionNames, LayerLimitsBuilder, type LimitsHead } from '../limits/charges/layer-limits.ts';
import type { LayerLimits } from '../limits/planning.ts';
import type { BundleForm, OpenedBundle } from './archive.ts';
import type { BuiltLayer, BundleCompiler, BundleContent, CheckJob } from './pipeline.ts';
import type { PolicyThread } from './policy-thread.ts';

/** Longest work on the main thread without a pause, in milliseconds: a fraction of a decision with its commit. */
const SLICE_MS = 2;
/** Policies per message: receiving one must fit in a slice. */
export const CHUNK_POLICIES = 50;
/** Names in the limits of one message, after which no further limit is added. */
export const CHUNK_NAMES = 200;

/** Bundles that the worker keeps although they are no longer active, before it is told to forget them. */
const MAX_STALE_BUNDLES = 64;

/** A parsed policy on its way to the main thread. */
export interface SentPolicy {
  /** Full id, `<layer>/<@id>`. */
  readonly id: string;
  /** Cedar text of exactly this policy, slots filled in. */
  readonly text: string;
  /** JSON form as a string: parsing it is cheaper than cloning its many objects. */
  readonly est: string;
}

/** A bundle whose limits and policies wait to be fetched, in this order. */
export interface ParsedBundle {
  readonly token: number;
  /** How many policies. */
  readonly size: number;
  /** Of limits.json all but the limits, and how many those are; undefined: the bundle has none. */
  readonly limits: { readonly head: LimitsHead; readonly size: number } | undefined;
}

/** What the policy worker does for the main thread. */
export interface PolicyWorkerApi {
  /** @param schemaText the schema of the platform layer, for the rest of the report when some files are refused */
  open(
    form: BundleForm,
    body: Uint8Array,
    defaultSchemaText: string,
    schemaText: string | undefined,
  ): Promise<OpenedBundle>;
  /** Keeps bundles for checks that name them as companions. */
  keep(bundles: readonly BundleContent[]): void;
  /** Forgets kept bundles except these. */
  retain(digests: readonly Digest[]): void;
  check(
    bundle: BundleContent,
    schemaText: string,
    companions: readonly Digest[],
    runTests: boolean,
  ): Promise<BundleReport>;
  schema(text: string): CedarSchema;
  /** Parses and validates; limits are then fetched with `takeLimits`, and after them policies with `take`. */
  parse(bundle: BundleContent, schemaText: string): ParsedBundle;
  /** The next limits of a parsed bundle, as many as fit in a slice. */
  takeLimits(token: number, from: number): readonly LimitDefinition[];
  /** The next policies of a parsed bundle, at most `CHUNK_POLICIES`; its last ones end it. */
  take(token: number, from: number): readonly SentPolicy[];
}

export interface CompilerClientOptions {
  /** Opens and checks what is pushed: a large bundle with its tests takes it many seconds. */
  readonly checker: PolicyThread<PolicyWorkerApi>;
  /** Parses what is activated, so that a rollback never waits for somebody's push. */
  readonly builder: PolicyThread<PolicyWorkerApi>;
  readonly clock: Clock;
  readonly defaultSchemaText: string;
  /** The shipped schema, where it need not be asked for. */
  readonly knownSchema?: CedarSchema | undefined;
}

/** BundleCompiler over two policy workers, which may be one. */
export class CompilerClient implements BundleCompiler {
  readonly #options: CompilerClientOptions;
  /** Digests that the worker keeps, and the worker that was told. */
  readonly #kept = new Set<Digest>();
  #generation = 0;

  constructor(options: CompilerClientOptions) {
    this.#options = options;
  }

  open(form: BundleForm, body: Uint8Array, schemaText?: string): Promise<OpenedBundle> {
    return this.#options.checker.call('open', form, body, this.#options.defaultSchemaText, schemaText);
  }

  async check({ bundle, schemaText, companions, runTests }: CheckJob): Promise<BundleReport> {
    const { checker } = this.#options;
    const sent = this.#keep(companions);
    const digests = companions.map(companion => companion.digest);
    const report = checker.call('check', contentOf(bundle), schemaText, digests, runTests);
    try {
      const [result] = await Promise.all([report, ...sent]);
      return result;
    } catch (error) {
      // A failed call may have been the one that sent companions: send them again next time.
      this.#kept.clear();
      throw error;
    }
  }

  /** Sends companions that the worker does not have. Calls are answered in order, so no reply is awaited first. */
  #keep(companions: readonly BundleContent[]): Promise<unknown>[] {
    const { checker } = this.#options;
    checker.start();
    if (this.#generation !== checker.generation) {
      this.#kept.clear();
      this.#generation = checker.generation;
    }
    const missing = companions.filter(({ digest }) => !this.#kept.has(digest));
    const calls: Promise<unknown>[] = [];
    if (missing.length > 0) {
      calls.push(checker.call('keep', missing.map(contentOf)));
      for (const { digest } of missing) this.#kept.add(digest);
    }
    if (this.#kept.size > companions.length + MAX_STALE_BUNDLES) {
      const digests = companions.map(({ digest }) => digest);
      calls.push(checker.call('retain', digests));
      this.#kept.clear();
      for (const digest of digests) this.#kept.add(digest);
    }
    return calls;
  }

  async schema(text: string): Promise<CedarSchema> {
    const { knownSchema } = this.#options;
    if (knownSchema?.text === text) return knownSchema;
    return reviveSchema(await this.#options.builder.call('schema', text));
  }

  async build(bundle: BundleContent, schema: CedarSchema): Promise<BuiltLayer> {
    const { builder: thread, clock } = this.#options;
    const { digest, manifest } = bundle;
    const parsed = await thread.call('parse', contentOf(bundle), schema.text);
    const slices = new Slices(clock);
    const limits = await this.#buildLimits(manifest.layer, parsed, schema, slices);
    const { token, size } = parsed;
    const builder = new PolicyIndexBuilder(schema.actions);
    const sources: Record<string, string> = {};
    for (let from = 0; from < size; from += CHUNK_POLICIES) {
      const policies = await thread.call('take', token, from);
      for (const { id, text, est } of policies) {
        const policy = decodePolicy(JSON.parse(est));
        builder.add(compilePolicy({ id, policy, actions: schema.actions }));
        sources[id] = text;
        if (slices.isOver) await slices.next();
      }
    }
    const index = builder.build();
    if (index.size !== size) throw new Error(`the worker announced ${size} policies and sent ${index.size}`);
    return { name: manifest.layer, digest, index, sources, limits };
  }

  async #buildLimits(
    layer: LayerName,
    { token, limits }: ParsedBundle,
    schema: CedarSchema,
    slices: Slices,
  ): Promise<LayerLimits | undefined> {
    if (limits === undefined) return undefined;
    const builder = new LayerLimitsBuilder(layer, limits.head, actionNames(schema.actions.values()));
    let size = 0;
    while (size < limits.size) {
      const chunk = await this.#options.builder.call('takeLimits', token, size);
      if (chunk.length === 0) break;
      for (const definition of chunk) {
        builder.add(definition);
        if (slices.isOver) await slices.next();
      }
      size += chunk.length;
    }
    if (size !== limits.size) throw new Error(`the worker announced ${limits.size} limits and sent ${size}`);
    return builder.build();
  }
}

/** Slices of the main thread's time. */
class Slices {
  readonly #clock: Clock;
  #end: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#end = clock.monotonic() + SLICE_MS;
  }

  get isOver(): boolean {
    return this.#clock.monotonic() >= this.#end;
  }

  /** Lets others run, and begins the next slice. */
  async next(): Promise<void> {
    await nextTurn();
    this.#end = this.#clock.monotonic() + SLICE_MS;
  }
}

/** What the worker needs: a stored bundle has its archive beside. */
function contentOf({ digest, manifest, files, checkedBy }: BundleContent): BundleContent {
  return { digest, manifest, files, checkedBy };
}

/** Lets everything that waits run: I/O, timers and other decisions. */
function nextTurn(): Promise<void> {
  return new Promise(resolve => {
    setImmediate(resolve);
  });
}

/** A schema that came through a message port: clones keep maps, sets and shared types, but no classes. */
function reviveSchema(sent: CedarSchema): CedarSchema {
  const actions = [...sent.actions].map(
    ([key, action]) => [key, { ...action, uid: new EntityUid(action.uid.type, action.uid.id) }] as const,
  );
  return { ...sent, actions: new Map(actions) };
}
