/** Requests of Cohere, Ollama, vLLM, Hugging Face and of the servers of numbers and tables; and MCP. */
import { formOf, grpcOf, messageOf, type Sample } from '../sample.ts';

const HI = [{ role: 'user', content: 'hi' }];

// biome-ignore format: one request a line
export const COHERE_SAMPLES: readonly Sample[] = [
  ['POST /v2/chat', { model: 'command-a', messages: HI, stream: true }, 'cohere.chat generate command-a', { stream: true }],
  ['POST /v2/chat', { model: 'command-a', messages: HI, documents: ['d', { id: '1', data: { text: 'x' } }], max_tokens: 4 }, 'cohere.chat generate command-a', { max: 4, classes: ['text'] }],
  ['POST /v2/chat', { model: 'command-a', messages: HI, tools: [{ type: 'function', function: { name: 'f' } }] }, 'cohere.chat generate command-a', { tools: ['function:f'] }],
  ['POST /v1/chat', { model: 'command-r', message: 'hi', chat_history: [{ role: 'USER', message: 'x' }], connectors: [{ id: 'web-search' }] }, 'cohere.chat generate command-r', { tools: ['server:connector:web-search'] }],
  ['POST /v1/chat', { model: 'command-r', message: 'hi', tools: [{ name: 'f', description: 'd' }] }, 'cohere.chat generate command-r', { tools: ['function:f'] }],
  ['POST /v1/generate', { model: 'command', prompt: 'x', num_generations: 2, max_tokens: 3 }, 'cohere.generate generate command', { max: 6 }],
  ['POST /v1/summarize', { model: 'command', text: 'long' }, 'cohere.summarize generate command'],
  ['POST /v2/embed', { model: 'embed-v4.0', texts: ['a'], input_type: 'search_query', embedding_types: ['float'] }, 'cohere.embed embed embed-v4.0', { classes: ['text'] }],
  ['POST /v2/embed', { model: 'embed-v4.0', images: ['data:image/png;base64,xx'], input_type: 'image' }, 'cohere.embed embed embed-v4.0', { classes: ['image'] }],
  ['POST /v1/embed', { model: 'embed-english-v3.0', texts: ['a', 'b'] }, 'cohere.embed embed embed-english-v3.0'],
  ['POST /v2/rerank', { model: 'rerank-v3.5', query: 'q', documents: ['a', 'b'], top_n: 1 }, 'cohere.rerank rerank rerank-v3.5', { classes: ['text'] }],
  ['POST /v1/rerank', { model: 'rerank-english-v3.0', query: 'q', documents: [{ type: 'text', text: 'a' }] }, 'cohere.rerank rerank rerank-english-v3.0'],
  ['POST /v1/classify', { model: 'embed-english-v2.0', inputs: ['a'], examples: [{ type: 'text', text: 'b', label: 'l' }] }, 'cohere.classify classify embed-english-v2.0'],
  ['POST /v1/tokenize', { model: 'command', text: 'x' }, 'cohere.tokenize generate command'],
  ['POST /v1/detokenize', { model: 'command', tokens: [1, 2] }, 'cohere.detokenize generate command', { classes: ['tokens'] }],
];

const LLAMA = 'llama3.2:3b';

