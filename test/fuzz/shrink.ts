/** Makes a disagreement small: fewer policies, fewer entities, smaller expressions, as long as it remains. */
import { type EntityJson, recordToCedarJson } from '../../src/cedar/cedar-json.ts';
import type { CedarWasm, PolicyInput } from '../../src/cedar/wasm.ts';
import {
  compare,
  expectOk,
  linear,
  type Mismatch,
  newTally,
  type PreparedPolicy,
  preparePolicy,
  type Sabotage,
  SLOT,
  toPolicySet,
} from './differential.ts';

/** Most attempts per policy. */
const MAX_ATTEMPTS = 2_000;

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** A smaller case that still disagrees; the same case when nothing can be left out. */
export function shrink(mismatch: Mismatch, wasm: CedarWasm, sabotage?: Sabotage): Mismatch {
  let smallest = mismatch;
  const tryCase = (policies: readonly PreparedPolicy[], entities: readonly EntityJson[]): boolean => {
    const again = repeat({ ...smallest, policies, entities }, wasm);
    if (again !== undefined) smallest = again;
    return again !== undefined;
  };
  for (const policy of mismatch.policies) {
    if (tryCase([policy], smallest.entities)) break;
  }
  for (const policy of smallest.policies) {
    tryCase(
      smallest.policies.filter(other => other !== policy),
      smallest.entities,
    );
  }
  for (const entity of smallest.entities) {
    const fewer = smallest.entities.filter(other => other !== entity);
    const known = new Set(fewer.map(({ uid }) => `${uid.type}::"${uid.id}"`));
    const entities = {
      get: (key: string) => (known.has(key) ? mismatch.request.entities.get(key) : undefined),
    };
    const again = repeat({ ...smallest, entities: fewer, request: { ...smallest.request, entities } }, wasm);
    if (again !== undefined) smallest = again;
  }
  let attempts = 0;
  for (let progress = true; progress && attempts < MAX_ATTEMPTS; ) {
    progress = false;
    for (const [i, policy] of smallest.policies.entries()) {
      for (const est of smaller(toJson(policy.est))) {
        if (attempts++ > MAX_ATTEMPTS) return smallest;
        if (!isInput(est)) continue;
        const prepared = preparePolicy(policy, est, smallest.schema, sabotage);
        if (prepared === undefined) continue;
        if (tryCase(smallest.policies.with(i, prepared), smallest.entities)) {
          progress = true;
          break;
        }
      }
    }
  }
  return smallest;
}

/** Evaluates a case again, from the ESTs of its policies. */
function repeat(mismatch: Mismatch, wasm: CedarWasm): Mismatch | undefined {
  const { schema, policies, request, entities } = mismatch;
  if (policies.length === 0) return undefined;
  expectOk(wasm.registerSchema(SLOT, schema.text), 'schema');
  if (!wasm.registerPolicySet(SLOT, toPolicySet(policies, 'est')).ok) return undefined;
  const again = compare(
    wasm,
    schema,
    { policies, indexes: [linear(policies)], request, entities },
    newTally(),
  );
  // A case that cedar-wasm refuses is another problem than the one to shrink.
  return again?.oracle.startsWith('failure') === mismatch.oracle.startsWith('failure') ? again : undefined;
}

/** Every JSON that results from replacing one expression by one of its operands or by `true`. */
function* smaller(json: Json): Generator<Json> {
  if (typeof json !== 'object' || json === null) return;
  if (isList(json)) {
    for (let i = 0; i < json.length; i++) yield json.filter((_, position) => position !== i);
    for (const [i, item] of json.entries()) for (const less of smaller(item)) yield json.with(i, less);
    return;
  }
  if (isExpression(json)) {
    yield { Value: true };
    yield* operands(json);
  }
  for (const [key, value] of Object.entries(json))
    for (const less of smaller(value)) yield { ...json, [key]: less };
}

function isList(json: Json): json is readonly Json[] {
  return Array.isArray(json);
}

function isExpression(json: { readonly [key: string]: Json }): boolean {
  const keys = Object.keys(json);
  const [key] = keys;
  return (
    keys.length === 1 &&
    key !== undefined &&
    !['Value', 'Literal', 'entity', 'slot', '__entity'].includes(key)
  );
}

function* operands(json: Json): Generator<Json> {
  if (typeof json !== 'object' || json === null) return;
  for (const body of Object.values(json)) {
    if (typeof body !== 'object' || body === null) continue;
    for (const part of Object.values(body)) {
      if (typeof part === 'object' && part !== null && !Array.isArray(part) && Object.keys(part).length === 1)
        yield part;
    }
  }
}

function toJson(input: PolicyInput): Json {
  return typeof input === 'string' ? input : structuredClone(input);
}

function isInput(json: Json): json is Exclude<PolicyInput, string> {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

/** The case as text that a person can paste into a regression test. */
export function describeMismatch(
  { schema, policies, request, entities, compiled, oracle }: Mismatch,
  wasm: CedarWasm,
): string {
  const texts = policies.map(({ id, est, link, text }) => {
    const printed = link === undefined && typeof est !== 'string' ? wasm.printPolicy(est) : undefined;
    const linked =
      link === undefined ? '' : ` linked with ${link.principal?.key ?? '-'} and ${link.resource?.key ?? '-'}`;
    return `// ${id}${linked}\n${printed?.ok === true ? printed.value : text}`;
  });
  return [
    '--- schema',
    schema.text,
    '--- policies',
    ...texts,
    '--- request',
    `${request.principal.key} ${request.action.key} ${request.resource.key}`,
    JSON.stringify(recordToCedarJson(request.context)),
    '--- entities',
    ...entities.map(entity => JSON.stringify(entity)),
    `--- compiled: ${compiled}`,
    `--- cedar-wasm: ${oracle}`,
  ].join('\n');
}
