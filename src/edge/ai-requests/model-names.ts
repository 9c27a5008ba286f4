/**
 * The models that a request names, gathered from every place where an upstream or a proxy might read one.
 * Invariants: places that must name the same model do, or the request is refused; a name that one reader would
 * trim, fold or cut is no name.
 */
import type { JsonValue } from '../../domain/json.ts';
import { ID_PATTERN } from '../../domain/ids.ts';
import { refuse } from './ai-request.ts';
import { foldHeaderName, type HeaderList, NameClasses } from './header-list.ts';

/** Most models that one request may reach: batches name few, fallback lists fewer. */
export const MAX_MODELS = 32;

/** Names of query parameters that some server or proxy reads a model from, folded. */
const MODEL_PARAMETERS: ReadonlySet<string> = new Set([
  'model',
  'models',
  'modelid',
  'modelname',
  'deployment',
  'deploymentid',
  'deploymentname',
  'engine',
  'engineid',
  'fallback',
  'fallbacks',
  'targetmodel',
]);

/** Keys of JSON objects of which two cannot be told apart: with them, a duplicate is about the model. */
const MODEL_KEY = /model|fallback|deployment|lora/i;

/** Whether a key of a JSON object names models. */
export function isModelKey(key: string): boolean {
  return MODEL_KEY.test(key);
}

/** Gathers names; `resolve` says what they come to. */
export class ModelNames {
  #main: string | undefined;
  /** Other spellings of the main name that the upstream takes for the same model. */
  #spellings: ReadonlySet<string> = new Set();
  readonly #further = new Set<string>();
  /** Whether a place that upstreams of the dialect read has named the main one. */
  #isRead = false;

  /** The name as the path gives it, and how bodies may spell the same model. */
  bind(name: string, spellings: readonly string[] = []): void {
    this.name('the path', name);
    this.#spellings = new Set(spellings);
  }

  /** A place that must agree with all the others; absent and null name nothing. @throws RequestRefused */
  name(place: string, value: JsonValue | undefined): void {
    if (value === undefined || value === null) return;
    this.#isRead = true;
    this.#agree(place, checkedName(place, value));
  }

  /**
   * A place that some proxy may read: it must agree with the others, and alone it names nothing, because the upstream
   * may then take a model of its own choice. @throws RequestRefused
   */
  mention(place: string, value: JsonValue): void {
    this.#agree(place, checkedName(place, value));
  }

  #agree(place: string, name: string): void {
    if (this.#main === undefined) this.#main = name;
    else if (this.#main !== name && !this.#spellings.has(name)) {
      refuse('MODEL_AMBIGUOUS', `${place} names another model than the rest of the request`);
    }
  }

  /** One more model that the request reaches: that of a member of a batch. @throws RequestRefused */
  add(place: string, value: JsonValue): void {
    this.#isRead = true;
    this.alternative(place, value);
  }

  /**
   * One more model that the request may reach: a fallback, a member of a list. Alone it names nothing, because an
   * upstream that does not know such lists takes a model of its own choice. @throws RequestRefused
   */
  alternative(place: string, value: JsonValue): void {
    this.#further.add(checkedName(place, value));
    if (this.#further.size > MAX_MODELS) {
      refuse('INPUT_REJECTED', `the request names more than ${MAX_MODELS} models`);
    }
  }