// biome-ignore format: one request a line
export const OLLAMA_SAMPLES: readonly Sample[] = [
  ['POST /api/generate', { model: LLAMA, prompt: 'why?' }, `ollama.generate generate ${LLAMA}`, { stream: true, classes: ['text'] }],
  ['POST /api/generate', { model: LLAMA, prompt: 'why?', stream: false, options: { num_predict: 5, temperature: 0 } }, `ollama.generate generate ${LLAMA}`, { stream: false, max: 5 }],
  ['POST /api/generate', { model: LLAMA, prompt: 'x', options: { num_predict: -1 } }, `ollama.generate generate ${LLAMA}`, { max: 2147483647 }],
  ['POST /api/generate', { model: 'llava', prompt: 'x', images: ['iVBORw0KGgo'] }, 'ollama.generate generate llava', { classes: ['image', 'text'] }],
  ['POST /api/generate', { model: LLAMA, prompt: 'x', context: [1, 2] }, `ollama.generate generate ${LLAMA}`, { classes: ['text', 'tokens'] }],
  ['POST /api/generate', { model: LLAMA, keep_alive: 0 }, `ollama.generate generate ${LLAMA}`],
  ['POST /api/chat', { model: LLAMA, messages: HI, stream: false }, `ollama.chat generate ${LLAMA}`, { stream: false }],
  ['POST /api/chat', { model: LLAMA, messages: [{ role: 'user', content: 'x', images: ['iVBO'] }] }, `ollama.chat generate ${LLAMA}`, { classes: ['image', 'text'] }],
  ['POST /api/chat', { model: LLAMA, messages: HI, tools: [{ type: 'function', function: { name: 'f' } }] }, `ollama.chat generate ${LLAMA}`, { tools: ['function:f'] }],
  ['POST /api/embed', { model: 'all-minilm', input: ['a', 'b'] }, 'ollama.embed embed all-minilm'],
  ['POST /api/embeddings', { model: 'all-minilm', prompt: 'a' }, 'ollama.embeddings embed all-minilm'],
  ['POST /api/pull', { model: LLAMA }, `ollama.pull deploy ${LLAMA}`],
  ['POST /api/pull', { name: LLAMA, stream: false }, `ollama.pull deploy ${LLAMA}`],
  ['POST /api/push', { model: 'acme/m:latest' }, 'ollama.push deploy acme/m:latest'],
  ['POST /api/create', { model: 'mario', system: 'x' }, 'ollama.create deploy mario'],
  ['DELETE /api/delete', { model: LLAMA }, `ollama.delete delete ${LLAMA}`],
  ['DELETE /api/delete', { name: LLAMA, model: LLAMA }, `ollama.delete delete ${LLAMA}`],
  ['POST /api/show', { model: LLAMA }, `ollama.show invoke ${LLAMA}`],
  ['POST /v1/chat/completions', { model: LLAMA, messages: HI }, `ollama.chat generate ${LLAMA}`, { stream: false }],
];

const QWEN = 'Qwen/Qwen2.5-7B-Instruct';

// biome-ignore format: one request a line
export const VLLM_SAMPLES: readonly Sample[] = [
  ['POST /v1/chat/completions', { model: QWEN, messages: HI, chat_template_kwargs: { enable_thinking: false, model_identity: 'a helper' } }, `vllm.chat generate ${QWEN}`],
  ['POST /v1/chat/completions', { model: QWEN, messages: HI, guided_json: {} }, `vllm.chat generate ${QWEN}`],
  ['POST /v1/chat/completions', { model: 'sql-lora', messages: [{ role: 'user', content: [{ type: 'video_url', video_url: { url: 'https://x/v.mp4' } }] }] }, 'vllm.chat generate sql-lora', { classes: ['video'] }],
  ['POST /v1/completions', { model: QWEN, prompt: 'x' }, `vllm.completions generate ${QWEN}`],
  ['POST /v1/embeddings', { model: 'bge', messages: HI }, 'vllm.embeddings embed bge', { classes: ['text'] }],
  ['POST /v1/responses', { model: QWEN, input: 'x' }, `vllm.responses generate ${QWEN}`],
  ['POST /v1/messages', { model: QWEN, max_tokens: 3, messages: HI }, `vllm.messages generate ${QWEN}`],
  ['POST /v1/audio/transcriptions', formOf([['model', 'whisper'], ['file', 'x', 'audio/flac']]).body, 'vllm.transcriptions transcribe whisper', { headers: formOf([]).headers }],
  ['POST /score', { model: 'bge', text_1: 'a', text_2: ['b'] }, 'vllm.score rerank bge'],
  ['POST /v1/score', { model: 'bge', queries: 'a', documents: ['b'] }, 'vllm.score rerank bge'],
  ['POST /rerank', { model: 'bge', query: 'a', documents: ['b'] }, 'vllm.rerank rerank bge'],
  ['POST /v2/rerank', { model: 'bge', query: 'a', documents: ['b'] }, 'vllm.rerank rerank bge'],
  ['POST /pooling', { model: 'bge', input: 'x' }, 'vllm.pooling embed bge'],
  ['POST /classify', { model: 'c', input: ['x'] }, 'vllm.classify classify c'],
  ['POST /tokenize', { model: QWEN, prompt: 'x' }, `vllm.tokenize generate ${QWEN}`],
  ['POST /tokenize', { model: QWEN, messages: HI }, `vllm.tokenize generate ${QWEN}`],
  ['POST /detokenize', { model: QWEN, tokens: [1] }, `vllm.detokenize generate ${QWEN}`, { classes: ['tokens'] }],
  ['POST /invocations', { model: QWEN, messages: HI, stream: true }, `vllm.invocations generate ${QWEN}`, { stream: true }],
  ['POST /invocations', { model: QWEN, prompt: 'x' }, `vllm.invocations generate ${QWEN}`],
  ['POST /invocations', { model: 'bge', input: 'x' }, 'vllm.invocations embed bge'],
  ['POST /v1/load_lora_adapter', { lora_name: 'sql-lora', lora_path: '/adapters/sql' }, 'vllm.load-adapter deploy sql-lora', { tools: ['called:origin:/adapters/sql'] }],
  ['POST /v1/unload_lora_adapter', { lora_name: 'sql-lora' }, 'vllm.unload-adapter retire sql-lora'],
];

