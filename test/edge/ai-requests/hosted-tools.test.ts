/**
 * What the upstream runs, holds and is sent to besides its model: each is a tool or a class of the input that policies decide
 * on, or the request is refused.
 */
import { describe, expect, test } from 'vitest';
import type { DialectFamily } from '../../../src/domain/pep-profile.ts';
import {
  formOf,
  grpcOf,
  lineOf,
  messageOf,
  readerFor,
  type Refused,
  refusedCases,
  requestOf,
} from './sample.ts';

const CHAT = 'POST /v1/chat/completions';
const RESPONSES = 'POST /v1/responses';
const MESSAGES = 'POST /v1/messages';
const AZURE = 'POST /openai/deployments/prod/chat/completions';
const VERTEX = 'POST /v1/projects/p/locations/l';
const GEMINI = 'POST /v1beta/models/m:generateContent';
const M = [{ role: 'user', content: 'hi' }];
const OK = { model: 'm', messages: M };
const answer = (...tools: object[]) => ({ model: 'm', input: 'x', tools });
const generate = (tool: object) => ({ contents: [{ parts: [{ text: 'x' }] }], tools: [tool] });
const source = (parameters: object, type = 'azure_search') => ({
  messages: M,
  data_sources: [{ type, parameters }],
});
const SEARCH = { endpoint: 'https://s.search.windows.net', index_name: 'docs' };
const external = (given: object) => ({ retrieval: { externalApi: given } });
const held = (given: object) => ({ model: 'm', input: [{ role: 'user', content: 'x' }, given] });
const DOCUMENT = { type: 'content', content: [{ type: 'image', source: { type: 'file', file_id: 'f' } }] };
const document = { type: 'document', source: DOCUMENT };
const guard = (id: string, version: string) => ({
  'x-amzn-bedrock-guardrailidentifier': id,
  'x-amzn-bedrock-guardrailversion': version,
});
const SESSION = { 'content-type': 'text/plain', 'x-amzn-sagemaker-session-id': 's1' };
type Headers = Readonly<Record<string, string>>;

