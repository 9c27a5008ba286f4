/**
 * Ollama. Invariants: it streams unless told not to, and its management names models by `model` and by the
 * older `name`, both of which are gathered. Bodies are read without regard to case there: see body-keys.ts.
 */
import type { JsonObject } from '../../../domain/json.ts';
import { type Operation, refuse } from '../ai-request.ts';
import type { BodyReader, DialectRow } from '../dialect.ts';
import { type Facts, flagAt, has, listAt, numberAt, objectAt } from '../facts.ts';
import { readTexts } from '../input-classes.ts';
import { readTools } from '../tools.ts';
import { openAiRows, readMessages, readModels } from './openai.ts';

const MODEL_KEYS = [
  'model',
  'models',
  'fallbacks',
  'name',
  'from',
  'source',
  'destination',
  'modelfile',
] as const;
/** What `num_predict` below zero stands for: as much as the model makes. */
const UNBOUNDED = 2 ** 31 - 1;

export function ollamaRows(): DialectRow[] {
  const rows: readonly (readonly [
    name: string,
    methods: readonly string[],
    path: string,
    operation: Operation,
    read: BodyReader,
  ])[] = [
    ['generate', ['POST'], '/api/generate', 'generate', readGenerate],
    ['chat', ['POST'], '/api/chat', 'generate', readGenerate],
    ['embed', ['POST'], '/api/embed', 'embed', readEmbed],
    ['embeddings', ['POST'], '/api/embeddings', 'embed', readEmbed],
    ['pull', ['POST'], '/api/pull', 'deploy', readManaged],
    ['push', ['POST'], '/api/push', 'deploy', readManaged],
    ['create', ['POST'], '/api/create', 'deploy', readManaged],
    ['copy', ['POST'], '/api/copy', 'deploy', readManaged],
    ['delete', ['DELETE'], '/api/delete', 'delete', readManaged],
    ['show', ['POST'], '/api/show', 'invoke', readManaged],
  ];
  return [
    ...rows.map(
      ([name, methods, path, operation, read]): DialectRow => ({
        dialect: `ollama.${name}`,
        methods,
        path,
        operation,
        body: { kind: 'json', read },
        modelKeys: MODEL_KEYS,
      }),
    ),
    ...openAiRows('ollama').filter(({ dialect }) =>
      /\.(?:chat|completions|embeddings|responses|model)$/.test(dialect),
    ),
  ];
}

function readGenerate(body: JsonObject, facts: Facts): void {
  readModels(body, facts);
  refuseManagement(body);
  facts.stream = flagAt(body, 'stream') ?? true;
  const options = objectAt(body, 'options');
  if (options !== undefined) readOptions(options, facts);
  for (const key of ['prompt', 'suffix', 'system', 'template']) readTexts(body[key], facts);
  if (listAt(body, 'context').length > 0) facts.classes.add('tokens');
  for (const image of listAt(body, 'images'))
    facts.media('image', typeof image === 'string' ? image.length : 0);
  readMessages(body, facts);
  readTools(body, facts);
}

function readOptions(options: JsonObject, facts: Facts): void {
  facts.check(options);
  facts.temperature = numberAt(options, 'temperature');
  facts.topP = numberAt(options, 'top_p');
  const bound = numberAt(options, 'num_predict');
  if (bound === undefined) return;
  if (!Number.isSafeInteger(bound)) refuse('INPUT_REJECTED', '`num_predict` is no whole number');
  facts.maxOutputTokens = bound < 0 ? UNBOUNDED : bound;
}

function readEmbed(body: JsonObject, facts: Facts): void {
  readModels(body, facts);
  refuseManagement(body);
  readTexts(body['input'] ?? body['prompt'], facts);
}

/** `name` is an older spelling of `model`; copies and creations touch a second model. */
function readManaged(body: JsonObject, facts: Facts): void {
  facts.models.name('the body', body['model']);
  facts.models.name('the body', body['name']);
  for (const key of ['source', 'destination', 'from']) {
    if (has(body, key)) facts.models.add(`\`${key}\``, body[key] ?? null);
  }
  if (has(body, 'modelfile')) refuse('MODEL_UNKNOWN', 'a `modelfile` names the model that it starts from');
  for (const [key, value] of Object.entries(body)) {
    if (value !== null && ELSEWHERE.has(key.normalize('NFKC').toLowerCase())) {
      refuse('MODEL_UNKNOWN', `\`${key}\` takes the model from a place that is not decided`);
    }
  }
}

/** A Modelfile on the server, as older versions take it, another server that runs the model, and files that were uploaded. */
const ELSEWHERE: ReadonlySet<string> = new Set(['path', 'remote_host', 'remote_model', 'files']);

/** Keys of the management have no meaning for inference, so that one who reads them differs from Ollama. */
function refuseManagement(body: JsonObject): void {
  if (['name', 'from', 'source', 'destination', 'modelfile'].some(key => has(body, key))) {
    refuse('MODEL_AMBIGUOUS', 'the body names a model by a key that is meant for management');
  }
}