  /** @param bound the only model behind the gateway's route, when the operator named one. */
  resolve(bound: string | undefined, allowSeveral: boolean): readonly string[] {
    if (bound !== undefined) this.name('the only model of the route (`hosts`)', bound);
    const names = new Set(this.#main === undefined ? [] : [this.#main]);
    for (const name of this.#further) if (!this.#spellings.has(name)) names.add(name);
    if (names.size === 0) refuse('MODEL_UNKNOWN', 'the request names no model');
    if (this.#main !== undefined && !this.#isRead) {
      refuse(
        'MODEL_UNKNOWN',
        'only a header or the query names a model, where the upstream need not read it',
      );
    }
    if (names.size > 1 && !allowSeveral) {
      refuse('MODEL_AMBIGUOUS', `the request names ${names.size} models, and may name one`);
    }
    if (!this.#isRead) {
      refuse('MODEL_UNKNOWN', 'only a list of alternatives names a model, which the upstream need not read');
    }
    return [...names];
  }
}

function checkedName(place: string, value: JsonValue): string {
  if (typeof value !== 'string') refuse('INPUT_REJECTED', `the model in ${place} is not a string`);
  if (!ID_PATTERN.test(value)) {
    refuse(
      'INPUT_REJECTED',
      `the model in ${place} is not 1 to 256 printable ASCII characters without spaces`,
    );
  }
  return value;
}

/** Names of query parameters, folded, by which some server takes another method or other headers. */
const OVERRIDING_PARAMETER = /^(?:x?http)?method(?:override)?$|^httpheaders$/;
/** The parameter of Google's APIs that stands for `x-goog-user-project`, folded. */
const ACCOUNT_PARAMETER = 'userproject';

/**
 * Query parameters in which a model may stand, whatever the dialect.
 * @param read names, as they are written, in which the upstream of the dialect reads it.
 * @param namesAccounts whether clients may choose who pays. @throws RequestRefused
 */
export function readParameterModels(
  parameters: readonly (readonly [name: string, value: string])[],
  models: ModelNames,
  read: readonly string[],
  namesAccounts: boolean,
): void {
  for (const [name, value] of parameters) {
    const folded = name.toLowerCase().replaceAll(/[^a-z]/g, '');
    if (OVERRIDING_PARAMETER.test(folded) && name !== 'method') {
      refuse('INPUT_REJECTED', 'a query parameter would change the method or the headers');
    }
    if (folded === ACCOUNT_PARAMETER && !namesAccounts) {
      refuse('INPUT_REJECTED', 'a query parameter would change who pays');
    }
    if (!MODEL_PARAMETERS.has(folded)) continue;
    if (read.includes(name)) models.name('the query', value);
    else models.mention('the query', value);
  }
}

/** Headers by which requests change method, path or upstream somewhere behind the gateway. */
export const OVERRIDES: ReadonlySet<string> = new Set([
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-original-url',
  'x-rewrite-url',
  'x-forwarded-prefix',
  'helicone-target-url',
  'helicone-fallbacks',
  'helicone-openai-api-base',
  // another revision of a service, or another host, behind the same route
  'knative-serving-tag',
  'knative-serving-revision',
  'knative-serving-namespace',
  'x-envoy-original-dst-host',
  // one call that was decided becomes several: Envoy obeys them from clients that it takes for internal ones
  'x-envoy-retry-on',
  'x-envoy-retry-grpc-on',
  'x-envoy-max-retries',
  'x-envoy-hedge-on-per-try-timeout',
]);
/** Headers by which clients choose who pays for a call: a project, an organisation, a customer of a proxy. */
export const ACCOUNTS: ReadonlySet<string> = new Set([
  'openai-organization',
  'openai-project',
  'x-goog-user-project',
  'x-hf-bill-to',
  'x-litellm-tags',
  'x-litellm-customer-id',
  'x-litellm-end-user-id',
]);
/** Portkey takes its whole routing from the client; these two headers alone change none. */
const PORTKEY = /^x-portkey-(?!trace-id$|metadata$)/;
/** With `adapter` those of SageMaker, by which vLLM replaces the model of the body. */
const MODEL_HEADER =
  /(?:^|-)(?:v?models?|modelid|modelname|deployment|fallbacks?)(?:-|$)|(?:^|-)adapter(?:-(?:id|identifier|alias|name))?$/;
const UPSTREAM_HEADER = /(?:^|-)(?:target|upstream|custom|api|base)-(?:url|base|host|uri)$/;

/** Headers in which a model may stand, and those that may not be there at all. */
export class HeaderModels {
  readonly #classes = new NameClasses(classOfHeader);
  readonly #namesAccounts: boolean;

  /** @param namesAccounts whether clients may choose who pays. */
  constructor(namesAccounts: boolean) {
    this.#namesAccounts = namesAccounts;
  }

  /** @param taken headers that the dialect reads by itself. @throws RequestRefused */
  read(headers: HeaderList, models: ModelNames, taken: readonly string[]): void {
    for (const name of headers.names()) {
      const kind = this.#classes.of(name);
      if (kind === 'other' || (kind === 'account' && this.#namesAccounts)) continue;
      if (kind === 'account') refuse('INPUT_REJECTED', `the header \`${name}\` would change who pays`);
      if (kind === 'override') {
        refuse('INPUT_REJECTED', `the header \`${name}\` would change where the request goes`);
      }
      if (kind === 'alias') {
        refuse('INPUT_REJECTED', `the header \`${name}\` could be taken for one that says what is asked`);
      }
      if (taken.includes(name)) continue;
      for (const value of headers.all(name)) models.mention(`the header \`${name}\``, value);
    }
  }
}

/** Headers that the dialects read: a lax reader takes another spelling for them, too. */
const READ_HEADER =
  /^(?:content-(?:type|encoding|length)|transfer-encoding|inference-header-content-length|(?:mcp|x-amzn-(?:bedrock|sagemaker))-.+)$/;

function classOfHeader(name: string): 'override' | 'account' | 'alias' | 'model' | 'other' {
  const folded = foldHeaderName(name);
  if (folded !== name && READ_HEADER.test(folded)) return 'alias';
  if (OVERRIDES.has(folded) || PORTKEY.test(folded) || UPSTREAM_HEADER.test(folded)) return 'override';
  if (ACCOUNTS.has(folded)) return 'account';
  return MODEL_HEADER.test(folded) ? 'model' : 'other';
}
