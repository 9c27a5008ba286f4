/** Requests of Anthropic, Gemini, Vertex AI and Bedrock. */
import type { Sample } from '../sample.ts';

const HI = [{ role: 'user', content: 'hi' }];
const message = (extra: object) => ({ model: 'claude-sonnet-4-5', max_tokens: 256, messages: HI, ...extra });
const MESSAGES = 'anthropic.messages generate claude-sonnet-4-5';
const PNG = { type: 'base64', media_type: 'image/png', data: 'iVBORw0KGgo'.repeat(9) };

// biome-ignore format: one request a line
export const ANTHROPIC_SAMPLES: readonly Sample[] = [
  ['POST /v1/messages', message({}), MESSAGES, { classes: ['text'], max: 256, headers: { 'anthropic-version': '2023-06-01', 'x-api-key': 'k' } }],
  ['POST /v1/messages', message({ stream: true, temperature: 1, top_p: 0.5 }), MESSAGES, { stream: true }],
  ['POST /v1/messages', message({ system: 'be brief' }), MESSAGES],
  ['POST /v1/messages', message({ system: [{ type: 'text', text: 'x', cache_control: { type: 'ephemeral' } }] }), MESSAGES],
  ['POST /v1/messages', message({ messages: [{ role: 'user', content: [{ type: 'image', source: PNG }, { type: 'text', text: '?' }] }] }), MESSAGES, { classes: ['image', 'text'] }],
  ['POST /v1/messages', message({ messages: [{ role: 'user', content: [{ type: 'document', source: { type: 'file', file_id: 'file_1' } }] }] }), MESSAGES, { classes: ['file', 'stored'] }],
  ['POST /v1/messages', message({ messages: [{ role: 'user', content: [{ type: 'tool_result', tool_use_id: 't', content: [{ type: 'image', source: PNG }] }] }] }), MESSAGES, { classes: ['image', 'text'] }],
  ['POST /v1/messages', message({ messages: [{ role: 'assistant', content: [{ type: 'thinking', thinking: 'hm', signature: 's' }, { type: 'tool_use', id: 't', name: 'f', input: {} }] }] }), MESSAGES, { classes: ['text'] }],
  ['POST /v1/messages', message({ tools: [{ name: 'get_weather', input_schema: { type: 'object' } }] }), MESSAGES, { tools: ['function:get_weather'] }],
  ['POST /v1/messages', message({ tools: [{ type: 'custom', name: 'x', input_schema: {} }] }), MESSAGES, { tools: ['function:x'] }],
  ['POST /v1/messages', message({ tools: [{ type: 'web_search_20250305', name: 'web_search', max_uses: 5 }] }), MESSAGES, { tools: ['server:web_search'] }],
  ['POST /v1/messages', message({ tools: [{ type: 'bash_20250124', name: 'bash' }, { type: 'code_execution_20250825', name: 'code_execution' }] }), MESSAGES, { tools: ['server:bash', 'server:code_execution'] }],
  ['POST /v1/messages', message({ mcp_servers: [{ type: 'url', url: 'https://mcp.example/sse', name: 'example' }] }), MESSAGES, { tools: ['mcp:mcp:https://mcp.example/sse'] }],
  ['POST /v1/messages', message({ thinking: { type: 'enabled', budget_tokens: 1024 }, metadata: { user_id: 'u' } }), MESSAGES],
  ['POST /v1/messages', message({ container: 'container_1' }), MESSAGES, { classes: ['stored', 'text'] }],
  ['POST /v1/messages/count_tokens', { model: 'claude-sonnet-4-5', messages: HI }, 'anthropic.count-tokens generate claude-sonnet-4-5'],
  ['POST /v1/messages/batches', { requests: [{ custom_id: 'a', params: message({}) }, { custom_id: 'b', params: message({ max_tokens: 512 }) }] }, 'anthropic.batches batch claude-sonnet-4-5', { max: 512 }],
  ['POST /v1/complete', { model: 'claude-2.1', prompt: '\n\nHuman: hi\n\nAssistant:', max_tokens_to_sample: 9 }, 'anthropic.complete generate claude-2.1', { max: 9 }],
  ['GET /v1/models/claude-opus-4-1', undefined, 'anthropic.model invoke claude-opus-4-1'],
];

const CONTENTS = [{ role: 'user', parts: [{ text: 'hi' }] }];
const GEMINI = 'gemini.generateContent generate gemini-2.5-flash';
const FLASH = '/v1beta/models/gemini-2.5-flash';

