/** Requests that two readers would take for different ones, or that hide what they ask: each is refused. */
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { GatewayRequest, RefusalCode } from '../../../src/edge/ai-requests/ai-request.ts';
import { formOf, grpcOf, lineOf, readerFor, type Refused, refusedCases, requestOf } from './sample.ts';

type Headers = Readonly<Record<string, string>> | readonly (readonly [string, string])[];
type Hostile = readonly [name: string, line: string, body: unknown, code: RefusalCode, headers?: Headers];

const CHAT = 'POST /v1/chat/completions';
const M = [{ role: 'user', content: 'hi' }];
const OK = { model: 'cheap', messages: M };
const OK_TEXT = JSON.stringify(OK);
const CALL = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'safe' } };
const callText = (params: string, rest = '') =>
  `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${params}${rest}}`;
const JSON_TYPE = { 'content-type': 'application/json' };
const form = (...fields: Parameters<typeof formOf>[0]) => formOf(fields);
const deep = (levels: number) => `{"model":"cheap","x":${'['.repeat(levels)}${']'.repeat(levels)}}`;

// biome-ignore format: one request a line
const MODELS: readonly Hostile[] = [
  ['model twice', CHAT, '{"model":"cheap","messages":[],"model":"dear"}', 'MODEL_AMBIGUOUS'],
  ['model twice, equal', CHAT, '{"model":"cheap","messages":[],"model":"cheap"}', 'MODEL_AMBIGUOUS'],
  ['model twice, one escaped', CHAT, '{"model":"cheap","\\u006dodel":"dear"}', 'MODEL_AMBIGUOUS'],
  ['model in two cases', CHAT, '{"model":"cheap","Model":"dear"}', 'BODY_UNREADABLE'],
  ['model in capitals alone', CHAT, '{"MODEL":"dear"}', 'BODY_UNREADABLE'],
  ['model in full-width letters', CHAT, '{"model":"cheap","ｍodel":"dear"}', 'BODY_UNREADABLE'],
  ['a long s in a key', CHAT, '{"model":"cheap","meſſages":[]}', 'BODY_UNREADABLE'],
  ['a Kelvin sign in a key', CHAT, '{"model":"cheap","max_toKens":9}', 'BODY_UNREADABLE'],
  ['stream in another case', CHAT, { ...OK, Stream: true }, 'BODY_UNREADABLE'],
  ['tools in another case', CHAT, { ...OK, TOOLS: [] }, 'BODY_UNREADABLE'],
  ['a key that ends at a null', CHAT, '{"model":"cheap","model\\u0000":"dear"}', 'BODY_UNREADABLE'],
  ['a prototype', CHAT, '{"__proto__":{"model":"dear"}}', 'BODY_UNREADABLE'],
  ['no model', CHAT, { messages: M }, 'MODEL_UNKNOWN'],
  ['a model in a header alone', CHAT, { messages: M }, 'MODEL_UNKNOWN', [['x-model', 'cheap']]],
  ['a model in the query alone', 'POST /v1/chat/completions?model=cheap', { messages: M }, 'MODEL_UNKNOWN'],
  ['an empty model', CHAT, { model: '', messages: M }, 'INPUT_REJECTED'],
  ['a null model', CHAT, { model: null, messages: M }, 'MODEL_UNKNOWN'],
  ['a number as model', CHAT, { model: 4, messages: M }, 'INPUT_REJECTED'],
  ['a list as model', CHAT, { model: ['cheap', 'dear'], messages: M }, 'INPUT_REJECTED'],
  ['an object as model', CHAT, { model: { name: 'dear' }, messages: M }, 'INPUT_REJECTED'],
  ['a model with a space', CHAT, { model: 'cheap ', messages: M }, 'INPUT_REJECTED'],
  ['a model with a leading space', CHAT, { model: ' cheap', messages: M }, 'INPUT_REJECTED'],
  ['a model with a line break', CHAT, { model: 'cheap\n', messages: M }, 'INPUT_REJECTED'],
  ['a model with a null', CHAT, '{"model":"cheap\\u0000dear"}', 'INPUT_REJECTED'],
  ['a model with a homoglyph', CHAT, { model: 'сheap', messages: M }, 'INPUT_REJECTED'],
  ['a model with a zero-width space', CHAT, { model: 'cheap​', messages: M }, 'INPUT_REJECTED'],
  ['a model with text that runs backwards', CHAT, { model: 'cheap‮', messages: M }, 'INPUT_REJECTED'],
  ['a model that is too long', CHAT, { model: 'm'.repeat(257), messages: M }, 'INPUT_REJECTED'],
  ['half a surrogate in the model', CHAT, '{"model":"cheap\\ud800"}', 'BODY_UNREADABLE'],
  ['a second model to fall back to', CHAT, { ...OK, models: ['dear'] }, 'MODEL_AMBIGUOUS'],
  ['a list of models alone', CHAT, { models: ['cheap', 'dear'], messages: M }, 'MODEL_AMBIGUOUS'],
  ['a fallback by name', CHAT, { ...OK, fallbacks: ['dear'] }, 'MODEL_AMBIGUOUS'],
  ['a fallback as object', CHAT, { ...OK, fallbacks: [{ model: 'dear' }] }, 'MODEL_AMBIGUOUS'],
  ['a fallback as map', CHAT, { ...OK, fallbacks: [{ cheap: ['dear'] }] }, 'MODEL_AMBIGUOUS'],
  ['a fallback that goes elsewhere', CHAT, { ...OK, fallbacks: [{ model: 'cheap', api_base: 'https://evil' }] }, 'INPUT_REJECTED'],
  ['fallbacks for long contexts', CHAT, { ...OK, context_window_fallbacks: ['dear'] }, 'INPUT_REJECTED'],
  ['a list of models with a number', CHAT, { ...OK, models: [1] }, 'INPUT_REJECTED'],
  ['many models', CHAT, { models: Array.from({ length: 40 }, (_, at) => `m${at}`) }, 'INPUT_REJECTED'],
  ['a key that may name a model', CHAT, { ...OK, model_id: 'dear' }, 'INPUT_REJECTED'],
  ['a draft model', CHAT, { ...OK, speculative_model: 'dear' }, 'INPUT_REJECTED'],
  ['a deployment', CHAT, { ...OK, deployment_id: 'dear' }, 'INPUT_REJECTED'],
  ['an engine', CHAT, { ...OK, engine: 'dear' }, 'INPUT_REJECTED'],
  ['a list of models for a router', CHAT, { ...OK, model_list: [] }, 'INPUT_REJECTED'],
  ['another base', CHAT, { ...OK, api_base: 'https://evil' }, 'INPUT_REJECTED'],
  ['another base in camel case', CHAT, { ...OK, apiBase: 'https://evil' }, 'INPUT_REJECTED'],
  ['another base URL', CHAT, { ...OK, base_url: 'https://evil' }, 'INPUT_REJECTED'],
  ['another key', CHAT, { ...OK, api_key: 'x' }, 'INPUT_REJECTED'],
  ['another provider', CHAT, { ...OK, custom_llm_provider: 'x' }, 'INPUT_REJECTED'],
  ['a provider route', CHAT, { ...OK, provider: { order: ['x'] } }, 'INPUT_REJECTED'],
  ['a route', CHAT, { ...OK, route: 'fallback' }, 'INPUT_REJECTED'],
  ['a body inside of the body', CHAT, { ...OK, extra_body: { model: 'dear' } }, 'INPUT_REJECTED'],
  ['headers inside of the body', CHAT, { ...OK, extra_headers: {} }, 'INPUT_REJECTED'],
  ['a template to run', CHAT, { ...OK, chat_template: '{{ x }}' }, 'INPUT_REJECTED'],
  ['a model in the query', `${CHAT}?model=dear`, OK, 'MODEL_AMBIGUOUS'],
  ['a model in the query in another case', `${CHAT}?Model=dear`, OK, 'MODEL_AMBIGUOUS'],
  ['a deployment in the query', `${CHAT}?deployment_id=dear`, OK, 'MODEL_AMBIGUOUS'],
  ['an encoded name in the query', `${CHAT}?%6dodel=dear`, OK, 'MODEL_AMBIGUOUS'],
  ['a list in the query', `${CHAT}?model[]=cheap&model[]=dear`, OK, 'MODEL_AMBIGUOUS'],
  ['two models in the query', 'GET /v1/realtime?model=cheap&model=dear', undefined, 'MODEL_AMBIGUOUS'],
  ['no model in the query', 'GET /v1/realtime', undefined, 'MODEL_UNKNOWN'],
  ['a model in a header', CHAT, OK, 'MODEL_AMBIGUOUS', { 'x-ai-eg-model': 'dear' }],
  ['a model in a header with underscores', CHAT, OK, 'MODEL_AMBIGUOUS', { X_Model_Name: 'dear' }],
  ['two headers with models', CHAT, OK, 'MODEL_AMBIGUOUS', [['x-model', 'cheap'], ['X-Model', 'dear']]],
  ['a deployment in a header', CHAT, OK, 'MODEL_AMBIGUOUS', { 'azureml-model-deployment': 'dear' }],
  ['fallbacks in a header', CHAT, OK, 'INPUT_REJECTED', { 'helicone-fallbacks': '[]' }],
  ['a target in a header', CHAT, OK, 'INPUT_REJECTED', { 'helicone-target-url': 'https://evil' }],
  ['a routing configuration in a header', CHAT, OK, 'INPUT_REJECTED', { 'x-portkey-config': '{}' }],
  ['a host in a header', CHAT, OK, 'INPUT_REJECTED', { 'x-portkey-custom-host': 'http://evil' }],
  ['a provider in a header', CHAT, OK, 'INPUT_REJECTED', { 'x_portkey_provider': 'x' }],
  ['a stored prompt', 'POST /v1/responses', { prompt: { id: 'pmpt_1' } }, 'MODEL_UNKNOWN'],
  ['a stored prompt beside a model', 'POST /v1/responses', { model: 'cheap', prompt: { id: 'pmpt_1' } }, 'MODEL_UNKNOWN'],
  ['a response without a model', 'POST /v1/responses', { input: 'x', previous_response_id: 'r' }, 'MODEL_UNKNOWN'],
  ['a batch from a file', 'POST /v1/batches', { input_file_id: 'file-1', endpoint: '/v1/chat/completions' }, 'MODEL_UNKNOWN'],
  ['a file without a form', 'POST /v1/files', 'x', 'INPUT_REJECTED'],
  ['the list of models', 'GET /v1/models', undefined, 'MODEL_UNKNOWN'],
  ['a stored response', 'GET /v1/responses/resp_1', undefined, 'MODEL_UNKNOWN'],
];

