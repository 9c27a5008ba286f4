/**
 * Requests that an upstream reads in its own way: the model, the tool or the kind of input that it takes is the one that is
 * decided, or the request is refused.
 */
import { describe, expect, test } from 'vitest';
import type { AiRequest } from '../../../src/edge/ai-requests/ai-request.ts';
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

type Headers = Readonly<Record<string, string>>;

const CHAT = 'POST /v1/chat/completions';
const M = [{ role: 'user', content: 'hi' }];
const OK = { model: 'cheap', messages: M };
const DEPLOYMENT = 'POST /openai/deployments/prod/chat/completions';
const RAW = 'POST /v1/projects/p/locations/l/publishers/m/models/cheap:rawPredict';
const GEMINI = 'POST /v1/projects/p/locations/l/publishers/google/models/g:generateContent';
const VOICE = 'POST /v1/audio/transcriptions';
const tool = (given: object) => ({ ...OK, tools: [given] });
const mcp = (given: object) => ({ model: 'm', input: 'x', tools: [{ type: 'mcp', ...given }] });

/** One form by the boundary `aaa`, another one by the boundary `bbb`. */
const TWO_FORMS = [
  '--aaa\r\nContent-Disposition: form-data; name="model"\r\n\r\ncheap\r\n',
  '--aaa\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n',
  '--bbb\r\nContent-Disposition: form-data; name="model"\r\n\r\ndear\r\n--bbb--\r\n',
  '\r\n--aaa--\r\n',
].join('');
const split = { custom_id: 'c', method: 'POST', url: '/v1/chat/completions', body: OK };
const INNER = JSON.stringify(split).replace('cheap', 'dear');
const TWO_LINES = JSON.stringify({ ...split, body: { model: 'cheap', messages: [0] } }).replace(
  '[0]',
  `[\r${INNER}\r]`,
);

