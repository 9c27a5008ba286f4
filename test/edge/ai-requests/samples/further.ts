/** Rows that families share or that few clients use, and the files of batches. */
import type { DialectFamily } from '../../../../src/domain/pep-profile.ts';
import { formOf, grpcOf, type Sample, type SampleExtras } from '../sample.ts';

const M = [{ role: 'user', content: 'hi' }];
const PLACE = 'projects/p/locations/l';
const GEMINI = `${PLACE}/publishers/google/models/gemini-2.5-flash`;
const RPC = '/inference.GRPCInferenceService';

/** A request with a form as its body. */
function form(
  line: string,
  fields: Parameters<typeof formOf>[0],
  meaning: string,
  extras: SampleExtras = {},
): Sample {
  const { body, headers } = formOf(fields);
  return [line, body, meaning, { ...extras, headers }];
}

/** The file of a batch with these lines. */
export function batchOf(...lines: readonly unknown[]): Parameters<typeof formOf>[0] {
  const text = lines.map(line => JSON.stringify(line)).join('\n');
  return [
    ['purpose', 'batch'],
    ['file', `${text}\n`, 'application/jsonl'],
  ];
}

export function lineOfBatch(
  model: string,
  body: object = { messages: M },
  url = '/v1/chat/completions',
): object {
  return { custom_id: 'c', method: 'POST', url, body: { model, ...body } };
}

const JOB = { input_file_id: 'file-1', endpoint: '/v1/chat/completions', completion_window: '24h' };
const IMAGE = ['image', 'x', 'image/png'] as const;
const AUDIO = ['file', 'x', 'audio/wav'] as const;