// biome-ignore format: one request a line
export const HUGGINGFACE_SAMPLES: readonly Sample[] = [
  ['POST /generate', { inputs: 'x', parameters: { max_new_tokens: 6 } }, 'huggingface.generate generate tgi', { bound: 'tgi', max: 6 }],
  ['POST /', { inputs: 'x', stream: true }, 'huggingface.generate generate tgi', { bound: 'tgi', stream: true }],
  ['POST /generate_stream', { inputs: 'x' }, 'huggingface.generate-stream generate tgi', { bound: 'tgi', stream: true }],
  ['POST /generate', { inputs: 'x', parameters: { adapter_id: 'acme/lora' } }, 'huggingface.generate generate acme/lora'],
  ['POST /embed', { inputs: ['x', 'y'] }, 'huggingface.embed embed tei', { bound: 'tei' }],
  ['POST /rerank', { query: 'x', texts: ['y'] }, 'huggingface.rerank rerank tei', { bound: 'tei' }],
  ['POST /predict', { inputs: 'x' }, 'huggingface.classify classify tei', { bound: 'tei' }],
  ['POST /v1/chat/completions', { model: 'tgi', messages: HI }, 'huggingface.chat generate llama', { bound: 'llama' }],
];

const ROWS = {
  instances: [
    [1, 2.5],
    [3, 4],
  ],
};

// biome-ignore format: one request a line
export const KSERVE_SAMPLES: readonly Sample[] = [
  ['POST /v1/models/iris:predict', ROWS, 'kserve.predict predict iris', { classes: ['tabular'] }],
  ['POST /v1/models/iris:explain', ROWS, 'kserve.explain predict iris'],
  ['POST /v1/models/iris:classify', { examples: [{ x: 1 }], signature_name: 's' }, 'kserve.classify classify iris'],
  ['POST /v1/models/iris:regress', { examples: [{ x: 1 }] }, 'kserve.regress predict iris'],
  ['POST /v1/models/iris/versions/3:predict', ROWS, 'kserve.predict predict iris@3'],
  ['POST /v1/models/iris/labels/canary:predict', { inputs: { a: [1] } }, 'kserve.predict predict iris@canary'],
  ['POST /v1/models/resnet:predict', { instances: [{ b64: 'iVBORw0KGgo' }] }, 'kserve.predict predict resnet', { classes: ['file'] }],
  ['POST /v1/models/acme%2Ffraud:predict', ROWS, 'kserve.predict predict acme/fraud'],
  ['GET /v1/models/iris', undefined, 'kserve.model invoke iris'],
  ['GET /v1/models/iris/versions/3', undefined, 'kserve.model invoke iris@3'],
  ['GET /v1/models/iris/metadata', undefined, 'kserve.metadata invoke iris'],
  ['GET /v1/models/iris/versions/3/metadata', undefined, 'kserve.metadata invoke iris@3'],
];

