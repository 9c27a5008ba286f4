/**
 * The Gemini API and Vertex AI. Both read JSON as protobuf does: every key in camel case and in snake case.
 * Invariant: a body that uses both spellings of one key is refused.
 */
import { isJsonObject } from '../../../domain/decision-request.ts';
import type { JsonObject, JsonValue } from '../../../domain/json.ts';
import { type Operation, refuse } from '../ai-request.ts';
import type { BodyReader, DialectRow } from '../dialect.ts';
import {
  countAt,
  type Facts,
  flagAt,
  has,
  numberAt,
  objectAt,
  objectsAt,
  promptsIn,
  textAt,
} from '../facts.ts';
import { readInstances, readKeyedPart, readTexts, readTypedContent } from '../input-classes.ts';
import { readMessage } from './anthropic.ts';
import { destinationOf, nameOfServer, placeOf } from '../tools.ts';
import { OPENAI_MODEL_KEYS, openAiRows, readChat } from './openai.ts';

const MODEL: ReadonlySet<string> = new Set(['model']);
/** Verbs of models with the operation, the reader and whether the answer is a stream. */
const VERBS: readonly (readonly [verb: string, operation: Operation, read: BodyReader, stream: boolean])[] = [
  ['generateContent', 'generate', readGenerate, false],
  ['streamGenerateContent', 'generate', readGenerate, true],
  ['countTokens', 'generate', readCount, false],
  ['embedContent', 'embed', readEmbed, false],
  ['batchEmbedContents', 'embed', readBatchEmbed, false],
  ['batchGenerateContent', 'batch', readBatch, false],
  ['predict', 'predict', readPredict, false],
  ['predictLongRunning', 'predict', readPredict, false],
];
const VERTEX_VERBS: typeof VERBS = [
  ...VERBS,
  ['rawPredict', 'generate', readRaw, false],
  ['streamRawPredict', 'generate', readRaw, true],
  ['serverStreamingPredict', 'predict', readPredict, true],
  ['explain', 'predict', readPredict, false],
];

export function geminiRows(): DialectRow[] {
  const rows: DialectRow[] = [];
  for (const version of ['v1', 'v1beta', 'v1alpha']) {
    for (const collection of ['models', 'tunedModels']) {
      const model = collection === 'models' ? '{model}' : 'tunedModels/{model}';
      rows.push(
        ...verbRows('gemini', `/${version}/${collection}/{model}`, model, VERBS, [`${collection}/{model}`]),
      );
      rows.push({
        dialect: 'gemini.model',
        methods: ['GET'],
        path: `/${version}/${collection}/{model}`,
        operation: 'invoke',
        body: { kind: 'none' },
        model,
      });
    }
    rows.push({
      dialect: 'gemini.interactions',
      methods: ['POST'],
      path: `/${version}/interactions`,
      operation: 'generate',
      body: { kind: 'json', read: readInteraction },
      modelKeys: ['model'],
    });
    rows.push(...openAiRows('gemini.openai', `/${version}/openai`).filter(isCompatible));
  }
  return rows;
}

export function vertexRows(): DialectRow[] {
  const rows: DialectRow[] = [];
  for (const version of ['v1', 'v1beta1']) {
    const place = 'projects/{project}/locations/{location}';
    for (const [path, short] of [
      ['publishers/{publisher}/models/{model}', ['{model}', 'publishers/{publisher}/models/{model}']],
      ['endpoints/{model}', ['endpoints/{model}']],
    ] as const) {
      const name = `${place}/${path}`;
      rows.push(...verbRows('vertex', `/${version}/${name}`, name, VERTEX_VERBS, short));
    }
    rows.push({
      dialect: 'vertex.openai-chat',
      methods: ['POST'],
      path: `/${version}/${place}/endpoints/openapi/chat/completions`,
      operation: 'generate',
      body: { kind: 'json', read: readChat },
      modelKeys: OPENAI_MODEL_KEYS,
      model: `${place}/endpoints/openapi/{body}`,
    });
    rows.push({
      dialect: 'vertex.batch',
      methods: ['POST'],
      path: `/${version}/${place}/batchPredictionJobs`,
      operation: 'batch',
      body: { kind: 'json', read: readJob },
      modelKeys: ['model'],
    });
  }
  return rows;
}

/** What Gemini serves of the OpenAI API. */
function isCompatible({ dialect }: DialectRow): boolean {
  return /\.(?:chat|embeddings|images|model)$/.test(dialect);
}

function verbRows(
  family: string,
  path: string,
  model: string,
  verbs: typeof VERBS,
  spellings: readonly string[],
): DialectRow[] {
  return verbs.map(([verb, operation, read, stream]) => ({
    dialect: `${family}.${verb}`,
    methods: ['POST'],
    path: `${path}:${verb}`,
    operation,
    body: { kind: 'json', read },
    model,
    spellings,
    modelKeys: ['model'],
    stream,
  }));
}

