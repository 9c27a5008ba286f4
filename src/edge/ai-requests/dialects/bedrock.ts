/**
 * Amazon Bedrock. The model stands in the path, as an id, a name or an ARN. Invariant: fields that
 * smuggle other parameters past the known ones are refused.
 */
import { isJsonObject } from '../../../domain/decision-request.ts';
import type { JsonObject } from '../../../domain/json.ts';
import { shown } from '../../http/json-fault.ts';
import { refuse } from '../ai-request.ts';
import type { DialectRow, RequestHead } from '../dialect.ts';
import { countAt, type Facts, has, numberAt, objectAt, objectsAt, textAt } from '../facts.ts';
import { readKeyedPart, readTexts, readTypedContent } from '../input-classes.ts';
import { checkSettings } from '../nested-settings.ts';
import { destinationOf, guardrailTool, readFurtherTools, readTools } from '../tools.ts';
import { readMessages, readModels } from './openai.ts';

const BOUNDS = ['max_tokens', 'max_tokens_to_sample', 'max_gen_len', 'maxTokens', 'max_new_tokens'] as const;
/** How many answers the vendors' formats ask for. */
const COPIES = ['n', 'num_generations', 'numResults'] as const;
/** Images beside a text, in the formats of those that take them: `image`, `init_image`, `inputImage`, `images`. */
const IMAGE_KEY = /^(?:init_|input_?|mask_?|style_)?images?$|^mask$/i;
/** Request fields of single models that change neither tools, size nor stream. */
const PASSED_ON: ReadonlySet<string> = new Set([
  'top_k',
  'thinking',
  'reasoning_config',
  'reasoningConfig',
  'reasoning_effort',
  // invocations take it, too; the tools that it opens stand in fields that are refused
  'anthropic_beta',
]);

export function bedrockRows(): DialectRow[] {
  const model = (
    name: string,
    verb: string,
    read: (body: JsonObject, facts: Facts) => void,
    stream: boolean,
  ): DialectRow => ({
    dialect: `bedrock.${name}`,
    methods: ['POST'],
    path: `/model/{model}/${verb}`,
    operation: 'generate',
    body: { kind: 'json', read },
    model: '{model}',
    modelKeys: ['model'],
    stream,
  });
  return [
    { ...model('invoke', 'invoke', readInvoke, false), readHead: readGuardrailHeaders },
    {
      ...model('invoke-stream', 'invoke-with-response-stream', readInvoke, true),
      readHead: readGuardrailHeaders,
    },
    model('converse', 'converse', readConverse, false),
    model('converse-stream', 'converse-stream', readConverse, true),
    model('count-tokens', 'count-tokens', readCount, false),
    {
      dialect: 'bedrock.async-invoke',
      methods: ['POST'],
      path: '/async-invoke',
      operation: 'generate',
      body: { kind: 'json', read: readAsync },
      modelKeys: ['modelId', 'modelInput'],
    },
    {
      dialect: 'bedrock.batch',
      methods: ['POST'],
      path: '/model-invocation-job',
      operation: 'batch',
      body: { kind: 'json', read: readJob },
      modelKeys: ['modelId', 'modelInvocationType'],
    },
    {
      dialect: 'bedrock.guardrail',
      methods: ['POST'],
      path: '/guardrail/{guardrail}/version/{version}/apply',
      operation: 'moderate',
      body: { kind: 'json', read: readGuardrail },
      model: 'guardrail/{guardrail}@{version}',
    },
  ];
}

/** Invocations name their guardrail beside the body. */
function readGuardrailHeaders({ headers }: RequestHead, facts: Facts): void {
  guardrailTool(
    headers.single('x-amzn-bedrock-guardrailidentifier'),
    headers.single('x-amzn-bedrock-guardrailversion'),
    facts,
  );
}

