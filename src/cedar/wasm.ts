/**
 * The only gateway to cedar-wasm. Invariants: no call throws, every answer is parsed before it is believed,
 * and an instance that trapped is never used again: after a stack overflow its memory is in an unknown state.
 */
import { createRequire } from 'node:module';
import { messageOf } from '../domain/errors.ts';
import type { JsonObject, JsonValue } from '../domain/json.ts';
import { findTextProblem, MAX_SCHEMA_TEXT } from './policy-text.ts';

/** An error or warning of cedar-wasm. `start` is an offset in UTF-8 bytes into the text it was given. */
export interface CedarMessage {
  readonly message: string;
  readonly help: string | undefined;
  readonly label: string | undefined;
  readonly start: number | undefined;
}

/** A message about one policy of a set. */
interface PolicyMessage extends CedarMessage {
  readonly policyId: string;
}

/** An answer: a value, or why there is none. `trapped` when cedar-wasm crashed instead of answering. */
export type Answer<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly trapped: boolean; readonly messages: readonly CedarMessage[] };

/** A policy as cedar-wasm takes it: Cedar text, or its JSON form (EST). */
export type PolicyInput = string | JsonObject;

/** Policies by id; ids are the keys, never the `@id` annotations. */
export interface PolicySetInput {
  readonly policies: Readonly<Record<string, PolicyInput>>;
  readonly templates?: Readonly<Record<string, PolicyInput>>;
  readonly links?: readonly {
    readonly templateId: string;
    readonly newId: string;
    readonly values: Readonly<Record<string, JsonObject>>;
  }[];
}

export interface SchemaAnswer {
  readonly json: Readonly<Record<string, unknown>>;
  readonly warnings: readonly CedarMessage[];
}

export interface ValidationFindings {
  readonly errors: readonly PolicyMessage[];
  readonly warnings: readonly PolicyMessage[];
}

export interface AuthorizationAnswer {
  readonly decision: 'allow' | 'deny';
  /** Determining policy ids, sorted: cedar-wasm returns them in random order. */
  readonly determining: readonly string[];
  /** Ids of policies that failed to evaluate, sorted. */
  readonly erroring: readonly string[];
}

interface UidArgument {
  readonly type: string;
  readonly id: string;
}

/** Arguments of an authorisation against a set and a schema that were registered before. Plain Cedar JSON. */
export interface AuthorizationCall {
  readonly principal: UidArgument;
  readonly action: UidArgument;
  readonly resource: UidArgument;
  readonly context: unknown;
  readonly entities: readonly unknown[];
  readonly policySet: string;
  readonly schema: string;
  readonly validateRequest: boolean;
}

type RawFunction = (...args: readonly unknown[]) => unknown;
type RawModule = ReadonlyMap<string, RawFunction>;

const MODULE = '@cedar-policy/cedar-wasm/nodejs';

/** What reads texts: cedar-wasm, or its recorded answers. */
export type CedarParser = Pick<CedarWasm, 'parseSchema' | 'parsePolicy' | 'parseTemplate'>;

/** One isolated instance of cedar-wasm, replaced by a fresh one after every trap. Loaded when it is first asked. */
export class CedarWasm {
  /** Undefined before the first call, and from a trap to the next call. */
  #module: RawModule | undefined;
  #traps = 0;

  /**
   * How often cedar-wasm crashed, and so how often the instance was replaced. Registered schemas and policy
   * sets are gone after each replacement: whoever registered them compares this number and does it again.
   */
  get traps(): number {
    return this.#traps;
  }

  /** Versions of the implementation and of the language, for log entries and /v1/status. */
  get versions(): { readonly sdk: string; readonly language: string } {
    return {
      sdk: String(this.#raw('getCedarVersion')()),
      language: String(this.#raw('getCedarLangVersion')()),
    };
  }

  /** The schema as JSON with every type name resolved. Cycles and undefined names are refused. */
  parseSchema(text: string): Answer<SchemaAnswer> {
    const hostile = refuseText(text, MAX_SCHEMA_TEXT);
    if (hostile !== undefined) return hostile;
    const checked = this.#call('checkParseSchema', [text], () => true);
    if (!checked.ok) return checked;
    return this.#call('schemaToJsonWithResolvedTypes', [text], answer => {
      const json = answer['json'];
      return isObject(json) ? { json, warnings: parseMessages(answer['warnings']) } : undefined;
    });
  }