const INFER = { id: '1', inputs: [{ name: 'x', shape: [1, 2], datatype: 'FP32', data: [1, 2] }] };
const json = Buffer.from(
  JSON.stringify({
    inputs: [{ name: 'x', shape: [2], datatype: 'FP32', parameters: { binary_data_size: 8 } }],
  }),
);

// biome-ignore format: one request a line
export const OPEN_INFERENCE_SAMPLES: readonly Sample[] = [
  ['POST /v2/models/iris/infer', INFER, 'open-inference.infer predict iris', { classes: ['tensor'] }],
  ['POST /v2/models/iris/versions/2/infer', INFER, 'open-inference.infer predict iris@2'],
  ['POST /v2/models/iris/infer', { inputs: [{ name: 't', shape: [1], datatype: 'BYTES', data: ['x'] }] }, 'open-inference.infer predict iris', { classes: ['unknown'] }],
  ['POST /v2/models/iris/infer', Buffer.concat([json, Buffer.alloc(8)]), 'open-inference.infer predict iris', { headers: { 'inference-header-content-length': String(json.length), 'content-type': 'application/octet-stream' } }],
  ['POST /v2/models/llm/generate', { text_input: 'x', parameters: { max_tokens: 7, stream: false } }, 'open-inference.generate generate llm', { max: 7 }],
  ['POST /v2/models/llm/generate_stream', { text_input: 'x', max_tokens: 7 }, 'open-inference.generate-stream generate llm', { stream: true, max: 7 }],
  ['GET /v2/models/iris', undefined, 'open-inference.model invoke iris'],
  ['GET /v2/models/iris/versions/2/ready', undefined, 'open-inference.ready invoke iris@2'],
  ['POST /inference.GRPCInferenceService/ModelInfer', grpcOf([[1, 'iris'], [5, messageOf([[1, 'x']])]]), 'open-inference.grpc-ModelInfer predict iris', { headers: { 'content-type': 'application/grpc' }, classes: ['tensor'] }],
  ['POST /inference.GRPCInferenceService/ModelInfer', grpcOf([[5, messageOf([[1, 'x']])], [2, '4'], [1, 'iris'], [5, messageOf([[1, 'x']])]]), 'open-inference.grpc-ModelInfer predict iris@4'],
  ['POST /inference.GRPCInferenceService/ModelMetadata', grpcOf([[1, 'iris']]), 'open-inference.grpc-ModelMetadata invoke iris'],
  ['POST /inference.GRPCInferenceService/RepositoryModelUnload', grpcOf([[2, 'iris']]), 'open-inference.grpc-RepositoryModelUnload retire iris'],
];

// biome-ignore format: one request a line
export const TRITON_SAMPLES: readonly Sample[] = [
  ['POST /v2/models/iris/infer', INFER, 'triton.infer predict iris'],
  ['POST /v2/repository/models/iris/load', {}, 'triton.load deploy iris'],
  ['POST /v2/repository/models/iris/unload', { parameters: { unload_dependents: false } }, 'triton.unload retire iris'],
  ['GET /v2/models/iris/config', undefined, 'triton.config invoke iris'],
  ['GET /v2/models/iris/versions/1/stats', undefined, 'triton.stats invoke iris@1'],
];