// biome-ignore format: one request a line
const BODIES: readonly Hostile[] = [
  ['nothing', CHAT, '', 'BODY_INCOMPLETE'],
  ['half of the body', CHAT, OK_TEXT.slice(0, 30), 'BODY_INCOMPLETE'],
  ['all but the last brace', CHAT, OK_TEXT.slice(0, -1), 'BODY_INCOMPLETE'],
  ['a body cut inside of an escape', CHAT, '{"model":"cheap","x":"\\u00', 'BODY_INCOMPLETE'],
  ['a body cut after a number', CHAT, '{"model":"cheap","x":1', 'BODY_INCOMPLETE'],
  ['a list', CHAT, [OK], 'BODY_UNREADABLE'],
  ['a text', CHAT, '"cheap"', 'BODY_UNREADABLE', JSON_TYPE],
  ['null', CHAT, 'null', 'BODY_UNREADABLE', JSON_TYPE],
  ['two bodies', CHAT, `${OK_TEXT}${OK_TEXT}`, 'BODY_UNREADABLE'],
  ['two lines', CHAT, `${OK_TEXT}\n${OK_TEXT}`, 'BODY_UNREADABLE'],
  ['a byte order mark', CHAT, `\ufeff${OK_TEXT}`, 'BODY_UNREADABLE'],
  ['UTF-16', CHAT, Buffer.from(OK_TEXT, 'utf16le'), 'BODY_UNREADABLE'],
  ['Latin-1', CHAT, Buffer.from('{"model":"cheap","x":"\xe4"}', 'latin1'), 'BODY_UNREADABLE'],
  ['an overlong encoding', CHAT, Buffer.from([0x7b, 0x22, 0xc0, 0xaf, 0x22, 0x7d]), 'BODY_UNREADABLE'],
  ['a comment', CHAT, `/* x */${OK_TEXT}`, 'BODY_UNREADABLE'],
  ['a trailing comma', CHAT, '{"model":"cheap",}', 'BODY_UNREADABLE'],
  ['single quotes', CHAT, "{'model':'dear'}", 'BODY_UNREADABLE'],
  ['not a number', CHAT, '{"model":"cheap","temperature":NaN}', 'BODY_UNREADABLE'],
  ['a duplicate that is no model', CHAT, '{"model":"cheap","max_tokens":1,"max_tokens":9}', 'BODY_UNREADABLE'],
  ['a duplicate deep inside', CHAT, '{"model":"cheap","messages":[{"role":"user","content":"a","content":"b"}]}', 'BODY_UNREADABLE'],
  ['deep nesting', CHAT, deep(100), 'BODY_UNREADABLE'],
  ['deeper nesting', CHAT, deep(100_000), 'BODY_UNREADABLE'],
  ['nesting that does not end', CHAT, '['.repeat(100_000), 'BODY_UNREADABLE'],
  ['very many members', CHAT, `{"model":"cheap",${Array.from({ length: 100_001 }, (_, at) => `"k${at}":0`).join()}}`, 'BODY_UNREADABLE'],
  ['a control character in a text', CHAT, '{"model":"cheap","x":"\u0001"}', 'BODY_UNREADABLE'],
  ['stream as text', CHAT, { ...OK, stream: 'true' }, 'INPUT_REJECTED'],
  ['stream as number', CHAT, { ...OK, stream: 1 }, 'INPUT_REJECTED'],
  ['a bound as text', CHAT, { ...OK, max_tokens: '9' }, 'INPUT_REJECTED'],
  ['a bound below zero', CHAT, { ...OK, max_tokens: -1 }, 'INPUT_REJECTED'],
  ['a bound with a fraction', CHAT, { ...OK, max_tokens: 1.5 }, 'INPUT_REJECTED'],
  ['a bound beyond all numbers', CHAT, '{"model":"cheap","max_tokens":1e400}', 'INPUT_REJECTED'],
  ['a bound that overflows', CHAT, { ...OK, max_tokens: 2 ** 52, n: 2 ** 20 }, 'INPUT_REJECTED'],
  ['messages that are no list', CHAT, { model: 'cheap', messages: 'hi' }, 'INPUT_REJECTED'],
  ['a message that is no object', CHAT, { model: 'cheap', messages: ['hi'] }, 'INPUT_REJECTED'],
  ['content that is a number', CHAT, { model: 'cheap', messages: [{ content: 4 }] }, 'INPUT_REJECTED'],
  ['a tool without a name', CHAT, { ...OK, tools: [{ type: 'function', function: {} }] }, 'INPUT_REJECTED'],
  ['a tool with a strange name', CHAT, { ...OK, tools: [{ type: 'function', function: { name: 'a b' } }] }, 'INPUT_REJECTED'],
  ['a tool with two names', CHAT, { ...OK, tools: [{ type: 'function', function: { name: 'a', Name: 'b' } }] }, 'BODY_UNREADABLE'],
  ['very many tools', CHAT, { ...OK, tools: Array.from({ length: 200 }, (_, at) => ({ type: 'function', function: { name: `t${at}` } })) }, 'INPUT_REJECTED'],
  ['plain text', CHAT, OK_TEXT, 'INPUT_REJECTED', { 'content-type': 'text/plain' }],
  ['a form', CHAT, 'model=dear', 'INPUT_REJECTED', { 'content-type': 'application/x-www-form-urlencoded' }],
  ['JSON that is called a form', CHAT, OK_TEXT, 'INPUT_REJECTED', { 'content-type': 'multipart/form-data; boundary=x' }],
  ['two content types', CHAT, OK_TEXT, 'INPUT_REJECTED', [['content-type', 'application/json'], ['Content-Type', 'text/plain']]],
  ['two content types in one', CHAT, OK_TEXT, 'INPUT_REJECTED', { 'content-type': 'application/json, text/plain' }],
  ['another charset', CHAT, OK_TEXT, 'BODY_UNREADABLE', { 'content-type': 'application/json; charset=utf-7' }],
  ['two charsets', CHAT, OK_TEXT, 'INPUT_REJECTED', { 'content-type': 'application/json; charset=utf-8; charset=utf-16' }],
  ['compressed without saying so', CHAT, gzipSync(OK_TEXT), 'BODY_UNREADABLE'],
  ['said to be compressed', CHAT, OK_TEXT, 'BODY_UNREADABLE', { 'content-encoding': 'gzip' }],
  ['compressed twice', CHAT, gzipSync(gzipSync(OK_TEXT)), 'BODY_UNREADABLE', { 'content-encoding': 'gzip, gzip' }],
  ['an unknown encoding', CHAT, OK_TEXT, 'BODY_UNREADABLE', { 'content-encoding': 'zstd' }],
  ['two encodings', CHAT, OK_TEXT, 'INPUT_REJECTED', [['content-encoding', 'gzip'], ['content-encoding', 'identity']]],
  ['a bomb of gzip', CHAT, gzipSync(`{"model":"cheap","x":"${'0'.repeat(20_000_000)}"}`), 'BODY_UNREADABLE', { 'content-encoding': 'gzip' }],
  ['a bomb of br', CHAT, brotliCompressSync(`{"model":"cheap","x":"${'0'.repeat(2_000_000)}"}`), 'BODY_UNREADABLE', { 'content-encoding': 'br' }],
  ['half of a compressed body', CHAT, gzipSync(OK_TEXT).subarray(0, 30), 'BODY_INCOMPLETE', { 'content-encoding': 'gzip' }],
  ['a compressed body with a tail', CHAT, Buffer.concat([deflateSync(OK_TEXT), Buffer.from('x')]), 'BODY_UNREADABLE', { 'content-encoding': 'deflate' }],
  ['two compressed bodies', CHAT, Buffer.concat([gzipSync(OK_TEXT), gzipSync('   ')]), 'BODY_UNREADABLE', { 'content-encoding': 'gzip' }],
  ['raw deflate', CHAT, deflateRawSync(OK_TEXT), 'BODY_UNREADABLE', { 'content-encoding': 'deflate' }],
];

