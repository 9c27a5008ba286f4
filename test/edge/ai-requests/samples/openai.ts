/** Requests of the OpenAI API and of Azure OpenAI. */
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { formOf, type Sample } from '../sample.ts';

const HI = [{ role: 'user', content: 'hi' }];
const DATA_URL = `data:image/png;base64,${'iVBORw0KGgo'.repeat(20)}`;
const WEATHER = {
  type: 'function',
  function: { name: 'get_weather', parameters: { type: 'object', properties: { Name: {}, name: {} } } },
};
const wav = formOf([
  ['model', 'whisper-1'],
  ['language', 'de'],
  ['file', 'RIFF', 'audio/wav'],
]);
const untyped = formOf([
  ['file', 'RIFF', 'application/octet-stream'],
  ['model', 'gpt-4o-transcribe'],
  ['stream', 'true'],
]);
const edit = formOf([
  ['model', 'gpt-image-1'],
  ['prompt', 'a cat'],
  ['image[]', 'PNG', 'image/png'],
  ['image[]', 'PNG', 'image/png'],
  ['mask', 'PNG', 'image/png'],
]);
const chat = (extra: object) => ({ model: 'gpt-4o', messages: HI, ...extra });
const answer = (extra: object) => ({ model: 'gpt-4.1', input: 'hi', ...extra });
const CHAT = 'openai.chat generate gpt-4o';
const RESPONSES = 'openai.responses generate gpt-4.1';