// biome-ignore format: one request a line
const MODELS: readonly Refused[] = [
  ['openai', 'a boundary by RFC 2231', VOICE, TWO_FORMS, 'INPUT_REJECTED', { 'content-type': "multipart/form-data; boundary=aaa; boundary*=utf-8''bbb" }],
  ['openai', 'a boundary in pieces', VOICE, TWO_FORMS, 'INPUT_REJECTED', { 'content-type': 'multipart/form-data; boundary=aaa; boundary*0=bbb' }],
  ['openai', 'a charset by RFC 2231', CHAT, JSON.stringify(OK), 'INPUT_REJECTED', { 'content-type': "application/json; charset*=''utf-16" }],
  ['vllm', 'fallbacks alone, which the server does not know', CHAT, { fallbacks: ['cheap'], messages: M }, 'MODEL_UNKNOWN'],
  ['vllm', 'a list of models alone', CHAT, { models: ['cheap'], messages: M }, 'MODEL_UNKNOWN'],
  ['openai', 'a session that goes on', 'GET /v1/realtime?model=cheap&call_id=rtc_1', undefined, 'MODEL_UNKNOWN'],
  ['openai', 'a session whose model comes later', 'GET /v1/realtime?model=cheap&intent=transcription', undefined, 'MODEL_UNKNOWN'],
  ['openai', 'a parameter that the server does not read', 'GET /v1/realtime?deployment=cheap', undefined, 'MODEL_UNKNOWN'],
  ['openai', 'a parameter in another case', 'GET /v1/realtime?Model=cheap', undefined, 'MODEL_UNKNOWN'],
  ['openai', 'a plus that is a space', 'GET /v1/realtime?model=a+b', undefined, 'INPUT_REJECTED'],
  ['torchserve', 'a registration by JSON, which takes the place of the query', 'POST /models?url=http://x/m.mar&model_name=cheap', { url: 'http://evil/x.mar', model_name: 'dear' }, 'INPUT_REJECTED'],
  ['torchserve', 'a name that the server does not read', 'POST /models?url=http://x/m.mar&modelName=cheap', undefined, 'MODEL_UNKNOWN'],
  ['torchserve', 'an engine for a name', 'POST /models?url=http://x/m.mar&engine=cheap', undefined, 'MODEL_UNKNOWN'],
  ['mlflow', 'a model in a body that the server does not look at', 'POST /invocations', { model: 'cheap', inputs: [1] }, 'MODEL_UNKNOWN'],
  ['huggingface', 'a model in a body that TGI does not look at', 'POST /generate', { model: 'cheap', inputs: 'x' }, 'MODEL_UNKNOWN'],
  ['huggingface', 'a model that TEI does not look at', 'POST /v1/embeddings', { model: 'cheap', input: 'x' }, 'MODEL_UNKNOWN'],
  ['triton', 'an adapter in a text of parameters', 'POST /v2/models/m/generate', { text_input: 'x', sampling_parameters: '{"lora_name":"dear"}' }, 'INPUT_REJECTED'],
  ['triton', 'a text of parameters with a key twice', 'POST /v2/models/m/generate', { text_input: 'x', sampling_parameters: '{"max_tokens":1,"max_tokens":9}' }, 'BODY_UNREADABLE'],
  ['vertex', 'a model of a tool', GEMINI, { contents: [], tools: [{ retrieval: { vertexRagStore: { ragRetrievalConfig: { ranking: { llmRanker: { modelName: 'dear' } } } } } }] }, 'INPUT_REJECTED'],
  ['azure-openai', 'a deployment of a source of data', DEPLOYMENT, { messages: M, data_sources: [{ type: 'azure_search', parameters: { embedding_dependency: { type: 'deployment_name', deployment_name: 'dear' } } }] }, 'INPUT_REJECTED'],
  ['openai', 'a model of a tool of the upstream', 'POST /v1/responses', { model: 'm', input: 'x', tools: [{ type: 'future', settings: { model: 'dear' } }] }, 'INPUT_REJECTED'],
  ['vertex', 'keys of two vendors', RAW, { anthropic_version: 'x', max_tokens: 1, max_completion_tokens: 99, messages: M }, 'INPUT_REJECTED'],
  ['vllm', 'an adapter in a header, which takes the place of the model', 'POST /invocations', OK, 'MODEL_AMBIGUOUS', { 'x-amzn-sagemaker-adapter-identifier': 'dear' }],
  ['vllm', 'an adapter in a header alone', 'POST /invocations', { messages: M }, 'MODEL_UNKNOWN', { 'x-amzn-sagemaker-adapter-identifier': 'cheap' }],
  ['azure-openai', 'an agent in the place of the model', 'POST /openai/v1/responses', { model: 'cheap', input: 'x', agent: { type: 'agent_reference', name: 'a' } }, 'MODEL_UNKNOWN'],
  ['azure-openai', 'a reference to an agent', 'POST /openai/v1/responses', { model: 'cheap', input: 'x', agent_reference: { name: 'a' } }, 'MODEL_UNKNOWN'],
  ['ollama', 'a model from a file of the server', 'POST /api/create', { name: 'cheap', path: '/tmp/Modelfile' }, 'MODEL_UNKNOWN'],
  ['ollama', 'a model from a file, in capitals', 'POST /api/create', { name: 'cheap', Path: '/tmp/Modelfile' }, 'MODEL_UNKNOWN'],
  ['ollama', 'a model that another server runs', 'POST /api/create', { model: 'cheap', remote_host: 'https://evil' }, 'MODEL_UNKNOWN'],
  ['triton', 'an input in shared memory', 'POST /v2/models/m/infer', { inputs: [{ name: 'x', shape: [1], datatype: 'FP32', parameters: { shared_memory_region: 'theirs' } }] }, 'INPUT_REJECTED'],
  ['triton', 'an output into shared memory', 'POST /v2/models/m/infer', { inputs: [{ name: 'x', shape: [1], datatype: 'FP32', data: [1] }], outputs: [{ name: 'y', parameters: { shared_memory_region: 'theirs' } }] }, 'INPUT_REJECTED'],
  ['open-inference', 'an input in shared memory over gRPC', 'POST /inference.GRPCInferenceService/ModelInfer', grpcOf([[1, 'cheap'], [5, messageOf([[1, 'x'], [4, messageOf([[1, 'shared_memory_region'], [2, 'x']])]])]]), 'INPUT_REJECTED'],
  ['open-inference', 'an output into shared memory over gRPC', 'POST /inference.GRPCInferenceService/ModelInfer', grpcOf([[1, 'cheap'], [6, messageOf([[1, 'y'], [2, messageOf([[1, 'shared_memory_region']])]])], [6, messageOf([[1, 'z']])]]), 'INPUT_REJECTED'],
  ['sagemaker', 'a selector that a lax reader sees', 'POST /endpoints/e/invocations', 'x', 'INPUT_REJECTED', { x_amzn_sagemaker_target_variant: 'blue' }],
  ['openai', 'a type of the body that a lax reader sees', CHAT, OK, 'INPUT_REJECTED', { content_type: 'application/x-www-form-urlencoded' }],
  ['openai', 'the name of a tool that a lax reader sees', 'POST /mcp', { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'safe' } }, 'INPUT_REJECTED', { mcp_name: 'dear' }],
  ['vertex', 'instances beside a message', RAW, { anthropic_version: 'x', instances: [], messages: M }, 'INPUT_REJECTED'],
  ['openai', 'a line inside of a line of a batch', 'POST /v1/files', formOf([['purpose', 'batch'], ['file', TWO_LINES, 'application/jsonl']]).body, 'BODY_UNREADABLE', formOf([]).headers],
  ['gemini', 'a method in the query', 'GET /v1beta/tunedModels/t?$httpMethod=DELETE', undefined, 'INPUT_REJECTED'],
  ['gemini', 'headers in the query', 'GET /v1beta/tunedModels/t?$httpHeaders=x', undefined, 'INPUT_REJECTED'],
  ['gemini', 'a method in the query by the name of the header', 'GET /v1beta/tunedModels/t?x-http-method-override=DELETE', undefined, 'INPUT_REJECTED'],
  ['openai', 'a grader of a training', 'POST /v1/fine_tuning/jobs', { model: 'm', training_file: 'f', method: { type: 'reinforcement', reinforcement: { grader: { type: 'score_model', model: 'dear' } } } }, 'INPUT_REJECTED'],
  ['gemini', 'a batch from a file beside requests', 'POST /v1beta/models/g:batchGenerateContent', { batch: { inputConfig: { file_name: 'files/1', requests: { requests: [{ request: { contents: [] } }] } } } }, 'MODEL_UNKNOWN'],
  ['triton', 'models that depend on the named one', 'POST /v2/repository/models/m/unload', { parameters: { unload_dependents: true } }, 'MODEL_UNKNOWN'],
  ['vllm', 'a template among its arguments', CHAT, { ...OK, chat_template_kwargs: { chat_template: '{{ x }}' } }, 'INPUT_REJECTED'],
  ['vllm', 'code to run', CHAT, { ...OK, logits_processors: ['os.system'] }, 'INPUT_REJECTED'],
  ['vllm', 'state from another server', CHAT, { ...OK, kv_transfer_params: { remote_host: '10.0.0.1' } }, 'INPUT_REJECTED'],
  ['openai', 'a stored prompt of a proxy', CHAT, { ...OK, prompt_id: 'p' }, 'INPUT_REJECTED'],
  ['openai', 'settings of a router', CHAT, { ...OK, router_settings_override: {} }, 'INPUT_REJECTED'],
  ['kserve', 'another revision', 'GET /v1/models/m', undefined, 'INPUT_REJECTED', { 'knative-serving-tag': 'next' }],
  ['open-inference', 'another model of the mesh', 'GET /v2/models/m', undefined, 'MODEL_AMBIGUOUS', { 'mm-vmodel-id': 'dear' }],
  ['openai', 'several calls of one', CHAT, OK, 'INPUT_REJECTED', { 'x-envoy-hedge-on-per-try-timeout': 'true' }],
  ['openai', 'a call that is repeated', CHAT, OK, 'INPUT_REJECTED', { 'x-envoy-max-retries': '9' }],
  ['openai', 'another host', CHAT, OK, 'INPUT_REJECTED', { 'x-envoy-original-dst-host': '10.0.0.1:80' }],
  ['openai', 'a connection for HTTP/2', 'GET /v1/models/m', undefined, 'INPUT_REJECTED', { upgrade: 'h2c', 'http2-settings': 'AAMAAABkAAQAoAAAAAIAAAAA' }],
  ['openai', 'a connection for web sockets', 'GET /v1/models/m', undefined, 'INPUT_REJECTED', { upgrade: 'websocket' }],
  ['openai', 'a session over two protocols', 'GET /v1/realtime?model=m', undefined, 'INPUT_REJECTED', { upgrade: 'h2c, websocket' }],
  ['sagemaker', 'a model that is written like a variant', 'POST /endpoints/e/invocations', 'x', 'INPUT_REJECTED', { 'x-amzn-sagemaker-target-model': 'variant:blue' }],
  ['sagemaker', 'a variant that is written like a component', 'POST /endpoints/e/invocations', 'x', 'INPUT_REJECTED', { 'x-amzn-sagemaker-target-variant': 'component:c' }],
  ['kserve', 'a label that is written like a version', 'POST /v1/models/iris/labels/3:predict', { instances: [1] }, 'INPUT_REJECTED'],
  ['kserve', 'a version that is written like a label', 'POST /v1/models/iris/versions/canary:predict', { instances: [1] }, 'INPUT_REJECTED'],
  ['torchserve', 'a label that is written like a version', 'POST /v1/models/iris/labels/3:predict', { instances: [1] }, 'INPUT_REJECTED'],
  ['openai', 'a model of a tool in a namespace', 'POST /v1/responses', { model: 'm', input: 'x', tools: [{ type: 'namespace', name: 'n', tools: [{ type: 'future', model: 'dear' }] }] }, 'INPUT_REJECTED'],
  ['openai', 'MCP over another protocol', 'GET /mcp', undefined, 'INPUT_REJECTED', { upgrade: 'h2c' }],
];