// biome-ignore format: one request a line
const TARGETS: readonly Hostile[] = [
  ...['/v1/chat/./completions', '/v1/x/../chat/completions', '/v1/%2e%2e/chat/completions', '/v1//chat/completions',
    '//v1/chat/completions', '/v1/chat%2fcompletions', '/v1/chat%5ccompletions', '/v1\\chat/completions',
    '/v1/chat/completions;a=b', '/v1;x/chat/completions', '/v1/chat/completions%00', '/v1/chat/completions%20',
    '/v1/chat/completions#x', '/v1/%63hat/completions', '/v1/chat/completions%2561', '/v1/chat/completions/',
    '/V1/chat/completions', '/v1/Chat/Completions', '/v1/chat/completions.', '/v1/chat/completions.json',
    '/v1/chat/completions%', '/v1/chat/completions%zz', '/v1/chat/completions\u00a0', '/v1/chat/compl\u00e9tions',
    'http://evil/v1/chat/completions', '*', '', `/${'v1/'.repeat(4000)}`,
  ].map((target): Hostile => [`the path ${target.slice(0, 40)}`, `POST ${target}`, OK, rejectedOrUnknown(target)]),
  ['a semicolon in the query', `${CHAT}?a=b;model=dear`, OK, 'INPUT_REJECTED'],
  ['a broken query', `${CHAT}?a=%ff`, OK, 'INPUT_REJECTED'],
  ['many parameters', `${CHAT}?${'a=b&'.repeat(80)}`, OK, 'INPUT_REJECTED'],
  ['a method in the query', `${CHAT}?_method=DELETE`, OK, 'INPUT_REJECTED'],
  ...['x-http-method-override', 'x-http-method', 'x-method-override', 'X_HTTP_Method_Override', 'x-original-url', 'x-rewrite-url', 'x-forwarded-prefix', 'x-upstream-url', 'x-custom-host']
    .map((name): Hostile => [`the header ${name}`, CHAT, OK, 'INPUT_REJECTED', { [name]: 'DELETE' }]),
  ...['get', 'GET', 'post', 'Post', 'PUT', 'OPTIONS', 'HEAD', 'TRACE', 'PROPFIND'].map(
    (method): Hostile => [`the method ${method}`, `${method} /v1/chat/completions`, OK, 'MODEL_UNKNOWN'],
  ),
  ['very many headers', CHAT, OK, 'INPUT_REJECTED', Array.from({ length: 600 }, (_, at) => [`x-${at}`, 'x'] as const)],
];

