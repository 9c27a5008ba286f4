/** The Anthropic API: messages, their batches, token counts and the older text completions. */
import type { JsonObject } from '../../../domain/json.ts';
import { refuse } from '../ai-request.ts';
import type { DialectRow } from '../dialect.ts';
import { type Facts, flagAt, has, numberAt, objectAt, objectsAt, textAt } from '../facts.ts';
import { readTypedContent } from '../input-classes.ts';
import { checkSettings } from '../nested-settings.ts';
import { readFurtherTools } from '../tools.ts';
import { OPENAI_MODEL_KEYS, readMessages, readModels } from './openai.ts';

const MODEL_KEYS: ReadonlySet<string> = new Set(OPENAI_MODEL_KEYS);

export function anthropicRows(family = 'anthropic'): DialectRow[] {
  const shared = { methods: ['POST'], modelKeys: OPENAI_MODEL_KEYS } as const;
  return [
    {
      ...shared,
      dialect: `${family}.messages`,
      path: '/v1/messages',
      operation: 'generate',
      body: { kind: 'json', read: readMessage },
    },
    {
      ...shared,
      dialect: `${family}.count-tokens`,
      path: '/v1/messages/count_tokens',
      operation: 'generate',
      body: { kind: 'json', read: readMessage },
    },
    {
      ...shared,
      dialect: `${family}.batches`,
      path: '/v1/messages/batches',
      operation: 'batch',
      body: { kind: 'json', read: readBatch },
    },
    {
      ...shared,
      dialect: `${family}.complete`,
      path: '/v1/complete',
      operation: 'generate',
      body: { kind: 'json', read: readComplete },
    },
    {
      dialect: `${family}.model`,
      methods: ['GET'],
      path: '/v1/models/{model}',
      operation: 'invoke',
      body: { kind: 'none' },
      model: '{model}',
    },
  ];
}

/** One message request; Bedrock and Vertex take the same without its `model`. */
export function readMessage(body: JsonObject, facts: Facts): void {
  readModels(body, facts);
  facts.stream = flagAt(body, 'stream') ?? facts.stream;
  facts.temperature = numberAt(body, 'temperature');
  facts.topP = numberAt(body, 'top_p');
  facts.bound(body, ['max_tokens']);
  readTypedContent(body['system'], facts);
  readMessages(body, facts);
  for (const tool of objectsAt(body, 'tools')) {
    facts.check(tool);
    const type = textAt(tool, 'type') ?? 'custom';
    // the tools of a server that `mcp_servers` names
    if (type === 'mcp_toolset') {
      if (has(tool, 'url'))
        refuse('INPUT_REJECTED', 'tools of a server say where it is, beside `mcp_servers`');
      continue;
    }
    if (type === 'custom') facts.tool('function', tool['name']);
    else readOwnTool(tool, type, facts);
  }
  readFurtherTools(body, facts);
}

/** Tools of Anthropic have the name of their type, `web_fetch_20250910` aside from its date: proxies look at the type. */
function readOwnTool(tool: JsonObject, type: string, facts: Facts): void {
  facts.checkNested(tool);
  const own = type.replace(/_\d{8}$/, '');
  const name = textAt(tool, 'name') ?? '';
  if (name !== own && !(own === 'text_editor' && EDITORS.has(name))) {
    refuse('INPUT_REJECTED', 'the name of a tool is not that of its type');
  }
  facts.tool('server', name);
}

const EDITORS: ReadonlySet<string> = new Set(['str_replace_editor', 'str_replace_based_edit_tool']);

/** Each request of a batch names its own model. */
function readBatch(body: JsonObject, facts: Facts): void {
  const requests = objectsAt(body, 'requests');
  if (requests.length === 0) refuse('MODEL_UNKNOWN', 'the batch holds no request');
  facts.isBatch = true;
  for (const request of requests) {
    facts.check(request);
    const params = objectAt(request, 'params');
    if (params === undefined) refuse('MODEL_UNKNOWN', 'a request of the batch has no `params`');
    facts.check(params, MODEL_KEYS);
    checkSettings(params);
    if (!has(params, 'model')) refuse('MODEL_UNKNOWN', 'a request of the batch names no model');
    facts.models.add('the batch', params['model'] ?? null);
    readMessage({ ...params, model: null }, facts);
    facts.endRequest();
  }
}

function readComplete(body: JsonObject, facts: Facts): void {
  readModels(body, facts);
  facts.stream = flagAt(body, 'stream');
  facts.bound(body, ['max_tokens_to_sample']);
  readTypedContent(body['prompt'], facts);
}
