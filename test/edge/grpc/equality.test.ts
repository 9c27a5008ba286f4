/**
 * One question over both edges of ext_authz: HTTP as Envoy asks it, and gRPC. Invariant: the same decision, told in
 * the same headers and the same body, with the same request in the log.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { PepProfileInput } from '../../../src/domain/pep-profile.ts';
import { ASSERTS, ask, chatOf } from '../ext-authz/asking.ts';
import type { Described } from './envoy.ts';
import { ALICE, CHAT, type CheckScene, startCheckScene } from './scene.ts';

const OPENAI: Pick<PepProfileInput, 'kind' | 'identity' | 'dialects' | 'body'> = {
  kind: 'envoy',
  identity: ASSERTS,
  dialects: ['openai', 'anthropic', 'gemini', 'bedrock', 'torchserve', 'kserve', 'ollama'],
  body: 'whole',
};
// biome-ignore format: one profile a line
const PROFILES: readonly PepProfileInput[] = [
  { ...OPENAI, name: 'plain', removeHeaders: ['authorization'] },
  { ...OPENAI, name: 'flagged', body: 'flagged' },
  { ...OPENAI, name: 'blind', body: 'none' },
  { ...OPENAI, name: 'several', severalModels: 'decide', tools: 'none' },
  { ...OPENAI, name: 'mapped', models: { 'gpt-4o': 'acme/support-llm' }, toolIds: { refund: 'acme/refund' }, denyStatus: { FORBIDDEN_BY_POLICY: 451 } },
  { ...OPENAI, name: 'context', ip: 'x-client-ip', region: 'x-region', env: 'staging', assumedMaxOutputTokens: 100_000 },
  { ...OPENAI, name: 'hosts', hosts: { 'llm.acme.example': { tenant: 'acme', model: 'support-llm' } } },
  { ...OPENAI, name: 'agent', kind: 'agentgateway' },
  { name: 'mcp', kind: 'envoy', body: 'whole', identity: ASSERTS, mcp: [{ path: '/mcp', server: 'acme' }] },
  { name: 'bare', kind: 'envoy' },
  { ...OPENAI, name: 'verify', identity: { mode: 'verify' } },
];

const NOW = Date.parse('2026-03-10T12:00:00Z');
const whole = ['x-envoy-auth-partial-body', 'false'] as const;
const type = (media: string) => ['content-type', media] as const;
const as = (user: string) => ['x-user', user] as const;
const JSON_TYPE = type('application/json');
const TOOLS = { tools: [{ type: 'function', function: { name: 'acme/refund' } }] };

// biome-ignore format: one question a line
const QUESTIONS: readonly [name: string, profile: string, described: Described][] = [
  ['an allow', 'plain', { path: CHAT, body: chatOf('acme/support-llm') }],
  ['a name below the tenant', 'plain', { path: CHAT, body: chatOf('support-llm') }],
  ['another tenant', 'plain', { path: CHAT, body: chatOf('globex/demand') }],
  ['an unknown model', 'plain', { path: CHAT, body: chatOf('nope') }],
  ['an unknown principal', 'plain', { path: CHAT, body: chatOf('support-llm'), headers: [JSON_TYPE, as('acme/none')] }],
  ['no principal', 'plain', { path: CHAT, body: chatOf('support-llm'), headers: [JSON_TYPE] }],
  ['an id that is none', 'plain', { path: CHAT, body: chatOf('support-llm'), headers: [JSON_TYPE, as('a b')] }],
  ['another principal', 'plain', { path: CHAT, body: chatOf('support-llm'), headers: [JSON_TYPE, as('globex/gina')] }],
  ['a streamed chat', 'plain', { path: CHAT, body: chatOf('support-llm', { stream: true }) }],
  ['a tool', 'plain', { path: CHAT, body: chatOf('support-llm', TOOLS) }],
  ['too much output', 'plain', { path: CHAT, body: chatOf('support-llm', { max_tokens: 1_000_000 }) }],
  ['embeddings', 'plain', { path: '/v1/embeddings', body: '{"model":"embed","input":"hi"}' }],
  ['an image beside the text', 'plain', { path: CHAT, body: chatOf('support-llm', { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:,' } }] }] }) }],
  ['two models', 'plain', { path: CHAT, body: chatOf('support-llm', { fallbacks: ['embed'] }) }],
  ['two models, each decided', 'several', { path: CHAT, body: chatOf('support-llm', { fallbacks: ['globex/demand'] }) }],
  ['a key twice', 'plain', { path: CHAT, body: '{"model":"support-llm","model":"globex/demand","messages":[]}' }],
  ['no JSON', 'plain', { path: CHAT, body: 'model=support-llm' }],
  ['another media type', 'plain', { path: CHAT, body: chatOf('support-llm'), headers: [type('text/plain'), as('acme/alice')] }],
  ['a compressed body that is none', 'plain', { path: CHAT, body: chatOf('support-llm'), headers: [...ALICE, ['content-encoding', 'gzip']] }],
  ['an empty body', 'plain', { path: CHAT, body: '' }],
  ['a body that is not sent', 'blind', { path: CHAT, body: chatOf('support-llm') }],
  ['a path without a row', 'plain', { path: '/v1/unknown', body: '{}' }],
  ['dots in the path', 'plain', { path: '/v1/public/../chat/completions', body: chatOf('support-llm') }],
  ['an encoded dot', 'plain', { path: '/v1/%2e%2e/chat/completions', body: chatOf('support-llm') }],
  ['a doubled slash', 'plain', { path: '//v1/chat/completions', body: chatOf('support-llm') }],
  ['a semicolon', 'plain', { path: '/v1/chat;a/completions', body: chatOf('support-llm') }],
  ['another method', 'plain', { method: 'PUT', path: CHAT, body: chatOf('support-llm') }],
  ['no body and a model in the path', 'blind', { path: '/predictions/acme%2Fsupport-llm', body: '' }],
  ['Gemini', 'plain', { path: '/v1beta/models/nope:generateContent', body: '{"contents":[]}' }],
  ['Anthropic', 'plain', { path: '/v1/messages', body: chatOf('globex/demand') }],
  ['Bedrock', 'plain', { path: '/model/acme%2Fsupport-llm/converse', body: '{"messages":[]}' }],
  ['Ollama', 'plain', { path: '/api/chat', body: chatOf('globex/demand') }],
  ['KServe', 'plain', { path: '/v1/models/nope:predict', body: '{"instances":[1]}' }],
  ['a whole body by its flag', 'flagged', { path: CHAT, body: chatOf('support-llm'), headers: [...ALICE, whole] }],
  ['a cut body by its flag', 'flagged', { path: CHAT, body: chatOf('support-llm'), headers: [...ALICE, ['x-envoy-auth-partial-body', 'true']] }],
  ['a cut body by a flag that the profile does not ask for', 'plain', { path: CHAT, body: chatOf('support-llm'), headers: [...ALICE, ['x-envoy-auth-partial-body', 'true']] }],
  ['no flag', 'flagged', { path: CHAT, body: chatOf('support-llm') }],
  ['an alias of a model', 'mapped', { path: CHAT, body: chatOf('gpt-4o') }],
  ['a status of the profile', 'mapped', { path: CHAT, body: chatOf('globex/demand') }],
  ['context', 'context', { path: CHAT, body: chatOf('support-llm'), headers: [...ALICE, ['x-client-ip', '10.1.2.3'], ['x-region', 'eu']] }],
  ['an address that is none', 'context', { path: CHAT, body: chatOf('support-llm'), headers: [...ALICE, ['x-client-ip', 'here']] }],
  ['an assumed bound', 'context', { path: CHAT, body: '{"model":"support-llm","messages":[]}' }],
  ['a host of a tenant', 'hosts', { path: CHAT, host: 'LLM.acme.example:8443', body: chatOf('support-llm') }],
  ['another host', 'hosts', { path: CHAT, body: chatOf('support-llm') }],
  ['agentgateway', 'agent', { path: CHAT, body: chatOf('support-llm') }],
  ['a called tool', 'mcp', { path: '/mcp', body: '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"refund","arguments":{}}}' }],
  ['a batch of calls', 'mcp', { path: '/mcp', body: '[{"jsonrpc":"2.0","id":1,"method":"tools/list"}]' }],
  ['a profile that trusts nothing', 'bare', { path: CHAT, body: chatOf('support-llm') }],
  ['no token', 'verify', { path: CHAT, body: chatOf('support-llm') }],
  ['a token of nobody', 'verify', { path: CHAT, body: chatOf('support-llm'), headers: [JSON_TYPE, ['authorization', 'Bearer e.e.e']] }],
  ['an alias of a trusted header', 'plain', { path: CHAT, body: chatOf('support-llm'), headers: [...ALICE, ['x_user', 'acme/bob']] }],
  ['our own headers', 'plain', { path: CHAT, body: chatOf('support-llm'), headers: [...ALICE, ['x-duramen-decision', 'allow']] }],
];

let scene: CheckScene;
beforeAll(async () => {
  // entries name the time of the decision
  const clock = { now: () => NOW, monotonic: () => performance.now() };
  scene = await startCheckScene(PROFILES, {}, clock);
});
afterAll(() => scene.stop());

interface Told {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

async function overHttp(profile: string, described: Described): Promise<Told> {
  const { method = 'POST', path, host = 'llm.example', headers = ALICE, body = '' } = described;
  const {
    status,
    headers: told,
    text,
  } = await ask(scene.service.url, {
    method,
    path: `/ext-authz/${profile}${path}`,
    headers: [['host', host], ['x-duramen-key', scene.key], ...headers],
    body,
  });
  return { status, headers: ours(Object.entries(told)), body: text };
}

async function overGrpc(profile: string, described: Described): Promise<Told> {
  const verdict = await scene.judge(profile, { headers: ALICE, ...described });
  if (!verdict.passes) {
    return { status: verdict.status, headers: ours([...verdict.headers]), body: verdict.body };
  }
  const own = new Map(described.headers ?? ALICE);
  const set = [...verdict.headers].filter(([name]) => !own.has(name));
  return { status: 200, headers: ours(set.map(([name, values]) => [name, values.join(', ')])), body: '' };
}

/** The headers of the decision that say anything. */
function ours(headers: readonly (readonly [string, string])[]): Record<string, string> {
  return Object.fromEntries(
    headers
      .filter(([name, value]) => /^x-duramen-|^www-authenticate$/.test(name) && value !== '')
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );
}

