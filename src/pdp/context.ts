/**
 * The Cedar context of a request: known fields, defaults, and further keys that the schema declares.
 * Invariant: no key reaches Cedar unparsed, and a key that no asked check declares is a 400, never ignored.
 */
import { child, parseAttribute, quote } from '../cedar/data.ts';
import type { DecisionRequest } from '../domain/decision-request.ts';
import { AppError, type Problem } from '../domain/errors.ts';
import type { JsonObject, JsonValue } from '../domain/json.ts';
import { nearest } from '../domain/spelling.ts';
import { DatetimeValue, RecordValue, type Value } from '../domain/value.ts';
import { type ContextKey, NO_EXTRA, type PlannedCheck, type Planner } from './plan.ts';

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
 * Contexts of the planned checks, in their order. Keys that checks share are parsed once, since the schema
 * interns equal types.
 * @param now milliseconds since the epoch: `json.now`, which the service wrote itself and need not parse.
 * @throws AppError INVALID_REQUEST naming every bad, missing or undeclared key.
 */
export function buildContexts(
  planner: Planner,
  checks: readonly PlannedCheck[],
  json: Readonly<Record<string, JsonValue>>,
  request: DecisionRequest,
  now: number,
): readonly RecordValue[] {
  const parser = new ContextParser(planner.unparsed, json, now);
  if (request.context !== undefined) refuseUndeclared(request.context, checks, parser.problems);
  // a key that does not belong there is told before its value is looked at
  const contexts = parser.problems.length > 0 ? [] : checks.map(check => parser.build(check));
  const { problems } = parser;
  if (problems.length > 0) {
    throw new AppError('INVALID_REQUEST', problems[0]?.message ?? 'the context is malformed', { problems });
  }
  return contexts;
}

/** Parses context attributes, remembering by slot what it parsed within one request. */
class ContextParser {
  readonly problems: Problem[] = [];
  readonly #json: Readonly<Record<string, JsonValue>>;
  readonly #now: DatetimeValue;
  /** By slot: the value, undefined when there is none, null while it was not asked for. */
  readonly #parsed: (Value | undefined | null)[];

  constructor(unparsed: readonly null[], json: Readonly<Record<string, JsonValue>>, now: number) {
    this.#json = json;
    this.#now = new DatetimeValue(now);
    this.#parsed = unparsed.slice();
  }

  build(check: PlannedCheck): RecordValue {
    const { contextKeys, extra } = check;
    const entries = new Map<string, Value>();
    for (const contextKey of contextKeys) {
      const own =
        extra === NO_EXTRA || !Object.hasOwn(extra, contextKey.key) ? undefined : extra[contextKey.key];
      const value =
        own === undefined
          ? this.#shared(contextKey, check)
          : parseAttribute(contextKey.type, own, check.pointer, this.problems);
      if (value !== undefined) entries.set(contextKey.key, value);
    }
    return new RecordValue(entries);
  }

  #shared(contextKey: ContextKey, check: PlannedCheck): Value | undefined {
    const { slot, key, required } = contextKey;
    let value = this.#parsed[slot];
    if (value === null) {
      value = this.#parse(contextKey);
      this.#parsed[slot] = value;
    }
    if (value === undefined && required && !Object.hasOwn(this.#json, key)) this.#report(missing(key, check));
    return value;
  }

  #parse({ key, type }: ContextKey): Value | undefined {
    if (key === 'now' && type.kind === 'extension' && type.name === 'datetime') return this.#now;
    const given = Object.hasOwn(this.#json, key) ? this.#json[key] : undefined;
    return given === undefined ? undefined : parseAttribute(type, given, pointerOf(key), this.problems);
  }

  #report(problem: Problem): void {
    if (!this.problems.some(known => known.pointer === problem.pointer)) this.problems.push(problem);
  }
}

/** Where the caller wrote a context key. */
function pointerOf(key: string): string {
  return OWN_FIELDS.has(key) ? `/${key}` : `/context/${key}`;
}

function missing(key: string, check: PlannedCheck): Problem {
  return {
    pointer: `/context/${key}`,
    message: `action \`${check.action.uid.id}\` needs \`${key}\` in the context`,
    hint: `add \`${key}\` to \`context\``,
  };
}

/** Every key of `context` must reach some check: as a key that only the caller sets, declared by its action. */
function refuseUndeclared(context: JsonObject, checks: readonly PlannedCheck[], problems: Problem[]): void {
  for (const key of Object.keys(context)) {
    const isTaken = OWN_FIELDS.has(key) || checks.some(check => Object.hasOwn(check.extra, key));
    if (!isTaken && checks.some(check => check.action.context.attributes.has(key))) continue;
    problems.push(undeclared(key, checks));
  }
}

function undeclared(key: string, checks: readonly PlannedCheck[]): Problem {
  const pointer = child('/context', key);
  const taken = checks.find(check => Object.hasOwn(check.extra, key))?.pointer.slice(1);
  const source = OWN_FIELDS.get(key) ?? (taken === undefined ? undefined : `\`${taken}\``);
  if (source !== undefined) {
    return { pointer, message: `\`${key}\` is not read from the context`, hint: `it comes from ${source}` };
  }
  const near = nearest(key, new Set(checks.flatMap(check => [...check.action.context.attributes.keys()])));
  return {
    pointer,
    message: `unknown context key ${quote(key)}`,
    hint:
      near === undefined
        ? 'the schema of the platform layer declares the keys of each action'
        : `did you mean \`${near}\`?`,
  };
}

function withoutUndefined(record: Readonly<Record<string, JsonValue | undefined>>): JsonObject {
  const result: Record<string, JsonValue> = {};
  for (const [key, value] of Object.entries(record)) {
    if (value !== undefined) result[key] = value;
  }
  return result;
}
