/**
 * Compares a share of decided checks with cedar-wasm in another thread, some of them at a time: the engine's code and
 * data are out of the processor's caches whenever it begins, which costs as much as a comparison. Invariants: a decision
 * never waits for it; what cannot be compared in time is dropped and counted, never queued without bound.
 */
import { recordToCedarJson, entityToCedarJson, uidToJson } from '../cedar/cedar-json.ts';
import { collectEntities } from '../cedar/entity-slice.ts';
import { compareAnswers, type OracleAnswer } from '../cedar/oracle.ts';
import type { CedarSchema } from '../cedar/schema.ts';
import type { CedarAnswer, EvaluationRequest } from '../cedar/types.ts';
import type { JsonObject } from '../domain/json.ts';
import type { BuiltLayer } from './pipeline.ts';
import type { PolicyThread } from './policy-thread.ts';

/** Most comparisons that wait: some tenths of a second of work for the oracle. */
export const MAX_WAITING_SAMPLES = 64;
/** Comparisons that are made at a time where there are as many. */
const BATCH = 16;
/** Longest that a check waits for others, in milliseconds. */
const GATHER_MS = 1_000;
/** Most layers that the oracle's thread keeps: about 2 KB a policy. */
const MAX_KEPT_LAYERS = 256;

/** A check as data: it can cross threads, and holds nothing but what the oracle reads. */
export interface SentQuestion {
  /** Digests of layers that were sent before. */
  readonly layers: readonly string[];
  /** Digest of a schema that is sent along. */
  readonly schema: string;
  /** Explicit Cedar JSON as text: principal, action, resource, context, entities. */
  readonly call: string;
}

/** What the oracle's thread does for the main thread. */
export interface OracleWorkerApi {
  keepLayer(digest: string, policies: Readonly<Record<string, string | JsonObject>>): void;
  dropLayer(digest: string): void;
  /**
   * One answer each; undefined for a question that could not be asked.
   * @param schemas texts by digest
   */
  evaluate(
    questions: readonly SentQuestion[],
    schemas: ReadonlyMap<string, string>,
  ): readonly (OracleAnswer | undefined)[];
}

/** A check with everything that decided it. */
export interface SampledCheck {
  readonly schema: CedarSchema;
  readonly layers: readonly BuiltLayer[];
  readonly request: EvaluationRequest;
}

/** A check that waits, and what was answered. */
interface Sample {
  readonly check: SampledCheck;
  readonly answer: CedarAnswer;
  readonly question: SentQuestion;
}

export interface CrossCheckOptions {
  readonly thread: PolicyThread<OracleWorkerApi>;
  /** One check in this many is compared. */
  readonly rate: number;
  /** Hears of every comparison whose answers differ. */
  readonly onDisagreement: (check: SampledCheck, compiled: CedarAnswer, oracle: OracleAnswer) => void;
}

export class CrossCheck {
  readonly #options: CrossCheckOptions;
  /** Digests that the thread keeps, the oldest first, and the thread that was told. */
  readonly #kept = new Set<string>();
  #generation = 0;
  #countdown: number;
  /** Gathered, and not sent yet. */
  #samples: Sample[] = [];
  /** Sent, and not answered yet. */
  #asked = 0;
  #gathering: NodeJS.Timeout | undefined;
  #compared = 0;
  #dropped = 0;

  constructor(options: CrossCheckOptions) {
    this.#options = options;
    this.#countdown = options.rate;
  }

  /** Comparisons that gave an answer. */
  get compared(): number {
    return this.#compared;
  }

  /** Samples that were not compared: the oracle was busy, or died over them. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Compares this check if it is its turn. Never throws; the comparison comes later. */
  sample(check: SampledCheck, answer: CedarAnswer): void {
    this.#countdown -= 1;
    if (this.#countdown > 0) return;
    this.#countdown = this.#options.rate;
    if (this.#samples.length + this.#asked >= MAX_WAITING_SAMPLES) {
      this.#dropped++;
      return;
    }
    try {
      this.#samples.push({ check, answer, question: ask(check) });
    } catch {
      this.#dropped++;
      return;
    }
    if (this.#samples.length >= BATCH) this.#flush();
    else this.#gathering ??= setTimeout(() => this.#flush(), GATHER_MS).unref();
  }

  #flush(): void {
    clearTimeout(this.#gathering);
    this.#gathering = undefined;
    const samples = this.#samples.splice(0);
    this.#asked += samples.length;
    this.#compare(samples)
      .catch(() => {
        this.#dropped += samples.length;
      })
      .finally(() => {
        this.#asked -= samples.length;
      });
  }

  async #compare(samples: readonly Sample[]): Promise<void> {
    const { thread, onDisagreement } = this.#options;
    const sent = this.#send(samples.flatMap(({ check }) => check.layers));
    const questions = samples.map(({ question }) => question);
    const schemas = new Map(samples.map(({ check: { schema } }) => [schema.digest, schema.text]));
    const [answers] = await Promise.all([thread.call('evaluate', questions, schemas), ...sent]);
    for (const [at, { check, answer }] of samples.entries()) {
      const oracle = answers[at];
      if (oracle === undefined) {
        this.#dropped++;
        continue;
      }
      this.#compared++;
      if (!compareAnswers(answer, oracle)) onDisagreement(check, answer, oracle);
    }
  }

  /** Sends layers that the thread does not have. Calls are answered in order, so no reply is awaited first. */
  #send(layers: readonly BuiltLayer[]): Promise<unknown>[] {
    const { thread } = this.#options;
    thread.start();
    if (this.#generation !== thread.generation) {
      this.#kept.clear();
      this.#generation = thread.generation;
    }
    const calls: Promise<unknown>[] = [];
    for (const { digest, sources } of layers) {
      if (this.#kept.delete(digest)) {
        this.#kept.add(digest);
        continue;
      }
      calls.push(thread.call('keepLayer', digest, sources));
      this.#kept.add(digest);
    }
    for (const digest of this.#kept) {
      if (this.#kept.size <= MAX_KEPT_LAYERS) break;
      this.#kept.delete(digest);
      calls.push(thread.call('dropLayer', digest));
    }
    return calls;
  }
}

/** The check as the oracle takes it, with every entity that a policy can read. */
function ask({ layers, request, schema }: SampledCheck): SentQuestion {
  return {
    layers: layers.map(layer => layer.digest),
    schema: schema.digest,
    call: JSON.stringify({
      principal: uidToJson(request.principal),
      action: uidToJson(request.action),
      resource: uidToJson(request.resource),
      context: recordToCedarJson(request.context),
      entities: collectEntities(request).map(entityToCedarJson),
    }),
  };
}
