/**
 * From a gateway's description of a request to what it asks of a model. Invariants: pure and total, bounded in
 * time by the size of the request; what comes out names only models that the request itself, or the operator's
 * route, names.
 */
import type { JsonObject } from '../../domain/json.ts';
import { isJsonObject } from '../../domain/decision-request.ts';
import {
  type AiOutputs,
  type AiParams,
  type AiRequest,
  type GatewayBody,
  type GatewayRequest,
  refuse,
  RequestRefused,
  type Understanding,
} from './ai-request.ts';
import { BodyKeys } from './body-keys.ts';
import { contentTypeOf, decodeBody } from './content.ts';
import type { DialectRow } from './dialect.ts';
import { fillTemplate } from './dialect.ts';
import type { DialectFamily } from '../../domain/pep-profile.ts';
import { DialectTable, modelOfPath, type RowMatch } from './dialect-table.ts';
import { Facts, has } from './facts.ts';
import { type HeaderList, MAX_HEADERS, RepeatedHeader } from './header-list.ts';
import { classOfType } from './input-classes.ts';
import { parseBodyJson } from './json-text.ts';
import { type McpEndpoint, readMcp } from './mcp.ts';
import { HeaderModels, isModelKey, readParameterModels } from './model-names.ts';
import { parseMultipart } from './multipart.ts';
import { checkSettings } from './nested-settings.ts';
import { parseTarget, type RequestTarget } from './request-target.ts';

/** What a gateway's route speaks. */
export interface ReaderOptions {
  /** Families that are understood; of two that claim a path, the first has it. */
  readonly dialects: readonly DialectFamily[];
  /** Path before the paths of the dialects, such as `/anthropic`; empty for none. */
  readonly pathPrefix: string;
  readonly mcp: readonly McpEndpoint[];
  /** Whether a request may name several models, each of which the caller then decides. */
  readonly allowsSeveralModels: boolean;
  /** Whether clients may choose who pays: project, organisation, region. */
  readonly namesAccounts: boolean;
}

/** Bytes of text that one token stands for at least, in most texts: an estimate that errs upwards. */
const BYTES_PER_TOKEN = 3;
/** What a large image costs, in tokens, with the providers that say so. */
const TOKENS_PER_IMAGE = 1600;
/** Bytes of other media per token: audio of 16 kB a second at some 100 tokens. */
const MEDIA_BYTES_PER_TOKEN = 160;

/** What holds of a body of unknown length, too: it may have been cut. */
const PARTIAL =
  'the body was not shown whole: it is larger than the gateway sends or than `maxBodyBytes` of its profile, or does not declare its length (`Content-Length`)';

