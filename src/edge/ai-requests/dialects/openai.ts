/**
 * The OpenAI API, and the readers that its many followers share. Invariant: `model` is the only key that names
 * the model, with `models` and `fallbacks` of the proxies as further ones, and each of them is gathered.
 */
import { isJsonObject } from '../../../domain/decision-request.ts';
import type { JsonObject, JsonValue } from '../../../domain/json.ts';
import { shown } from '../../http/json-fault.ts';
import { type InputClass, refuse } from '../ai-request.ts';
import { type LineKind, readBatchFile } from '../batch-file.ts';
import type { BodyReader, DialectRow } from '../dialect.ts';
import {
  countAt,
  type Facts,
  flagAt,
  has,
  listAt,
  numberAt,
  objectAt,
  objectsAt,
  promptsIn,
  textAt,
} from '../facts.ts';
import { classOfType, readTexts, readTypedContent } from '../input-classes.ts';
import type { FormPart } from '../multipart.ts';
import { readLoadedTools, readTools } from '../tools.ts';

/** Top-level keys that name models in this dialect and in those of the proxies that extend it. */
export const OPENAI_MODEL_KEYS = ['model', 'models', 'fallbacks'] as const;
const MODEL_KEYS: ReadonlySet<string> = new Set(OPENAI_MODEL_KEYS);
const MODEL_UNSEEN = 'the models stand in a file or an object that only the upstream sees';
/** Requests that may stand on the lines of a batch. */
const BATCHED = /\.(?:chat|responses|completions|embeddings|moderations)$/;

/**
 * What realtime sessions have in common: what is sent over the socket is not seen here, and these parameters attach to a
 * call that goes on, or begin a session whose model is named over the socket.
 */
export const WEB_SOCKET = {
  takesWebSocket: true,
  refusedParameters: ['call_id', 'intent'],
  classes: ['unknown'],
} as const satisfies Partial<DialectRow>;

/** The rows of api.openai.com, without its prefix. @param family first part of the dialect names */
export function openAiRows(family = 'openai', prefix = '/v1'): DialectRow[] {
  const post = (
    name: string,
    path: string,
    operation: DialectRow['operation'],
    read: BodyReader,
  ): DialectRow => ({
    dialect: `${family}.${name}`,
    methods: ['POST'],
    path: prefix + path,
    operation,
    body: { kind: 'json', read },
    modelKeys: OPENAI_MODEL_KEYS,
  });
  const form = (
    name: string,
    path: string,
    operation: DialectRow['operation'],
    input: InputClass,
  ): DialectRow => ({
    dialect: `${family}.${name}`,
    methods: ['POST'],
    path: prefix + path,
    operation,
    body: { kind: 'form', read: (parts, facts) => readForm(parts, facts, input) },
  });
  const rows = [
    post('chat', '/chat/completions', 'generate', readChat),
    post('responses', '/responses', 'generate', readResponses),
    post('responses-tokens', '/responses/input_tokens', 'generate', readResponses),
    post('responses-compact', '/responses/compact', 'generate', readResponses),
    post('completions', '/completions', 'generate', readCompletion),
    post('embeddings', '/embeddings', 'embed', readInput),
    post('images', '/images/generations', 'generate', readPrompt),
    form('image-edits', '/images/edits', 'generate', 'image'),
    form('image-variations', '/images/variations', 'generate', 'image'),
    post('speech', '/audio/speech', 'generate', readSpeech),
    form('transcriptions', '/audio/transcriptions', 'transcribe', 'audio'),
    form('translations', '/audio/translations', 'transcribe', 'audio'),
    post('moderations', '/moderations', 'moderate', readInput),
    post('fine-tuning', '/fine_tuning/jobs', 'train', readTraining),
    {
      ...pathless(`${family}.realtime`, `${prefix}/realtime`, 'generate'),
      stream: true,
      parameters: ['model'],
      ...WEB_SOCKET,
    },
    { ...pathless(`${family}.model`, `${prefix}/models/{model}`, 'invoke'), model: '{model}' },
    {
      ...pathless(`${family}.model-delete`, `${prefix}/models/{model}`, 'delete'),
      methods: ['DELETE'],
      model: '{model}',
    },
    ...hiddenRows(family, prefix),
  ];
  return [...rows, ...batchRows(family, prefix, rows)];
}

/** Uploads of batches name their models; what is made of an upload names none, and only the route can. */
function batchRows(family: string, prefix: string, rows: readonly DialectRow[]): DialectRow[] {
  const kinds = new Map<string, LineKind>();
  for (const { dialect, path, body, modelKeys, operation } of rows) {
    if (body.kind !== 'json' || !BATCHED.test(dialect)) continue;
    const kind = { read: body.read, modelKeys: new Set(modelKeys), makesText: operation === 'generate' };
    // Azure's clients leave the version out
    for (const url of [path, path.slice(prefix.length), `/v1${path.slice(prefix.length)}`])
      kinds.set(url, kind);
  }
  const upload: DialectRow = {
    dialect: `${family}.batch-file`,
    methods: ['POST'],
    path: `${prefix}/files`,
    operation: 'batch',
    body: { kind: 'form', read: (parts, facts) => readUpload(parts, kinds, facts) },
  };
  const start: DialectRow = {
    dialect: `${family}.batch`,
    methods: ['POST'],
    path: `${prefix}/batches`,
    operation: 'batch',
    body: { kind: 'json', read: (body, facts) => readBatchJob(body, kinds, facts) },
  };
  return [upload, start];
}