// biome-ignore format: one request a line
const TOOLS: readonly Refused[] = [
  ['ollama', 'a function under a type that the server does not look at', 'POST /api/chat', tool({ type: 'safe', function: { name: 'danger' } }), 'INPUT_REJECTED'],
  ['vllm', 'two names', 'POST /v1/responses', { model: 'm', input: 'x', tools: [{ type: 'function', name: 'danger', function: { name: 'safe' } }] }, 'INPUT_REJECTED'],
  ['openai', 'a function of another kind', CHAT, tool({ type: 'function', function: { name: 'safe' }, custom: { name: 'danger' } }), 'INPUT_REJECTED'],
  ['cohere', 'two names', 'POST /v1/chat', { model: 'm', message: 'x', tools: [{ name: 'danger', function: { name: 'safe' } }] }, 'INPUT_REJECTED'],
  ['openai', 'a server that is nowhere', 'POST /v1/responses', mcp({ server_label: 'safe' }), 'INPUT_REJECTED'],
  ['openai', 'a server in two places', 'POST /v1/responses', mcp({ server_label: 'safe', server_url: 'https://x', connector_id: 'connector_gmail' }), 'INPUT_REJECTED'],
  ['gemini', 'a server that is nowhere', 'POST /v1beta/models/m:generateContent', { contents: [], tools: [{ mcpServers: [{ name: 'safe' }] }] }, 'INPUT_REJECTED'],
  ['openai', 'a server with credentials in its place', 'POST /v1/responses', mcp({ server_label: 'safe', server_url: 'https://u:secret@mcp.example/sse' }), 'INPUT_REJECTED'],
  ['openai', 'a server with a query', 'POST /v1/responses', mcp({ server_label: 'safe', server_url: 'https://mcp.example/sse?key=secret' }), 'INPUT_REJECTED'],
  ['anthropic', 'a server that is nowhere', 'POST /v1/messages', { ...OK, mcp_servers: [{ type: 'url', name: 'safe' }] }, 'INPUT_REJECTED'],
];