/** Reads the requests of one gateway route. */
export class AiRequestReader {
  readonly #options: ReaderOptions;
  readonly #table: DialectTable;
  readonly #keys: BodyKeys;
  readonly #headerModels: HeaderModels;

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.#table = new DialectTable(options.dialects);
    this.#keys = new BodyKeys(options.namesAccounts);
    this.#headerModels = new HeaderModels(options.namesAccounts);
  }

  /** @param boundModel the only model behind the route, when the operator named one. */
  read(request: GatewayRequest, boundModel?: string): Understanding {
    let dialect: string | undefined;
    try {
      const endpoint = this.#endpointOf(request.target);
      const target = parseTarget(request.target, endpoint?.path.endsWith('/'));
      if (request.headers.size > MAX_HEADERS) refuse('INPUT_REJECTED', `more than ${MAX_HEADERS} headers`);
      if (endpoint !== undefined) {
        dialect = 'mcp';
        return { understood: true, request: this.#readMcp(request, target, endpoint) };
      }
      const match = this.#match(request, target);
      dialect = match.row.dialect;
      return { understood: true, request: this.#readRow(request, target, match, boundModel) };
    } catch (error) {
      if (error instanceof RequestRefused) return { understood: false, refusal: error.refusal, dialect };
      if (!(error instanceof RepeatedHeader)) throw error;
      return { understood: false, refusal: { code: 'INPUT_REJECTED', message: error.message }, dialect };
    }
  }

  #endpointOf(target: string): McpEndpoint | undefined {
    const path = target.split('?', 1)[0];
    return this.#options.mcp.find(endpoint => endpoint.path === path);
  }

  #match({ method }: GatewayRequest, { segments }: RequestTarget): RowMatch {
    const prefix = this.#options.pathPrefix === '' ? [] : this.#options.pathPrefix.slice(1).split('/');
    const isBelow = prefix.every((segment, at) => segments[at] === segment);
    const match = isBelow ? this.#table.find(method, segments.slice(prefix.length)) : undefined;
    if (match === undefined) {
      refuse('MODEL_UNKNOWN', 'no dialect that this gateway may send has such a request');
    }
    if (match.row.hides !== undefined) refuse('MODEL_UNKNOWN', match.row.hides);
    return match;
  }

  #readRow(
    request: GatewayRequest,
    target: RequestTarget,
    match: RowMatch,
    boundModel: string | undefined,
  ): AiRequest {
    const { row, parts } = match;
    const facts = new Facts(this.#keys);
    requireParts(row, parts);
    const named = row.model?.includes('{body}') === true ? undefined : modelOfPath(match);
    const model = named === undefined ? undefined : named + selectorOf(row, request.headers);
    if (model !== undefined) {
      facts.models.bind(
        model,
        (row.spellings ?? []).map(spelling => fillTemplate(spelling, parts)),
      );
    }
    const refused = row.refusedParameters ?? [];
    if (target.parameters.some(([name]) => refused.includes(name.toLowerCase()))) {
      refuse('MODEL_UNKNOWN', 'a query parameter leads to a model that the request does not name');
    }
    readParameterModels(target.parameters, facts.models, row.parameters ?? [], this.#options.namesAccounts);
    requireNoTunnel(request.headers, row.takesWebSocket === true);
    for (const one of row.classes ?? []) facts.classes.add(one);
    this.#headerModels.read(request.headers, facts.models, Object.keys(row.selectors ?? {}));
    row.readHead?.({ headers: request.headers, parameters: target.parameters }, facts);
    const inputBytes = readBody(request, row, facts);
    const models = facts.models
      .resolve(boundModel, this.#options.allowsSeveralModels)
      .map(name => (named === undefined && row.model !== undefined ? placed(row, parts, name) : name));
    if (models.some(hidesModel)) refuse('MODEL_UNKNOWN', 'a stored prompt decides about the model');
    return describe(row.dialect, facts.operation ?? row.operation, models, facts, inputBytes, row.stream);
  }

  #readMcp(request: GatewayRequest, { parameters }: RequestTarget, endpoint: McpEndpoint): AiRequest {
    const facts = new Facts(this.#keys);
    readParameterModels(parameters, facts.models, [], this.#options.namesAccounts);
    requireNoTunnel(request.headers, false);
    this.#headerModels.read(request.headers, facts.models, []);
    let inputBytes = 0;
    const decoded = (): Uint8Array => {
      const bytes = decodeWhole(request.body, request.headers);
      inputBytes = bytes.byteLength;
      requireJson(request.headers, true);
      return bytes;
    };
    const dialect = readMcp(request.method, request.headers, request.body, decoded, endpoint, facts);
    return describe(dialect, 'callTool', [], facts, inputBytes, false);
  }
}

/** The part of an endpoint that a header selects: `/name`. */
function selectorOf({ selectors = {} }: DialectRow, headers: HeaderList): string {
  const given = Object.entries(selectors).flatMap(([name, kind]) =>
    headers.all(name).map(value => ({ kind, value })),
  );
  if (given.length > 1) refuse('MODEL_AMBIGUOUS', 'more than one header selects a part of the endpoint');
  const [selected] = given;
  if (selected === undefined) return '';
  if (Object.values(selectors).some(kind => kind !== '' && selected.value.startsWith(kind))) {
    refuse('INPUT_REJECTED', 'what a header selects is written like a part of another kind');
  }
  return `/${selected.kind}${selected.value}`;
}

/** @throws RequestRefused when a part of the path is not of the form that the row demands */
function requireParts({ partRules = {} }: DialectRow, parts: ReadonlyMap<string, string>): void {
  for (const [name, [form, message]] of Object.entries(partRules)) {
    const part = parts.get(name);
    if (part !== undefined && !form.test(part)) refuse('INPUT_REJECTED', message);
  }
}

/** What follows an upgrade on the same connection is asked of nobody. */
function requireNoTunnel(headers: HeaderList, takesWebSocket: boolean): void {
  const [protocol, ...others] = headers.all('upgrade');
  if (protocol === undefined || (takesWebSocket && others.length === 0 && /^websocket$/i.test(protocol)))
    return;
  refuse(
    'INPUT_REJECTED',
    'the request asks for another protocol (`Upgrade`), whose requests nobody would decide',
  );
}

/** A name of the body, below the place that the path gives. */
function placed(row: DialectRow, parts: ReadonlyMap<string, string>, name: string): string {
  return fillTemplate(row.model ?? '', new Map([...parts, ['body', name]]));
}

/** An ARN of a stored prompt: the prompt names the real model. */
function hidesModel(name: string): boolean {
  return /^arn:[^/]*:prompt\//.test(name);
}

/** @returns bytes of the decoded body. */
function readBody({ body, headers }: GatewayRequest, row: DialectRow, facts: Facts): number {
  const { kind } = row.body;
  if (kind === 'none') return 0;
  if (kind === 'empty') return requireEmpty(body, headers);
  if (kind === 'opaque') {
    if (body.kind === 'partial') refuse('BODY_INCOMPLETE', PARTIAL);
    const type = contentTypeOf(headers)?.type;
    facts.media(type === undefined ? 'unknown' : classOfType(type));
    const size = body.kind === 'whole' ? body.bytes.byteLength : declaredLength(headers);
    facts.mediaBytes = size;
    return size;
  }
  const bytes = decodeWhole(body, headers);
  if (row.body.kind === 'form') {
    const parts = parseMultipart(bytes, contentTypeOf(headers));
    row.body.read(row.bodyModel === 'ignored' ? parts.filter(({ name }) => name !== 'model') : parts, facts);
  } else if (row.body.kind === 'json') {
    requireJson(headers, false);
    const value = readObject(bytes);
    facts.check(value, new Set(row.modelKeys));
    checkSettings(value);
    if (row.bodyModel === 'mentioned' && has(value, 'model')) {
      const model = value['model'] ?? null;
      if (typeof model !== 'string' || row.anyModels?.includes(model) !== true) {
        facts.models.mention('the body', model);
      }
    }
    row.body.read(row.bodyModel === undefined ? value : { ...value, model: null }, facts);
  } else if (row.body.kind === 'bytes') row.body.read(bytes, facts, headers);
  return bytes.byteLength;
}

function decodeWhole(body: GatewayBody, headers: HeaderList): Uint8Array {
  if (body.kind === 'partial') refuse('BODY_INCOMPLETE', PARTIAL);
  if (body.kind === 'unseen') {
    refuse('BODY_INCOMPLETE', 'what this request asks stands in its body, which the gateway does not send');
  }
  return decodeBody(body.bytes, headers);
}

/** A body that is not shown has a type: servers that look into it are told by it. */
function requireEmpty(body: GatewayBody, headers: HeaderList): number {
  const isEmpty = body.kind === 'whole' ? body.bytes.byteLength === 0 : body.kind === 'unseen';
  if (!isEmpty || contentTypeOf(headers) !== undefined) {
    refuse('INPUT_REJECTED', 'this operation is described by its query, and takes no body');
  }
  return 0;
}

/** Without a body, the length that the client declared. */
function declaredLength(headers: HeaderList): number {
  const text = headers.single('content-length') ?? '0';
  return /^\d{1,15}$/.test(text) ? Number(text) : refuse('INPUT_REJECTED', '`Content-Length` is no number');
}

/** A missing type passes, because gateways lose it: the body must be JSON all the same. */
function requireJson(headers: HeaderList, isNeeded: boolean): void {
  const type = contentTypeOf(headers)?.type;
  if (type === undefined && !isNeeded) return;
  if (type === undefined || !/^application\/(?:json|[a-z0-9.-]+\+json)$/.test(type)) {
    refuse('INPUT_REJECTED', 'the `Content-Type` is not JSON, which this operation takes');
  }
}

function readObject(bytes: Uint8Array): JsonObject {
  if (bytes.byteLength === 0) refuse('BODY_INCOMPLETE', 'the body is empty');
  const value = parseBodyJson(bytes, isModelKey);
  return isJsonObject(value) ? value : refuse('BODY_UNREADABLE', 'the body is no JSON object');
}

function describe(
  dialect: string,
  operation: AiRequest['operation'],
  models: readonly string[],
  facts: Facts,
  inputBytes: number,
  isStreamByPath: boolean | undefined,
): AiRequest {
  const stream = (isStreamByPath ?? false) || (facts.stream ?? false);
  if (!facts.isBatch) facts.endRequest();
  const outputs = facts.outputs.sum;
  return {
    dialect,
    operation,
    models,
    inputClasses: [...facts.classes].sort(),
    inputBytes,
    tokenEstimate: { tokens: estimateTokens(facts, inputBytes), isEstimate: true },
    params: paramsOf(facts, outputs, stream),
    outputs,
    tools: facts.tools,
    stream,
  };
}

function paramsOf({ temperature, topP }: Facts, { largest }: AiOutputs, stream: boolean): AiParams {
  return {
    ...(largest === undefined ? {} : { maxOutputTokens: largest }),
    stream,
    ...(temperature === undefined ? {} : { temperature }),
    ...(topP === undefined ? {} : { topP }),
  };
}

function estimateTokens({ mediaBytes, otherMediaBytes, images }: Facts, inputBytes: number): number {
  const textBytes = Math.max(0, inputBytes - mediaBytes);
  const others = images > 0 ? otherMediaBytes : mediaBytes;
  const media = images * TOKENS_PER_IMAGE + Math.ceil(others / MEDIA_BYTES_PER_TOKEN);
  return Math.ceil(textBytes / BYTES_PER_TOKEN) + media;
}
