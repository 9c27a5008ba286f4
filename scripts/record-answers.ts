/**
 * Asks cedar-wasm about the texts that are shipped, for starts that then need not ask. Invariant: what is recorded
 * has passed every check that the service would make, here and now.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { splitPolicies } from '../src/cedar/policy-text.ts';
import { digestOfSet, digestOfText, type Recording } from '../src/cedar/recorded-answers.ts';
import { type Answer, CedarWasm, type SchemaAnswer } from '../src/cedar/wasm.ts';
import type { JsonObject } from '../src/domain/json.ts';
import { compileControlPolicies, setsOf } from '../src/control/policy-sets.ts';
import { readControlSources } from '../src/wiring/control.ts';
import { readCedarVersion } from '../src/wiring/version.ts';

const SERVING_SCHEMA = join(import.meta.dirname, '../schema/model-serving.cedarschema');

/** @throws AppError or Error when something that is shipped does not pass */
export function recordAnswers(): Recording {
  const wasm = new CedarWasm();
  const schemas: Record<string, SchemaAnswer['json']> = {};
  const policies: Record<string, JsonObject> = {};
  const passed = new Set<string>();
  for (const twoPersonActivation of ['on', 'off'] as const) {
    const sources = readControlSources({ twoPersonActivation });
    const { schema } = compileControlPolicies(sources, wasm);
    schemas[digestOfText(schema.text)] = askSchema(wasm, schema.text);
    for (const set of Object.values(setsOf(sources, schema))) {
      passed.add(digestOfSet(set));
      for (const { text } of set.policies.flatMap(file => splitPolicies(file.text))) {
        policies[digestOfText(text)] = valueOf(wasm.parsePolicy(text));
      }
    }
  }
  const serving = readFileSync(SERVING_SCHEMA, 'utf8');
  schemas[digestOfText(serving)] = askSchema(wasm, serving);
  return { cedarVersion: readCedarVersion(), schemas, policies, passed: [...passed] };
}

function askSchema(wasm: CedarWasm, text: string): SchemaAnswer['json'] {
  const { json, warnings } = valueOf(wasm.parseSchema(text));
  if (warnings.length > 0) throw new Error(`a shipped schema has warnings: ${warnings[0]?.message ?? ''}`);
  return json;
}

function valueOf<T>(answer: Answer<T>): T {
  if (answer.ok) return answer.value;
  throw new Error(answer.messages.map(({ message }) => message).join('; '));
}