// biome-ignore format: one request a line
export const TORCHSERVE_SAMPLES: readonly Sample[] = [
  ['POST /predictions/resnet', 'JPEG', 'torchserve.predictions predict resnet', { headers: { 'content-type': 'image/jpeg' }, classes: ['image'] }],
  ['PUT /predictions/resnet', 'x', 'torchserve.predictions predict resnet', { classes: ['unknown'] }],
  ['POST /predictions/resnet/1.0', { x: 1 }, 'torchserve.predictions predict resnet@1.0', { classes: ['text'] }],
  ['POST /explanations/resnet', { x: 1 }, 'torchserve.explanations predict resnet'],
  ['POST /v1/models/resnet:predict', ROWS, 'torchserve.predict predict resnet'],
  ['POST /models?url=https://x/m.mar&model_name=resnet', undefined, 'torchserve.register deploy resnet', { tools: ['called:origin:https://x/m.mar'] }],
  ['PUT /models/resnet?min_worker=3', undefined, 'torchserve.scale deploy resnet'],
  ['PUT /models/resnet/2.0/set-default', undefined, 'torchserve.set-default deploy resnet@2.0'],
  ['DELETE /models/resnet/2.0', undefined, 'torchserve.unregister delete resnet@2.0'],
  ['GET /models/resnet', undefined, 'torchserve.model invoke resnet'],
];

// biome-ignore format: one request a line
export const MLFLOW_SAMPLES: readonly Sample[] = [
  ['POST /invocations', { dataframe_split: { columns: ['a'], data: [[1]] } }, 'mlflow.invocations predict churn', { bound: 'churn', classes: ['tabular', 'text'] }],
  ['POST /invocations', { instances: [[1]] }, 'mlflow.invocations predict churn', { bound: 'churn', classes: ['tabular'] }],
  ['POST /invocations', { inputs: { q: 'x' }, params: { k: 1 } }, 'mlflow.invocations predict churn', { bound: 'churn' }],
  ['POST /serving-endpoints/churn/invocations', { dataframe_records: [{ a: 1 }] }, 'mlflow.invocations predict churn'],
  ['POST /serving-endpoints/llama/invocations', { messages: HI, max_tokens: 5 }, 'mlflow.invocations generate llama', { max: 5 }],
  ['POST /gateway/completions/invocations', { prompt: 'x' }, 'mlflow.invocations generate completions'],
  ['POST /endpoints/chat/invocations', { messages: HI }, 'mlflow.invocations generate chat'],
  ['POST /serving-endpoints/chat/completions', { model: 'llama', messages: HI }, 'mlflow.chat generate llama'],
  ['POST /serving-endpoints/embeddings', { model: 'bge', input: 'x' }, 'mlflow.embeddings embed bge'],
  ['POST /serving-endpoints/completions', { model: 'llama', prompt: 'x' }, 'mlflow.completions generate llama'],
  ['POST /serving-endpoints/responses', { model: 'agent', input: 'x' }, 'mlflow.responses generate agent'],
  ['POST /gateway/embeddings/invocations', { input: 'x' }, 'mlflow.invocations predict embeddings'],
];

// biome-ignore format: one request a line
export const SAGEMAKER_SAMPLES: readonly Sample[] = [
  ['POST /endpoints/fraud/invocations', '1,2,3', 'sagemaker.invocations predict fraud', { headers: { 'content-type': 'text/csv' }, classes: ['text'] }],
  ['POST /endpoints/fraud/invocations', { inputs: 'x' }, 'sagemaker.invocations predict fraud'],
  ['POST /endpoints/mme/invocations', 'x', 'sagemaker.invocations predict mme/m1.tar.gz', { headers: { 'x-amzn-sagemaker-target-model': 'm1.tar.gz' } }],
  ['POST /endpoints/ab/invocations', 'x', 'sagemaker.invocations predict ab/variant:blue', { headers: { 'X-Amzn-SageMaker-Target-Variant': 'blue' } }],
  ['POST /endpoints/ic/invocations', 'x', 'sagemaker.invocations predict ic/component:comp', { headers: { 'x-amzn-sagemaker-inference-component': 'comp' } }],
  ['POST /endpoints/pipe/invocations', 'x', 'sagemaker.invocations predict pipe/container:second', { headers: { 'x-amzn-sagemaker-target-container-hostname': 'second' } }],
  ['POST /endpoints/fraud/async-invocations', undefined, 'sagemaker.async-invocations predict fraud'],
  ['POST /endpoints/llm/invocations-response-stream', { inputs: 'x' }, 'sagemaker.invocations-response-stream predict llm', { stream: true }],
];

