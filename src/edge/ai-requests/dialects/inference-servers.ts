/**
 * Servers of numbers and tables: KServe V1 and TensorFlow Serving, Open Inference V2 with the extensions of
 * Triton, TorchServe and MLflow. A version stands in the name as `model@version`.
 */
import type { JsonObject } from '../../../domain/json.ts';
import { type Operation, refuse } from '../ai-request.ts';
import { parseBodyJson } from '../json-text.ts';
import type { DialectRow, RequestHead } from '../dialect.ts';
import { type Facts, flagAt, has, objectAt, objectsAt, textAt } from '../facts.ts';
import type { HeaderList } from '../header-list.ts';
import { readGenerated, readInstances, readTexts } from '../input-classes.ts';
import { isModelKey } from '../model-names.ts';
import { originOf, readLoadedTools } from '../tools.ts';
import { isJsonObject } from '../../../domain/decision-request.ts';
import { refuseSharedMemory, SEQUENCE, SHARED_MEMORY } from './inference-grpc.ts';
import { openAiRows, readChat, readResponses } from './openai.ts';

/** Where versions stand, and the name that comes of it. */
const KSERVE_NAMES = [
  ['/v1/models/{model}', '{model}'],
  ['/v1/models/{model}/versions/{version}', '{model}@{version}'],
  ['/v1/models/{model}/labels/{label}', '{model}@{label}'],
] as const;
const OPEN_NAMES = [
  ['/v2/models/{model}', '{model}'],
  ['/v2/models/{model}/versions/{version}', '{model}@{version}'],
] as const;

/** Versions are numbers and labels are none, so that `iris@3` is one thing. */
const KSERVE_PARTS = {
  version: [/^\d+$/, 'the version in the path is no number'],
  label: [/\D/, 'the label in the path is a number, as only versions are: ask for the version'],
} as const;

/** KServe V1 and TensorFlow Serving. */
export function kserveRows(family = 'kserve'): DialectRow[] {
  const verbs = { predict: 'predict', explain: 'predict', classify: 'classify', regress: 'predict' } as const;
  const rows = KSERVE_NAMES.flatMap(([path, model]) => [
    ...Object.entries(verbs).map(
      ([verb, operation]): DialectRow => ({
        ...row(`${family}.${verb}`, ['POST'], `${path}:${verb}`, operation),
        body: { kind: 'json', read: readPrediction },
        model,
      }),
    ),
    { ...row(`${family}.model`, ['GET'], path, 'invoke'), model },
    { ...row(`${family}.metadata`, ['GET'], `${path}/metadata`, 'invoke'), model },
  ]);
  return rows.map(one => ({ ...one, partRules: KSERVE_PARTS }));
}

/** The V2 protocol over HTTP. */
export function openInferenceRows(): DialectRow[] {
  return OPEN_NAMES.flatMap(([path, model]) => [
    {
      ...row('open-inference.infer', ['POST'], `${path}/infer`, 'predict'),
      body: { kind: 'bytes', read: readInfer },
      model,
    },
    {
      ...row('open-inference.generate', ['POST'], `${path}/generate`, 'generate'),
      body: { kind: 'json', read: readGenerate },
      model,
    },
    {
      ...row('open-inference.generate-stream', ['POST'], `${path}/generate_stream`, 'generate'),
      body: { kind: 'json', read: readGenerate },
      model,
      stream: true,
    },
    { ...row('open-inference.model', ['GET'], path, 'invoke'), model },
    { ...row('open-inference.ready', ['GET'], `${path}/ready`, 'invoke'), model },
  ]);
}

/** Triton's own: models are loaded and unloaded, and described in more ways. */
export function tritonRows(): DialectRow[] {
  const repository = '/v2/repository/models/{model}';
  return [
    ...openInferenceRows().map(one => ({ ...one, dialect: one.dialect.replace('open-inference', 'triton') })),
    {
      ...row('triton.load', ['POST'], `${repository}/load`, 'deploy'),
      body: { kind: 'json', read: readLoad },
      model: '{model}',
    },
    {
      ...row('triton.unload', ['POST'], `${repository}/unload`, 'retire'),
      body: { kind: 'json', read: readLoad },
      model: '{model}',
    },
    ...OPEN_NAMES.flatMap(([path, model]) =>
      ['config', 'stats'].map(name => ({
        ...row(`triton.${name}`, ['GET'], `${path}/${name}`, 'invoke'),
        model,
      })),
    ),
  ];
}

