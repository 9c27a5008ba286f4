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
import { EntityUid } from '../domain/value.ts';
import type { BundleForm, OpenedBundle } from './archive.ts';
import type { BuiltLayer, BundleCompiler, BundleContent, CheckJob } from './pipeline.ts';
import type { PolicyThread } from './policy-thread.ts';

/** Longest work on the main thread without a pause, in milliseconds: a fraction of a decision with its commit. */
const SLICE_MS = 2;
/** Policies per message: receiving one must fit in a slice. */
export const CHUNK_POLICIES = 50;

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

/** A bundle whose policies wait to be fetched. */
export interface ParsedBundle {
  readonly token: number;
  readonly size: number;
}

/** What the policy worker does for the main thread. */
export interface PolicyWorkerApi {
  open(form: BundleForm, body: Uint8Array, defaultSchemaText: string): Promise<OpenedBundle>;
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
  /** Parses and validates; the policies are then fetched with `take`. */
  parse(bundle: BundleContent, schemaText: string): ParsedBundle;
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

  open(form: BundleForm, body: Uint8Array): Promise<OpenedBundle> {
    return this.#options.checker.call('open', form, body, this.#options.defaultSchemaText);
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
    return reviveSchema(await this.#options.builder.call('schema', text));
  }

  async build(bundle: BundleContent, schema: CedarSchema): Promise<BuiltLayer> {
    const { builder: thread, clock } = this.#options;
    const { digest, manifest } = bundle;
    const { token, size } = await thread.call('parse', contentOf(bundle), schema.text);
    const builder = new PolicyIndexBuilder(schema.actions);
    const sources: Record<string, string> = {};
    let sliceEnd = clock.monotonic() + SLICE_MS;
    for (let from = 0; from < size; from += CHUNK_POLICIES) {
      const policies = await thread.call('take', token, from);
      for (const { id, text, est } of policies) {
        const policy = decodePolicy(JSON.parse(est));
        builder.add(compilePolicy({ id, policy, actions: schema.actions }));
        sources[id] = text;
        if (clock.monotonic() < sliceEnd) continue;
        await nextTurn();
        sliceEnd = clock.monotonic() + SLICE_MS;
      }
    }
    const index = builder.build();
    if (index.size !== size) throw new Error(`the worker announced ${size} policies and sent ${index.size}`);
    return { name: manifest.layer, digest, index, sources };
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