describe('is refused', () => {
  test.each(refusedCases([...MODELS, ...TOOLS]))(
    '$family: $name',
    ({ family, line, body, code, headers }) => {
      const said = lineOf(readerFor([family]).read(requestOf(line, body, headers)));
      expect(said.split(':', 1)[0]).toBe(code);
    },
  );
});

function read(family: DialectFamily, line: string, body: unknown, headers: Headers = {}): AiRequest {
  const understanding = readerFor([family]).read(requestOf(line, body, headers));
  if (!understanding.understood) throw new Error(understanding.refusal.message);
  return understanding.request;
}

describe('the tools are those that the upstream takes', () => {
  // biome-ignore format: one request a line
  test.each<[string, DialectFamily, string, unknown, string[]]>([
    ['a server by its URL, not by its label', 'openai', 'POST /v1/responses', mcp({ server_label: 'safe', server_url: 'https://evil.example/mcp' }), ['mcp:https://evil.example/mcp']],
    ['a connector', 'openai', 'POST /v1/responses', mcp({ server_label: 'safe', connector_id: 'connector_gmail' }), ['mcp:connector_gmail']],
    ['the tools of a server that is named', 'anthropic', 'POST /v1/messages', { ...OK, mcp_servers: [{ type: 'url', url: 'https://a.example', name: 'a' }], tools: [{ type: 'mcp_toolset', mcp_server_name: 'a' }] }, ['mcp:https://a.example']],
    ['functions of a namespace', 'openai', 'POST /v1/responses', { model: 'm', input: 'x', tools: [{ type: 'namespace', name: 'crm', tools: [{ type: 'function', name: 'danger' }] }] }, ['danger', 'namespace']],
    ['functions of a namespace whose arguments are called like models', 'openai', 'POST /v1/responses', { model: 'm', input: 'x', tools: [{ type: 'namespace', name: 'crm', tools: [{ type: 'function', name: 'f', parameters: { type: 'object', properties: { model: {} } } }] }] }, ['f', 'namespace']],
    ['a server by its URL (Gemini)', 'gemini', 'POST /v1beta/models/m:generateContent', { contents: [], tools: [{ mcp_servers: [{ name: 'safe', streamable_http_transport: { url: 'https://evil.example' } }] }] }, ['mcp:https://evil.example']],
    ['a server by its URL (interactions)', 'gemini', 'POST /v1beta/interactions', { model: 'm', input: 'x', tools: [{ type: 'mcp_server', name: 'safe', url: 'https://evil.example' }] }, ['mcp:https://evil.example']],
    ['functions that the input loads', 'openai', 'POST /v1/responses', { model: 'm', input: [{ type: 'tool_search_output', tools: [{ type: 'function', name: 'danger' }] }] }, ['danger']],
    ['a tool in its other spelling', 'gemini', 'POST /v1beta/models/m:generateContent', { contents: [], tools: [{ google_search: {} }] }, ['googleSearch']],
    ['tools of a model of Amazon', 'bedrock', 'POST /model/m/invoke', { messages: [{ role: 'user', content: [{ text: 'x' }] }], toolConfig: { tools: [{ systemTool: { name: 'nova_grounding' } }, { toolSpec: { name: 'f' } }] } }, ['f', 'nova_grounding']],
    ['a server of a model of Anthropic', 'bedrock', 'POST /model/m/invoke', { anthropic_version: 'x', messages: M, mcp_servers: [{ type: 'url', url: 'https://evil.example', name: 'safe' }] }, ['mcp:https://evil.example']],
    ['tools of an agent of Databricks', 'mlflow', 'POST /serving-endpoints/m/invocations', { input: [{ role: 'user', content: 'x' }], tools: [{ type: 'web_search' }] }, ['web_search']],
    ['the list of a server', 'openai', 'POST /v1/responses', { model: 'm', input: [{ type: 'mcp_list_tools', server_label: 'a', tools: [{ name: 'x y' }] }] }, []],
  ])('%s', (_name, family, line, body, tools) => {
    expect(read(family, line, body).tools.map(({ name }) => name).sort()).toEqual(tools);
  });
});