describe('what the upstream runs is a tool, and what it holds is `stored`', () => {
  // biome-ignore format: one request a line
  test.each<[string, DialectFamily, string, unknown, tools: string[], classes: string[], Headers?]>([
    ['a search of files', 'openai', RESPONSES, answer({ type: 'file_search', vector_store_ids: ['vs'] }), ['file_search'], ['stored', 'text']],
    ['a search of files that names none', 'openai', RESPONSES, answer({ type: 'file_search' }), ['file_search'], ['stored', 'text']],
    ['a new container', 'openai', RESPONSES, answer({ type: 'code_interpreter', container: { type: 'auto' } }), ['code_interpreter'], ['text']],
    ['a container', 'openai', RESPONSES, answer({ type: 'code_interpreter', container: 'cntr_1' }), ['code_interpreter'], ['stored', 'text']],
    ['a new container with files', 'openai', RESPONSES, answer({ type: 'code_interpreter', container: { type: 'auto', file_ids: ['f'] } }), ['code_interpreter'], ['stored', 'text']],
    ['a new container without files', 'openai', RESPONSES, answer({ type: 'code_interpreter', container: { type: 'auto', file_ids: [] } }), ['code_interpreter'], ['text']],
    ['a shell with a skill', 'openai', RESPONSES, answer({ type: 'shell', environment: { type: 'container_auto', skills: [{ type: 'skill_reference', skill_id: 's' }] } }), ['shell'], ['stored', 'text']],
    ['a shell in a container', 'openai', RESPONSES, answer({ type: 'shell', environment: { type: 'container_reference', container_id: 'c' } }), ['shell'], ['stored', 'text']],
    ['a mask by its id', 'openai', RESPONSES, answer({ type: 'image_generation', input_image_mask: { file_id: 'f' } }), ['image_generation'], ['stored', 'text']],
    ['the container of an earlier call', 'openai', RESPONSES, held({ type: 'code_interpreter_call', id: 'ci', container_id: 'c', code: 'x' }), [], ['stored', 'text']],
    ['a search of the web', 'openai', RESPONSES, answer({ type: 'web_search', filters: { allowed_domains: ['x'] } }), ['web_search'], ['text']],
    ['a search of the web by a vendor of its own', 'openai', CHAT, { ...OK, search_parameters: { mode: 'on' }, enable_search: true }, ['enable_search', 'search_parameters'], ['text']],
    ['a search that is off', 'openai', CHAT, { ...OK, enable_search: false }, [], ['text']],
    ['headers for a server of tools', 'openai', RESPONSES, answer({ type: 'mcp', server_url: 'https://a.example', headers: { 'x-callback-url': 'https://b' } }), ['mcp:https://a.example'], ['text']],
    ['servers of tools in a chat, for the vendor behind a proxy', 'openai', CHAT, { ...OK, mcp_servers: [{ type: 'url', url: 'https://evil.example', name: 'safe' }] }, ['mcp:https://evil.example'], ['text']],
    ['connectors in a chat, for the vendor behind a proxy', 'openai', CHAT, { ...OK, connectors: [{ id: 'web-search' }] }, ['connector:web-search'], ['text']],
    ['a container in a chat, for the vendor behind a proxy', 'openai', CHAT, { ...OK, container: 'c' }, [], ['stored', 'text']],
    ['a search of the web in a message, for the vendor behind a proxy', 'anthropic', MESSAGES, { ...OK, web_search_options: {} }, ['web_search'], ['text']],
    ['a guardrail in a chat, for the vendor behind a proxy', 'openai', CHAT, { ...OK, guardrailConfig: { guardrailIdentifier: 'g', guardrailVersion: '2' } }, ['guardrail:g@2'], ['text']],
    ['a page of the web (Anthropic)', 'anthropic', MESSAGES, { ...OK, tools: [{ type: 'web_fetch_20250910', name: 'web_fetch' }] }, ['web_fetch'], ['text']],
    ['an editor (Anthropic)', 'anthropic', MESSAGES, { ...OK, tools: [{ type: 'text_editor_20250728', name: 'str_replace_based_edit_tool' }] }, ['str_replace_based_edit_tool'], ['text']],
    ['skills (Anthropic)', 'anthropic', MESSAGES, { ...OK, container: { skills: [{ type: 'custom', skill_id: 's' }] } }, [], ['stored', 'text']],
    ['an image inside of a document (Anthropic)', 'anthropic', MESSAGES, { model: 'm', messages: [{ role: 'user', content: [document] }] }, [], ['file', 'image', 'stored']],
    ['a cache (Gemini), which has tools of its own', 'gemini', GEMINI, { contents: [{ parts: [{ text: 'x' }] }], cached_content: 'cachedContents/1' }, ['cachedContent'], ['stored', 'text']],
    ['files (Gemini)', 'gemini', GEMINI, generate({ file_search: { file_search_store_names: ['fileSearchStores/s'] } }), ['fileSearch'], ['stored', 'text']],
    ['files (interactions)', 'gemini', 'POST /v1beta/interactions', { model: 'm', input: 'x', tools: [{ type: 'file_search', file_search_store_names: ['s'] }] }, ['fileSearch'], ['stored', 'text']],
    ['a store of documents (Gemini)', 'gemini', GEMINI, generate({ retrieval: { vertexAiSearch: { datastore: 'projects/p/dataStores/d' } } }), ['retrieval'], ['stored', 'text']],
    ['an API of somebody (Gemini)', 'gemini', GEMINI, generate(external({ apiSpec: 'SIMPLE_SEARCH', endpoint: 'https://evil.example/find' })), ['retrieval:https://evil.example/find'], ['text']],
    ['an index of somebody (Gemini)', 'gemini', GEMINI, generate({ retrieval: { external_api: { endpoint: 'https://es.example/', elastic_search_params: { index: 'hr' } } } }), ['retrieval:https://es.example/hr'], ['text']],
    ['code and pages (Gemini)', 'gemini', GEMINI, generate({ codeExecution: {}, urlContext: {} }), ['codeExecution', 'urlContext'], ['text']],
    ['an index (Azure)', 'azure-openai', AZURE, source(SEARCH), ['azure_search:https://s.search.windows.net/docs'], ['stored', 'text']],
    ['a database (Azure)', 'azure-openai', AZURE, source({ endpoint: 'mongo.example', database_name: 'd', collection_name: 'c', index_name: 'i' }, 'mongo_db'), ['mongo_db:mongo.example/d/c/i'], ['stored', 'text']],
    ['a guardrail (Bedrock)', 'bedrock', 'POST /model/m/converse', { messages: [{ role: 'user', content: [{ text: 'x' }] }], guardrailConfig: { guardrailIdentifier: 'g', guardrailVersion: 'DRAFT' } }, ['guardrail:g@DRAFT'], ['text']],
    ['a guardrail of an invocation (Bedrock)', 'bedrock', 'POST /model/m/invoke', { prompt: 'x' }, ['guardrail:g@1'], ['text'], guard('g', '1')],
    ['a guardrail of a stream (Bedrock)', 'bedrock', 'POST /model/m/invoke-with-response-stream', { prompt: 'x' }, ['guardrail:g@1'], ['text'], guard('g', '1')],
    ['a connector (Cohere)', 'cohere', 'POST /v1/chat', { model: 'm', message: 'x', connectors: [{ id: 'drive', options: { file_ids: ['f'] } }] }, ['connector:drive'], ['stored', 'text']],
    ['a session (SageMaker)', 'sagemaker', 'POST /endpoints/e/invocations', 'x', [], ['stored', 'text'], SESSION],
    ['a session (vLLM)', 'vllm', 'POST /invocations', OK, [], ['stored', 'text'], { 'x-amzn-sagemaker-session-id': 's1' }],
    ['a bucket for videos (Vertex)', 'vertex', `${VERTEX}/publishers/google/models/veo:predictLongRunning`, { instances: [{ prompt: 'x' }], parameters: { storageUri: 'gs://evil/x' } }, ['output:gs://evil'], ['text']],
    ['a table for the answers of a batch (Vertex)', 'vertex', `${VERTEX}/batchPredictionJobs`, { model: 'm', output_config: { bigquery_destination: { output_uri: 'bq://p.d.t' } } }, ['output:bq://p.d.t'], ['stored']],
    ['a sequence (Triton)', 'triton', 'POST /v2/models/m/infer', { inputs: [{ name: 'x', shape: [1], datatype: 'FP32', data: [1] }], parameters: { sequence_id: 7 } }, [], ['stored', 'tensor']],
    ['a sequence over gRPC', 'open-inference', 'POST /inference.GRPCInferenceService/ModelInfer', grpcOf([[1, 'm'], [4, messageOf([[1, 'sequence_id'], [2, 'x']])]]), [], ['stored', 'tensor']],
    ['the origin of an adapter', 'vllm', 'POST /v1/load_lora_adapter', { lora_name: 'm', lora_path: 'evil/adapter' }, ['origin:evil/adapter'], []],
    ['the origin of an archive', 'torchserve', 'POST /models?url=https%3A%2F%2Fevil.example%2Fm.mar&model_name=m', undefined, ['origin:https://evil.example/m.mar'], []],
  ])('%s', (_name, family, line, body, tools, classes, headers) => {
    const understanding = readerFor([family]).read(requestOf(line, body, headers));
    if (!understanding.understood) throw new Error(understanding.refusal.message);
    const { request } = understanding;
    expect(request.tools.map(({ name }) => name).sort()).toEqual(tools);
    expect(request.inputClasses).toEqual(classes);
  });

  test('what is loaded is decided by profiles that leave offered tools aside', () => {
    const line = 'POST /v1/load_lora_adapter';
    const body = { lora_name: 'm', lora_path: 'a/b' };
    expect(readerFor(['vllm']).read(requestOf(line, body))).toMatchObject({
      request: { tools: [{ kind: 'called', name: 'origin:a/b' }] },
    });
  });
});

