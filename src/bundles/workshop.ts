/**
 * What the policy worker does: opens, checks, tests and parses bundles. Invariant: it holds nothing that the
 * main thread could not send again, so that a worker that died is replaced without loss.
 */
import { compilePolicy } from '../cedar/compile.ts';
import { PolicyIndexBuilder } from '../cedar/policy-index.ts';
import type { RecordedAnswers } from '../cedar/recorded-answers.ts';
import type { CedarSchema } from '../cedar/schema.ts';
import type { CedarWasm } from '../cedar/wasm.ts';
import type { BundleReport, Digest } from '../domain/bundle.ts';
import { AppError, type Problem } from '../domain/errors.ts';
import type { LimitDefinition } from '../domain/limit-definition.ts';
import { actionNames, compileLimits } from '../limits/charges/layer-limits.ts';
import { schemaTextOf } from './active-set.ts';
import { openBundle } from './archive.ts';
import {
  checkBeside,
  type CheckedBundle,
  checkBundle,
  type ResolvedSchema,
  resolveSchema,
  testBundle,
  type VocabularyCheck,
} from './checks.ts';
import {
  CHUNK_NAMES,
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
  /** What cedar-wasm said of the shipped schema. */
  readonly recorded?: RecordedAnswers;
  readonly checkVocabulary: VocabularyCheck;
  /** Decides test cases over these layers. */
  readonly runnerFor: (schema: CedarSchema, layers: readonly BuiltLayer[]) => TestRunner;
}

export class Workshop {
  readonly #options: WorkshopOptions;
  readonly #schemas = new RecentMap<ResolvedSchema>(MAX_SCHEMAS);
  readonly #checked = new RecentMap<CheckedBundle>(MAX_CHECKED);
  readonly #companions = new RecentMap<BuiltLayer>(MAX_COMPANIONS);
  readonly #parsed = new RecentMap<ParsedContent>(MAX_PARSED);
  readonly #kept = new Map<Digest, BundleContent>();
  #nextToken = 1;

  constructor(options: WorkshopOptions) {
    this.#options = options;
  }

  /** The methods as functions, as threads call them. */
  get api(): PolicyWorkerApi {
    return {
      open: (form, body, defaultSchemaText, schemaText) =>
        openBundle(form, body, defaultSchemaText, rest => this.#problemsOf(rest, schemaText)),
      keep: bundles => bundles.forEach(bundle => this.#kept.set(bundle.digest, bundle)),
      retain: digests => this.#retain(new Set(digests)),
      check: (bundle, schemaText, companions, runTests) =>
        this.#check(bundle, schemaText, companions, runTests),
      schema: text => this.#resolve(text).schema,
      parse: (bundle, schemaText) => this.#parse(bundle, schemaText),
      takeLimits: (token, from) => this.#takeLimits(token, from),
      take: (token, from) => this.#take(token, from),
    };
  }

  #retain(digests: ReadonlySet<Digest>): void {
    for (const digest of this.#kept.keys()) if (!digests.has(digest)) this.#kept.delete(digest);
  }

  /** @param schemaText of the active platform layer; a platform bundle has its own */
  #problemsOf(bundle: BundleContent, schemaText: string | undefined): readonly Problem[] {
    const text = schemaTextOf(bundle) ?? schemaText;
    if (text === undefined) return [];
    try {
      checkBundle(bundle, this.#resolve(text).schema, this.#options.wasm);
      return [];
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'BUNDLE_INVALID') throw error;
      return error.problems;
    }
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
    const beside = companions.map(digest => this.#companion(digest, schema));
    // without companions and tests, only the bundle itself is asked about
    if (runTests || beside.length > 0) checkBeside(checked, beside);
    if (!runTests) {
      return { policies: checked.policies.length, tests: { passed: 0, failed: 0 }, warnings };
    }
    const layers = [buildLayer(bundle, checked, schema), ...beside];
    return await testBundle(checked, this.#options.runnerFor(schema, layers), resolved, layers);
  }

  #resolve(text: string): ResolvedSchema {
    const { wasm, recorded, checkVocabulary } = this.#options;
    const parser = recorded?.before(wasm) ?? wasm;
    return this.#schemas.getOrMake(text, () => resolveSchema(text, parser, checkVocabulary));
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
    const { policies, layout } = this.#checkOnce(bundle, this.#resolve(schemaText).schema);
    const token = this.#nextToken++;
    const sent = policies.map(({ id, text, est }) => ({ id, text, est: JSON.stringify(est) }));
    const size = sent.length;
    if (layout.limits === undefined) {
      if (size > 0) this.#parsed.set(String(token), { policies: sent, limits: [] });
      return { token, size, limits: undefined };
    }
    const { limits, ...head } = layout.limits.file;
    if (size + limits.length > 0) this.#parsed.set(String(token), { policies: sent, limits });
    return { token, size, limits: { head, size: limits.length } };
  }

  /** The last policies end the bundle: limits are fetched before them. */
  #take(token: number, from: number): readonly SentPolicy[] {
    const { policies } = this.#find(token);
    const to = from + CHUNK_POLICIES;
    if (to >= policies.length) this.#parsed.delete(String(token));
    return policies.slice(from, to);
  }

  #takeLimits(token: number, from: number): readonly LimitDefinition[] {
    const { policies, limits } = this.#find(token);
    const chunk = chunkOf(limits, from);
    if (policies.length === 0 && from + chunk.length >= limits.length) this.#parsed.delete(String(token));
    return chunk;
  }

  #find(token: number): ParsedContent {
    const parsed = this.#parsed.get(String(token));
    if (parsed !== undefined) return parsed;
    throw new AppError('NOT_READY', 'the parsed bundle is gone: activate it again');
  }
}

/** What the main thread fetches of a bundle. */
interface ParsedContent {
  readonly policies: readonly SentPolicy[];
  readonly limits: readonly LimitDefinition[];
}

/** As many limits as one message should have, and at least one. */
function chunkOf(limits: readonly LimitDefinition[], from: number): readonly LimitDefinition[] {
  let names = 0;
  let to = from;
  while (to < limits.length && names < CHUNK_NAMES) {
    const limit = limits[to];
    if (limit === undefined) break;
    names += weightOf(limit);
    to += 1;
  }
  return limits.slice(from, to);
}

/** Roughly the names in a limit: what it costs to send and to compile. */
function weightOf({ match, overrides }: LimitDefinition): number {
  const matched = Object.values(match).reduce((sum, names) => sum + (names?.length ?? 0), 0);
  const overridden = overrides.reduce(
    (sum, { principals, tenants, models }) =>
      sum + (principals?.length ?? 0) + (tenants?.length ?? 0) + (models?.length ?? 0),
    0,
  );
  return 1 + matched + overridden;
}

function buildLayer(
  { manifest, digest }: BundleContent,
  { policies, layout }: CheckedBundle,
  schema: CedarSchema,
): BuiltLayer {
  const builder = new PolicyIndexBuilder(schema.actions);
  for (const { id, ast } of policies)
    builder.add(compilePolicy({ id, policy: ast, actions: schema.actions }));
  const sources = Object.fromEntries(policies.map(({ id, text }) => [id, text]));
  const limits =
    layout.limits === undefined
      ? undefined
      : compileLimits(manifest.layer, layout.limits.file, actionNames(schema.actions.values()));
  return { name: manifest.layer, digest, index: builder.build(), sources, limits };
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