/** The member under either spelling of its key. @throws RequestRefused when both stand there */
function either(body: JsonObject, camel: string): [key: string, value: JsonValue | undefined] {
  const snake = camel.replaceAll(/[A-Z]/g, letter => `_${letter.toLowerCase()}`);
  if (snake !== camel && Object.hasOwn(body, camel) && Object.hasOwn(body, snake)) {
    refuse('BODY_UNREADABLE', `the body has both \`${camel}\` and \`${snake}\``);
  }
  return Object.hasOwn(body, camel) ? [camel, body[camel]] : [snake, body[snake]];
}

function readGenerate(body: JsonObject, facts: Facts): void {
  facts.models.name('the body', body['model']);
  const [, system] = either(body, 'systemInstruction');
  if (isJsonObject(system)) readContent(system, facts);
  else readTexts(system, facts);
  const contents = body['contents'];
  if (isJsonObject(contents)) readContent(contents, facts);
  else for (const content of objectsAt(body, 'contents')) readContent(content, facts);
  if (either(body, 'cachedContent')[1] !== undefined) {
    // a cache brings instructions and tools of its own, which nobody here sees
    facts.classes.add('stored');
    facts.tool('server', 'cachedContent');
  }
  for (const tool of objectsAt(body, 'tools')) readTool(tool, facts);
  const [key] = either(body, 'generationConfig');
  const config = objectAt(body, key);
  if (config !== undefined) readConfig(config, facts);
}

function readContent(content: JsonObject, facts: Facts): void {
  facts.check(content);
  const parts = content['parts'];
  if (isJsonObject(parts)) readPart(parts, facts);
  else for (const part of objectsAt(content, 'parts')) readPart(part, facts);
}

function readPart(part: JsonObject, facts: Facts): void {
  facts.check(part);
  readKeyedPart(part, facts);
}

/** A tool is an object of which each key is a tool of the upstream, functions of the client aside. */
function readTool(tool: JsonObject, facts: Facts): void {
  facts.check(tool);
  const [functions] = either(tool, 'functionDeclarations');
  const [servers] = either(tool, 'mcpServers');
  for (const key of Object.keys(tool)) {
    if (key === servers) {
      for (const server of objectsAt(tool, key)) readServer(server, facts);
    } else if (key !== functions) {
      facts.checkNested(tool[key] ?? null);
      readOwnTool(camelCase(key), objectAt(tool, key) ?? {}, facts);
    } else for (const declared of objectsAt(tool, key)) facts.tool('function', declared['name']);
  }
}

/**
 * A tool of the upstream. A retrieval over the API of somebody is decided by where that is; one over what the upstream holds is
 * `stored`.
 */
function readOwnTool(name: string, settings: JsonObject, facts: Facts): void {
  facts.check(settings);
  const external = name === 'retrieval' ? objectAt(settings, either(settings, 'externalApi')[0]) : undefined;
  if (name === 'fileSearch' || (name === 'retrieval' && external === undefined)) facts.classes.add('stored');
  if (external === undefined) {
    facts.tool('server', name);
    return;
  }
  if (Object.keys(settings).some(key => /^(?:vertex|rag)/.test(key))) {
    refuse('INPUT_REJECTED', 'a retrieval has more than one source');
  }
  const elastic = objectAt(external, either(external, 'elasticSearchParams')[0]);
  const index = elastic === undefined ? undefined : textAt(elastic, 'index');
  facts.tool('server', `retrieval:${placeOf(external, external, index === undefined ? [] : [index])}`);
}

/** A remote server of tools, whose name is the client's: its URL tells what it is. */
function readServer(server: JsonObject, facts: Facts): void {
  facts.checkNested(server);
  const transport = objectAt(server, either(server, 'streamableHttpTransport')[0]);
  if (transport !== undefined && has(server, 'url')) {
    refuse('INPUT_REJECTED', 'a server of tools is not at exactly one place');
  }
  facts.tool('mcp', nameOfServer(transport ?? server, ['url']));
}

function readConfig(config: JsonObject, facts: Facts): void {
  facts.check(config);
  facts.bound(config, [either(config, 'maxOutputTokens')[0]]);
  facts.copies = countAt(config, either(config, 'candidateCount')[0]) ?? 1;
  facts.temperature = numberAt(config, 'temperature');
  facts.topP = numberAt(config, either(config, 'topP')[0]);
}