const entrySchema = z.looseObject({ request: z.unknown(), reason: z.unknown(), levels: z.unknown() });

/** What the log says of a decision, without its time and its place. */
async function logged(id: string): Promise<unknown> {
  const reply = await scene.service.call('GET', `/v1/decisions/${id}`);
  const { request, reason, levels } = entrySchema.parse(reply.json);
  return { request, reason, levels };
}

describe('both edges say the same about', () => {
  test.each(QUESTIONS)('%s', async (_, profile, described) => {
    const [http, grpc] = [await overHttp(profile, described), await overGrpc(profile, described)];
    const ids = [http, grpc].map(({ headers }) => headers['x-duramen-decision-id'] ?? '');
    const [httpId = '', grpcId = ''] = ids;
    expect(httpId).toMatch(/^[0-9a-f-]{36}$/);
    expect(grpcId).toMatch(/^[0-9a-f-]{36}$/);
    expect(grpcId).not.toBe(httpId);
    const anonymous = ({ status, headers, body }: Told, id: string) => ({
      status,
      headers: {
        ...headers,
        'x-duramen-decision-id': '',
        // each has an entry of its own
        'x-duramen-log': headers['x-duramen-log']?.replace(/ \d+ \d+$/, ''),
      },
      body: body.replaceAll(id, ''),
    });
    expect(anonymous(grpc, grpcId)).toEqual(anonymous(http, httpId));
    expect(await logged(grpcId)).toEqual(await logged(httpId));
  });

  test('enough to show allows and most codes of an edge', async () => {
    const codes = new Set<string>();
    for (const [, profile, described] of QUESTIONS) {
      codes.add((await overGrpc(profile, described)).headers['x-duramen-reason'] ?? '');
    }
    expect([...codes]).toEqual(
      expect.arrayContaining([
        'POLICY_ALLOW',
        'FORBIDDEN_BY_POLICY',
        'MODEL_UNKNOWN',
        'MODEL_AMBIGUOUS',
        'BODY_INCOMPLETE',
        'BODY_UNREADABLE',
        'INPUT_REJECTED',
        'UNAUTHENTICATED',
        'UNKNOWN_PRINCIPAL',
        'UNKNOWN_TENANT',
      ]),
    );
  });
});
