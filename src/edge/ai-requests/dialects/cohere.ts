/** The Cohere API. Its first version picks a model where none is named: here that is a model unknown. */
import { isJsonObject } from '../../../domain/decision-request.ts';
import type { JsonObject, JsonValue } from '../../../domain/json.ts';
import type { Operation } from '../ai-request.ts';
import type { BodyReader, DialectRow } from '../dialect.ts';
import { countAt, type Facts, flagAt, has, isList, listAt, numberAt, objectsAt } from '../facts.ts';
import { isMediaKey, readTexts, readTypedContent } from '../input-classes.ts';
import { nameOfTool, readFurtherTools } from '../tools.ts';
import { OPENAI_MODEL_KEYS, readMessages, readModels } from './openai.ts';

export function cohereRows(): DialectRow[] {
  const rows: readonly (readonly [name: string, path: string, operation: Operation, read: BodyReader])[] = [
    ['chat', '/v1/chat', 'generate', readChat],
    ['chat', '/v2/chat', 'generate', readChat],
    ['generate', '/v1/generate', 'generate', readTextRequest],
    ['summarize', '/v1/summarize', 'generate', readTextRequest],
    ['embed', '/v1/embed', 'embed', readEmbed],
    ['embed', '/v2/embed', 'embed', readEmbed],
    ['rerank', '/v1/rerank', 'rerank', readRanking],
    ['rerank', '/v2/rerank', 'rerank', readRanking],
    ['classify', '/v1/classify', 'classify', readEmbed],
    ['tokenize', '/v1/tokenize', 'generate', readTextRequest],
    ['detokenize', '/v1/detokenize', 'generate', readTextRequest],
  ];
  return rows.map(([name, path, operation, read]) => ({
    dialect: `cohere.${name}`,
    methods: ['POST'],
    path,
    operation,
    body: { kind: 'json', read },
    modelKeys: OPENAI_MODEL_KEYS,
  }));
}

function readChat(body: JsonObject, facts: Facts): void {
  readTextRequest(body, facts);
  readMessages(body, facts);
  for (const turn of objectsAt(body, 'chat_history')) readTypedContent(turn['message'], facts);
  for (const document of listAt(body, 'documents')) facts.classes.add(isText(document) ? 'text' : 'unknown');
  // the turns of a conversation that the upstream keeps
  if (has(body, 'conversation_id')) facts.classes.add('stored');
  for (const tool of objectsAt(body, 'tools')) {
    facts.check(tool);
    facts.tool('function', nameOfTool(tool, 'function', facts));
  }
  readFurtherTools(body, facts);
}

/** Documents are texts, or objects of any keys whose values are texts: Cohere hands them to the model as they are. */
function isText(value: JsonValue): boolean {
  if (typeof value === 'string') return !/^data:/i.test(value);
  if (typeof value !== 'object' || value === null) return true;
  if (isList(value)) return value.every(isText);
  return (
    isJsonObject(value) &&
    Object.keys(value).every(key => !isMediaKey(key)) &&
    Object.values(value).every(isText)
  );
}

function readTextRequest(body: JsonObject, facts: Facts): void {
  readModels(body, facts);
  facts.stream = flagAt(body, 'stream');
  facts.bound(body, ['max_tokens']);
  facts.copies = countAt(body, 'num_generations') ?? 1;
  facts.temperature = numberAt(body, 'temperature');
  for (const key of ['message', 'prompt', 'text', 'preamble']) readTexts(body[key], facts);
  if (listAt(body, 'tokens').length > 0) facts.classes.add('tokens');
}

function readEmbed(body: JsonObject, facts: Facts): void {
  readModels(body, facts);
  readTexts(body['texts'], facts);
  for (const key of ['inputs', 'examples']) {
    for (const item of listAt(body, key)) readTexts(item, facts);
  }
  for (const image of listAt(body, 'images'))
    facts.media('image', typeof image === 'string' ? image.length : 0);
}

/** A query and documents; vLLM calls the pair `text_1` and `text_2`, or `data_1` and `data_2`, when it scores. */
export function readRanking(body: JsonObject, facts: Facts): void {
  readModels(body, facts);
  for (const key of ['query', 'text_1', 'text_2', 'data_1', 'data_2', 'texts', 'queries', 'items']) {
    readTexts(body[key], facts);
  }
  for (const document of listAt(body, 'documents')) readTexts(document, facts);
}