  /** The EST of one static policy. */
  parsePolicy(text: string): Answer<JsonObject> {
    return refuseText(text) ?? this.#call('policyToJson', [text], parseEst);
  }

  /** The EST of one template. */
  parseTemplate(text: string): Answer<JsonObject> {
    return refuseText(text) ?? this.#call('templateToJson', [text], parseEst);
  }

  /** Cedar text of an EST. */
  printPolicy(est: JsonObject): Answer<string> {
    return this.#call('policyToText', [est], answer => asString(answer['text']));
  }

  /** The texts of a file's policies and templates, sorted by position as text: `policy10` before `policy2`. */
  splitText(
    text: string,
  ): Answer<{ readonly policies: readonly string[]; readonly templates: readonly string[] }> {
    return this.#call('policySetTextToParts', [text], answer => {
      const policies = asStrings(answer['policies']);
      const templates = asStrings(answer['policy_templates']);
      return policies === undefined || templates === undefined ? undefined : { policies, templates };
    });
  }

  /** Type-checks policies against a schema, strictly. Messages carry offsets into each policy's own text. */
  validate(schemaText: string, set: PolicySetInput): Answer<ValidationFindings> {
    const call = { schema: schemaText, policies: rawPolicySet(set), validationSettings: { mode: 'strict' } };
    return this.#call('validate', [call], answer => ({
      errors: parsePolicyMessages(answer['validationErrors']),
      warnings: [
        ...parsePolicyMessages(answer['validationWarnings']),
        ...parseMessages(answer['otherWarnings']).map(message => ({ ...message, policyId: '' })),
      ],
    }));
  }

  /** Registers a schema under a name. The same name again frees the earlier one. */
  registerSchema(name: string, text: string): Answer<true> {
    return this.#call('preparseSchema', [name, text], () => true);
  }

  /** Registers a policy set under a name. The same name again frees the earlier one; there is no removal. */
  registerPolicySet(name: string, set: PolicySetInput): Answer<true> {
    return this.#call('preparsePolicySet', [name, rawPolicySet(set)], () => true);
  }

  authorize(call: AuthorizationCall): Answer<AuthorizationAnswer> {
    const raw = {
      principal: call.principal,
      action: call.action,
      resource: call.resource,
      context: call.context,
      entities: call.entities,
      preparsedPolicySetId: call.policySet,
      preparsedSchemaName: call.schema,
      validateRequest: call.validateRequest,
    };
    return this.#call('statefulIsAuthorized', [raw], parseAuthorization);
  }

  #call<T>(
    name: string,
    args: readonly unknown[],
    parse: (answer: Readonly<Record<string, unknown>>) => T | undefined,
  ): Answer<T> {
    let answer: unknown;
    try {
      answer = this.#raw(name)(...args);
    } catch (error) {
      return this.#recover(error);
    }
    if (!isObject(answer)) return refused(`cedar-wasm gave no answer to ${name}`);
    if (answer['type'] !== 'success')
      return { ok: false, trapped: false, messages: parseMessages(answer['errors']) };
    const value = parse(answer);
    return value === undefined
      ? refused(`cedar-wasm gave an unexpected answer to ${name}`)
      : { ok: true, value };
  }

  /**
   * A call threw: a trap, JavaScript's stack running out inside WebAssembly, or an argument that could not be
   * read. All unwind through WebAssembly frames and leave its stack pointer wherever it was.
   */
  #recover(error: unknown): Answer<never> {
    this.#traps += 1;
    this.#module = undefined;
    const overflow = error instanceof RangeError || (error instanceof Error && error.name === 'RuntimeError');
    const message = overflow
      ? 'the Cedar engine ran out of stack: the policy or the data is nested too deeply'
      : `the Cedar engine failed: ${messageOf(error)}`;
    return { ok: false, trapped: true, messages: [plainMessage(message)] };
  }

  /** Loading compiles the WebAssembly module: 10 to 20 ms, and as much again for what a call is the first to use. */
  #raw(name: string): RawFunction {
    this.#module ??= instantiate();
    const found = this.#module.get(name);
    if (found === undefined) throw new Error(`cedar-wasm has no function ${name}`);
    return found;
  }
}