// biome-ignore format: one request a line
export const GEMINI_SAMPLES: readonly Sample[] = [
  [`POST ${FLASH}:generateContent`, { contents: CONTENTS }, GEMINI, { classes: ['text'], stream: false }],
  [`POST ${FLASH}:generateContent?key=AIza`, { contents: CONTENTS }, GEMINI],
  ['POST /v1/models/gemini-2.5-flash:generateContent', { contents: CONTENTS }, GEMINI],
  ['POST /v1alpha/models/gemini-2.5-flash:generateContent', { contents: CONTENTS }, GEMINI],
  [`POST ${FLASH}:streamGenerateContent?alt=sse`, { contents: CONTENTS }, 'gemini.streamGenerateContent generate gemini-2.5-flash', { stream: true }],
  [`POST ${FLASH}:generateContent`, { model: 'models/gemini-2.5-flash', contents: CONTENTS }, GEMINI],
  [`POST ${FLASH}:generateContent`, { contents: { parts: { text: 'hi' } } }, GEMINI],
  [`POST ${FLASH}:generateContent`, { contents: CONTENTS, generationConfig: { maxOutputTokens: 50, candidateCount: 2, temperature: 0 } }, GEMINI, { max: 100 }],
  [`POST ${FLASH}:generateContent`, { contents: CONTENTS, generation_config: { max_output_tokens: 50, top_p: 0.1 } }, GEMINI, { max: 50 }],
  [`POST ${FLASH}:generateContent`, { system_instruction: { parts: [{ text: 'x' }] }, contents: CONTENTS }, GEMINI],
  [`POST ${FLASH}:generateContent`, { contents: [{ parts: [{ inlineData: { mimeType: 'image/png', data: 'iVBO' } }] }] }, GEMINI, { classes: ['image'] }],
  [`POST ${FLASH}:generateContent`, { contents: [{ parts: [{ inline_data: { mime_type: 'audio/wav', data: 'UklG' } }, { text: 'x' }] }] }, GEMINI, { classes: ['audio', 'text'] }],
  [`POST ${FLASH}:generateContent`, { contents: [{ parts: [{ fileData: { mimeType: 'video/mp4', fileUri: 'gs://x' } }] }] }, GEMINI, { classes: ['stored', 'video'] }],
  [`POST ${FLASH}:generateContent`, { contents: [{ parts: [{ functionResponse: { name: 'f', response: {} } }] }] }, GEMINI, { classes: ['text'] }],
  [`POST ${FLASH}:generateContent`, { contents: CONTENTS, cachedContent: 'cachedContents/1' }, GEMINI, { classes: ['stored', 'text'], tools: ['server:cachedContent'] }],
  [`POST ${FLASH}:generateContent`, { contents: CONTENTS, tools: [{ functionDeclarations: [{ name: 'f' }, { name: 'g' }] }] }, GEMINI, { tools: ['function:f', 'function:g'] }],
  [`POST ${FLASH}:generateContent`, { contents: CONTENTS, tools: [{ function_declarations: [{ name: 'f' }] }, { google_search: {} }] }, GEMINI, { tools: ['function:f', 'server:googleSearch'] }],
  [`POST ${FLASH}:generateContent`, { contents: CONTENTS, tools: [{ codeExecution: {} }, { urlContext: {} }] }, GEMINI, { tools: ['server:codeExecution', 'server:urlContext'] }],
  [`POST ${FLASH}:countTokens`, { contents: CONTENTS }, 'gemini.countTokens generate gemini-2.5-flash'],
  [`POST ${FLASH}:countTokens`, { generateContentRequest: { model: 'models/gemini-2.5-flash', contents: CONTENTS } }, 'gemini.countTokens generate gemini-2.5-flash', { classes: ['text'] }],
  ['POST /v1beta/models/gemini-embedding-001:embedContent', { model: 'models/gemini-embedding-001', content: { parts: [{ text: 'x' }] } }, 'gemini.embedContent embed gemini-embedding-001'],
  ['POST /v1beta/models/gemini-embedding-001:batchEmbedContents', { requests: [{ model: 'models/gemini-embedding-001', content: { parts: [{ text: 'x' }] } }] }, 'gemini.batchEmbedContents embed gemini-embedding-001', { classes: ['text'] }],
  ['POST /v1beta/models/imagen-4.0:predict', { instances: [{ prompt: 'x' }], parameters: { sampleCount: 4 } }, 'gemini.predict predict imagen-4.0'],
  ['POST /v1beta/models/veo-3.0:predictLongRunning', { instances: [{ prompt: 'x' }] }, 'gemini.predictLongRunning predict veo-3.0'],
  ['POST /v1beta/models/gemini-2.5-flash:batchGenerateContent', { batch: { displayName: 'b', inputConfig: { requests: { requests: [{ request: { contents: CONTENTS } }] } } } }, 'gemini.batchGenerateContent batch gemini-2.5-flash'],
  ['POST /v1beta/tunedModels/my-model:generateContent', { contents: CONTENTS }, 'gemini.generateContent generate tunedModels/my-model'],
  ['GET /v1beta/models/gemini-2.5-pro', undefined, 'gemini.model invoke gemini-2.5-pro'],
  ['POST /v1beta/interactions', { model: 'gemini-2.5-flash', input: 'hi', tools: [{ type: 'google_search' }] }, 'gemini.interactions generate gemini-2.5-flash', { tools: ['server:googleSearch'] }],
  ['POST /v1beta/openai/chat/completions', { model: 'gemini-2.5-flash', messages: HI }, 'gemini.openai.chat generate gemini-2.5-flash'],
  ['POST /v1beta/openai/embeddings', { model: 'gemini-embedding-001', input: 'x' }, 'gemini.openai.embeddings embed gemini-embedding-001'],
];

