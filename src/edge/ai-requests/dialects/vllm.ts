/**
 * vLLM, and the servers of Hugging Face. vLLM takes the name of a LoRA adapter for a model; Hugging Face serves
 * one model, which only the operator's route can name.
 */
import type { JsonObject, JsonValue } from '../../../domain/json.ts';
import { type Operation, refuse } from '../ai-request.ts';
import type { BodyReader, DialectRow } from '../dialect.ts';
import { countAt, type Facts, flagAt, has, objectAt, promptsIn, textAt } from '../facts.ts';
import { readTexts } from '../input-classes.ts';
import { originOf } from '../tools.ts';
import { anthropicRows } from './anthropic.ts';
import { readRanking } from './cohere.ts';
import {
  OPENAI_MODEL_KEYS,
  openAiRows,
  readChat,
  readCompletion,
  readInput,
  readMessages,
  readModels,
} from './openai.ts';
import { readSession } from './sagemaker.ts';

type Entry = readonly [name: string, path: string, operation: Operation, read: BodyReader];

export function vllmRows(): DialectRow[] {
  const rows: readonly Entry[] = [
    ['score', '/score', 'rerank', readRanking],
    ['score', '/v1/score', 'rerank', readRanking],
    ['rerank', '/rerank', 'rerank', readRanking],
    ['rerank', '/v1/rerank', 'rerank', readRanking],
    ['rerank', '/v2/rerank', 'rerank', readRanking],
    ['pooling', '/pooling', 'embed', readInput],
    ['classify', '/classify', 'classify', readInput],
    ['tokenize', '/tokenize', 'generate', readTokenize],
    ['detokenize', '/detokenize', 'generate', readTokenize],
    ['invocations', '/invocations', 'generate', readInvocation],
  ];
  const adapter = (name: string, path: string, operation: Operation): DialectRow => ({
    ...rowOf('vllm', [name, path, operation, readAdapter]),
    modelKeys: ['lora_name', 'lora_path', 'lora_int_id'],
  });
  return [
    ...openAiRows('vllm'),
    ...anthropicRows('vllm').filter(({ path }) => path === '/v1/messages' || path.endsWith('/count_tokens')),
    // hosted on SageMaker, it keeps sessions
    ...rows.map(row => ({ ...rowOf('vllm', row), readHead: readSession })),
    adapter('load-adapter', '/v1/load_lora_adapter', 'deploy'),
    adapter('unload-adapter', '/v1/unload_lora_adapter', 'retire'),
  ];
}

/** What the clients of Hugging Face, and the examples of its servers, write where one model is served. */
const PLACEHOLDERS = ['tgi', 'dummy', 'text-embeddings-inference'] as const;

/** Text Generation Inference and Text Embeddings Inference: the model is the route's. */
export function huggingFaceRows(): DialectRow[] {
  const rows: readonly Entry[] = [
    ['generate', '/generate', 'generate', readHuggingFace],
    ['generate', '/', 'generate', readHuggingFace],
    ['embed', '/embed', 'embed', readHuggingFace],
    ['classify', '/predict', 'classify', readHuggingFace],
    ['rerank', '/rerank', 'rerank', readRanking],
  ];
  return [
    ...rows.map(row => rowOf('huggingface', row)),
    {
      ...rowOf('huggingface', ['generate-stream', '/generate_stream', 'generate', readHuggingFace]),
      stream: true,
    },
    ...openAiRows('huggingface').filter(({ dialect }) => /\.(?:chat|completions|embeddings)$/.test(dialect)),
  ].map(row => ({
    ...row,
    ...(row.body.kind === 'json' ? { body: { kind: 'json', read: withImages(row.body.read) } } : {}),
    bodyModel: 'mentioned' as const,
    anyModels: PLACEHOLDERS,
  }));
}

/** TGI takes an image in Markdown, `![](https://…)`, out of any text, and fetches it. */
function withImages(read: BodyReader): BodyReader {
  return (body, facts) => {
    read(body, facts);
    if (showsImage(body)) facts.media('image');
  };
}

function showsImage(value: JsonValue): boolean {
  if (typeof value === 'string') return value.includes('![](');
  if (typeof value !== 'object' || value === null) return false;
  return Object.values(value).some(showsImage);
}

function rowOf(family: string, [name, path, operation, read]: Entry): DialectRow {
  return {
    dialect: `${family}.${name}`,
    methods: ['POST'],
    path,
    operation,
    body: { kind: 'json', read },
    modelKeys: OPENAI_MODEL_KEYS,
  };
}

function readTokenize(body: JsonObject, facts: Facts): void {
  readModels(body, facts);
  readTexts(body['prompt'], facts);
  readTexts(body['tokens'], facts);
  readMessages(body, facts);
}

/** One path for three APIs, told apart by the key that only one of them has. */
function readInvocation(body: JsonObject, facts: Facts): void {
  const keys = ['messages', 'prompt', 'input'].filter(key => has(body, key));
  if (keys.length !== 1)
    refuse('INPUT_REJECTED', 'the body has not exactly one of `messages`, `prompt` and `input`');
  if (keys[0] === 'messages') readChat(body, facts);
  else if (keys[0] === 'prompt') readCompletion(body, facts);
  else {
    facts.operation = 'embed';
    readInput(body, facts);
  }
}

function readAdapter(body: JsonObject, facts: Facts): void {
  facts.models.name('the body', body['lora_name']);
  const path = textAt(body, 'lora_path');
  if (path !== undefined) facts.tool('called', originOf(path));
}

function readHuggingFace(body: JsonObject, facts: Facts): void {
  readModels(body, facts);
  facts.stream = flagAt(body, 'stream');
  readTexts(body['inputs'], facts);
  facts.prompts = promptsIn(body['inputs']);
  const parameters = objectAt(body, 'parameters');
  if (parameters === undefined) return;
  facts.check(parameters, ADAPTER);
  facts.models.name('the body', parameters['adapter_id']);
  facts.bound(parameters, ['max_new_tokens']);
  facts.copies = countAt(parameters, 'best_of') ?? 1;
}

const ADAPTER: ReadonlySet<string> = new Set(['adapter_id']);