/** Evaluates the package afresh: its module instantiates WebAssembly when it is loaded, so it is kept out of the cache. */
function instantiate(): RawModule {
  const require = createRequire(import.meta.url);
  const path = require.resolve(MODULE);
  Reflect.deleteProperty(require.cache, path);
  const loaded: unknown = require(path);
  Reflect.deleteProperty(require.cache, path);
  if (!isObject(loaded)) throw new Error('cedar-wasm could not be loaded');
  return new Map(
    Object.entries(loaded).filter((entry): entry is [string, RawFunction] => isFunction(entry[1])),
  );
}

function refuseText(text: string, maxLength?: number): Answer<never> | undefined {
  const problem = findTextProblem(text, maxLength);
  if (problem === undefined) return undefined;
  const start = Buffer.byteLength(text.slice(0, problem.offset));
  const message = { message: problem.message, help: problem.hint, label: undefined, start };
  return { ok: false, trapped: false, messages: [message] };
}

function rawPolicySet(set: PolicySetInput): unknown {
  return { staticPolicies: set.policies, templates: set.templates ?? {}, templateLinks: set.links ?? [] };
}

function parseEst(answer: Readonly<Record<string, unknown>>): JsonObject | undefined {
  const json = answer['json'];
  return isJson(json) && isObject(json) ? json : undefined;
}

function parseAuthorization(answer: Readonly<Record<string, unknown>>): AuthorizationAnswer | undefined {
  const response = answer['response'];
  if (!isObject(response) || !isObject(response['diagnostics'])) return undefined;
  const decision = response['decision'];
  const determining = asStrings(response['diagnostics']['reason']);
  const errors = response['diagnostics']['errors'];
  if ((decision !== 'allow' && decision !== 'deny') || determining === undefined || !Array.isArray(errors)) {
    return undefined;
  }
  const erroring = asStrings(
    errors.map((error: unknown) => (isObject(error) ? error['policyId'] : undefined)),
  );
  if (erroring === undefined) return undefined;
  return { decision, determining: determining.sort(), erroring: erroring.sort() };
}

function refused(message: string): Answer<never> {
  return { ok: false, trapped: false, messages: [plainMessage(message)] };
}

function plainMessage(message: string): CedarMessage {
  return { message, help: undefined, label: undefined, start: undefined };
}

function parseMessages(raw: unknown): CedarMessage[] {
  if (!Array.isArray(raw)) return [plainMessage('cedar-wasm failed without a message')];
  return raw.flatMap((item: unknown) => [
    parseMessage(item),
    ...(isObject(item) && Array.isArray(item['related']) ? parseMessages(item['related']) : []),
  ]);
}

function parseMessage(raw: unknown): CedarMessage {
  if (!isObject(raw)) return plainMessage('cedar-wasm failed with an unreadable message');
  const locations: unknown = raw['sourceLocations'];
  const first: unknown = Array.isArray(locations) ? locations[0] : undefined;
  const start = isObject(first) ? first['start'] : undefined;
  return {
    message: asString(raw['message']) ?? 'unreadable message',
    help: asString(raw['help']),
    label: isObject(first) ? asString(first['label']) : undefined,
    start: typeof start === 'number' ? start : undefined,
  };
}

function parsePolicyMessages(raw: unknown): PolicyMessage[] {
  if (!Array.isArray(raw))
    return [{ ...plainMessage('cedar-wasm returned no list of findings'), policyId: '' }];
  return raw.map((item: unknown) => ({
    ...parseMessage(isObject(item) ? item['error'] : undefined),
    policyId: (isObject(item) ? asString(item['policyId']) : undefined) ?? '',
  }));
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isFunction(value: unknown): value is RawFunction {
  return typeof value === 'function';
}

function asString(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function asStrings(value: unknown): string[] | undefined {
  return Array.isArray(value) && value.every(item => typeof item === 'string') ? value : undefined;
}

/** Whether a value is plain JSON: answers of cedar-wasm are, and their depth is bounded by that of the policy. */
function isJson(value: unknown): value is JsonValue {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true;
  if (typeof value === 'number') return true;
  if (Array.isArray(value)) return value.every(isJson);
  return isObject(value) && Object.values(value).every(isJson);
}
