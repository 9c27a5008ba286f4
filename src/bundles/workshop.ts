/**
 * What the policy worker does: opens, checks, tests and parses bundles. Invariant: it holds nothing that the
 * main thread could not send again, so that a worker that died is replaced without loss.
 */
import { compilePolicy } from '../cedar/compile.ts';
import { PolicyIndexBuilder } from '../cedar/policy-index.ts';
import type { CedarSchema } from '../cedar/schema.ts';
import type { CedarWasm } from '../cedar/wasm.ts';
import type { BundleReport, Digest } from '../domain/bundle.ts';
import { AppError } from '../domain/errors.ts';
import { openBundle } from './archive.ts';
import {
  type CheckedBundle,
  checkBundle,
  type ResolvedSchema,
  resolveSchema,
  testBundle,
  type VocabularyCheck,
} from './checks.ts';
import {
  CHUNK_POLICIES,
  type ParsedBundle,
  type PolicyWorkerApi,
  type SentPolicy,
} from './compiler-client.ts';
import type { BuiltLayer, BundleContent } from './pipeline.ts';
import type { TestRunner } from './test-runner.ts';

/** Checked bundles that are kept: a push is usually activated next. A large one takes tens of megabytes. */
const MAX_CHECKED = 4;
/** Parsed bundles whose policies are being fetched; one per activation in progress and a few to spare. */
const MAX_PARSED = 8;
/** Layers compiled for tests of others: every tenant of a large installation. */
const MAX_COMPANIONS = 1_024;
/** Resolved schemas: the active one and those being pushed. */
const MAX_SCHEMAS = 4;

export interface WorkshopOptions {
  readonly wasm: CedarWasm;
  readonly checkVocabulary: VocabularyCheck;
  /** Decides test cases over these layers. */
  readonly runnerFor: (schema: CedarSchema, layers: readonly BuiltLayer[]) => TestRunner;
}

export class Workshop {
  readonly #options: WorkshopOptions;
  readonly #schemas = new RecentMap<ResolvedSchema>(MAX_SCHEMAS);
  readonly #checked = new RecentMap<CheckedBundle>(MAX_CHECKED);
  readonly #companions = new RecentMap<BuiltLayer>(MAX_COMPANIONS);
  readonly #parsed = new RecentMap<readonly SentPolicy[]>(MAX_PARSED);
  readonly #kept = new Map<Digest, BundleContent>();
  #nextToken = 1;

  constructor(options: WorkshopOptions) {
    this.#options = options;
  }

  /** The methods as functions, as threads call them. */
  get api(): PolicyWorkerApi {
    return {
      open: openBundle,
      keep: bundles => bundles.forEach(bundle => this.#kept.set(bundle.digest, bundle)),
      retain: digests => this.#retain(new Set(digests)),
      check: (bundle, schemaText, companions, runTests) =>
        this.#check(bundle, schemaText, companions, runTests),
      schema: text => this.#resolve(text).schema,
      parse: (bundle, schemaText) => this.#parse(bundle, schemaText),
      take: (token, from) => this.#take(token, from),
    };
  }

  #retain(digests: ReadonlySet<Digest>): void {
    for (const digest of this.#kept.keys()) if (!digests.has(digest)) this.#kept.delete(digest);
  }

  async #check(
    bundle: BundleContent,
    schemaText: string,
    companions: readonly Digest[],
    runTests: boolean,
  ): Promise<BundleReport> {
    const resolved = this.#resolve(schemaText);
    const { schema, warnings } = resolved;
    const checked = this.#checkOnce(bundle, schema);
    if (!runTests) {
      return { policies: checked.policies.length, tests: { passed: 0, failed: 0 }, warnings };
    }
    const layers = [
      buildLayer(bundle, checked, schema),
      ...companions.map(digest => this.#companion(digest, schema)),
    ];
    return await testBundle(checked, this.#options.runnerFor(schema, layers), resolved);
  }

  #resolve(text: string): ResolvedSchema {
    const { wasm, checkVocabulary } = this.#options;
    return this.#schemas.getOrMake(text, () => resolveSchema(text, wasm, checkVocabulary));
  }

  #checkOnce(bundle: BundleContent, schema: CedarSchema): CheckedBundle {
    const key = `${bundle.digest} ${schema.digest}`;
    return this.#checked.getOrMake(key, () => checkBundle(bundle, schema, this.#options.wasm));
  }

  #companion(digest: Digest, schema: CedarSchema): BuiltLayer {
    return this.#companions.getOrMake(`${digest} ${schema.digest}`, () => {
      const bundle = this.#kept.get(digest);
      if (bundle === undefined) throw new Error(`the worker was not sent bundle ${digest}`);
      try {
        return buildLayer(bundle, checkBundle(bundle, schema, this.#options.wasm), schema);
      } catch (error) {
        if (!(error instanceof AppError) || error.code !== 'BUNDLE_INVALID') throw error;
        const { problems } = error;
        const detail = `the schema does not fit the active bundle of layer \`${bundle.manifest.layer}\``;
        throw new AppError('SCHEMA_BREAKS_ACTIVE', detail, { problems });
      }
    });
  }

  #parse(bundle: BundleContent, schemaText: string): ParsedBundle {
    const { policies } = this.#checkOnce(bundle, this.#resolve(schemaText).schema);
    const token = this.#nextToken++;
    const sent = policies.map(({ id, text, est }) => ({ id, text, est: JSON.stringify(est) }));
    if (sent.length > 0) this.#parsed.set(String(token), sent);
    return { token, size: sent.length };
  }

  #take(token: number, from: number): readonly SentPolicy[] {
    const policies = this.#parsed.get(String(token));
    if (policies === undefined)
      throw new AppError('NOT_READY', 'the parsed bundle is gone: activate it again');
    const to = from + CHUNK_POLICIES;
    if (to >= policies.length) this.#parsed.delete(String(token));
    return policies.slice(from, to);
  }
}

function buildLayer(bundle: BundleContent, { policies }: CheckedBundle, schema: CedarSchema): BuiltLayer {
  const builder = new PolicyIndexBuilder(schema.actions);
  for (const { id, ast } of policies)
    builder.add(compilePolicy({ id, policy: ast, actions: schema.actions }));
  const sources = Object.fromEntries(policies.map(({ id, text }) => [id, text]));
  return { name: bundle.manifest.layer, digest: bundle.digest, index: builder.build(), sources };
}

/** A map of bounded size that forgets what was not used for longest. */
class RecentMap<V> {
  readonly #size: number;
  readonly #entries = new Map<string, V>();

  constructor(size: number) {
    this.#size = size;
  }

  get(key: string): V | undefined {
    const value = this.#entries.get(key);
    if (value !== undefined) {
      this.#entries.delete(key);
      this.#entries.set(key, value);
    }
    return value;
  }

  set(key: string, value: V): void {
    this.#entries.set(key, value);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#size) break;
      this.#entries.delete(oldest);
    }
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  getOrMake(key: string, make: () => V): V {
    const known = this.get(key);
    if (known !== undefined) return known;
    const made = make();
    this.set(key, made);
    return made;
  }
}