/** Bodies are the business of the model's own handler. */
export function torchServeRows(): DialectRow[] {
  const opaque = { kind: 'opaque' } as const;
  const named = [
    ['{model}', '{model}'],
    ['{model}/{version}', '{model}@{version}'],
  ] as const;
  return [
    ...named.flatMap(([path, model]): DialectRow[] => [
      {
        ...row('torchserve.predictions', ['POST', 'PUT'], `/predictions/${path}`, 'predict'),
        body: opaque,
        model,
      },
      {
        ...row('torchserve.explanations', ['POST', 'PUT'], `/explanations/${path}`, 'predict'),
        body: opaque,
        model,
      },
      { ...row('torchserve.scale', ['PUT'], `/models/${path}`, 'deploy'), model },
      { ...row('torchserve.unregister', ['DELETE'], `/models/${path}`, 'delete'), model },
      { ...row('torchserve.model', ['GET'], `/models/${path}`, 'invoke'), model },
    ]),
    {
      ...row('torchserve.set-default', ['PUT'], '/models/{model}/{version}/set-default', 'deploy'),
      model: '{model}@{version}',
    },
    // the archive comes from `url`; the model is named by `model_name` alone
    {
      ...row('torchserve.register', ['POST'], '/models', 'deploy'),
      // with a body of JSON, the query is not read
      body: { kind: 'empty' },
      parameters: ['model_name'],
      readHead: readRegistration,
    },
    ...kserveRows('torchserve').filter(({ dialect }) => dialect === 'torchserve.predict'),
  ];
}

/** What Databricks serves of the OpenAI API: the body names the endpoint. */
const COMPATIBLE = /\.(?:chat|responses|completions|embeddings)$/;

/** MLflow, Databricks and its gateway: the model is the route's, or the endpoint of the path. */
export function mlflowRows(): DialectRow[] {
  const serve = (path: string, model?: string): DialectRow => ({
    ...row('mlflow.invocations', ['POST'], path, 'predict'),
    body: { kind: 'json', read: readFrame },
    modelKeys: ['model', 'models', 'fallbacks'],
    ...(model === undefined ? {} : { model }),
  });
  return [
    { ...serve('/invocations'), bodyModel: 'mentioned' },
    serve('/serving-endpoints/{model}/invocations', '{model}'),
    serve('/gateway/{model}/invocations', '{model}'),
    serve('/endpoints/{model}/invocations', '{model}'),
    ...openAiRows('mlflow', '/serving-endpoints').filter(({ dialect }) => COMPATIBLE.test(dialect)),
  ];
}

/** Where the archive comes from. The archive says what runs, and nothing of the request may say something else. */
function readRegistration({ parameters }: RequestHead, facts: Facts): void {
  const named = (wanted: string) => parameters.filter(([name]) => name.toLowerCase() === wanted);
  const [url, ...others] = named('url');
  if (url?.[0] !== 'url' || others.length > 0) {
    refuse('INPUT_REJECTED', 'the query does not say exactly once where the archive is (`url`)');
  }
  for (const name of ['handler', 'runtime']) {
    if (named(name).length > 0) refuse('INPUT_REJECTED', `\`${name}\` would change what runs the archive`);
  }
  facts.tool('called', originOf(url[1]));
}

function row(dialect: string, methods: readonly string[], path: string, operation: Operation): DialectRow {
  return { dialect, methods, path, operation, body: { kind: 'none' } };
}

function readPrediction(body: JsonObject, facts: Facts): void {
  const keys = ['instances', 'inputs', 'examples'].filter(key => has(body, key));
  if (keys.length !== 1)
    refuse('INPUT_REJECTED', 'the body has not exactly one of `instances`, `inputs` and `examples`');
  readInstances(body[keys[0] ?? ''] ?? null, facts);
}

