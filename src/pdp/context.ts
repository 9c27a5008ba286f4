/**
 * The Cedar context of a request: known fields, defaults, and further keys that the schema declares.
 * Invariant: no key reaches Cedar unparsed, and a key that no asked check declares is a 400, never ignored.
 */
import { child, parseAttribute, quote } from '../cedar/data.ts';
import { timestamp } from '../domain/clock.ts';
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

/** What a request without `auth`, `input` or `params` has in their place. */
const DEFAULTS: ReadonlyMap<string, JsonObject> = new Map([
  ['auth', { method: 'asserted', assurance: 0, scopes: [] }],
  ['input', { classes: [], modality: 'text', tokens: 0 }],
  ['params', { maxOutputTokens: 0, stream: false }],
]);

/** What a context takes besides the request. */
export interface ContextFacts {
  /** Milliseconds since the epoch: `context.now`, which the service wrote itself and need not parse. */
  readonly now: number;
  /** `context.env` of a request that names none. */
  readonly defaultEnv: string;
}

/**
 * Contexts of the planned checks, in their order. Keys that checks share are parsed once, since the schema
 * interns equal types.
 * @throws AppError INVALID_REQUEST naming every bad, missing or undeclared key.
 */
export function buildContexts(
  planner: Planner,
  checks: readonly PlannedCheck[],
  request: DecisionRequest,
  facts: ContextFacts,
): readonly RecordValue[] {
  const parser = new ContextParser(planner, request, facts);
  if (request.context !== undefined) refuseUndeclared(request.context, checks, parser.problems);
  // a key that does not belong there is told before its value is looked at
  const contexts: RecordValue[] = [];
  if (parser.problems.length === 0) for (const check of checks) contexts.push(parser.build(check));
  const { problems } = parser;
  if (problems.length > 0) {
    throw new AppError('INVALID_REQUEST', detailOf(problems), { problems });
  }
  return contexts;
}

/** The first problem with its place, which `errors` has for programs. */
function detailOf([first]: readonly Problem[]): string {
  if (first === undefined) return 'the context is malformed';
  const { pointer = '', message } = first;
  return message.startsWith('this ') ? `\`${pointer}\` ${message.slice(5)}` : message;
}

/** Parses context attributes, remembering by slot what it parsed within one request. */
class ContextParser {
  readonly problems: Problem[] = [];
  readonly #request: DecisionRequest;
  readonly #facts: ContextFacts;
  /** By slot: the value, undefined when there is none, null while it was not asked for. */
  readonly #parsed: (Value | undefined | null)[];
  readonly #defaults: Map<number, Value>;
  /** The context of the last check that had no keys of its own, and its keys. */
  #last: RecordValue | undefined;
  #lastKeys: readonly ContextKey[] | undefined;

  constructor(planner: Planner, request: DecisionRequest, facts: ContextFacts) {
    this.#request = request;
    this.#facts = facts;
    this.#parsed = planner.unparsed.slice();
    this.#defaults = planner.defaultValues;
  }

  build(check: PlannedCheck): RecordValue {
    const { contextKeys, extra } = check;
    if (extra !== NO_EXTRA) return this.#build(check);
    if (this.#last === undefined || this.#lastKeys !== contextKeys) {
      this.#last = this.#build(check);
      this.#lastKeys = contextKeys;
    }
    return this.#last;
  }

  #build(check: PlannedCheck): RecordValue {
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
    if (value === undefined && required && this.#given(key) === undefined) this.#report(missing(key, check));
    return value;
  }

  #parse(contextKey: ContextKey): Value | undefined {
    const { key, slot, type } = contextKey;
    if (key === 'now' && type.kind === 'extension' && type.name === 'datetime') {
      return new DatetimeValue(this.#facts.now);
    }
    const given = key === 'auth' ? this.#auth(type) : this.#given(key);
    if (given === undefined) return undefined;
    if (given !== DEFAULTS.get(key)) return parseAttribute(type, given, pointerOf(key), this.problems);
    let value = this.#defaults.get(slot);
    if (value === undefined) {
      value = parseAttribute(type, given, pointerOf(key), this.problems);
      if (value !== undefined) this.#defaults.set(slot, value);
    }
    return value;
  }

  /** A schema that does not declare `auth.mode` is not given it: it was made before there was a mode. */
  #auth(type: ContextKey['type']): JsonValue | undefined {
    const { auth } = this.#request;
    if (auth?.mode === undefined || (type.kind === 'record' && type.attributes.has('mode'))) {
      return this.#given('auth');
    }
    return withoutUndefined({ ...auth, mode: undefined });
  }

  /** The JSON under a key, as the request or the service has it. */
  #given(key: string): JsonValue | undefined {
    const { auth, input, onBehalfOf, params, via } = this.#request;
    switch (key) {
      case 'now':
        return timestamp(this.#facts.now);
      case 'auth':
        return auth === undefined ? DEFAULTS.get(key) : withoutUndefined(auth);
      case 'input':
        return input === undefined ? DEFAULTS.get(key) : inputOf(input);
      case 'params':
        return params === undefined ? DEFAULTS.get(key) : paramsOf(params);
      case 'onBehalfOf':
        return onBehalfOf;
      case 'via':
        return via;
      default:
        return this.#declared(key);
    }
  }

  #declared(key: string): JsonValue | undefined {
    const { context } = this.#request;
    const given = context !== undefined && Object.hasOwn(context, key) ? context[key] : undefined;
    return given === undefined && key === 'env' ? this.#facts.defaultEnv : given;
  }

  #report(problem: Problem): void {
    if (!this.problems.some(known => known.pointer === problem.pointer)) this.problems.push(problem);
  }
}

/** Whether no member is undefined: as a rule, since members that a request leaves out are absent. */
function isWhole(record: Readonly<Record<string, JsonValue | undefined>>): record is JsonObject {
  for (const key in record) if (record[key] === undefined) return false;
  return true;
}

function inputOf({ classes, modality, tokens }: NonNullable<DecisionRequest['input']>): JsonObject {
  return { classes: classes ?? [], modality: modality ?? 'text', tokens: tokens ?? 0 };
}

function paramsOf({ maxOutputTokens, stream }: NonNullable<DecisionRequest['params']>): JsonObject {
  return { maxOutputTokens: maxOutputTokens ?? 0, stream: stream ?? false };
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
  if (isWhole(record)) return record;
  const result: Record<string, JsonValue> = {};
  for (const [key, value] of Object.entries(record)) {
    if (value !== undefined) result[key] = value;
  }
  return result;
}