// biome-ignore format: one request a line
const REFUSED: readonly Refused[] = [
  ['azure-openai', 'a source of data that is nowhere', AZURE, source({ index_name: 'docs' }), 'INPUT_REJECTED'],
  ['azure-openai', 'a source of data by a connection string', AZURE, source({ ...SEARCH, authentication: { type: 'connection_string', connection_string: 'AccountEndpoint=https://evil' } }), 'INPUT_REJECTED'],
  ['azure-openai', 'a source of data in two places', AZURE, source({ ...SEARCH, deeper: { endpoint: 'https://evil.example' } }), 'INPUT_REJECTED'],
  ['azure-openai', 'an index that could be a path', AZURE, source({ ...SEARCH, index_name: 'a/b' }), 'INPUT_REJECTED'],
  ['azure-openai', 'a path that could be an index', AZURE, source({ endpoint: 'https://s.search.windows.net/docs', index_name: 'x' }), 'INPUT_REJECTED'],
  ['azure-openai', 'a source of data with credentials in its place', AZURE, source({ endpoint: 'https://u:secret@s.example', index_name: 'x' }), 'INPUT_REJECTED'],
  ['gemini', 'an API that is nowhere', GEMINI, generate(external({ apiSpec: 'SIMPLE_SEARCH' })), 'INPUT_REJECTED'],
  ['gemini', 'an API with a query', GEMINI, generate(external({ endpoint: 'https://x.example/?q=1' })), 'INPUT_REJECTED'],
  ['gemini', 'an API beside a store', GEMINI, generate({ retrieval: { externalApi: { endpoint: 'https://x.example' }, vertexAiSearch: { datastore: 'd' } } }), 'INPUT_REJECTED'],
  ['gemini', 'an API in two spellings', GEMINI, generate({ retrieval: { externalApi: { endpoint: 'https://a' }, external_api: { endpoint: 'https://b' } } }), 'BODY_UNREADABLE'],
  ['gemini', 'a cache in two spellings', GEMINI, { contents: [], cachedContent: 'a', cached_content: 'b' }, 'BODY_UNREADABLE'],
  ['anthropic', 'a tool under the name of another', MESSAGES, { ...OK, tools: [{ type: 'code_execution_20250825', name: 'safe' }] }, 'INPUT_REJECTED'],
  ['anthropic', 'an editor under the name of another', MESSAGES, { ...OK, tools: [{ type: 'bash_20250124', name: 'str_replace_editor' }] }, 'INPUT_REJECTED'],
  ['bedrock', 'a guardrail without a version', 'POST /model/m/invoke', { prompt: 'x' }, 'INPUT_REJECTED', { 'x-amzn-bedrock-guardrailidentifier': 'g' }],
  ['bedrock', 'a guardrail that a lax reader sees', 'POST /model/m/invoke', { prompt: 'x' }, 'INPUT_REJECTED', { x_amzn_bedrock_guardrailidentifier: 'g' }],
  ['sagemaker', 'a selector that is not known', 'POST /endpoints/e/invocations', 'x', 'INPUT_REJECTED', { 'x-amzn-sagemaker-target-shadow': 's' }],
  ['sagemaker', 'a session twice', 'POST /endpoints/e/invocations', 'x', 'INPUT_REJECTED', [['x-amzn-sagemaker-session-id', 'a'], ['x-amzn-sagemaker-session-id', 'b']]],
  ['torchserve', 'an archive without a place', 'POST /models?model_name=m', undefined, 'INPUT_REJECTED'],
  ['torchserve', 'an archive in two places', 'POST /models?model_name=m&url=a.mar&url=b.mar', undefined, 'INPUT_REJECTED'],
  ['torchserve', 'an archive in two places, one in capitals', 'POST /models?model_name=m&url=a.mar&URL=b.mar', undefined, 'INPUT_REJECTED'],
  ['torchserve', 'a handler of the client', 'POST /models?model_name=m&url=a.mar&handler=os:system', undefined, 'INPUT_REJECTED'],
  ['torchserve', 'an archive behind a query', 'POST /models?model_name=m&url=https%3A%2F%2Fx%2Fm.mar%3Ftoken%3Ds', undefined, 'INPUT_REJECTED'],
  ['huggingface', 'adapters to merge', 'POST /generate', { inputs: 'x', parameters: { merged_adapters: { ids: ['dear'] } } }, 'INPUT_REJECTED'],
  ['ollama', 'a model of uploaded files', 'POST /api/create', { model: 'cheap', files: { 'm.gguf': 'sha256:1' } }, 'MODEL_UNKNOWN'],
  ['ollama', 'a model with uploaded adapters', 'POST /api/create', { model: 'cheap', from: 'cheap', adapters: { 'a.gguf': 'sha256:1' } }, 'INPUT_REJECTED'],
];

