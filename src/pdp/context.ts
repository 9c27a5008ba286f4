/**
 * The Cedar context of a request: known fields, defaults, and further keys that the schema declares.
 * Invariant: no key reaches Cedar unparsed, and a key that no asked check declares is a 400, never ignored.
 */
import { parseAttribute } from '../cedar/data.ts';
import type { CedarType } from '../cedar/schema.ts';
import type { DecisionRequest } from '../domain/decision-request.ts';
import { AppError, type Problem } from '../domain/errors.ts';
import type { JsonObject, JsonValue } from '../domain/json.ts';
import { RecordValue, type Value } from '../domain/value.ts';
import type { PlannedCheck } from './plan.ts';
import { nearest } from '../domain/spelling.ts';

/** Context keys that have a field of their own in the request; taking them from `context` would let it forge them. */
const OWN_FIELDS: ReadonlyMap<string, string> = new Map([
  ['now', 'the clock of the service'],
  ['auth', '`auth`'],
  ['via', '`via`'],
  ['onBehalfOf', '`onBehalfOf`'],
  ['input', '`input`'],
  ['params', '`params`'],
]);

const NO_AUTH: JsonObject = { method: 'asserted', assurance: 0, scopes: [] };
const NO_CONTEXT: JsonObject = {};

/** The context in JSON, before any schema has read it. It is what the log keeps. */
export function contextJson(
  request: DecisionRequest,
  evaluatedAt: string,
  defaultEnv: string,
): Record<string, JsonValue> {
  const { auth, via, onBehalfOf, input, params } = request;
  const context: Record<string, JsonValue> = {
    env: defaultEnv,
    ...(request.context ?? NO_CONTEXT),
    now: evaluatedAt,
    auth: auth === undefined ? NO_AUTH : withoutUndefined(auth),
    input: { classes: input?.classes ?? [], modality: input?.modality ?? 'text', tokens: input?.tokens ?? 0 },
    params: { maxOutputTokens: params?.maxOutputTokens ?? 0, stream: params?.stream ?? false },
  };
  if (onBehalfOf !== undefined) context.onBehalfOf = onBehalfOf;
  if (via !== undefined) context.via = { ...via };
  return context;
}

/**
 * Contexts of the planned checks, in their order. Values are parsed once per (key, type), since the schema
 * interns equal types.
 * @throws AppError INVALID_REQUEST naming every bad, missing or undeclared key.
 */
export function buildContexts(
  checks: readonly PlannedCheck[],
  json: Readonly<Record<string, JsonValue>>,
  request: DecisionRequest,
): readonly RecordValue[] {
  const problems: Problem[] = [];
  const parser = new ContextParser(problems);
  const contexts = checks.map(check => parser.build(check, json));
  if (request.context !== undefined) refuseUndeclared(request.context, checks, problems);
  if (problems.length > 0) {
    throw new AppError('INVALID_REQUEST', problems[0]?.message ?? 'the context is malformed', { problems });
  }
  return contexts;
}

/** Parses context attributes, remembering what it parsed within one request. */
class ContextParser {
  readonly #problems: Problem[];
  readonly #parsed = new Map<JsonValue, { type: CedarType; value: Value | undefined }>();

  constructor(problems: Problem[]) {
    this.#problems = problems;
  }

  build(check: PlannedCheck, json: Readonly<Record<string, JsonValue>>): RecordValue {
    const entries = new Map<string, Value>();
    for (const [key, { type, required }] of check.action.context.attributes) {
      const own = Object.hasOwn(check.extra, key) ? check.extra[key] : undefined;
      const given = own ?? (Object.hasOwn(json, key) ? json[key] : undefined);
      if (given === undefined) {
        if (required) this.#report(missing(key, check));
        continue;
      }
      const value = this.#parse(type, given, pointerOf(key, own !== undefined, check));
      if (value !== undefined) entries.set(key, value);
    }
    return new RecordValue(entries);
  }

  /** Objects are compared by identity and primitives by value: either way equal JSON of one type parses alike. */
  #parse(type: CedarType, json: JsonValue, pointer: string): Value | undefined {
    const known = this.#parsed.get(json);
    if (known !== undefined && known.type === type) return known.value;
    const value = parseAttribute(type, json, pointer, this.#problems);
    this.#parsed.set(json, { type, value });
    return value;
  }

  #report(problem: Problem): void {
    if (!this.#problems.some(known => known.pointer === problem.pointer)) this.#problems.push(problem);
  }
}

/** Where the caller wrote a context key. */
function pointerOf(key: string, isExtra: boolean, check: PlannedCheck): string {
  if (isExtra) return check.pointer;
  return OWN_FIELDS.has(key) ? `/${key}` : `/context/${key}`;
}

function missing(key: string, check: PlannedCheck): Problem {
  return {
    pointer: `/context/${key}`,
    message: `action \`${check.action.uid.id}\` needs \`${key}\` in the context`,
    hint: `add \`${key}\` to \`context\``,
  };
}

function refuseUndeclared(context: JsonObject, checks: readonly PlannedCheck[], problems: Problem[]): void {
  const declared = new Set<string>();
  for (const check of checks) {
    for (const key of check.action.context.attributes.keys()) declared.add(key);
  }
  for (const key of Object.keys(context)) {
    const field = OWN_FIELDS.get(key);
    const pointer = `/context/${escapePointer(key)}`;
    if (field !== undefined) {
      problems.push({
        pointer,
        message: `\`${key}\` is not read from the context`,
        hint: `it comes from ${field}`,
      });
      continue;
    }
    const taken = checks.find(check => Object.hasOwn(check.extra, key));
    if (taken !== undefined) {
      problems.push({
        pointer,
        message: `\`${key}\` is not read from the context here`,
        hint: `it comes from \`${taken.pointer.slice(1)}\``,
      });
    } else if (!declared.has(key)) {
      const near = nearest(key, declared);
      problems.push({
        pointer,
        message: `unknown context key \`${key}\``,
        hint:
          near === undefined
            ? 'the schema of the platform layer declares the keys of each action'
            : `did you mean \`${near}\`?`,
      });
    }
  }
}

function escapePointer(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}

function withoutUndefined(record: Readonly<Record<string, JsonValue | undefined>>): JsonObject {
  const result: Record<string, JsonValue> = {};
  for (const [key, value] of Object.entries(record)) {
    if (value !== undefined) result[key] = value;
  }
  return result;
}