// biome-ignore format: one request a line
export const OPENAI_SAMPLES: readonly Sample[] = [
  ['POST /v1/chat/completions', chat({}), CHAT, { classes: ['text'], stream: false }],
  ['POST /v1/chat/completions', chat({ stream: true, stream_options: { include_usage: true } }), CHAT, { stream: true }],
  ['POST /v1/chat/completions', chat({ stream: null }), CHAT, { stream: false }],
  ['POST /v1/chat/completions', chat({ max_tokens: 100 }), CHAT, { max: 100 }],
  ['POST /v1/chat/completions', chat({ max_completion_tokens: 100, n: 3 }), CHAT, { max: 300 }],
  ['POST /v1/chat/completions', chat({ max_tokens: 10, max_completion_tokens: 100 }), CHAT, { max: 100 }],
  ['POST /v1/chat/completions', chat({ temperature: 0.2, top_p: 1, seed: 7, user: 'u-1' }), CHAT],
  ['POST /v1/chat/completions', chat({ tools: [WEATHER], tool_choice: 'auto' }), CHAT, { tools: ['function:get_weather'] }],
  ['POST /v1/chat/completions', chat({ tools: [{ type: 'custom', custom: { name: 'grep' } }] }), CHAT, { tools: ['function:grep'] }],
  ['POST /v1/chat/completions', chat({ functions: [{ name: 'old_style', parameters: {} }] }), CHAT, { tools: ['function:old_style'] }],
  ['POST /v1/chat/completions', chat({ web_search_options: {} }), CHAT, { tools: ['server:web_search'] }],
  ['POST /v1/chat/completions', chat({ response_format: { type: 'json_schema', json_schema: { name: 'x', schema: {} } } }), CHAT],
  ['POST /v1/chat/completions', chat({ messages: [{ role: 'user', content: [{ type: 'text', text: 'what?' }, { type: 'image_url', image_url: { url: DATA_URL } }] }] }), CHAT, { classes: ['image', 'text'] }],
  ['POST /v1/chat/completions', chat({ messages: [{ role: 'user', content: [{ type: 'input_audio', input_audio: { data: 'UklG', format: 'wav' } }] }] }), CHAT, { classes: ['audio'] }],
  ['POST /v1/chat/completions', chat({ messages: [{ role: 'user', content: [{ type: 'file', file: { file_id: 'file-1' } }] }] }), CHAT, { classes: ['file', 'stored'] }],
  ['POST /v1/chat/completions', chat({ messages: [{ role: 'user', content: [{ type: 'hologram', hologram: {} }] }] }), CHAT, { classes: ['unknown'] }],
  ['POST /v1/chat/completions', chat({ messages: [{ role: 'assistant', content: null, tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }] }, { role: 'tool', tool_call_id: 'c', content: '42' }] }), CHAT, { classes: ['text'] }],
  ['POST /v1/chat/completions', chat({ modalities: ['text', 'audio'], audio: { voice: 'alloy', format: 'wav' } }), CHAT],
  ['POST /v1/chat/completions', chat({ metadata: { app: 'x' }, store: true, parallel_tool_calls: false }), CHAT],
  ['POST /v1/chat/completions', chat({ model: 'ft:gpt-4o-mini-2024-07-18:acme::Abc123' }), 'openai.chat generate ft:gpt-4o-mini-2024-07-18:acme::Abc123'],
  ['POST /v1/chat/completions', chat({ model: 'openai/gpt-4o:free' }), 'openai.chat generate openai/gpt-4o:free'],
  ['POST /v1/chat/completions', chat({ models: ['gpt-4o'] }), CHAT],
  ['POST /v1/chat/completions', chat({ fallbacks: ['gpt-4o', { model: 'gpt-4o' }] }), CHAT],
  ['POST /v1/chat/completions', chat({ messages: [{ role: 'user', content: 'π ✓ \u{1f600}' }] }), CHAT],
  ['POST /v1/chat/completions', '{"model":"gpt-4o","messages":[{"role":"user","content":"\\ud83d\\ude00"}]}', CHAT],
  ['POST /v1/chat/completions', '\n {"model" : "gpt-\\u0034o", "messages": []}\r\n', CHAT, { headers: { 'content-type': 'application/json; charset=utf-8' } }],
  ['POST /v1/chat/completions', chat({}), CHAT, { headers: { 'content-type': 'Application/JSON; charset="UTF-8"' } }],
  ['POST /v1/chat/completions?api-version=2024-10-21&x=%C3%A4', chat({}), CHAT],
  ['POST /v1/chat/completions?model=gpt-4o', chat({}), CHAT],
  ['POST /v1/chat/completions', chat({}), CHAT, { headers: { 'x-ai-eg-model': 'gpt-4o', 'content-type': 'application/json' } }],
  ['POST /v1/chat/completions', gzipSync(JSON.stringify(chat({}))), CHAT, { headers: { 'content-encoding': 'gzip' } }],
  ['POST /v1/chat/completions', gzipSync(JSON.stringify(chat({}))), CHAT, { headers: { 'content-encoding': 'X-GZIP' } }],
  ['POST /v1/chat/completions', deflateSync(JSON.stringify(chat({}))), CHAT, { headers: { 'content-encoding': 'deflate' } }],
  ['POST /v1/chat/completions', brotliCompressSync(JSON.stringify(chat({}))), CHAT, { headers: { 'content-encoding': 'br' } }],
  ['POST /v1/chat/completions', JSON.stringify(chat({})), CHAT, { headers: { 'content-encoding': 'identity' } }],
  ['POST /v1/chat/completions', { messages: HI }, CHAT, { bound: 'gpt-4o' }],
  ['POST /v1/responses', answer({}), RESPONSES, { classes: ['text'] }],
  ['POST /v1/responses/compact', answer({}), 'openai.responses-compact generate gpt-4.1'],
  ['POST /v1/responses', answer({ instructions: 'be brief', max_output_tokens: 64 }), RESPONSES, { max: 64 }],
  ['POST /v1/responses', answer({ stream: true, background: true }), RESPONSES, { stream: true }],
  ['POST /v1/responses', answer({ input: [{ role: 'user', content: [{ type: 'input_text', text: 'hi' }, { type: 'input_image', image_url: DATA_URL }] }] }), RESPONSES, { classes: ['image', 'text'] }],
  ['POST /v1/responses', answer({ input: [{ type: 'message', role: 'user', content: [{ type: 'input_file', file_id: 'file-1' }] }] }), RESPONSES, { classes: ['file', 'stored', 'text'] }],
  ['POST /v1/responses', answer({ input: [{ type: 'function_call_output', call_id: 'c', output: '{}' }], previous_response_id: 'resp_1' }), RESPONSES, { classes: ['stored', 'text'] }],
  ['POST /v1/responses', answer({ input: [{ type: 'item_reference', id: 'msg_1' }] }), RESPONSES, { classes: ['stored'] }],
  ['POST /v1/responses', answer({ conversation: 'conv_1' }), RESPONSES, { classes: ['stored', 'text'] }],
  ['POST /v1/responses', answer({ tools: [{ type: 'function', name: 'lookup', parameters: {}, strict: true }] }), RESPONSES, { tools: ['function:lookup'] }],
  ['POST /v1/responses', answer({ tools: [{ type: 'web_search' }, { type: 'code_interpreter', container: { type: 'auto' } }] }), RESPONSES, { tools: ['server:web_search', 'server:code_interpreter'] }],
  ['POST /v1/responses', answer({ tools: [{ type: 'mcp', server_label: 'deepwiki', server_url: 'https://x', require_approval: 'never' }] }), RESPONSES, { tools: ['mcp:mcp:https://x'] }],
  ['POST /v1/responses', answer({ tools: [{ type: 'file_search', vector_store_ids: ['vs_1'] }] }), RESPONSES, { tools: ['server:file_search'], classes: ['stored', 'text'] }],
  ['POST /v1/responses/input_tokens', answer({}), 'openai.responses-tokens generate gpt-4.1'],
  ['POST /v1/completions', { model: 'gpt-3.5-turbo-instruct', prompt: 'once', max_tokens: 5, best_of: 2 }, 'openai.completions generate gpt-3.5-turbo-instruct', { max: 10 }],
  ['POST /v1/completions', { model: 'davinci-002', prompt: ['a', 'b'], suffix: 'z', stream: true }, 'openai.completions generate davinci-002', { stream: true }],
  ['POST /v1/completions', { model: 'davinci-002', prompt: [1, 2, 3] }, 'openai.completions generate davinci-002', { classes: ['tokens'] }],
  ['POST /v1/completions', { model: 'davinci-002', prompt: [[1, 2], [3]] }, 'openai.completions generate davinci-002', { classes: ['tokens'] }],
  ['POST /v1/embeddings', { model: 'text-embedding-3-small', input: 'hi' }, 'openai.embeddings embed text-embedding-3-small', { classes: ['text'] }],
  ['POST /v1/embeddings', { model: 'text-embedding-3-large', input: ['a', 'b'], dimensions: 256, encoding_format: 'base64' }, 'openai.embeddings embed text-embedding-3-large'],
  ['POST /v1/embeddings', { model: 'text-embedding-3-large', input: [1, 2] }, 'openai.embeddings embed text-embedding-3-large', { classes: ['tokens'] }],
  ['POST /v1/images/generations', { model: 'gpt-image-1', prompt: 'a cat', n: 2, size: '1024x1024' }, 'openai.images generate gpt-image-1', { classes: ['text'] }],
  ['POST /v1/images/generations', { model: 'gpt-image-1', prompt: 'a cat', stream: true }, 'openai.images generate gpt-image-1', { stream: true }],
  ['POST /v1/images/edits', edit.body, 'openai.image-edits generate gpt-image-1', { headers: edit.headers, classes: ['image', 'text'] }],
  ['POST /v1/images/variations', edit.body, 'openai.image-variations generate gpt-image-1', { headers: edit.headers }],
  ['POST /v1/audio/speech', { model: 'tts-1', input: 'hello', voice: 'alloy' }, 'openai.speech generate tts-1', { classes: ['text'] }],
  ['POST /v1/audio/speech', { model: 'gpt-4o-mini-tts', input: 'hello', voice: 'alloy', stream_format: 'sse' }, 'openai.speech generate gpt-4o-mini-tts', { stream: true }],
  ['POST /v1/audio/transcriptions', wav.body, 'openai.transcriptions transcribe whisper-1', { headers: wav.headers, classes: ['audio'] }],
  ['POST /v1/audio/transcriptions', untyped.body, 'openai.transcriptions transcribe gpt-4o-transcribe', { headers: untyped.headers, classes: ['audio'], stream: true }],
  ['POST /v1/audio/translations', wav.body, 'openai.translations transcribe whisper-1', { headers: wav.headers }],
  ['POST /v1/moderations', { model: 'omni-moderation-latest', input: 'x' }, 'openai.moderations moderate omni-moderation-latest'],
  ['POST /v1/moderations', { model: 'omni-moderation-latest', input: [{ type: 'image_url', image_url: { url: DATA_URL } }] }, 'openai.moderations moderate omni-moderation-latest', { classes: ['image'] }],
  ['POST /v1/fine_tuning/jobs', { model: 'gpt-4o-mini', training_file: 'file-1', suffix: 'acme' }, 'openai.fine-tuning train gpt-4o-mini', { classes: ['stored'] }],
  ['GET /v1/realtime?model=gpt-realtime', undefined, 'openai.realtime generate gpt-realtime', { stream: true, headers: { upgrade: 'websocket' } }],
  ['GET /v1/models/gpt-4o', undefined, 'openai.model invoke gpt-4o', { classes: [] }],
  ['DELETE /v1/models/ft:gpt-4o-mini:acme::x', undefined, 'openai.model-delete delete ft:gpt-4o-mini:acme::x'],
];