/** Known requests whose models stand elsewhere. */
function hiddenRows(family: string, prefix: string): DialectRow[] {
  const hidden = (
    name: string,
    paths: readonly string[],
    methods = ['GET', 'POST', 'DELETE'],
  ): DialectRow[] =>
    paths.map(path => ({
      dialect: `${family}.${name}`,
      methods,
      path: prefix + path,
      operation: 'batch',
      body: { kind: 'none' },
      hides: MODEL_UNSEEN,
    }));
  return [
    ...hidden('batches', ['/batches/{id}', '/batches/{id}/cancel']),
    ...hidden('batches', ['/batches'], ['GET']),
    ...hidden('files', ['/files/{id}', '/files/{id}/content', '/uploads', '/uploads/{id}/parts']),
    ...hidden('files', ['/files'], ['GET']),
    ...hidden('fine-tuning-job', ['/fine_tuning/jobs/{id}', '/fine_tuning/jobs/{id}/cancel']),
    ...hidden('stored-response', [
      '/responses/{id}',
      '/responses/{id}/cancel',
      '/responses/{id}/input_items',
    ]),
  ];
}

function pathless(dialect: string, path: string, operation: DialectRow['operation']): DialectRow {
  return { dialect, methods: ['GET'], path, operation, body: { kind: 'none' } };
}

/** `model`, and the further ones of proxies: `models` of OpenRouter, `fallbacks` of LiteLLM. */
export function readModels(body: JsonObject, facts: Facts): void {
  facts.models.name('the body', body['model']);
  for (const item of listAt(body, 'models')) facts.models.alternative('`models`', item);
  for (const item of listAt(body, 'fallbacks')) {
    if (isJsonObject(item)) {
      facts.check(item, MODEL_KEYS);
      const keys = Object.keys(item);
      // `{"model": "b"}`, or `{"a": ["b", "c"]}`: for a, try b and c
      if (has(item, 'model')) facts.models.alternative('`fallbacks`', item['model'] ?? null);
      else
        for (const key of keys)
          for (const name of listAt(item, key)) facts.models.alternative('`fallbacks`', name);
      if (has(item, 'model') && keys.length > 1) {
        refuse('INPUT_REJECTED', 'a member of `fallbacks` changes more than the model');
      }
    } else facts.models.alternative('`fallbacks`', item);
  }
}

/** Streaming, sampling and the bound on the output. */
export function readSampling(body: JsonObject, facts: Facts, bounds: readonly string[]): void {
  facts.stream = flagAt(body, 'stream') ?? facts.stream;
  facts.temperature = numberAt(body, 'temperature');
  facts.topP = numberAt(body, 'top_p');
  facts.bound(body, bounds);
  for (const key of ['n', 'best_of']) facts.copies = Math.max(facts.copies, countAt(body, key) ?? 1);
}

/** Chat completions, of OpenAI and of everyone who speaks them. */
export function readChat(body: JsonObject, facts: Facts): void {
  readModels(body, facts);
  readSampling(body, facts, ['max_completion_tokens', 'max_tokens']);
  readMessages(body, facts);
  readTools(body, facts);
}

/** Messages with `content`, which is a text or a list of typed parts. */
export function readMessages(body: JsonObject, facts: Facts): void {
  // vLLM takes arguments of the template for the template
  const template = objectAt(body, 'chat_template_kwargs');
  if (template !== undefined) {
    facts.check(template);
    if (has(template, 'tools'))
      refuse('INPUT_REJECTED', 'arguments of the template hold tools beside the tools');
  }
  for (const message of objectsAt(body, 'messages')) {
    facts.check(message);
    readTypedContent(message['content'], facts);
    if (has(message, 'audio')) facts.classes.add('stored');
    for (const image of listAt(message, 'images')) {
      facts.media('image', typeof image === 'string' ? image.length : 0);
    }
  }
}

/** The Responses API. A stored prompt brings its own model and tools, which nobody here sees. */
export function readResponses(body: JsonObject, facts: Facts): void {
  readModels(body, facts);
  // Microsoft Foundry runs an agent in the place of the model
  if (has(body, 'agent') || has(body, 'agent_reference')) {
    refuse('MODEL_UNKNOWN', 'an agent decides about the model and the tools');
  }
  readSampling(body, facts, ['max_output_tokens']);
  if (has(body, 'prompt')) refuse('MODEL_UNKNOWN', 'a stored prompt decides about the model and the tools');
  readTypedContent(body['input'], facts);
  readLoadedTools(body['input'], facts);
  if (has(body, 'instructions')) facts.classes.add('text');
  if (has(body, 'previous_response_id') || has(body, 'conversation')) facts.classes.add('stored');
  readTools(body, facts);
}

