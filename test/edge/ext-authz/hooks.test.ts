/** Portkey and LiteLLM: a verdict in so many words, whatever happens. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PepProfileInput } from '../../../src/domain/pep-profile.ts';
import type { TestService } from '../service.ts';
import { ASSERTS, ask, startWithProfiles } from './asking.ts';

const SHARED: Pick<PepProfileInput, 'identity' | 'dialects'> = {
  identity: { ...ASSERTS, principal: 'user' },
  dialects: ['openai', 'anthropic'],
};

let service: TestService;
let key: string;
beforeAll(async () => {
  service = await startWithProfiles([
    { ...SHARED, name: 'portkey', kind: 'portkey', maxBodyBytes: 4096 },
    { ...SHARED, name: 'litellm', kind: 'litellm' },
  ]);
  key = await service.makeKey(['pep']);
});
afterAll(() => service.stop());

async function verdictOf(
  path: string,
  body: unknown,
  headers: Record<string, string> = { 'x-duramen-key': key },
) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const reply = await ask(service.url, { path, headers, body: text });
  expect(reply.status).toBe(200);
  const answer: unknown = JSON.parse(reply.text);
  return answer;
}

const MESSAGES = [{ role: 'user', content: 'hi' }];

describe('Portkey', () => {
  const hook = (extra: object = {}) => ({
    request: {
      json: { model: 'support-llm', messages: MESSAGES, max_tokens: 5 },
      text: 'hi',
      isStreamingRequest: false,
    },
    provider: 'openai',
    requestType: 'chatComplete',
    metadata: { user: 'acme/alice' },
    eventType: 'beforeRequestHook',
    ...extra,
  });
  const ask = (body: unknown, headers?: Record<string, string>) =>
    verdictOf('/hooks/portkey/portkey', body, headers);

  test('lets pass what policy allows', async () => {
    expect(await ask(hook())).toMatchObject({ verdict: true, data: { code: 'POLICY_ALLOW' } });
  });

  test.each([
    ['a foreign model', hook({ request: { json: { model: 'globex/demand', messages: MESSAGES } } }), /.+/],
    ['an unknown type', hook({ requestType: 'imageGenerate' }), /MODEL_UNKNOWN/],
    ['an answer', hook({ eventType: 'afterRequestHook' }), /INPUT_REJECTED/],
    ['no body', hook({ request: {} }), /BODY_UNREADABLE/],
    ['nobody', hook({ metadata: {} }), /UNAUTHENTICATED/],
    ['a body that is no JSON', '{', /BODY_INCOMPLETE/],
    ['a body with two requests', '{"request":{},"request":{}}', /BODY_UNREADABLE/],
    ['a body that is too large', hook({ x: 'x'.repeat(5000) }), /BODY_INCOMPLETE/],
  ])('holds back %s', async (_, body, code) => {
    const answer = await ask(body);
    expect(answer).toMatchObject({ verdict: false });
    expect(JSON.stringify(answer)).toMatch(code);
  });

  test('holds back what it cannot prove to send', async () => {
    expect(await ask(hook(), {})).toMatchObject({ verdict: false, data: { code: 'CREDENTIAL_REQUIRED' } });
  });
});

describe('LiteLLM', () => {
  const hook = (extra: object = {}) => ({
    input_type: 'request',
    litellm_call_id: 'c',
    texts: ['hi'],
    request_data: { user_api_key_hash: 'h', user: 'acme/alice' },
    // the request model of 2026: what is not there is null
    litellm_trace_id: null,
    structured_messages: null,
    images: null,
    tools: null,
    request_headers: { 'user-agent': '[present]' },
    litellm_version: '1.90.0',
    tool_calls: null,
    model: 'support-llm',
    additional_provider_specific_params: {},
    ...extra,
  });
  const ask = (body: unknown) => verdictOf('/hooks/litellm/litellm/beta/litellm_basic_guardrail_api', body);

  test('lets pass what policy allows', async () => {
    expect(await ask(hook())).toEqual({ action: 'NONE' });
    expect(await ask(hook({ structured_messages: MESSAGES }))).toEqual({ action: 'NONE' });
    const same = { additional_provider_specific_params: { model: 'support-llm', threshold: 0.8 } };
    expect(await ask(hook(same))).toEqual({ action: 'NONE' });
  });

  test.each([
    ['a foreign model', hook({ model: 'globex/demand' }), /.+/],
    [
      'a model that the client claims',
      hook({ model: 'globex/demand', additional_provider_specific_params: { model: 'support-llm' } }),
      /"MODEL_AMBIGUOUS/,
    ],
    [
      'a model that the client alone could have named',
      hook({ model: null, additional_provider_specific_params: { model: 'support-llm' } }),
      /"MODEL_UNKNOWN/,
    ],
    ['no model', hook({ model: null }), /"MODEL_UNKNOWN/],
    ['an answer', hook({ input_type: 'response' }), /"INPUT_REJECTED/],
    ['nobody', hook({ request_data: {} }), /"UNAUTHENTICATED/],
    [
      'a tool that nobody registered',
      hook({ tools: [{ type: 'function', function: { name: 'f' } }] }),
      /"UNKNOWN_RESOURCE/,
    ],
    ['texts that are no list', hook({ texts: 'hi' }), /"INPUT_REJECTED/],
    ['nothing', '', /"BODY_INCOMPLETE/],
  ])('holds back %s', async (_, body, reason) => {
    const answer = await ask(body);
    expect(answer).toMatchObject({ action: 'BLOCKED' });
    expect(JSON.stringify(answer)).toMatch(reason);
  });
});