describe('the input is of the classes that the upstream finds', () => {
  const converse = (content: object) => ({ messages: [{ role: 'user', content: [content] }] });
  const part = (given: object) => ({ model: 'm', messages: [{ role: 'user', content: [given] }] });
  const PNG = { format: 'png', source: { bytes: 'iVBO' } };
  // biome-ignore format: one request a line
  test.each<[string, DialectFamily, string, unknown, string[], Headers?]>([
    ['an image in the result of a tool (Bedrock)', 'bedrock', 'POST /model/m/converse', converse({ toolResult: { toolUseId: 't', content: [{ image: PNG }, { json: {} }] } }), ['image', 'text']],
    ['an image to guard', 'bedrock', 'POST /model/m/converse', converse({ guardContent: { image: PNG } }), ['image', 'text']],
    ['an image in a bucket', 'bedrock', 'POST /model/m/converse', converse({ image: { format: 'png', source: { s3Location: { uri: 's3://b/i' } } } }), ['image', 'stored']],
    ['an image beside a text (Titan)', 'bedrock', 'POST /model/m/invoke', { inputText: 'x', inputImage: 'iVBO' }, ['image', 'text']],
    ['an image beside a text (Stability)', 'bedrock', 'POST /model/m/invoke', { prompt: 'x', image: 'iVBO', mode: 'image-to-image' }, ['image', 'text']],
    ['images to embed', 'bedrock', 'POST /model/m/invoke', { texts: ['x'], images: ['data:image/png;base64,xx'] }, ['image', 'text']],
    ['a text without a type (Nova)', 'bedrock', 'POST /model/m/invoke', converse({ text: 'x' }), ['text']],
    ['an image in the result of a function (Gemini)', 'gemini', 'POST /v1beta/models/m:generateContent', { contents: [{ parts: [{ functionResponse: { name: 'f', response: {}, parts: [{ inlineData: { mimeType: 'image/png', data: 'iVBO' } }] } }] }] }, ['image', 'text']],
    ['a part that is told by its key', 'vllm', CHAT, part({ content: '', image_url: 'https://x/i.png' }), ['text', 'unknown']],
    ['a text that is an image too', 'vllm', CHAT, part({ type: 'text', uuid: 'u', text: 'x', image_url: { url: 'https://x' } }), ['text', 'unknown']],
    ['results of tools of the upstream (Anthropic)', 'anthropic', 'POST /v1/messages', part({ type: 'web_search_tool_result', tool_use_id: 't', content: [{ type: 'web_search_result', url: 'u', title: 't', encrypted_content: 'x' }] }), ['text']],
    ['a page that the upstream read (Anthropic)', 'anthropic', 'POST /v1/messages', part({ type: 'web_fetch_tool_result', tool_use_id: 't', content: { type: 'web_fetch_result', url: 'u' } }), ['file']],
    ['an image that the upstream made', 'openai', 'POST /v1/responses', { model: 'm', input: [{ type: 'image_generation_call', id: 'i', result: 'iVBO' }] }, ['image']],
    ['a conversation that only the upstream reads', 'openai', 'POST /v1/responses', { model: 'm', input: [{ type: 'compaction', encrypted_content: 'x' }] }, ['stored']],
    ['a text with its sources (Bedrock)', 'bedrock', 'POST /model/m/converse', converse({ citationsContent: { content: [{ text: 'x' }] } }), ['text']],
    ['an image in low resolution (Gemini)', 'gemini', 'POST /v1beta/models/m:generateContent', { contents: [{ parts: [{ inlineData: { mimeType: 'image/png', data: 'iVBO' }, mediaResolution: { level: 'LOW' } }] }] }, ['image']],
    ['pairs to score', 'vllm', 'POST /score', { model: 'm', data_1: 'x', data_2: { content: [{ type: 'image_url', image_url: { url: 'https://x' } }] } }, ['image', 'text']],
    ['vectors for a prompt', 'vllm', 'POST /v1/completions', { model: 'm', prompt_embeds: 'gAJ9' }, ['tensor']],
    ['data for a plugin', 'vllm', 'POST /pooling', { model: 'm', data: { url: 'https://x' } }, ['unknown']],
    ['an image of an earlier turn by its id', 'openai', 'POST /v1/responses', { model: 'm', input: [{ type: 'image_generation_call', id: 'ig_1' }] }, ['image', 'stored']],
    ['a picture of the screen by its id', 'openai', 'POST /v1/responses', { model: 'm', input: [{ type: 'computer_call_output', call_id: 'c', output: { type: 'computer_screenshot', file_id: 'f' } }] }, ['image', 'stored']],
    ['an upload by its address (interactions)', 'gemini', 'POST /v1beta/interactions', { model: 'm', input: [{ type: 'image', uri: 'https://x/files/1' }] }, ['image', 'stored']],
    ['an earlier interaction in camel case', 'gemini', 'POST /v1beta/interactions', { model: 'm', input: 'x', previousInteractionId: 'i' }, ['stored', 'text']],
    ['a body of a vendor that is not known', 'vertex', RAW, { inputs: 'x' }, ['unknown']],
    ['an image in a bucket (Vertex)', 'vertex', 'POST /v1/projects/p/locations/l/publishers/google/models/veo:predictLongRunning', { instances: [{ prompt: 'x', image: { gcsUri: 'gs://b/i', mimeType: 'image/png' } }] }, ['image', 'stored', 'text']],
    ['bytes of an image (Vertex)', 'vertex', 'POST /v1/projects/p/locations/l/publishers/google/models/imagen:predict', { instances: [{ prompt: 'x', image: { bytesBase64Encoded: 'iVBO', mimeType: 'image/png' } }] }, ['image', 'text']],
    ['an image beside a text (Triton)', 'triton', 'POST /v2/models/m/generate', { text_input: 'x', image: 'iVBO', max_tokens: 9 }, ['image', 'text']],
    ['a tensor that is not known (Triton)', 'triton', 'POST /v2/models/m/generate', { text_input: 'x', multi_modal_data: { x: 'iVBO' } }, ['text', 'unknown']],
    ['words to stop at (Triton)', 'triton', 'POST /v2/models/m/generate', { text_input: 'x', bad_words: '', stop_words: ['a'], stream: false }, ['text']],
    ['an image for an agent (Databricks)', 'mlflow', 'POST /serving-endpoints/m/invocations', { input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'data:x' }] }] }, ['image', 'text']],
    ['texts and tokens to embed (Databricks)', 'mlflow', 'POST /serving-endpoints/m/invocations', { input: ['x', [1, 2]] }, ['text', 'tokens']],
    ['an image in Markdown (TGI)', 'huggingface', 'POST /generate', { model: 'tgi', inputs: 'See ![](https://x/i.png)' }, ['image', 'text']],
    ['documents (Cohere)', 'cohere', 'POST /v2/chat', { ...OK, documents: ['x', { id: 'd', data: { title: 'x', text: 'y' } }] }, ['text']],
    ['older documents (Cohere)', 'cohere', 'POST /v1/chat', { model: 'm', message: 'x', documents: [{ title: 'x', snippet: 'y' }] }, ['text']],
    ['a document with an image (Cohere)', 'cohere', 'POST /v2/chat', { ...OK, documents: [{ data: { image_url: 'https://x' } }] }, ['text', 'unknown']],
    ['a conversation that the upstream keeps (Cohere)', 'cohere', 'POST /v1/chat', { model: 'm', message: 'x', conversation_id: 'c' }, ['stored', 'text']],
    ['a session', 'openai', 'GET /v1/realtime?model=m', undefined, ['unknown']],
    ['an input in a bucket', 'sagemaker', 'POST /endpoints/e/async-invocations', undefined, ['stored', 'text'], { 'content-type': 'text/plain', 'x-amzn-sagemaker-inputlocation': 's3://b/i' }],
  ])('%s', (_name, family, line, body, classes, headers) => {
    const reader = readerFor([family]);
    const bound = family === 'huggingface' ? 'm' : undefined;
    const understanding = reader.read(requestOf(line, body, headers), bound);
    expect(understanding).toMatchObject({ request: { inputClasses: classes } });
  });
});

