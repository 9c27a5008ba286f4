/**
 * Answers of cedar-wasm about texts that this build ships, written down when it was made: starting cedar-wasm takes
 * longer than all else that a start does. Invariant: an answer stands for exactly the text that it was given for, by
 * the version that is installed; about everything else cedar-wasm is asked anew.
 */
import { createHash } from 'node:crypto';
import type { JsonObject } from '../domain/json.ts';
import type { LayerSources } from './validate.ts';
import type { Answer, CedarParser, CedarWasm, SchemaAnswer } from './wasm.ts';

/** The recording as it stands in its file. Texts and sets are named by their digests. */
export interface Recording {
  /** Version of cedar-wasm that answered. */
  readonly cedarVersion: string;
  /** Schemas by text, each without a warning. */
  readonly schemas: Readonly<Record<string, SchemaAnswer['json']>>;
  /** JSON forms of policies by text. */
  readonly policies: Readonly<Record<string, JsonObject>>;
  /** Sets that passed every check of `checkPolicies`. */
  readonly passed: readonly string[];
}

export class RecordedAnswers {
  readonly #recording: Recording;
  readonly #passed: ReadonlySet<string>;

  /** @param cedarVersion of the cedar-wasm that is installed: answers of another one are not used */
  constructor(recording: Recording, cedarVersion: string) {
    this.#recording =
      recording.cedarVersion === cedarVersion
        ? recording
        : { cedarVersion, schemas: {}, policies: {}, passed: [] };
    this.#passed = new Set(this.#recording.passed);
  }

  /** Whether these very policies passed `checkPolicies` under this very schema. */
  hasPassed(sources: LayerSources): boolean {
    return this.#passed.has(digestOfSet(sources));
  }

  /** Whether the answer about this schema was recorded. */
  knowsSchema(text: string): boolean {
    return Object.hasOwn(this.#recording.schemas, digestOfText(text));
  }

  /** Answers from the recording what it has, and by `wasm` all else. */
  before(wasm: CedarWasm): CedarParser {
    const { schemas, policies } = this.#recording;
    return {
      parseSchema: text => {
        const json = find(schemas, text);
        return json === undefined ? wasm.parseSchema(text) : success({ json, warnings: [] });
      },
      parsePolicy: text => {
        const est = find(policies, text);
        return est === undefined ? wasm.parsePolicy(text) : success(est);
      },
      parseTemplate: text => wasm.parseTemplate(text),
    };
  }
}

/** `sha256:<hex>` of a text, the name under which it is recorded. */
export function digestOfText(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

/** Of everything that a check of the set depends on but cedar-wasm and this code. */
export function digestOfSet({ layer, schema, policies, templates, links }: LayerSources): string {
  return digestOfText(
    JSON.stringify([layer, schema.text, policies.map(({ text }) => text), templates, links]),
  );
}

function find<T>(recorded: Readonly<Record<string, T>>, text: string): T | undefined {
  const digest = digestOfText(text);
  return Object.hasOwn(recorded, digest) ? recorded[digest] : undefined;
}

function success<T>(value: T): Answer<T> {
  return { ok: true, value };
}