/** Text completions. Without a bound, the API makes 16 tokens. */
export function readCompletion(body: JsonObject, facts: Facts): void {
  readModels(body, facts);
  readSampling(body, facts, ['max_tokens']);
  facts.prompts = promptsIn(body['prompt']);
  readTexts(body['prompt'], facts);
  readTexts(body['suffix'], facts);
  // vLLM takes vectors in the place of a prompt
  if (!has(body, 'prompt_embeds')) return;
  facts.classes.add('tensor');
  facts.prompts = (has(body, 'prompt') ? facts.prompts : 0) + promptsIn(body['prompt_embeds']);
}

/** `input`: embeddings, moderations. */
export function readInput(body: JsonObject, facts: Facts): void {
  readModels(body, facts);
  readTexts(body['input'], facts);
  // vLLM takes a conversation in the place of `input`
  readMessages(body, facts);
  // a plugin of the server reads it
  if (has(body, 'data')) facts.classes.add('unknown');
}

function readPrompt(body: JsonObject, facts: Facts): void {
  readModels(body, facts);
  facts.stream = flagAt(body, 'stream');
  facts.copies = countAt(body, 'n') ?? 1;
  readTexts(body['prompt'], facts);
}

function readSpeech(body: JsonObject, facts: Facts): void {
  readModels(body, facts);
  facts.stream = textAt(body, 'stream_format') === 'sse';
  readTexts(body['input'], facts);
}

function readTraining(body: JsonObject, facts: Facts): void {
  readModels(body, facts);
  // graders are models, too
  facts.checkNested(body['method'] ?? null);
  facts.classes.add('stored');
}

/** A file for later use. One for a batch holds the requests of it; of any other it is not known who will read it. */
function readUpload(parts: readonly FormPart[], kinds: ReadonlyMap<string, LineKind>, facts: Facts): void {
  const named = (wanted: string): readonly FormPart[] => parts.filter(({ name }) => name === wanted);
  for (const { name } of parts) facts.checkKey(name, NO_KEYS);
  const [purpose, ...purposes] = named('purpose');
  const [file, ...files] = named('file');
  if (purposes.length > 0 || files.length > 0) {
    refuse('BODY_UNREADABLE', 'the form has `purpose` or `file` twice');
  }
  if (purpose?.bytes.toString('utf8') !== 'batch' || purpose.isFile) refuse('MODEL_UNKNOWN', MODEL_UNSEEN);
  if (file?.isFile !== true) refuse('MODEL_UNKNOWN', 'the batch has no file');
  readBatchFile(file.bytes, kinds, facts);
}

/** Which models the file names was decided, if at all, when it came: only a route with one model settles it. */
function readBatchJob(body: JsonObject, kinds: ReadonlyMap<string, LineKind>, facts: Facts): void {
  if (textAt(body, 'input_file_id') === undefined || !kinds.has(textAt(body, 'endpoint') ?? '')) {
    refuse('MODEL_UNKNOWN', MODEL_UNSEEN);
  }
  facts.classes.add('stored');
}

const NO_KEYS: ReadonlySet<string> = new Set([]);

/** Fields of a form. Its model is in `model`, and any field that may name another one is refused. */
function readForm(parts: readonly FormPart[], facts: Facts, input: InputClass): void {
  const seen = new Set<string>();
  for (const { name, isFile, type, bytes } of parts) {
    facts.checkKey(name, FORM_MODEL);
    const isRepeated = seen.has(name);
    seen.add(name);
    // a list has brackets in its name, and files may be several
    if (isRepeated && !isFile && !name.endsWith('[]')) {
      refuse(
        name === 'model' ? 'MODEL_AMBIGUOUS' : 'BODY_UNREADABLE',
        `the form has \`${shown(name)}\` twice`,
      );
    }
    if (isFile) {
      if (name === 'model') refuse('INPUT_REJECTED', 'the field `model` of the form is a file');
      facts.media(type === '' ? input : fileClass(type, input), bytes.length);
    } else readField(name, bytes.toString('utf8'), facts);
  }
}

const FORM_MODEL: ReadonlySet<string> = new Set(['model']);

function readField(name: string, text: JsonValue, facts: Facts): void {
  if (name === 'model') facts.models.name('the form', text);
  else if (name === 'prompt') facts.classes.add('text');
  else if (name === 'n') {
    if (typeof text !== 'string' || !/^\d{1,9}$/.test(text))
      refuse('INPUT_REJECTED', '`n` is no whole number');
    facts.copies = Number(text);
  } else if (name === 'stream') {
    if (text !== 'true' && text !== 'false') refuse('INPUT_REJECTED', '`stream` is not `true` or `false`');
    facts.stream = text === 'true';
  }
}

/** Clients send media as bytes without a type; what has another type is no media of the operation. */
function fileClass(type: string, input: InputClass): InputClass {
  if (type === 'application/octet-stream') return input;
  const found = classOfType(type);
  return input === 'audio' && found === 'video' ? 'audio' : found;
}