const DEPLOYMENT = '/openai/deployments/prod-chat';
const AZURE_CHAT = 'azure-openai.chat generate prod-chat';

// biome-ignore format: one request a line
export const AZURE_SAMPLES: readonly Sample[] = [
  [`POST ${DEPLOYMENT}/chat/completions?api-version=2024-10-21`, { messages: HI }, AZURE_CHAT],
  [`POST ${DEPLOYMENT}/chat/completions?api-version=2024-10-21`, { model: 'prod-chat', messages: HI, stream: true }, AZURE_CHAT, { stream: true }],
  [`POST ${DEPLOYMENT}/chat/completions`, { model: 'gpt-4o', messages: HI }, AZURE_CHAT],
  [`POST ${DEPLOYMENT}/chat/completions`, { messages: HI, data_sources: [{ type: 'azure_search', parameters: { endpoint: 'https://s.search.windows.net/', index_name: 'docs' } }] }, AZURE_CHAT, { tools: ['server:azure_search:https://s.search.windows.net/docs'], classes: ['stored', 'text'] }],
  [`POST ${DEPLOYMENT}/completions`, { prompt: 'x' }, 'azure-openai.completions generate prod-chat'],
  [`POST ${DEPLOYMENT}/embeddings`, { input: 'x' }, 'azure-openai.embeddings embed prod-chat'],
  [`POST ${DEPLOYMENT}/images/generations`, { prompt: 'x' }, 'azure-openai.images generate prod-chat'],
  [`POST ${DEPLOYMENT}/audio/transcriptions`, formOf([['file', 'x', 'audio/mp3']]).body, 'azure-openai.transcriptions transcribe prod-chat', { headers: wav.headers }],
  [`POST ${DEPLOYMENT}/audio/speech`, { input: 'x', voice: 'alloy' }, 'azure-openai.speech generate prod-chat'],
  [`POST ${DEPLOYMENT}/audio/transcriptions`, formOf([['model', 'whisper-1'], ['file', 'x', 'audio/mp3']]).body, 'azure-openai.transcriptions transcribe prod-chat', { headers: wav.headers }],
  ['POST /openai/responses?api-version=2025-04-01-preview', { model: 'prod-chat', input: 'x' }, 'azure-openai.responses generate prod-chat'],
  ['POST /openai/v1/chat/completions?api-version=preview', { model: 'prod-chat', messages: HI }, AZURE_CHAT],
  ['POST /openai/v1/responses', { model: 'prod-chat', input: 'x' }, 'azure-openai.responses generate prod-chat'],
  ['POST /openai/v1/embeddings', { model: 'emb', input: 'x' }, 'azure-openai.embeddings embed emb'],
  ['GET /openai/realtime?api-version=2024-10-01-preview&deployment=rt', undefined, 'azure-openai.realtime generate rt', { stream: true }],
  ['POST /models/chat/completions?api-version=2024-05-01-preview', { model: 'Phi-4', messages: HI }, 'azure-openai.inference.chat generate Phi-4'],
  ['POST /models/embeddings', { model: 'embed-v4', input: ['x'] }, 'azure-openai.inference.embeddings embed embed-v4'],
];
