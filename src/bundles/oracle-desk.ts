/** The oracle's side of the run-time cross-check: answers questions that arrive as data. */
import type { Oracle, OracleAnswer, OracleCall } from '../cedar/oracle.ts';
import type { JsonObject } from '../domain/json.ts';
import type { OracleWorkerApi, SentQuestion } from './cross-check.ts';

export class OracleDesk {
  readonly #makeOracle: () => Oracle;
  #oracle: Oracle | undefined;
  readonly #layers = new Map<string, Readonly<Record<string, string | JsonObject>>>();

  /** @param makeOracle called with the first question: a thread that only compiles needs no oracle. */
  constructor(makeOracle: () => Oracle) {
    this.#makeOracle = makeOracle;
  }

  /** The methods as functions, as threads call them. */
  get api(): OracleWorkerApi {
    return {
      keepLayer: (digest, policies) => void this.#layers.set(digest, policies),
      dropLayer: digest => void this.#layers.delete(digest),
      evaluate: (questions, schemas) => questions.map(question => this.#evaluateSafely(question, schemas)),
    };
  }

  /** A question that cannot be asked says nothing of the others, nor of the evaluators. */
  #evaluateSafely(question: SentQuestion, schemas: ReadonlyMap<string, string>): OracleAnswer | undefined {
    try {
      return this.#evaluate(question, schemas);
    } catch {
      return undefined;
    }
  }

  #evaluate({ layers, schema, call }: SentQuestion, schemas: ReadonlyMap<string, string>): OracleAnswer {
    const text = schemas.get(schema);
    if (text === undefined) throw new Error(`the worker was not sent schema ${schema}`);
    const known = layers.map(digest => {
      const policies = this.#layers.get(digest);
      if (policies === undefined) throw new Error(`the worker was not sent layer ${digest}`);
      return { digest, policies };
    });
    const parsed: unknown = JSON.parse(call);
    if (!isCall(parsed)) throw new Error('a question without its request');
    this.#oracle ??= this.#makeOracle();
    return this.#oracle.authorizeCall({ layers: known, schema: { text, digest: schema } }, parsed);
  }
}

/** The text was written by cross-check.ts; cedar-wasm parses the parts again. */
function isCall(value: unknown): value is OracleCall {
  return typeof value === 'object' && value !== null && 'entities' in value && Array.isArray(value.entities);
}