/** Both spellings of a key are one tool. */
function camelCase(key: string): string {
  return key.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** Either the contents, or a whole request in which the model stands again. */
function readCount(body: JsonObject, facts: Facts): void {
  const [key] = either(body, 'generateContentRequest');
  const inner = objectAt(body, key);
  if (inner !== undefined) {
    facts.check(inner, MODEL);
    readGenerate(inner, facts);
  }
  if (has(body, 'instances')) readInstances(body['instances'] ?? null, facts);
  readGenerate(body, facts);
}

function readEmbed(body: JsonObject, facts: Facts): void {
  facts.models.name('the body', body['model']);
  const content = objectAt(body, 'content');
  if (content !== undefined) readContent(content, facts);
}

function readBatchEmbed(body: JsonObject, facts: Facts): void {
  for (const request of objectsAt(body, 'requests')) {
    facts.check(request, MODEL);
    readEmbed(request, facts);
  }
}

function readBatch(body: JsonObject, facts: Facts): void {
  const batch = objectAt(body, 'batch') ?? body;
  const input = objectAt(batch, either(batch, 'inputConfig')[0]);
  const file = input === undefined ? undefined : either(input, 'fileName')[1];
  const inline = input === undefined || file !== undefined ? undefined : objectAt(input, 'requests');
  if (inline === undefined) {
    refuse('MODEL_UNKNOWN', 'the requests of the batch stand in a file that only the upstream sees');
  }
  facts.isBatch = true;
  facts.check(batch, MODEL);
  facts.models.name('the batch', batch['model']);
  for (const item of objectsAt(inline, 'requests')) {
    facts.check(item);
    const request = objectAt(item, 'request');
    if (request === undefined) refuse('MODEL_UNKNOWN', 'a request of the batch is missing');
    facts.check(request, MODEL);
    readGenerate(request, facts);
    facts.endRequest();
  }
}

/** Models of the platform that take instances. */
function readPredict(body: JsonObject, facts: Facts): void {
  facts.models.name('the body', body['model']);
  const instances = body['instances'] ?? body['inputs'] ?? [];
  readInstances(instances, facts);
  facts.prompts = promptsIn(instances);
  const parameters = objectAt(body, 'parameters');
  if (parameters === undefined) return;
  facts.check(parameters);
  facts.bound(parameters, [either(parameters, 'maxOutputTokens')[0]]);
  facts.copies = countAt(parameters, either(parameters, 'candidateCount')[0]) ?? 1;
  const uri = textAt(parameters, either(parameters, 'storageUri')[0]);
  if (uri !== undefined) facts.tool('called', destinationOf(uri));
}

/** Models of other vendors, in their own format: Anthropic messages and chats are told by their first key. */
function readRaw(body: JsonObject, facts: Facts): void {
  if (RAW_KINDS.filter(keys => keys.some(key => has(body, key))).length > 1) {
    refuse('INPUT_REJECTED', 'the body has keys of the formats of several vendors');
  }
  if (has(body, 'anthropic_version')) readMessage(body, facts);
  else if (has(body, 'instances')) readPredict(body, facts);
  else readChat(body, facts);
  if (facts.classes.size === 0) facts.classes.add('unknown');
}

/** Keys that only one of the formats has. */
const RAW_KINDS: readonly (readonly string[])[] = [
  ['anthropic_version'],
  ['instances', 'inputs'],
  ['max_completion_tokens', 'functions', 'n', 'best_of'],
];

/** Jobs read their requests from storage. */
function readJob(body: JsonObject, facts: Facts): void {
  facts.models.name('the body', body['model']);
  facts.classes.add('stored');
  const config = objectAt(body, either(body, 'outputConfig')[0]) ?? {};
  const destinations = Object.entries(config).flatMap(([key, value]) =>
    /^[a-z]+_?[dD]estination$/.test(key) && isJsonObject(value) ? [value] : [],
  );
  const uris = destinations.flatMap(one =>
    ['outputUriPrefix', 'outputUri'].flatMap(key => textAt(one, either(one, key)[0]) ?? []),
  );
  const [uri, ...others] = uris;
  if (uri === undefined || others.length > 0 || destinations.length > 1) {
    refuse('INPUT_REJECTED', 'the job does not say exactly once where it writes to (`outputConfig`)');
  }
  facts.tool('called', destinationOf(uri));
}

function readInteraction(body: JsonObject, facts: Facts): void {
  if (has(body, 'agent')) refuse('MODEL_UNKNOWN', 'an agent decides about the model');
  facts.models.name('the body', body['model']);
  facts.stream = flagAt(body, 'stream');
  readTypedContent(body['input'], facts);
  if (has(body, either(body, 'previousInteractionId')[0])) facts.classes.add('stored');
  for (const tool of objectsAt(body, 'tools')) {
    const type = textAt(tool, 'type') ?? '';
    if (type === 'mcp_server') readServer(tool, facts);
    else if (type === 'function') facts.tool('function', tool['name']);
    else {
      facts.checkNested(tool);
      readOwnTool(camelCase(type), tool, facts);
    }
  }
  const config = objectAt(body, either(body, 'generationConfig')[0]);
  if (config !== undefined) readConfig(config, facts);
}