/** The body is that of the vendor: the keys of all of them are read. */
function readInvoke(body: JsonObject, facts: Facts): void {
  readModels(body, facts);
  facts.bound(body, BOUNDS);
  facts.temperature = numberAt(body, 'temperature');
  facts.topP = numberAt(body, 'top_p');
  for (const key of COPIES) facts.copies = Math.max(facts.copies, countAt(body, key) ?? 1);
  for (const key of ['inferenceConfig', 'textGenerationConfig']) {
    const config = objectAt(body, key);
    if (config === undefined) continue;
    facts.check(config);
    facts.bound(config, [...BOUNDS, 'maxTokenCount']);
  }
  readTypedContent(body['system'], facts);
  readMessages(body, facts);
  for (const key of ['prompt', 'inputText', 'texts', 'input']) readTexts(body[key], facts);
  for (const [key, value] of Object.entries(body)) {
    if (IMAGE_KEY.test(key) && has(body, key))
      facts.media('image', typeof value === 'string' ? value.length : 0);
  }
  if (facts.classes.size === 0) facts.classes.add('unknown');
  readTools(body, facts);
  // the models of Amazon take the tools of Converse
  readToolConfig(body, facts);
}

function readConverse(body: JsonObject, facts: Facts): void {
  readModels(body, facts);
  for (const content of objectsAt(body, 'system')) readKeyedPart(content, facts);
  for (const message of objectsAt(body, 'messages')) {
    facts.check(message);
    for (const content of objectsAt(message, 'content')) readKeyedPart(content, facts);
  }
  const config = objectAt(body, 'inferenceConfig');
  if (config !== undefined) {
    facts.check(config);
    facts.bound(config, ['maxTokens']);
    facts.temperature = numberAt(config, 'temperature');
    facts.topP = numberAt(config, 'topP');
  }
  for (const key of Object.keys(objectAt(body, 'additionalModelRequestFields') ?? {})) {
    if (!PASSED_ON.has(key)) {
      refuse(
        'INPUT_REJECTED',
        `\`additionalModelRequestFields\` holds \`${shown(key)}\`, which is not known to be harmless: use InvokeModel`,
      );
    }
  }
  readFurtherTools(body, facts);
  readToolConfig(body, facts);
}

function readToolConfig(body: JsonObject, facts: Facts): void {
  const config = objectAt(body, 'toolConfig');
  if (config === undefined) return;
  facts.check(config);
  for (const tool of objectsAt(config, 'tools')) readTool(tool, facts);
}

function readTool(tool: JsonObject, facts: Facts): void {
  for (const [key, value] of Object.entries(tool)) {
    if (key === 'cachePoint') continue;
    if (!isJsonObject(value)) refuse('INPUT_REJECTED', 'a tool is no object');
    facts.tool(key === 'toolSpec' ? 'function' : 'server', value['name']);
  }
}

/** Counts the tokens of a request that stands inside of this one. */
function readCount(body: JsonObject, facts: Facts): void {
  const input = objectAt(body, 'input');
  const converse = input === undefined ? undefined : objectAt(input, 'converse');
  if (converse === undefined) facts.classes.add('unknown');
  else {
    facts.check(converse);
    readConverse(converse, facts);
  }
}

function readAsync(body: JsonObject, facts: Facts): void {
  facts.models.name('the body', body['modelId']);
  readDestination(body, facts);
  const input = objectAt(body, 'modelInput');
  if (input === undefined) return;
  facts.check(input);
  checkSettings(input);
  readInvoke(input, facts);
}

/** The bucket that the answers are written to, with the rights of the account. */
function readDestination(body: JsonObject, facts: Facts): void {
  const place = objectAt(objectAt(body, 'outputDataConfig') ?? {}, 's3OutputDataConfig');
  if (place !== undefined) facts.check(place);
  const uri = place === undefined ? undefined : textAt(place, 's3Uri');
  if (uri === undefined) refuse('INPUT_REJECTED', 'the request does not say which bucket it writes to');
  facts.tool('called', destinationOf(uri));
}

function readJob(body: JsonObject, facts: Facts): void {
  facts.models.name('the body', body['modelId']);
  readDestination(body, facts);
  facts.classes.add('stored');
}

function readGuardrail(body: JsonObject, facts: Facts): void {
  for (const content of objectsAt(body, 'content')) readKeyedPart(content, facts);
  if (!has(body, 'content')) refuse('INPUT_REJECTED', 'the guardrail is given no content');
}