function rejectedOrUnknown(target: string): RefusalCode {
  return /^\/(?:v1\/chat\/completions(?:\.|\.json|%20)|v1\/chat%2fcompletions|V1\/chat\/completions|v1\/Chat\/Completions)$/.test(
    target,
  )
    ? 'MODEL_UNKNOWN'
    : 'INPUT_REJECTED';
}

const voice = form(['model', 'cheap'], ['file', 'x', 'audio/wav']);
const VOICE = 'POST /v1/audio/transcriptions';
const withBody = (text: string) => [VOICE, Buffer.from(text)] as const;
const B = '--b0undary\r\nContent-Disposition: form-data; name=';

// biome-ignore format: one request a line
const FORMS: readonly Hostile[] = [
  ['model twice in a form', VOICE, form(['model', 'cheap'], ['model', 'dear']).body, 'MODEL_AMBIGUOUS', voice.headers],
  ['model in another case', VOICE, form(['model', 'cheap'], ['Model', 'dear']).body, 'BODY_UNREADABLE', voice.headers],
  ['a field that may name a model', VOICE, form(['model', 'cheap'], ['model_id', 'dear']).body, 'INPUT_REJECTED', voice.headers],
  ['a model that is a file', VOICE, form(['model', 'dear', 'text/plain']).body, 'INPUT_REJECTED', voice.headers],
  ['no model in a form', VOICE, form(['file', 'x', 'audio/wav']).body, 'MODEL_UNKNOWN', voice.headers],
  ['no last boundary', VOICE, voice.body.subarray(0, -6), 'BODY_INCOMPLETE', voice.headers],
  ['half of a form', VOICE, voice.body.subarray(0, 70), 'BODY_INCOMPLETE', voice.headers],
  ['text before the form', VOICE, Buffer.concat([Buffer.from('x\r\n'), voice.body]), 'BODY_UNREADABLE', voice.headers],
  ['text after the form', VOICE, Buffer.concat([voice.body, Buffer.from(`${B}"model"\r\n\r\ndear`)]), 'BODY_UNREADABLE', voice.headers],
  ['bare line feeds', VOICE, Buffer.from(voice.body.toString().replaceAll('\r\n', '\n')), 'BODY_UNREADABLE', voice.headers],
  ['a boundary inside of a part', ...withBody(`${B}"model"\r\n\r\ncheap\n${B}"model"\r\n\r\ndear\r\n--b0undary--`), 'BODY_UNREADABLE', voice.headers],
  ['a longer boundary', ...withBody(`${B}"model"\r\n\r\ncheap\r\n--b0undaryX\r\n\r\n--b0undary--`), 'BODY_UNREADABLE', voice.headers],
  ['two names in one part', ...withBody(`${B}"file"; name="model"\r\n\r\ndear\r\n--b0undary--`), 'BODY_UNREADABLE', voice.headers],
  ['an extended name', ...withBody(`--b0undary\r\nContent-Disposition: form-data; name*=utf-8''model\r\n\r\ndear\r\n--b0undary--`), 'BODY_UNREADABLE', voice.headers],
  ['an escaped name', ...withBody(`${B}"mo\\"del"\r\n\r\ndear\r\n--b0undary--`), 'BODY_UNREADABLE', voice.headers],
  ['two heads in one part', ...withBody(`${B}"file"\r\nContent-Disposition: form-data; name="model"\r\n\r\ndear\r\n--b0undary--`), 'BODY_UNREADABLE', voice.headers],
  ['an encoded part', ...withBody(`${B}"model"\r\nContent-Transfer-Encoding: base64\r\n\r\nZGVhcg==\r\n--b0undary--`), 'BODY_UNREADABLE', voice.headers],
  ['a folded head', ...withBody(`--b0undary\r\nContent-Disposition: form-data;\r\n name="model"\r\n\r\ndear\r\n--b0undary--`), 'BODY_UNREADABLE', voice.headers],
  ['no boundary', VOICE, voice.body, 'INPUT_REJECTED', { 'content-type': 'multipart/form-data' }],
  ['two boundaries', VOICE, voice.body, 'INPUT_REJECTED', { 'content-type': 'multipart/form-data; boundary=b0undary; boundary=x' }],
  ['JSON in the place of a form', VOICE, { model: 'dear' }, 'INPUT_REJECTED'],
  ['no content type for a form', VOICE, voice.body, 'INPUT_REJECTED'],
  ['very many parts', VOICE, form(...Array.from({ length: 70 }, (_, at) => [`f${at}`, 'x'] as const)).body, 'BODY_UNREADABLE', voice.headers],
  ['stream twice in a form', VOICE, form(['model', 'cheap'], ['stream', 'false'], ['stream', 'true']).body, 'BODY_UNREADABLE', voice.headers],
  ['stream as a number in a form', VOICE, form(['model', 'cheap'], ['stream', '1']).body, 'INPUT_REJECTED', voice.headers],
];

