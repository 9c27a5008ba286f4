/**
 * How one check is evaluated: by the compiled policies, by cedar-wasm, or by both. Invariant: whichever is
 * used, the answer is Cedar's own; when two evaluators differ, nobody gets an allow.
 */
import { authorize } from '../cedar/authorize.ts';
import { compareAnswers, Oracle, type OracleAnswer } from '../cedar/oracle.ts';
import type { CedarSchema } from '../cedar/schema.ts';
import type { CedarAnswer, EvaluationRequest } from '../cedar/types.ts';
import { CedarWasm } from '../cedar/wasm.ts';
import { messageOf } from '../domain/errors.ts';
import type { LayerName } from '../domain/ids.ts';
import type { CompiledLayer } from './snapshot.ts';

/** One check as evaluators see it: the layers that apply and the request. */
export interface Check {
  readonly schema: CedarSchema;
  /** The platform layer and the layer of the resource's tenant, as far as they are active. */
  readonly layers: readonly CompiledLayer[];
  readonly request: EvaluationRequest;
}

/** cedar-wasm in this thread: exact and slow. */
export interface OraclePort {
  evaluate(check: Check): OracleAnswer;
}

/** cedar-wasm in the main thread; instantiated when it is first asked, since most services never ask it here. */
export class WasmOracle implements OraclePort {
  #oracle: Oracle | undefined;

  evaluate({ schema, layers, request }: Check): OracleAnswer {
    this.#oracle ??= new Oracle(new CedarWasm());
    return this.#oracle.authorize({
      schema,
      layers: layers.map(layer => ({ digest: layer.digest, policies: layer.sources })),
      request,
    });
  }
}

/** Takes a share of checks to compare with cedar-wasm later, in another thread. Never blocks, never throws. */
export interface SamplingPort {
  sample(check: Check, answer: CedarAnswer): void;
}

/** The outcome of one check: an answer, or a failure that must deny. */
export type Evaluation =
  | { readonly ok: true; readonly answer: CedarAnswer; readonly engine: EngineName }
  | { readonly ok: false; readonly failure: string; readonly engine: EngineName };

export type EngineName = 'compiled' | 'wasm';

export interface CheckEvaluator {
  evaluate(check: Check): Evaluation;
}

/** `engine.evaluator` and `engine.crossCheck` of the configuration. */
export interface EngineMode {
  readonly evaluator: EngineName;
  readonly crossCheck: 'sampled' | 'all' | 'off';
}

/** Told of every disagreement between the evaluators. */
export type DisagreementListener = (check: Check, compiled: CedarAnswer, oracle: OracleAnswer) => void;

/** Layers that no longer run compiled because the evaluators disagreed about them, until someone acts. */
export class Quarantine {
  readonly #digests = new Map<LayerName, string>();

  /** Sends every layer of the check to cedar-wasm; the entry is bound to the bundle that disagreed. */
  add(layers: readonly CompiledLayer[]): void {
    for (const layer of layers) this.#digests.set(layer.name, layer.digest);
  }

  /** Lets a layer run compiled again; false when it was not quarantined. */
  release(name: LayerName): boolean {
    return this.#digests.delete(name);
  }

  has(layer: CompiledLayer): boolean {
    return this.#digests.size > 0 && this.#digests.get(layer.name) === layer.digest;
  }

  /** Names of the quarantined layers, sorted. */
  get layers(): readonly LayerName[] {
    return [...this.#digests.keys()].toSorted();
  }
}

/** The evaluator of the service. */
export class ModalEvaluator implements CheckEvaluator {
  readonly #mode: EngineMode;
  readonly #oracle: OraclePort;
  readonly #sampling: SamplingPort;
  readonly #quarantine: Quarantine;
  readonly #onDisagreement: DisagreementListener;

  constructor(options: {
    readonly mode: EngineMode;
    readonly oracle: OraclePort;
    readonly sampling: SamplingPort;
    readonly quarantine: Quarantine;
    readonly onDisagreement: DisagreementListener;
  }) {
    this.#mode = options.mode;
    this.#oracle = options.oracle;
    this.#sampling = options.sampling;
    this.#quarantine = options.quarantine;
    this.#onDisagreement = options.onDisagreement;
  }

  evaluate(check: Check): Evaluation {
    if (this.#mode.evaluator === 'wasm' || this.#isQuarantined(check.layers)) return this.#byOracle(check);
    const compiled = authorize(indexesOf(check.layers), check.request);
    if (this.#mode.crossCheck === 'sampled') {
      this.#sampling.sample(check, compiled);
    } else if (this.#mode.crossCheck === 'all') {
      const oracle = this.#ask(check);
      if (!compareAnswers(compiled, oracle)) {
        this.#quarantine.add(check.layers);
        this.#onDisagreement(check, compiled, oracle);
        return { ok: false, failure: 'the compiled evaluator and cedar-wasm disagree', engine: 'compiled' };
      }
    }
    return { ok: true, answer: compiled, engine: 'compiled' };
  }

  #isQuarantined(layers: readonly CompiledLayer[]): boolean {
    for (const layer of layers) if (this.#quarantine.has(layer)) return true;
    return false;
  }

  #byOracle(check: Check): Evaluation {
    const oracle = this.#ask(check);
    if (!oracle.ok) return { ok: false, failure: oracle.failure, engine: 'wasm' };
    const { decision } = oracle;
    const determining = findPolicies(check.layers, oracle.determining);
    const erroring = findPolicies(check.layers, oracle.erroring);
    return { ok: true, answer: { decision, determining, erroring }, engine: 'wasm' };
  }

  #ask(check: Check): OracleAnswer {
    try {
      return this.#oracle.evaluate(check);
    } catch (error) {
      return { ok: false, failure: messageOf(error) };
    }
  }
}

function findPolicies(layers: readonly CompiledLayer[], ids: readonly string[]): CedarAnswer['determining'] {
  if (ids.length === 0) return [];
  const wanted = new Set(ids);
  return layers
    .flatMap(layer => layer.index.policies.filter(policy => wanted.has(policy.id)))
    .toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

function indexesOf(layers: readonly CompiledLayer[]): CompiledLayer['index'][] {
  return layers.map(layer => layer.index);
}
