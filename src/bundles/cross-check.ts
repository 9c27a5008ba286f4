/**
 * Compares a share of decided checks with cedar-wasm in another thread. Invariants: a decision never waits for
 * it; what cannot be compared in time is dropped and counted, never queued without bound.
 */
import { recordToCedarJson, entityToCedarJson, uidToJson } from '../cedar/cedar-json.ts';
import { collectEntities } from '../cedar/entity-slice.ts';
import { compareAnswers, type OracleAnswer } from '../cedar/oracle.ts';
import type { CedarSchema } from '../cedar/schema.ts';
import type { CedarAnswer, EvaluationRequest } from '../cedar/types.ts';
import type { JsonObject } from '../domain/json.ts';
import type { BuiltLayer } from './pipeline.ts';
import type { PolicyThread } from './policy-thread.ts';

/** Most comparisons that wait: half a second of work for the oracle. */
export const MAX_WAITING_SAMPLES = 64;
/** Most layers that the oracle's thread keeps: about 2 KB a policy. */
const MAX_KEPT_LAYERS = 256;

/** A check as data: it can cross threads, and holds nothing but what the oracle reads. */
export interface SentQuestion {
  /** Digests of layers that were sent before. */
  readonly layers: readonly string[];
  readonly schema: { readonly text: string; readonly digest: string };
  /** Explicit Cedar JSON as text: principal, action, resource, context, entities. */
  readonly call: string;
}

/** What the oracle's thread does for the main thread. */
export interface OracleWorkerApi {
  keepLayer(digest: string, policies: Readonly<Record<string, string | JsonObject>>): void;
  dropLayer(digest: string): void;
  evaluate(question: SentQuestion): OracleAnswer;
}

/** A check with everything that decided it. */
export interface SampledCheck {
  readonly schema: CedarSchema;
  readonly layers: readonly BuiltLayer[];
  readonly request: EvaluationRequest;
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
    if (this.#options.thread.pending >= MAX_WAITING_SAMPLES) {
      this.#dropped++;
      return;
    }
    this.#compare(check, answer).catch(() => {
      this.#dropped++;
    });
  }

  async #compare(check: SampledCheck, answer: CedarAnswer): Promise<void> {
    const { schema, layers, request } = check;
    const { thread, onDisagreement } = this.#options;
    const sent = this.#send(layers);
    const question = {
      layers: layers.map(layer => layer.digest),
      schema: { text: schema.text, digest: schema.digest },
      call: describe(request),
    };
    const [oracle] = await Promise.all([thread.call('evaluate', question), ...sent]);
    this.#compared++;
    if (!compareAnswers(answer, oracle)) onDisagreement(check, answer, oracle);
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

/** The request with every entity that a policy can read, as the oracle takes it. */
function describe(request: EvaluationRequest): string {
  return JSON.stringify({
    principal: uidToJson(request.principal),
    action: uidToJson(request.action),
    resource: uidToJson(request.resource),
    context: recordToCedarJson(request.context),
    entities: collectEntities(request).map(entityToCedarJson),
  });
}
