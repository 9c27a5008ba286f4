/**
 * Questions that were tampered with, over the wire: whatever comes, an allow is for a model that policy permits and
 * that the question names, and every question is answered.
 */
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TestService } from '../service.ts';
import { ASSERTS, ask, chatOf, type GatewayReply, startWithProfiles } from './asking.ts';

let service: TestService;
let key: string;
beforeAll(async () => {
  service = await startWithProfiles([
    {
      name: 'envoy',
      kind: 'envoy',
      identity: ASSERTS,
      body: 'flagged',
      dialects: ['openai', 'gemini', 'kserve'],
    },
  ]);
  key = await service.makeKey(['pep']);
});
afterAll(() => service.stop());

/** What Alice may generate with, by the shipped policies. */
const PERMITTED = 'acme/support-llm';

const target = fc.oneof(
  fc.constantFrom(
    '/v1/chat/completions',
    '/v1/completions',
    '/v1/embeddings',
    '/v1/models/support-llm',
    '/v1beta/models/support-llm:generateContent',
    '/v1/models/acme%2Fsupport-llm:predict',
  ),
  fc.stringMatching(/^\/[!-~]{0,40}$/),
);
const body = fc.oneof(
  fc.constantFrom(
    chatOf('support-llm'),
    chatOf('acme/support-llm'),
    chatOf('globex/demand'),
    '{"contents":[]}',
    '{"instances":[1]}',
  ),
  fc.json(),
  fc.tuple(fc.nat(60), fc.string({ maxLength: 6 })).map(([at, text]) => {
    const whole = chatOf('support-llm');
    return whole.slice(0, at) + text + whole.slice(at);
  }),
);
const header = fc.tuple(
  fc.constantFrom(
    'x-model',
    'x-ai-eg-model',
    'content-type',
    'content-encoding',
    'x-envoy-auth-partial-body',
    'x_user',
    'x-duramen-model',
    'x-http-method-override',
  ),
  fc.constantFrom('globex/demand', 'support-llm', 'application/json', 'gzip', 'true', 'false', 'text/plain'),
);

/** Questions that are allowed, so that the property says something whatever else comes. */
const ALLOWED: [method: string, path: string, extra: [string, string][], text: string][] = [
  ['POST', '/v1/chat/completions', [], chatOf('support-llm')],
  ['POST', '/v1/chat/completions', [], chatOf(PERMITTED)],
  ['POST', '/v1/completions', [], chatOf('support-llm')],
  ['POST', '/v1beta/models/support-llm:generateContent', [], '{"contents":[]}'],
];

test('an allow names a permitted model, and the question does too', async () => {
  const replies: [text: string, reply: GatewayReply][] = [];
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('GET', 'POST', 'PUT', 'OPTIONS'),
      target,
      fc.array(header, { maxLength: 2 }),
      body,
      async (method, path, extra, text) => {
        const base = [
          ['x-duramen-key', key],
          ['x-user', 'acme/alice'],
          ['content-type', 'application/json'],
          ['x-envoy-auth-partial-body', 'false'],
        ] as const;
        const headers = [...base.filter(([name]) => !extra.some(([other]) => other === name)), ...extra];
        const reply = await ask(service.url, {
          method,
          path: `/ext-authz/envoy${path}`,
          headers,
          body: text,
        });
        expect(reply.status === 200).toBe(reply.headers['x-duramen-decision'] === 'allow');
        expect(reply.status).toBeLessThan(500);
        replies.push([path + text, reply]);
      },
    ),
    { numRuns: 600, examples: ALLOWED },
  );
  const allowed = replies.filter(([, { status }]) => status === 200);
  for (const [text, { headers }] of allowed) {
    expect(headers['x-duramen-model']).toBe(PERMITTED);
    expect(text).toContain(headers['x-duramen-requested-model']?.split('/').at(-1));
  }
  // a test that nothing passes proves nothing
  expect(allowed.length).toBeGreaterThan(ALLOWED.length);
});