const rpc = (method: string, params?: object) => ({ jsonrpc: '2.0', id: 1, method, params });
const mirrored = (method: string, name?: string) => ({
  'mcp-protocol-version': '2026-07-28',
  'mcp-method': method,
  ...(name === undefined ? {} : { 'mcp-name': name }),
});

// biome-ignore format: one request a line
export const MCP_SAMPLES: readonly Sample[] = [
  ['POST /mcp', rpc('tools/call', { name: 'create_issue', arguments: { title: 'x' } }), 'mcp.tools/call callTool', { tools: ['called:acme/github/create_issue'], classes: ['text'] }],
  ['POST /mcp', rpc('tools/call', { name: 'get.me', _meta: { progressToken: 1 } }), 'mcp.tools/call callTool', { tools: ['called:acme/github/get.me'] }],
  ['POST /mcp', rpc('initialize', { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'c', version: '1' } }), 'mcp.session callTool', { tools: ['called:acme/github'] }],
  ['POST /mcp', { jsonrpc: '2.0', method: 'notifications/initialized' }, 'mcp.session callTool', { tools: ['called:acme/github'] }],
  ['POST /mcp', rpc('ping'), 'mcp.session callTool'],
  ['POST /mcp', rpc('tools/list', { cursor: 'c' }), 'mcp.session callTool'],
  ['POST /mcp', rpc('resources/list'), 'mcp.session callTool'],
  ['POST /mcp', rpc('prompts/list'), 'mcp.session callTool'],
  ['POST /mcp', rpc('logging/setLevel', { level: 'info' }), 'mcp.session callTool'],
  ['POST /mcp', rpc('resources/read', { uri: 'repo://x/y' }), 'mcp.resources/read callTool', { tools: ['called:acme/github/mcp:resources/read'] }],
  ['POST /mcp', rpc('resources/subscribe', { uri: 'repo://x/y' }), 'mcp.resources/subscribe callTool'],
  ['POST /mcp', rpc('prompts/get', { name: 'p' }), 'mcp.prompts/get callTool', { tools: ['called:acme/github/mcp:prompts/get'] }],
  ['POST /mcp', rpc('completion/complete', { ref: { type: 'ref/prompt', name: 'p' } }), 'mcp.completion/complete callTool'],
  ['POST /mcp', rpc('tasks/result', { taskId: 't' }), 'mcp.tasks/result callTool', { tools: ['called:acme/github/mcp:tasks/result'] }],
  ['POST /mcp', { jsonrpc: '2.0', id: 7, result: { role: 'assistant' } }, 'mcp.session callTool'],
  ['POST /mcp', { jsonrpc: '2.0', id: 7, error: { code: -1, message: 'no' } }, 'mcp.session callTool'],
  ['GET /mcp', undefined, 'mcp.session callTool', { headers: { accept: 'text/event-stream' } }],
  ['DELETE /mcp', undefined, 'mcp.session callTool', { headers: { 'mcp-session-id': 's' } }],
  ['POST /mcp', rpc('tools/call', { name: 'f' }), 'mcp.tools/call callTool', { headers: { ...mirrored('tools/call', 'f'), 'content-type': 'Application/json' } }],
  ['POST /mcp/headers', rpc('tools/call', { name: 'f' }), 'mcp.tools/call callTool', { headers: { ...mirrored('tools/call', '=?base64?Zg==?='), 'content-type': 'application/json' }, tools: ['called:acme/jira/f'] }],
];