describe('the bound of the output is that of the upstream', () => {
  test('over all answers of a model of Bedrock', () => {
    const { params } = read('bedrock', 'POST /model/m/invoke', {
      prompt: 'x',
      max_tokens: 100,
      num_generations: 5,
    });
    expect(params.maxOutputTokens).toBe(500);
  });

  test('in a text of parameters for the backend of vLLM', () => {
    const body = { text_input: 'x', parameters: { max_tokens: 1 }, sampling_parameters: '{"max_tokens":99}' };
    expect(read('triton', 'POST /v2/models/m/generate', body).params.maxOutputTokens).toBe(99);
  });
});

test('an endpoint of MCP may stand below a slash, where the operator says so', () => {
  const slashed = { path: '/mcp/', server: 'acme/wiki', trustsHeaders: false };
  const reader = readerFor(['openai'], { mcp: [slashed, { ...slashed, path: '/plain' }] });
  const ask = (target: string) =>
    lineOf(reader.read(requestOf(`POST ${target}`, { jsonrpc: '2.0', id: 1, method: 'ping' })));
  expect(ask('/mcp/')).toBe('mcp.session callTool');
  expect(ask('/mcp/?model=a')).toBe('mcp.session callTool');
  expect(ask('/mcp')).toMatch(/^MODEL_UNKNOWN/);
  for (const target of ['/mcp//', '//mcp/', '/plain/', '/v1/chat/completions/']) {
    expect(ask(target)).toMatch(/^INPUT_REJECTED: .*empty segment/);
  }
});