const PLACE = 'projects/p1/locations/europe-west4';
const PUBLISHED = `${PLACE}/publishers/google/models/gemini-2.5-pro`;
const CLAUDE = `${PLACE}/publishers/anthropic/models/claude-opus-4@20250514`;

// biome-ignore format: one request a line
export const VERTEX_SAMPLES: readonly Sample[] = [
  [`POST /v1/${PUBLISHED}:generateContent`, { contents: CONTENTS }, `vertex.generateContent generate ${PUBLISHED}`],
  [`POST /v1/${PUBLISHED}:generateContent`, { contents: CONTENTS, modelArmorConfig: { promptTemplateName: 'x' } }, `vertex.generateContent generate ${PUBLISHED}`],
  [`POST /v1beta1/${PUBLISHED}:streamGenerateContent?alt=sse`, { contents: CONTENTS }, `vertex.streamGenerateContent generate ${PUBLISHED}`, { stream: true }],
  [`POST /v1/${PUBLISHED}:countTokens`, { contents: CONTENTS }, `vertex.countTokens generate ${PUBLISHED}`],
  [`POST /v1/${CLAUDE}:rawPredict`, { anthropic_version: 'vertex-2023-10-16', messages: HI, max_tokens: 9 }, `vertex.rawPredict generate ${CLAUDE}`, { max: 9 }],
  [`POST /v1/${CLAUDE}:streamRawPredict`, { anthropic_version: 'vertex-2023-10-16', messages: HI, max_tokens: 9, tools: [{ name: 'f', input_schema: {} }] }, `vertex.streamRawPredict generate ${CLAUDE}`, { stream: true, tools: ['function:f'] }],
  [`POST /v1/${PLACE}/publishers/mistralai/models/mistral-large:rawPredict`, { model: 'mistral-large', messages: HI }, `vertex.rawPredict generate ${PLACE}/publishers/mistralai/models/mistral-large`],
  [`POST /v1/${PLACE}/publishers/google/models/text-embedding-005:predict`, { instances: [{ content: 'x', task_type: 'RETRIEVAL_QUERY' }] }, `vertex.predict predict ${PLACE}/publishers/google/models/text-embedding-005`, { classes: ['text'] }],
  [`POST /v1/${PLACE}/endpoints/123:predict`, { instances: [[1, 2, 3]] }, `vertex.predict predict ${PLACE}/endpoints/123`, { classes: ['tabular'] }],
  [`POST /v1/${PLACE}/endpoints/123:rawPredict`, { instances: [{ image: { b64: 'iVBO' } }] }, `vertex.rawPredict generate ${PLACE}/endpoints/123`, { classes: ['file'] }],
  [`POST /v1/${PLACE}/endpoints/123:explain`, { instances: [{ a: 1 }] }, `vertex.explain predict ${PLACE}/endpoints/123`],
  [`POST /v1beta1/${PLACE}/endpoints/openapi/chat/completions`, { model: 'google/gemini-2.5-pro', messages: HI }, `vertex.openai-chat generate ${PLACE}/endpoints/openapi/google/gemini-2.5-pro`],
  [`POST /v1/${PLACE}/batchPredictionJobs`, { displayName: 'j', model: 'publishers/google/models/gemini-2.5-flash', inputConfig: {}, outputConfig: { predictionsFormat: 'jsonl', gcsDestination: { outputUriPrefix: 'gs://b/out' } } }, 'vertex.batch batch publishers/google/models/gemini-2.5-flash', { classes: ['stored'], tools: ['called:output:gs://b'] }],
];

const SONNET = 'anthropic.claude-sonnet-4-20250514-v1:0';
const INVOKE = `bedrock.invoke generate ${SONNET}`;
const CONVERSE = `bedrock.converse generate ${SONNET}`;
const PROFILE = 'arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-v1:0';
const blocks = (...content: object[]) => ({ messages: [{ role: 'user', content }] });