const image = formOf([]).headers;
const form = (...fields: Parameters<typeof formOf>[0]) => formOf([['model', 'm'], ...fields]).body;
const EDIT = 'POST /v1/images/edits';

// biome-ignore format: one request a line
const NESTED: readonly Refused[] = [
  ['openai', 'a model that moderates', RESPONSES, { model: 'm', input: 'x', moderation: { model: 'dear' } }, 'INPUT_REJECTED'],
  ['openai', 'a model that sums up', RESPONSES, { model: 'm', input: 'x', context_management: [{ type: 'compaction', deeper: { model: 'dear' } }] }, 'INPUT_REJECTED'],
  ['openai', 'a model that hears', CHAT, { ...OK, audio: { transcription: { model: 'dear' } } }, 'INPUT_REJECTED'],
  ['openai', 'a model that sums up, on a line of a batch', 'POST /v1/files', form(['purpose', 'batch'], ['file', JSON.stringify({ custom_id: 'c', method: 'POST', url: '/v1/responses', body: { model: 'm', input: 'x', moderation: { model: 'dear' } } }), 'application/jsonl']), 'INPUT_REJECTED', image],
  ['anthropic', 'a model that sums up', MESSAGES, { ...OK, context_management: { edits: [{ type: 'compact', model: 'dear' }] } }, 'INPUT_REJECTED'],
  ['anthropic', 'a model that sums up, in a batch', 'POST /v1/messages/batches', { requests: [{ params: { ...OK, context_management: { model: 'dear' } } }] }, 'INPUT_REJECTED'],
  ['vllm', 'a model among further arguments', CHAT, { ...OK, vllm_xargs: { model: 'dear' } }, 'INPUT_REJECTED'],
  ['vllm', 'tools among the arguments of a template', CHAT, { ...OK, chat_template_kwargs: { tools: [{ type: 'function', function: { name: 'danger' } }] } }, 'INPUT_REJECTED'],
  ['mlflow', 'a model among the parameters', 'POST /serving-endpoints/m/invocations', { inputs: [1], params: { model: 'dear' } }, 'INPUT_REJECTED'],
  ['bedrock', 'answers to no place', 'POST /async-invoke', { modelId: 'm', modelInput: { prompt: 'x' } }, 'INPUT_REJECTED'],
  ['bedrock', 'answers to a place that is no bucket', 'POST /model-invocation-job', { modelId: 'm', outputDataConfig: { s3OutputDataConfig: { s3Uri: 'b/out' } } }, 'INPUT_REJECTED'],
  ['vertex', 'answers to two places', `${VERTEX}/batchPredictionJobs`, { model: 'm', outputConfig: { gcsDestination: { outputUriPrefix: 'gs://a' }, bigqueryDestination: { outputUri: 'bq://b' } } }, 'INPUT_REJECTED'],
  ['openai', 'a server in two cases', RESPONSES, answer({ type: 'mcp', server_url: 'https://a', Server_URL: 'https://evil' }), 'BODY_UNREADABLE'],
  ['openai', 'a server in two spellings', RESPONSES, answer({ type: 'mcp', server_url: 'https://a', serverUrl: 'https://evil' }), 'INPUT_REJECTED'],
  ['anthropic', 'a server in two cases', MESSAGES, { ...OK, mcp_servers: [{ url: 'https://a', URL: 'https://evil' }] }, 'BODY_UNREADABLE'],
  ['anthropic', 'a server beside its tools', MESSAGES, { ...OK, tools: [{ type: 'mcp_toolset', mcp_server_name: 'a', url: 'https://evil' }] }, 'INPUT_REJECTED'],
  ['gemini', 'a server in two places', GEMINI, generate({ mcpServers: [{ url: 'https://evil', streamableHttpTransport: { url: 'https://a' } }] }), 'INPUT_REJECTED'],
  ['gemini', 'an API in another case', GEMINI, generate({ retrieval: { ExternalApi: { endpoint: 'https://evil' } } }), 'BODY_UNREADABLE'],
  ['openai', 'sources of data in camel case', CHAT, { ...OK, dataSources: [] }, 'BODY_UNREADABLE'],
  ['openai', 'servers of tools in camel case', CHAT, { ...OK, mcpServers: [] }, 'BODY_UNREADABLE'],
  ['azure-openai', 'an index in two cases', AZURE, source({ ...SEARCH, Index_Name: 'hr' }), 'BODY_UNREADABLE'],
  ['bedrock', 'a guardrail in two cases', 'POST /model/m/converse', { messages: [], guardrailConfig: { guardrailIdentifier: 'g', guardrailVersion: '1', GuardrailIdentifier: 'h' } }, 'BODY_UNREADABLE'],
  ['bedrock', 'a bucket in two cases', 'POST /async-invoke', { modelId: 'm', modelInput: { prompt: 'x' }, outputDataConfig: { s3OutputDataConfig: { s3Uri: 's3://a', S3Uri: 's3://evil' } } }, 'BODY_UNREADABLE'],
  ['openai', 'a number twice in a form', EDIT, form(['n', '1'], ['n', '10']), 'BODY_UNREADABLE', image],
  ['openai', 'a prompt twice in a form', EDIT, form(['prompt', 'a'], ['prompt', 'b']), 'BODY_UNREADABLE', image],
  ['openai', 'a number in words', EDIT, form(['n', 'ten']), 'INPUT_REJECTED', image],
  ['openai', 'a charset of the form', EDIT, form(['_charset_', 'utf-7']), 'BODY_UNREADABLE', image],
  ['openai', 'a charset of a field', EDIT, Buffer.from('--b0undary\r\nContent-Disposition: form-data; name="model"\r\nContent-Type: text/plain; charset=utf-7\r\n\r\nm\r\n--b0undary--\r\n'), 'BODY_UNREADABLE', image],
];