// biome-ignore format: one request a line
export const FURTHER_SAMPLES: Readonly<Partial<Record<DialectFamily, readonly Sample[]>>> = {
  openai: [
    form('POST /v1/files', batchOf(lineOfBatch('gpt-4o'), lineOfBatch('gpt-4o', { messages: M, max_tokens: 9 })), 'openai.batch-file batch gpt-4o', { max: 9, classes: ['text'] }),
    form('POST /v1/files', batchOf(lineOfBatch('e', { input: 'x' }, '/v1/embeddings')), 'openai.batch-file batch e', { classes: ['text'] }),
    form('POST /v1/files', batchOf(lineOfBatch('r', { input: 'x', tools: [{ type: 'web_search' }] }, '/v1/responses')), 'openai.batch-file batch r', { tools: ['server:web_search'] }),
    ['POST /v1/batches', JOB, 'openai.batch batch gpt-4o', { bound: 'gpt-4o', classes: ['stored'] }],
  ],
  'azure-openai': [
    form('POST /openai/deployments/d/images/edits', [IMAGE, ['prompt', 'x']], 'azure-openai.image-edits generate d'),
    form('POST /openai/deployments/d/audio/translations', [AUDIO], 'azure-openai.translations transcribe d'),
    form('POST /openai/v1/images/variations', [IMAGE, ['model', 'd']], 'azure-openai.image-variations generate d'),
    form('POST /openai/files?api-version=2024-10-21', batchOf(lineOfBatch('d', { messages: M }, '/chat/completions')), 'azure-openai.batch-file batch d'),
    ['POST /openai/batches?api-version=2024-10-21', { ...JOB, endpoint: '/chat/completions' }, 'azure-openai.batch batch d', { bound: 'd' }],
    ['POST /openai/fine_tuning/jobs?api-version=2024-10-21', { model: 'd', training_file: 'file-1' }, 'azure-openai.fine-tuning train d'],
    ['GET /openai/models/d?api-version=2024-10-21', undefined, 'azure-openai.model invoke d'],
    ['POST /openai/responses/input_tokens', { model: 'd', input: 'x' }, 'azure-openai.responses-tokens generate d'],
    ['POST /openai/v1/responses/compact', { model: 'd', input: 'x' }, 'azure-openai.responses-compact generate d'],
    ['POST /openai/v1/responses/input_tokens', { model: 'd', input: 'x' }, 'azure-openai.responses-tokens generate d'],
    ['POST /openai/v1/moderations', { model: 'd', input: 'x' }, 'azure-openai.moderations moderate d'],
    ['POST /openai/v1/fine_tuning/jobs', { model: 'd', training_file: 'file-1' }, 'azure-openai.fine-tuning train d'],
    ['GET /openai/v1/models/d', undefined, 'azure-openai.model invoke d'],
    ['DELETE /openai/v1/models/d', undefined, 'azure-openai.model-delete delete d'],
    form('POST /openai/v1/files', batchOf(lineOfBatch('d', { messages: M }, '/chat/completions')), 'azure-openai.batch-file batch d'),
    ['POST /openai/v1/batches', { ...JOB, endpoint: '/chat/completions' }, 'azure-openai.batch batch d', { bound: 'd' }],
  ],
  gemini: [
    ['POST /v1beta/openai/images/generations', { model: 'imagen-4', prompt: 'x' }, 'gemini.openai.images generate imagen-4'],
    ['GET /v1beta/openai/models/gemini-2.5-flash', undefined, 'gemini.openai.model invoke gemini-2.5-flash'],
  ],
  vertex: [
    [`POST /v1/${GEMINI}:embedContent`, { content: { parts: [{ text: 'x' }] } }, `vertex.embedContent embed ${GEMINI}`],
    [`POST /v1/${GEMINI}:batchEmbedContents`, { requests: [{ content: { parts: [{ text: 'x' }] } }] }, `vertex.batchEmbedContents embed ${GEMINI}`],
    [`POST /v1/${GEMINI}:batchGenerateContent`, { batch: { inputConfig: { requests: { requests: [{ request: { contents: [] } }] } } } }, `vertex.batchGenerateContent batch ${GEMINI}`],
    [`POST /v1/${GEMINI}:predictLongRunning`, { instances: [{ prompt: 'x' }] }, `vertex.predictLongRunning predict ${GEMINI}`],
    [`POST /v1/${GEMINI}:serverStreamingPredict`, { inputs: [] }, `vertex.serverStreamingPredict predict ${GEMINI}`],
  ],
  ollama: [
    ['POST /api/copy', { source: 'a', destination: 'a' }, 'ollama.copy deploy a'],
    ['POST /v1/responses', { model: 'a', input: 'x' }, 'ollama.responses generate a'],
    ['POST /v1/completions', { model: 'a', prompt: 'x' }, 'ollama.completions generate a'],
    ['GET /v1/models/a', undefined, 'ollama.model invoke a'],
  ],
  vllm: [
    ['POST /v1/responses/compact', { model: 'a', input: 'x' }, 'vllm.responses-compact generate a'],
    ['POST /v1/responses/input_tokens', { model: 'a', input: 'x' }, 'vllm.responses-tokens generate a'],
    ['POST /v1/images/generations', { model: 'a', prompt: 'x' }, 'vllm.images generate a'],
    form('POST /v1/images/edits', [IMAGE, ['model', 'a']], 'vllm.image-edits generate a'),
    form('POST /v1/images/variations', [IMAGE, ['model', 'a']], 'vllm.image-variations generate a'),
    ['POST /v1/audio/speech', { model: 'a', input: 'x' }, 'vllm.speech generate a'],
    form('POST /v1/audio/translations', [AUDIO, ['model', 'a']], 'vllm.translations transcribe a'),
    ['POST /v1/moderations', { model: 'a', input: 'x' }, 'vllm.moderations moderate a'],
    ['POST /v1/fine_tuning/jobs', { model: 'a', training_file: 'f' }, 'vllm.fine-tuning train a'],
    ['GET /v1/realtime?model=a', undefined, 'vllm.realtime generate a', { stream: true }],
    ['GET /v1/models/a', undefined, 'vllm.model invoke a'],
    ['DELETE /v1/models/a', undefined, 'vllm.model-delete delete a'],
    form('POST /v1/files', batchOf(lineOfBatch('a')), 'vllm.batch-file batch a'),
    ['POST /v1/batches', JOB, 'vllm.batch batch a', { bound: 'a' }],
    ['POST /v1/messages/count_tokens', { model: 'a', messages: M }, 'vllm.count-tokens generate a'],
  ],
  huggingface: [
    ['POST /v1/completions', { model: 'llama', prompt: 'x' }, 'huggingface.completions generate llama', { bound: 'llama' }],
    ['POST /v1/embeddings', { model: 'tei', input: 'x' }, 'huggingface.embeddings embed tei', { bound: 'tei' }],
    ['POST /v1/embeddings', { model: 'text-embeddings-inference', input: 'x' }, 'huggingface.embeddings embed tei', { bound: 'tei' }],
    ['POST /v1/chat/completions', { model: 'dummy', messages: [] }, 'huggingface.chat generate llama', { bound: 'llama' }],
  ],
  'open-inference': [
    [`POST ${RPC}/ModelReady`, grpcOf([[1, 'iris']]), 'open-inference.grpc-ModelReady invoke iris'],
    [`POST ${RPC}/ModelConfig`, grpcOf([[1, 'iris'], [2, '3']]), 'open-inference.grpc-ModelConfig invoke iris@3'],
    [`POST ${RPC}/ModelStatistics`, grpcOf([[1, 'iris']]), 'open-inference.grpc-ModelStatistics invoke iris'],
    [`POST ${RPC}/RepositoryModelLoad`, grpcOf([[2, 'iris']]), 'open-inference.grpc-RepositoryModelLoad deploy iris'],
    [`POST ${RPC}/RepositoryModelUnload`, grpcOf([[2, 'iris'], [3, '\n\x11unload_dependents\x12\x02\x08\x00']]), 'open-inference.grpc-RepositoryModelUnload retire iris'],
  ],
  triton: [
    ['POST /v2/models/llama/generate', { text_input: 'x' }, 'triton.generate generate llama'],
    ['POST /v2/models/llama/generate_stream', { text_input: 'x' }, 'triton.generate-stream generate llama', { stream: true }],
    ['GET /v2/models/llama', undefined, 'triton.model invoke llama'],
    ['GET /v2/models/llama/ready', undefined, 'triton.ready invoke llama'],
    [`POST ${RPC}/ModelInfer`, grpcOf([[1, 'llama']]), 'open-inference.grpc-ModelInfer predict llama'],
    [`POST ${RPC}/RepositoryModelUnload`, grpcOf([[2, 'llama']]), 'open-inference.grpc-RepositoryModelUnload retire llama'],
  ],
};