// biome-ignore format: one request a line
export const BEDROCK_SAMPLES: readonly Sample[] = [
  [`POST /model/${SONNET}/invoke`, { anthropic_version: 'bedrock-2023-05-31', max_tokens: 10, messages: HI }, INVOKE, { max: 10, classes: ['text'] }],
  [`POST /model/${encodeURIComponent(SONNET)}/invoke`, { anthropic_version: 'bedrock-2023-05-31', max_tokens: 10, messages: HI }, INVOKE],
  [`POST /model/${SONNET}/invoke-with-response-stream`, { max_tokens: 10, messages: HI }, `bedrock.invoke-stream generate ${SONNET}`, { stream: true }],
  ['POST /model/amazon.titan-text-express-v1/invoke', { inputText: 'x', textGenerationConfig: { maxTokenCount: 7 } }, 'bedrock.invoke generate amazon.titan-text-express-v1', { max: 7 }],
  ['POST /model/meta.llama3-70b-instruct-v1:0/invoke', { prompt: 'x', max_gen_len: 8 }, 'bedrock.invoke generate meta.llama3-70b-instruct-v1:0', { max: 8 }],
  ['POST /model/amazon.nova-lite-v1:0/invoke', { inferenceConfig: { max_new_tokens: 3 }, ...blocks({ text: 'x' }) }, 'bedrock.invoke generate amazon.nova-lite-v1:0', { max: 3 }],
  ['POST /model/stability.sd3-large-v1:0/invoke', { steps: 3 }, 'bedrock.invoke generate stability.sd3-large-v1:0', { classes: ['unknown'] }],
  [`POST /model/${SONNET}/converse`, blocks({ text: 'hi' }), CONVERSE, { classes: ['text'] }],
  [`POST /model/${SONNET}/converse`, { ...blocks({ text: 'hi' }), system: [{ text: 's' }], inferenceConfig: { maxTokens: 12, topP: 0.5 } }, CONVERSE, { max: 12 }],
  [`POST /model/${SONNET}/converse`, blocks({ image: { format: 'png', source: { bytes: 'iVBO' } } }, { document: { format: 'pdf', name: 'd', source: { bytes: 'JVBE' } } }), CONVERSE, { classes: ['file', 'image'] }],
  [`POST /model/${SONNET}/converse`, { ...blocks({ text: 'x' }), toolConfig: { tools: [{ toolSpec: { name: 'top_song', inputSchema: { json: {} } } }, { cachePoint: { type: 'default' } }] } }, CONVERSE, { tools: ['function:top_song'] }],
  [`POST /model/${SONNET}/converse`, { ...blocks({ text: 'x' }), additionalModelRequestFields: { top_k: 5 } }, CONVERSE],
  [`POST /model/${SONNET}/converse`, { ...blocks({ text: 'x' }), additionalModelRequestFields: { anthropic_beta: ['context-1m-2025-08-07'] } }, CONVERSE],
  [`POST /model/${SONNET}/converse`, { ...blocks({ text: 'x' }), guardrailConfig: { guardrailIdentifier: 'g', guardrailVersion: '1' } }, CONVERSE, { tools: ['server:guardrail:g@1'] }],
  [`POST /model/${SONNET}/converse-stream`, blocks({ text: 'x' }), `bedrock.converse-stream generate ${SONNET}`, { stream: true }],
  [`POST /model/${encodeURIComponent(PROFILE)}/converse`, blocks({ text: 'x' }), `bedrock.converse generate ${PROFILE}`],
  [`POST /model/${SONNET}/count-tokens`, { input: { converse: blocks({ text: 'x' }) } }, `bedrock.count-tokens generate ${SONNET}`, { classes: ['text'] }],
  [`POST /model/${SONNET}/count-tokens`, { input: { invokeModel: { body: 'e30=' } } }, `bedrock.count-tokens generate ${SONNET}`, { classes: ['unknown'] }],
  ['POST /async-invoke', { modelId: 'amazon.nova-reel-v1:0', modelInput: { taskType: 'TEXT_VIDEO' }, outputDataConfig: { s3OutputDataConfig: { s3Uri: 's3://b/out' } } }, 'bedrock.async-invoke generate amazon.nova-reel-v1:0', { tools: ['called:output:s3://b'] }],
  ['POST /model-invocation-job', { jobName: 'j', modelId: SONNET, inputDataConfig: {}, outputDataConfig: { s3OutputDataConfig: { s3Uri: 's3://b' } } }, `bedrock.batch batch ${SONNET}`, { tools: ['called:output:s3://b'] }],
  ['POST /guardrail/gr1/version/DRAFT/apply', { source: 'INPUT', content: [{ text: { text: 'x' } }] }, 'bedrock.guardrail moderate guardrail/gr1@DRAFT'],
];