/** With `Inference-Header-Content-Length`, raw tensors follow after that many bytes of JSON. */
function readInfer(bytes: Uint8Array, facts: Facts, headers: HeaderList): void {
  const header = headers.single('inference-header-content-length');
  let json = bytes;
  if (header !== undefined) {
    const length = /^\d{1,9}$/.test(header) ? Number(header) : Number.NaN;
    if (!(length <= bytes.byteLength))
      refuse('BODY_INCOMPLETE', 'the body is shorter than its inference header');
    json = bytes.subarray(0, length);
    facts.mediaBytes += bytes.byteLength - length;
  }
  const body = parseBodyJson(json, isModelKey);
  if (!isJsonObject(body)) refuse('BODY_UNREADABLE', 'the body is no JSON object');
  facts.check(body);
  if (has(objectAt(body, 'parameters') ?? {}, SEQUENCE)) facts.classes.add('stored');
  const inputs = objectsAt(body, 'inputs');
  if (inputs.length === 0) refuse('INPUT_REJECTED', 'the request has no `inputs`');
  for (const input of inputs) {
    facts.check(input);
    facts.classes.add(textAt(input, 'datatype') === 'BYTES' ? 'unknown' : 'tensor');
  }
  for (const tensor of [...inputs, ...objectsAt(body, 'outputs')]) {
    if (Object.hasOwn(objectAt(tensor, 'parameters') ?? {}, SHARED_MEMORY)) refuseSharedMemory();
  }
}

function readGenerate(body: JsonObject, facts: Facts): void {
  facts.stream = flagAt(body, 'stream');
  readTexts(body['text_input'], facts);
  const parameters = objectAt(body, 'parameters');
  if (parameters !== undefined) facts.check(parameters);
  readGenerated(body, facts);
  const sampling = samplingOf(body, facts);
  for (const place of [body, parameters, sampling].filter(one => one !== undefined)) {
    facts.bound(place, ['max_tokens', 'max_new_tokens']);
    facts.stream = flagAt(place, 'stream') ?? facts.stream;
  }
}

/** The backend of vLLM reads parameters from a text that holds JSON, adapters among them. */
function samplingOf(body: JsonObject, facts: Facts): JsonObject | undefined {
  if (!has(body, 'sampling_parameters')) return undefined;
  const text = textAt(body, 'sampling_parameters') ?? '';
  const sampling = parseBodyJson(Buffer.from(text, 'utf8'), isModelKey);
  if (!isJsonObject(sampling)) refuse('BODY_UNREADABLE', '`sampling_parameters` is no JSON object');
  facts.check(sampling);
  return sampling;
}

/** Overriding configuration or files at load is to run what the client wrote. */
function readLoad(body: JsonObject): void {
  for (const [name, value] of Object.entries(objectAt(body, 'parameters') ?? {})) {
    if (name !== 'unload_dependents') {
      refuse('INPUT_REJECTED', 'a model may not be loaded with files or configuration of the request');
    }
    if (value !== false) refuse('MODEL_UNKNOWN', 'the models that depend on the named one are not named');
  }
}

function readFrame(body: JsonObject, facts: Facts): void {
  const keys = ['dataframe_split', 'dataframe_records', 'instances', 'inputs', 'messages', 'prompt', 'input'];
  const given = keys.filter(key => has(body, key));
  if (given.length !== 1) {
    refuse('INPUT_REJECTED', `the body has not exactly one of ${keys.map(key => `\`${key}\``).join(', ')}`);
  }
  const [key = ''] = given;
  if (key === 'messages' || key === 'prompt') {
    facts.operation = 'generate';
    readTexts(body['prompt'], facts);
    readChat(body, facts);
  } else if (key === 'input') {
    readTexts(body['input'], facts);
    readLoadedTools(body['input'], facts);
    readResponses({ ...body, input: null }, facts);
  } else readInstances(body[key] ?? null, facts);
  facts.models.name('the body', body['model']);
}
