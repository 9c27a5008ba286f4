/** What requests that ask for several outputs tell policies, which see the largest, and limits, which hold the sum. */
import { expect, test } from 'vitest';
import { pepProfileSchema } from '../../../src/domain/pep-profile.ts';
import { planDecisions } from '../../../src/edge/ext-authz/decision-plan.ts';
import { formOf, readerFor, requestOf } from '../ai-requests/sample.ts';
import { batchOf, lineOfBatch } from '../ai-requests/samples/further.ts';

const M = [{ role: 'user', content: 'hi' }];
const CALLER = { principal: { type: 'User', id: 'acme/alice' } } as const;

function paramsOf(line: string, body: unknown, headers = {}, assumedMaxOutputTokens?: number): object {
  const reader = readerFor(['openai', 'anthropic', 'gemini', 'cohere', 'huggingface']);
  const read = reader.read(requestOf(line, body, headers));
  if (!read.understood) return read.refusal;
  const profile = pepProfileSchema.parse({
    name: 'p',
    kind: 'envoy',
    ...(assumedMaxOutputTokens === undefined ? {} : { assumedMaxOutputTokens }),
  });
  const [planned] = planDecisions(read.request, CALLER, profile, (_, id) => id === 'acme/m', undefined);
  const { stream: _, ...params } = planned?.request.params ?? { stream: false };
  return params;
}

function ofBatch(bodies: readonly object[], assumed?: number, url?: string): object {
  const lines = bodies.map(body => lineOfBatch('m', { messages: M, ...body }, url));
  const { body, headers } = formOf(batchOf(...lines));
  return paramsOf('POST /v1/files', body, headers, assumed);
}

const CHAT = 'POST /v1/chat/completions';

test('the lines of a batch count together', () => {
  const lines = Array.from({ length: 500 }, () => ({ max_tokens: 4_096 }));
  expect(ofBatch(lines)).toEqual({
    maxOutputTokens: 4_096,
    outputs: 500,
    totalOutputTokens: 500 * 4_096,
  });
});

test('candidates of a line count with that line alone', () => {
  expect(ofBatch([{ max_tokens: 100 }, { max_tokens: 7, n: 5 }])).toEqual({
    maxOutputTokens: 100,
    outputs: 6,
    totalOutputTokens: 135,
  });
});

test('a batch of one line is as that line alone', () => {
  expect(ofBatch([{ max_tokens: 9 }])).toEqual({ maxOutputTokens: 9 });
});

test('lines without a bound have the one that is assumed, or leave the sum open', () => {
  const mixed = [{ max_tokens: 1 }, {}, {}];
  expect(ofBatch(mixed, 1_000)).toEqual({ maxOutputTokens: 1_000, outputs: 3, totalOutputTokens: 2_001 });
  expect(ofBatch(mixed)).toEqual({ maxOutputTokens: 1, outputs: 3 });
});

test('lines that make no text hold no output', () => {
  expect(ofBatch([{ input: 'x' }, { input: 'y' }], undefined, '/v1/embeddings')).toEqual({
    outputs: 0,
    totalOutputTokens: 0,
  });
});

test('more than can be counted is refused', () => {
  const lines = Array.from({ length: 3 }, () => ({ max_tokens: Number.MAX_SAFE_INTEGER / 2 - 0.5 }));
  expect(ofBatch(lines)).toMatchObject({ code: 'INPUT_REJECTED' });
});

// biome-ignore format: one request a line
test.each([
  ['candidates', CHAT, { model: 'm', messages: M, max_tokens: 5, n: 3 }, { maxOutputTokens: 15, outputs: 3, totalOutputTokens: 15 }],
  ['candidates without a bound', CHAT, { model: 'm', messages: M, n: 3 }, { maxOutputTokens: 30, outputs: 3, totalOutputTokens: 30 }],
  ['prompts of a list', 'POST /v1/completions', { model: 'm', prompt: ['a', 'b'], max_tokens: 5, n: 2 }, { maxOutputTokens: 20, outputs: 4, totalOutputTokens: 20 }],
  ['prompts of tokens', 'POST /v1/completions', { model: 'm', prompt: [[1, 2], [3]], max_tokens: 5 }, { maxOutputTokens: 10, outputs: 2, totalOutputTokens: 10 }],
  ['one prompt of tokens', 'POST /v1/completions', { model: 'm', prompt: [1, 2, 3], max_tokens: 5 }, { maxOutputTokens: 5 }],
  ['Anthropic batches', 'POST /v1/messages/batches', { requests: [1, 2].map(max => ({ custom_id: 'c', params: { model: 'm', messages: M, max_tokens: max } })) }, { maxOutputTokens: 2, outputs: 2, totalOutputTokens: 3 }],
  ['Gemini batches', 'POST /v1beta/models/m:batchGenerateContent', { batch: { inputConfig: { requests: { requests: [8, 1].map(candidateCount => ({ request: { contents: [], generationConfig: { candidateCount, maxOutputTokens: 4 } } })) } } } }, { maxOutputTokens: 32, outputs: 9, totalOutputTokens: 36 }],
])('%s are told', (_, line, body, expected) => {
  expect(paramsOf(line, body, {}, 10)).toEqual(expected);
});

test('audio beside an image is part of the estimate', () => {
  const data = 'A'.repeat(160_000);
  const content = [
    { type: 'image_url', image_url: { url: 'https://x.example/a.png' } },
    { type: 'input_audio', input_audio: { data, format: 'wav' } },
  ];
  const body = { model: 'm', messages: [{ role: 'user', content }] };
  const read = readerFor(['openai']).read(requestOf(CHAT, body));
  const tokens = read.understood ? read.request.tokenEstimate.tokens : 0;
  expect(tokens).toBeGreaterThan(1_600 + 900);
});