test('a model may stand in content, in schemas and in notes of the client', () => {
  const schema = { type: 'object', properties: { model: { type: 'string' } } };
  const bodies: readonly (readonly [DialectFamily, string, object])[] = [
    [
      'openai',
      CHAT,
      { ...OK, metadata: { model: 'x' }, response_format: { type: 'json_schema', json_schema: { schema } } },
    ],
    ['openai', RESPONSES, { model: 'm', input: 'x', text: { format: { type: 'json_schema', schema } } }],
    ['openai', CHAT, { ...OK, tools: [{ type: 'function', function: { name: 'f', parameters: schema } }] }],
    ['ollama', 'POST /api/chat', { ...OK, format: schema }],
    ['vllm', CHAT, { ...OK, guided_json: schema, structured_outputs: { json: schema } }],
    ['kserve', 'POST /v1/models/m:predict', { instances: [{ model: 'corolla' }] }],
    [
      'gemini',
      GEMINI,
      { contents: [], generationConfig: { responseSchema: schema }, labels: { model: 'x' } },
    ],
  ];
  for (const [family, line, body] of bodies) {
    expect(lineOf(readerFor([family]).read(requestOf(line, body)))).not.toMatch(/^[A-Z_]+:/);
  }
});

test('each image that is asked for is an output', () => {
  const outputs = (line: string, body: unknown, headers: Headers = {}) => {
    const understanding = readerFor(['openai']).read(requestOf(line, body, headers));
    return understanding.understood ? understanding.request.outputs.count : understanding.refusal;
  };
  expect(outputs('POST /v1/images/generations', { model: 'm', prompt: 'x', n: 10 })).toBe(10);
  expect(outputs(EDIT, form(['prompt', 'x'], ['n', '10']), image)).toBe(10);
});

describe('is refused', () => {
  test.each(refusedCases([...REFUSED, ...NESTED]))(
    '$family: $name',
    ({ family, line, body, code, headers }) => {
      expect(lineOf(readerFor([family]).read(requestOf(line, body, headers))).split(':', 1)[0]).toBe(code);
    },
  );
});