// biome-ignore format: one request a line
const MCP: readonly Hostile[] = [
  ['a batch', 'POST /mcp', [CALL, { ...CALL, params: { name: 'danger' } }], 'INPUT_REJECTED'],
  ['a batch of one', 'POST /mcp', [CALL], 'INPUT_REJECTED'],
  ['two names', 'POST /mcp', callText('{"name":"safe","name":"danger"}'), 'BODY_UNREADABLE', JSON_TYPE],
  ['a name in two cases', 'POST /mcp', callText('{"name":"safe","Name":"danger"}'), 'BODY_UNREADABLE', JSON_TYPE],
  ['arguments in two cases', 'POST /mcp', callText('{"name":"safe","arguments":{},"Arguments":{"x":1}}'), 'BODY_UNREADABLE', JSON_TYPE],
  ['two methods', 'POST /mcp', callText('{"name":"danger"}', ',"method":"tools/list"'), 'BODY_UNREADABLE', JSON_TYPE],
  ['a method in another case', 'POST /mcp', { ...CALL, Method: 'tools/list' }, 'INPUT_REJECTED'],
  ['params in another case', 'POST /mcp', { ...CALL, Params: { name: 'danger' } }, 'INPUT_REJECTED'],
  ['no name', 'POST /mcp', { ...CALL, params: {} }, 'INPUT_REJECTED'],
  ['a name with a slash', 'POST /mcp', { ...CALL, params: { name: '../danger' } }, 'INPUT_REJECTED'],
  ['a name like a method', 'POST /mcp', { ...CALL, params: { name: 'mcp:tools/list' } }, 'INPUT_REJECTED'],
  ['an unknown method', 'POST /mcp', { ...CALL, method: 'tools/Call' }, 'INPUT_REJECTED'],
  ['an admin method', 'POST /mcp', { ...CALL, method: 'admin/reset' }, 'INPUT_REJECTED'],
  ['no version of JSON-RPC', 'POST /mcp', { method: 'tools/list' }, 'INPUT_REJECTED'],
  ['a question that is an answer', 'POST /mcp', { ...CALL, result: {} }, 'INPUT_REJECTED'],
  ['no method and no result', 'POST /mcp', { jsonrpc: '2.0', id: 1 }, 'INPUT_REJECTED'],
  ['plain text', 'POST /mcp', JSON.stringify(CALL), 'INPUT_REJECTED', { 'content-type': 'text/plain' }],
  ['no content type', 'POST /mcp', JSON.stringify(CALL), 'INPUT_REJECTED'],
  ['half a message', 'POST /mcp', JSON.stringify(CALL).slice(0, 40), 'BODY_INCOMPLETE', JSON_TYPE],
  ['another method', 'PUT /mcp', CALL, 'INPUT_REJECTED'],
  ['another method in the header', 'POST /mcp', CALL, 'INPUT_REJECTED', { ...JSON_TYPE, 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/list' }],
  ['another name in the header', 'POST /mcp', CALL, 'INPUT_REJECTED', { ...JSON_TYPE, 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'other' }],
  ['no name in the header', 'POST /mcp', CALL, 'INPUT_REJECTED', { ...JSON_TYPE, 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call' }],
  ['a header of an old version', 'POST /mcp', CALL, 'INPUT_REJECTED', { ...JSON_TYPE, 'mcp-protocol-version': '2025-06-18', 'mcp-method': 'tools/call', 'mcp-name': 'safe' }],
  ['two headers', 'POST /mcp', CALL, 'INPUT_REJECTED', [['content-type', 'application/json'], ['mcp-method', 'tools/call'], ['mcp-method', 'tools/list']]],
  ['a slash at the end', 'POST /mcp/', CALL, 'INPUT_REJECTED'],
];

// biome-ignore format: one request a line
const FAMILIES: readonly Refused[] = [
  ['gemini', 'two spellings of one key', 'POST /v1beta/models/g:generateContent', { contents: [], generationConfig: { maxOutputTokens: 1 }, generation_config: { maxOutputTokens: 9 } }, 'BODY_UNREADABLE'],
  ['gemini', 'two spellings of the bound', 'POST /v1beta/models/g:generateContent', { contents: [], generationConfig: { maxOutputTokens: 1, max_output_tokens: 9 } }, 'BODY_UNREADABLE'],
  ['gemini', 'a model in the body', 'POST /v1beta/models/g:generateContent', { model: 'models/dear', contents: [] }, 'MODEL_AMBIGUOUS'],
  ['gemini', 'a model in a member of a batch', 'POST /v1beta/models/g:batchEmbedContents', { requests: [{ model: 'models/dear', content: {} }] }, 'MODEL_AMBIGUOUS'],
  ['gemini', 'a model in a request to count', 'POST /v1beta/models/g:countTokens', { generateContentRequest: { model: 'models/dear' } }, 'MODEL_AMBIGUOUS'],
  ['gemini', 'a route in the configuration', 'POST /v1beta/models/g:generateContent', { contents: [], generationConfig: { routingConfig: {} } }, 'INPUT_REJECTED'],
  ['gemini', 'an encoded colon', 'POST /v1beta/models/g%3AgenerateContent', { contents: [] }, 'MODEL_UNKNOWN'],
  ['gemini', 'an unknown verb', 'POST /v1beta/models/g:evaluate', { contents: [] }, 'MODEL_UNKNOWN'],
  ['gemini', 'a batch from a file', 'POST /v1beta/models/g:batchGenerateContent', { batch: { inputConfig: { fileName: 'files/1' } } }, 'MODEL_UNKNOWN'],
  ['gemini', 'an agent', 'POST /v1beta/interactions', { agent: 'deep-research', input: 'x' }, 'MODEL_UNKNOWN'],
  ['vertex', 'another model in a raw body', 'POST /v1/projects/p/locations/l/publishers/m/models/cheap:rawPredict', { model: 'dear', messages: M }, 'MODEL_AMBIGUOUS'],
  ['bedrock', 'a stored prompt', `POST /model/${encodeURIComponent('arn:aws:bedrock:us-east-1:1:prompt/ABC')}/converse`, { messages: [] }, 'MODEL_UNKNOWN'],
  ['bedrock', 'fields past the known ones', 'POST /model/m/converse', { messages: [], additionalModelRequestFields: { max_tokens: 9 } }, 'INPUT_REJECTED'],
  ['bedrock', 'a slash that climbs', 'POST /model/a%2F..%2Fb/converse', { messages: [] }, 'INPUT_REJECTED'],
  ['bedrock', 'a model in the body', 'POST /model/cheap/invoke', { model: 'dear', messages: [] }, 'MODEL_AMBIGUOUS'],
  ['anthropic', 'a batch of two models', 'POST /v1/messages/batches', { requests: [{ params: { model: 'a', messages: [] } }, { params: { model: 'b', messages: [] } }] }, 'MODEL_AMBIGUOUS'],
  ['anthropic', 'a batch without a model', 'POST /v1/messages/batches', { requests: [{ params: { messages: [] } }] }, 'MODEL_UNKNOWN'],
  ['anthropic', 'an empty batch', 'POST /v1/messages/batches', { requests: [] }, 'MODEL_UNKNOWN'],
  ['ollama', 'model and name', 'DELETE /api/delete', { model: 'a', name: 'b' }, 'MODEL_AMBIGUOUS'],
  ['ollama', 'a name beside the model', 'POST /api/chat', { model: 'a', name: 'b', messages: [] }, 'MODEL_AMBIGUOUS'],
  ['ollama', 'a copy', 'POST /api/copy', { source: 'a', destination: 'b' }, 'MODEL_AMBIGUOUS'],
  ['ollama', 'a model file', 'POST /api/create', { model: 'a', modelfile: 'FROM b' }, 'MODEL_UNKNOWN'],
  ['vllm', 'a body of two kinds', 'POST /invocations', { model: 'm', messages: [], prompt: 'x' }, 'INPUT_REJECTED'],
  ['vllm', 'sleep', 'POST /sleep', {}, 'MODEL_UNKNOWN'],
  ['kserve', 'instances and inputs', 'POST /v1/models/m:predict', { instances: [1], inputs: [1] }, 'INPUT_REJECTED'],
  ['open-inference', 'an inference header that lies', 'POST /v2/models/m/infer', '{"inputs":[]}', 'BODY_INCOMPLETE', { 'inference-header-content-length': '99' }],
  ['open-inference', 'a model twice in protobuf', 'POST /inference.GRPCInferenceService/ModelInfer', grpcOf([[1, 'cheap'], [1, 'dear']]), 'MODEL_AMBIGUOUS'],
  ['open-inference', 'no model in protobuf', 'POST /inference.GRPCInferenceService/ModelInfer', grpcOf([[5, 'x']]), 'MODEL_UNKNOWN'],
  ['open-inference', 'a cut frame', 'POST /inference.GRPCInferenceService/ModelInfer', grpcOf([[1, 'cheap']]).subarray(0, 8), 'BODY_INCOMPLETE'],
  ['open-inference', 'two frames', 'POST /inference.GRPCInferenceService/ModelInfer', Buffer.concat([grpcOf([[1, 'cheap']]), grpcOf([[1, 'dear']])]), 'BODY_UNREADABLE'],
  ['open-inference', 'a compressed frame', 'POST /inference.GRPCInferenceService/ModelInfer', Buffer.concat([Buffer.from([1]), grpcOf([[1, 'cheap']]).subarray(1)]), 'BODY_UNREADABLE'],
  ['open-inference', 'bytes that are no message', 'POST /inference.GRPCInferenceService/ModelInfer', Buffer.from([0, 0, 0, 0, 2, 0x0a, 0xff]), 'BODY_UNREADABLE'],
  ['triton', 'a model with files', 'POST /v2/repository/models/m/load', { parameters: { 'file:1/model.py': 'eA==' } }, 'INPUT_REJECTED'],
  ['triton', 'shared memory', 'POST /v2/systemsharedmemory/region/x/register', {}, 'MODEL_UNKNOWN'],
  ['torchserve', 'an archive without a name', 'POST /models?url=http://evil/x.mar', undefined, 'MODEL_UNKNOWN'],
  ['mlflow', 'no name for the model', 'POST /invocations', { instances: [1] }, 'MODEL_UNKNOWN'],
  ['sagemaker', 'two selectors', 'POST /endpoints/e/invocations', 'x', 'MODEL_AMBIGUOUS', { 'x-amzn-sagemaker-target-model': 'a', 'x-amzn-sagemaker-target-variant': 'b' }],
  ['sagemaker', 'a selector twice', 'POST /endpoints/e/invocations', 'x', 'MODEL_AMBIGUOUS', [['x-amzn-sagemaker-target-model', 'a'], ['x-amzn-sagemaker-target-model', 'b']]],
];

const ALL: readonly Refused[] = [
  ...[...MODELS, ...BODIES, ...TARGETS, ...FORMS, ...MCP].map(hostile => ['openai', ...hostile] as const),
  ...FAMILIES,
];

describe('is refused', () => {
  test.each(refusedCases(ALL))('$family: $name', ({ family, line, body, code, headers }) => {
    const said = lineOf(readerFor([family]).read(requestOf(line, body, headers)));
    expect(said).toMatch(/^[A-Z_]+: .{10}/);
    expect(said.split(':', 1)[0]).toBe(code);
  });

  test('in at least 150 ways', () => expect(ALL.length).toBeGreaterThanOrEqual(150));
});

describe('a body that the gateway does not show', () => {
  const bodies: readonly GatewayRequest['body'][] = [{ kind: 'partial' }, { kind: 'unseen' }];
  test.each([
    ['openai', CHAT],
    ['gemini', 'POST /v1beta/models/g:generateContent'],
    ['bedrock', 'POST /model/m/converse'],
    ['kserve', 'POST /v1/models/m:predict'],
    ['openai', 'POST /mcp'],
    ['openai', VOICE],
  ] as const)('leaves %s %s undecided', (family, line) => {
    for (const body of bodies) {
      const request = { ...requestOf(line, undefined), body };
      expect(lineOf(readerFor([family]).read(request))).toMatch(/^BODY_INCOMPLETE/);
    }
  });

  test('says nothing about a request whose path says all', () => {
    const request = {
      ...requestOf('POST /predictions/m', undefined, { 'content-length': '90' }),
      body: { kind: 'unseen' } as const,
    };
    expect(readerFor(['torchserve']).read(request)).toMatchObject({
      request: { models: ['m'], inputBytes: 90 },
    });
    // an operator learns which bound it was
    expect(lineOf(readerFor(['torchserve']).read({ ...request, body: { kind: 'partial' } }))).toMatch(
      /^BODY_INCOMPLETE: .*`maxBodyBytes`.*`Content-Length`/,
    );
  });

  test('stands in headers where the server is known to check them', () => {
    const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'f' };
    const request = {
      ...requestOf('POST /mcp/headers', undefined, headers),
      body: { kind: 'unseen' } as const,
    };
    expect(readerFor([]).read(request)).toMatchObject({
      request: { tools: [{ name: 'acme/jira/f', kind: 'called' }] },
    });
    expect(lineOf(readerFor([]).read({ ...request, target: '/mcp' }))).toMatch(/^BODY_INCOMPLETE/);
  });
});

describe('several models', () => {
  test('are all named where each is decided', () => {
    const body = { model: 'a', models: ['a', 'b'], fallbacks: [{ model: 'c' }], messages: M };
    const reader = readerFor(['openai'], { allowsSeveralModels: true });
    expect(lineOf(reader.read(requestOf(CHAT, body)))).toBe('openai.chat generate a b c');
  });

  test('in places that must agree stay ambiguous', () => {
    const reader = readerFor(['openai'], { allowsSeveralModels: true });
    expect(lineOf(reader.read(requestOf(`${CHAT}?model=b`, OK)))).toMatch(/^MODEL_AMBIGUOUS/);
  });

  test('differ from the one that the route is bound to', () => {
    expect(lineOf(readerFor(['openai']).read(requestOf(CHAT, OK), 'other'))).toMatch(/^MODEL_AMBIGUOUS/);
  });
});

test('a prefix is part of the path, and not more', () => {
  const reader = readerFor(['openai'], { pathPrefix: '/llm' });
  expect(lineOf(reader.read(requestOf('POST /llm/v1/chat/completions', OK)))).toBe(
    'openai.chat generate cheap',
  );
  for (const line of [CHAT, 'POST /llm2/v1/chat/completions', 'POST /llm/llm/v1/chat/completions']) {
    expect(lineOf(reader.read(requestOf(line, OK)))).toMatch(/^MODEL_UNKNOWN/);
  }
});
