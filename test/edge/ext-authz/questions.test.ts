/** Questions of gateways over a real service: what is allowed, what is denied with which code, and what is logged. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { PepProfileInput } from '../../../src/domain/pep-profile.ts';
import type { TestService } from '../service.ts';
import { ASSERTS, ask, chatOf, type GatewayReply, type Question, startWithProfiles } from './asking.ts';

const OPENAI: Pick<PepProfileInput, 'identity' | 'dialects'> = {
  identity: ASSERTS,
  dialects: ['openai', 'gemini', 'torchserve'],
};
// biome-ignore format: one profile a line
const PROFILES: readonly PepProfileInput[] = [
  { ...OPENAI, name: 'envoy', kind: 'envoy', body: 'flagged', removeHeaders: ['authorization'] },
  { ...OPENAI, name: 'agent', kind: 'agentgateway', body: 'whole', ip: 'x-client-ip', region: 'x-region' },
  { ...OPENAI, name: 'nginx', kind: 'nginx', source: {
    kind: 'headers', method: 'x-original-method', uri: 'x-original-uri', host: 'x-original-host', normalizedUri: 'x-normalized-uri' } },
  { ...OPENAI, name: 'caddy', kind: 'caddy' },
  { ...OPENAI, name: 'traefik', kind: 'traefik', body: 'whole', maxBodyBytes: 4096,
    authentication: { kind: 'network', networks: ['127.0.0.1'], tenants: ['acme'] } },
  { ...OPENAI, name: 'elsewhere', kind: 'traefik', authentication: { kind: 'network', networks: ['10.0.0.0/8', 'fd00::/8'], tenants: '*' } },
  { ...OPENAI, name: 'haproxy', kind: 'haproxy', body: 'whole', bodyLength: 'x-original-content-length' },
  { ...OPENAI, name: 'aliased', kind: 'envoy', body: 'whole', models: { 'gpt-4o': 'acme/support-llm' }, toolIds: { refund: 'acme/refund' }, denyStatus: { FORBIDDEN_BY_POLICY: 451 } },
  { ...OPENAI, name: 'several', kind: 'envoy', body: 'whole', severalModels: 'decide', tools: 'none', assumedMaxOutputTokens: 100_000 },
  { ...OPENAI, name: 'hosts', kind: 'envoy', body: 'whole', hosts: { 'llm.acme.example': { tenant: 'acme', model: 'support-llm' }, '*.acme.example': { tenant: 'acme' } } },
  { name: 'mcp', kind: 'envoy', body: 'whole', identity: { ...ASSERTS, principalPrefix: 'acme/' }, mcp: [{ path: '/mcp', server: 'acme' }] },
  { name: 'bare', kind: 'envoy' },
  { name: 'verify', kind: 'envoy', identity: { mode: 'verify' }, body: 'whole', dialects: ['openai'] },
  { name: 'bound', kind: 'envoy', authentication: { kind: 'key', header: 'x-key', keyIds: ['nobody'] } },
];

const CHAT = '/v1/chat/completions';
const JSON_TYPE = { 'content-type': 'application/json' };

let service: TestService;
let key: string;

beforeAll(async () => {
  service = await startWithProfiles(PROFILES);
  key = await service.makeKey(['pep']);
});
afterAll(() => service.stop());

/** A question below a profile, by a gateway that proves itself and names Alice. */
function asks(profile: string, question: Question): Promise<GatewayReply> {
  const given = question.headers ?? {};
  const proof = profile === 'traefik' ? {} : { 'x-duramen-key': key };
  const pairs = Object.entries({ ...proof, 'x-user': 'acme/alice', ...JSON_TYPE });
  const own: readonly (readonly [string, string])[] = Array.isArray(given) ? given : Object.entries(given);
  const headers = [...pairs.filter(([name]) => !own.some(([other]) => other === name)), ...own];
  return ask(service.url, { ...question, path: `/ext-authz/${profile}${question.path}`, headers });
}

const leaf = z.object({ items: z.array(z.object({}).loose()) });

/** The entry of a reply's decision. */
async function entryOf({ headers }: GatewayReply): Promise<Record<string, unknown>> {
  const id = headers['x-duramen-decision-id'] ?? '';
  const reply = await service.call('GET', `/v1/decisions/${id}`);
  expect(reply.status).toBe(200);
  return z.record(z.string(), z.unknown()).parse(reply.json);
}

const ALLOW = {
  'x-duramen-decision': 'allow',
  'x-duramen-reason': 'POLICY_ALLOW',
  'x-duramen-status': '200',
};

describe('an allow', () => {
  test('is 200 without a body, and tells who and what was decided', async () => {
    const headers = { 'x-envoy-auth-partial-body': 'false' };
    const reply = await asks('envoy', { path: CHAT, headers, body: chatOf('acme/support-llm') });
    expect(reply).toMatchObject({ status: 200, text: '' });
    expect(reply.headers).toMatchObject({
      ...ALLOW,
      'x-duramen-principal': 'User::acme/alice',
      'x-duramen-tenant': 'acme',
      'x-duramen-action': 'generate',
      'x-duramen-model': 'acme/support-llm',
      'x-duramen-requested-model': 'acme/support-llm',
      'x-duramen-tool': '',
      'x-envoy-auth-headers-to-remove': 'authorization',
    });
    const entry = await entryOf(reply);
    expect(JSON.stringify(entry)).toContain('"maxOutputTokens":50');
    expect(JSON.stringify(entry)).not.toContain('"hi"');
  });

  test('names the model by its alias, by its tenant or by its id', async () => {
    for (const name of ['gpt-4o', 'support-llm', 'acme/support-llm']) {
      const reply = await asks('aliased', { path: CHAT, body: chatOf(name) });
      expect(reply.headers).toMatchObject({
        ...ALLOW,
        'x-duramen-model': 'acme/support-llm',
        'x-duramen-requested-model': name,
      });
    }
  });

  test('reaches the gateways that ask at one path', async () => {
    const original = {
      'x-original-method': 'POST',
      'x-original-host': 'x',
      'x-original-uri': '/predictions/acme%2Fsupport-llm',
    };
    const forwarded = {
      'x-forwarded-method': 'POST',
      'x-forwarded-host': 'x',
      'x-forwarded-uri': '/predictions/acme%2Fsupport-llm',
    };
    const questions: readonly [string, Question][] = [
      [
        'nginx',
        {
          path: '',
          method: 'GET',
          headers: { ...original, 'x-normalized-uri': '/predictions/acme/support-llm' },
        },
      ],
      ['caddy', { path: '', method: 'GET', headers: forwarded }],
      ['caddy', { path: '', method: 'HEAD', headers: forwarded }],
      [
        'traefik',
        {
          path: '',
          method: 'GET',
          headers: { ...forwarded, 'x-forwarded-uri': CHAT },
          body: chatOf('support-llm'),
        },
      ],
      [
        'haproxy',
        {
          path: '',
          headers: {
            ...original,
            'x-original-uri': CHAT,
            'x-original-content-length': String(chatOf('support-llm').length),
          },
          body: chatOf('support-llm'),
        },
      ],
    ];
    const statuses: Record<string, unknown> = {};
    for (const [profile, question] of questions) {
      const reply = await asks(profile, question);
      statuses[profile] = reply.headers['x-duramen-reason'];
    }
    expect(statuses).toEqual({
      nginx: 'POLICY_ALLOW',
      caddy: 'POLICY_ALLOW',
      traefik: 'POLICY_ALLOW',
      haproxy: 'POLICY_ALLOW',
    });
  });

  test('is given for any method and path that the table knows, and only with 200', async () => {
    for (const method of ['OPTIONS', 'HEAD', 'PATCH', 'TRACE']) {
      const reply = await asks('agent', { method, path: CHAT });
      expect(reply).toMatchObject({ status: 403, headers: { 'x-duramen-reason': 'MODEL_UNKNOWN' } });
    }
  });
});

describe('a deny', () => {
  const bodyOf = (reply: GatewayReply): unknown => JSON.parse(reply.text);

  test('says why in the shape of the API that was asked', async () => {
    const openai = await asks('agent', { path: CHAT, body: chatOf('globex/demand') });
    expect(openai.status).toBe(403);
    expect(bodyOf(openai)).toMatchObject({
      error: { type: 'permission_error', code: openai.headers['x-duramen-reason'] },
    });
    const gemini = await asks('agent', {
      path: '/v1beta/models/nope:generateContent',
      body: '{"contents":[]}',
    });
    expect(gemini.headers['x-duramen-reason']).toBe('MODEL_UNKNOWN');
    expect(bodyOf(gemini)).toMatchObject({ error: { code: 403, status: 'PERMISSION_DENIED' } });
  });

  test('has the status of the profile', async () => {
    const reply = await asks('aliased', { path: CHAT, body: chatOf('gpt-4o', { max_tokens: 1_000_000 }) });
    expect(reply).toMatchObject({ status: 451, headers: { 'x-duramen-reason': 'FORBIDDEN_BY_POLICY' } });
  });

  // biome-ignore format: one question a line
  const refusals: readonly [name: string, profile: string, question: Question, code: string][] = [
    ['an ambiguous model', 'agent', { path: CHAT, body: '{"model":"a","model":"b"}' }, 'MODEL_AMBIGUOUS'],
    ['an unknown model', 'agent', { path: CHAT, body: chatOf('nope') }, 'MODEL_UNKNOWN'],
    ['a model of another case', 'agent', { path: CHAT, body: chatOf('Support-LLM') }, 'MODEL_UNKNOWN'],
    ['a fallback', 'agent', { path: CHAT, body: chatOf('support-llm', { fallbacks: ['research-llm'] }) }, 'MODEL_AMBIGUOUS'],
    ['a second model that is denied', 'several', { path: CHAT, body: chatOf('support-llm', { fallbacks: ['nope'] }) }, 'MODEL_UNKNOWN'],
    ['a tool that nobody registered', 'agent', { path: CHAT, body: chatOf('support-llm', { tools: [{ type: 'function', function: { name: 'f' } }] }) }, 'UNKNOWN_RESOURCE'],
    ['output without a bound', 'several', { path: CHAT, body: '{"model":"support-llm","messages":[]}' }, 'FORBIDDEN_BY_POLICY'],
    ['a body that was cut', 'envoy', { path: CHAT, headers: { 'x-envoy-auth-partial-body': 'true' }, body: chatOf('support-llm') }, 'BODY_INCOMPLETE'],
    ['a body of which nothing says that it is whole', 'envoy', { path: CHAT, body: chatOf('support-llm') }, 'BODY_INCOMPLETE'],
    ['a body that is larger than the profile takes', 'traefik', { path: '', headers: { 'x-forwarded-method': 'POST', 'x-forwarded-host': 'x', 'x-forwarded-uri': CHAT }, body: chatOf('support-llm', { x: 'x'.repeat(5000) }) }, 'BODY_INCOMPLETE'],
    ['a body that is shorter than at the gateway', 'haproxy', { path: '', headers: { 'x-original-method': 'POST', 'x-original-host': 'x', 'x-original-uri': CHAT, 'x-original-content-length': '9999' }, body: chatOf('support-llm') }, 'BODY_INCOMPLETE'],
    ['a model in a body that the gateway does not send', 'caddy', { path: '', headers: { 'x-forwarded-method': 'POST', 'x-forwarded-host': 'x', 'x-forwarded-uri': CHAT } }, 'BODY_INCOMPLETE'],
    ['no description of the request', 'caddy', { path: '' }, 'INPUT_REJECTED'],
    ['a path behind a fixed path', 'caddy', { path: '/v1/models/x', headers: { 'x-forwarded-method': 'GET', 'x-forwarded-host': 'x', 'x-forwarded-uri': '/v1/models/x' } }, 'INPUT_REJECTED'],
    ['no path', 'agent', { path: '' }, 'INPUT_REJECTED'],
    ['another path than the gateway matched', 'nginx', { path: '', headers: { 'x-original-method': 'POST', 'x-original-host': 'x', 'x-original-uri': '/predictions/support-llm', 'x-normalized-uri': '/other' } }, 'INPUT_REJECTED'],
    ['dot segments', 'agent', { path: '/v1/x/../chat/completions', body: chatOf('support-llm') }, 'INPUT_REJECTED'],
    ['encoded dot segments', 'agent', { path: '/v1/%2e%2e/v1/chat/completions', body: chatOf('support-llm') }, 'INPUT_REJECTED'],
    ['a way out of the profile', 'agent', { path: '/../../v1/keys' }, 'INPUT_REJECTED'],
    ['two slashes', 'agent', { path: '//v1/chat/completions', body: chatOf('support-llm') }, 'INPUT_REJECTED'],
    ['an address that is none', 'agent', { path: CHAT, headers: { 'x-client-ip': 'localhost' }, body: chatOf('support-llm') }, 'INPUT_REJECTED'],
    ['an address that policies cannot read', 'agent', { path: CHAT, headers: { 'x-client-ip': '::10.0.0.1' }, body: chatOf('support-llm') }, 'INPUT_REJECTED'],
    ['no caller', 'agent', { path: CHAT, headers: { 'x-user': '' }, body: chatOf('support-llm') }, 'UNAUTHENTICATED'],
    ['a caller that is no id', 'agent', { path: CHAT, headers: { 'x-user': 'a b' }, body: chatOf('support-llm') }, 'UNAUTHENTICATED'],
    ['an unknown caller', 'agent', { path: CHAT, headers: { 'x-user': 'acme/nobody' }, body: chatOf('support-llm') }, 'UNKNOWN_PRINCIPAL'],
    ['a profile that trusts nothing', 'bare', { path: CHAT, body: chatOf('support-llm') }, 'UNAUTHENTICATED'],
    ['no credential where one must be verified', 'verify', { path: CHAT, body: chatOf('support-llm') }, 'UNAUTHENTICATED'],
    ['a credential that is none', 'verify', { path: CHAT, headers: { authorization: 'Bearer abc' }, body: chatOf('support-llm') }, 'UNAUTHENTICATED'],
    ['a host that stands for nobody', 'hosts', { path: CHAT, headers: { host: 'evil.example' }, body: chatOf('support-llm') }, 'UNKNOWN_TENANT'],
    ['a host below a wildcard by two labels', 'hosts', { path: CHAT, headers: { host: 'a.b.acme.example' }, body: chatOf('support-llm') }, 'UNKNOWN_TENANT'],
    ['another model than the host serves', 'hosts', { path: CHAT, headers: { host: 'llm.acme.example' }, body: chatOf('research-llm') }, 'MODEL_AMBIGUOUS'],
    ['a tool that the server does not have', 'mcp', { path: '/mcp', headers: { 'x-user': 'alice' }, body: '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"drop-tables"}}' }, 'UNKNOWN_RESOURCE'],
    ['a batch of calls', 'mcp', { path: '/mcp', headers: { 'x-user': 'alice' }, body: '[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"order-lookup"}}]' }, 'INPUT_REJECTED'],
  ];
  test.each(refusals)('for %s is in the log', async (_, profile, question, code) => {
    const reply = await asks(profile, question);
    expect(reply.headers).toMatchObject({ 'x-duramen-decision': 'deny', 'x-duramen-reason': code });
    expect(reply.status).toBe(code === 'UNAUTHENTICATED' ? 401 : 403);
    expect(await entryOf(reply)).toMatchObject({ decision: 'deny', reason: { code } });
  });

  test('is told to nginx by the statuses that it knows', async () => {
    const headers = {
      'x-original-method': 'POST',
      'x-original-host': 'x',
      'x-original-uri': '/x',
      'x-normalized-uri': '/x',
    };
    expect(await asks('nginx', { path: '', headers })).toMatchObject({
      status: 403,
      headers: { 'x-duramen-status': '403' },
    });
    const nobody = { ...headers, 'x-user': '' };
    expect(await asks('nginx', { path: '', headers: nobody })).toMatchObject({
      status: 401,
      headers: { 'www-authenticate': 'Bearer' },
    });
  });
});

describe('headers', () => {
  const body = chatOf('support-llm');
  test.each([
    ['x-duramen-model: dear', [['x-duramen-model', 'dear']]],
    ['X_Duramen_Principal: x', [['X_Duramen_Principal', 'x']]],
    ['x.duramen.tenant: x', [['x.duramen.tenant', 'x']]],
    ['an alias of the principal', [['x_user', 'acme/bob']]],
    [
      'the principal twice',
      [
        ['x-user', 'acme/alice'],
        ['X-User', 'acme/bob'],
      ],
    ],
    [
      'the region twice',
      [
        ['x-region', 'eu'],
        ['x-region', 'us'],
      ],
    ],
    ['an alias of the address', [['x-client_ip', '10.0.0.1']]],
  ] as const)('that pose as ours or the gateway’s are refused: %s', async (_, headers) => {
    const reply = await asks('agent', { path: CHAT, headers, body });
    expect(reply).toMatchObject({ status: 403, headers: { 'x-duramen-reason': 'INPUT_REJECTED' } });
  });

  test.each([
    ['::ffff:10.1.2.3', '10.1.2.3'],
    ['::FFFF:10.1.2.3', '10.1.2.3'],
    ['fe80::1%eth0', 'fe80::1'],
    ['2001:db8::1', '2001:db8::1'],
  ])('name the address as sockets do: %s', async (written, ip) => {
    const reply = await asks('agent', { path: CHAT, headers: { 'x-client-ip': written }, body });
    expect(reply.headers).toMatchObject({ 'x-duramen-decision': 'allow' });
    expect(await entryOf(reply)).toMatchObject({ request: { context: { ip } } });
  });

  test('of an answer are all there, whatever it is', async () => {
    const names = [
      'decision',
      'decision-id',
      'log',
      'reason',
      'status',
      'principal',
      'tenant',
      'action',
      'model',
      'requested-model',
      'tool',
    ];
    for (const question of [
      { path: CHAT, body },
      { path: CHAT, body: '{' },
      { path: '' },
      { path: CHAT, headers: { 'x-user': '' } },
    ]) {
      const { headers } = await asks('agent', question);
      expect(names.filter(name => headers[`x-duramen-${name}`] === undefined)).toEqual([]);
      expect(Object.values(headers)).not.toContain('?');
    }
  });
});

describe('the gateway itself', () => {
  const question = { path: `/ext-authz/agent${CHAT}`, body: chatOf('support-llm') };
  const from = (headers: Record<string, string>, path = question.path) =>
    ask(service.url, { ...question, path, headers: { ...JSON_TYPE, 'x-user': 'acme/alice', ...headers } });

  test('is not believed without its key, nor by the key of its client', async () => {
    expect(await from({})).toMatchObject({ status: 401 });
    expect(await from({ authorization: `Bearer ${key}` })).toMatchObject({ status: 401 });
    expect(await from({ 'x-duramen-key': 'dmn_wrong' })).toMatchObject({ status: 401 });
    const auditor = await service.makeKey(['auditor']);
    expect(await from({ 'x-duramen-key': auditor })).toMatchObject({ status: 403 });
    expect(await from({ 'x-key': key }, `/ext-authz/bound${CHAT}`)).toMatchObject({ status: 403 });
    expect(await from({ 'x-duramen-key': `Bearer ${key}` })).toMatchObject({ status: 200 });
  });

  test('is believed by its network where the profile says so, for its tenants', async () => {
    const described = { 'x-forwarded-method': 'POST', 'x-forwarded-host': 'x', 'x-forwarded-uri': CHAT };
    expect(await from(described, '/ext-authz/traefik')).toMatchObject({ status: 200 });
    expect(await from(described, '/ext-authz/elsewhere')).toMatchObject({ status: 401 });
    const foreign = { ...described, 'x-user': 'globex/erin' };
    const reply = await from(foreign, '/ext-authz/traefik');
    expect(reply).toMatchObject({ status: 403, headers: { 'x-duramen-reason': 'TENANT_NOT_ALLOWED' } });
  });

  test('is told when its profile does not exist', async () => {
    for (const path of [
      '/ext-authz/nope/v1/x',
      '/ext-authz/',
      '/hooks/portkey/agent',
      '/hooks/litellm/nope',
      '/hooks/',
    ]) {
      expect(await from({ 'x-duramen-key': key }, path)).toMatchObject({ status: 404 });
    }
  });
});

test('hosts stand for tenants and models, without regard to case, port and a dot at the end', async () => {
  const body = JSON.stringify({ messages: [], max_tokens: 5 });
  for (const host of ['llm.acme.example', 'LLM.acme.example:8443', 'llm.acme.example.']) {
    const reply = await asks('hosts', { path: CHAT, headers: { host }, body });
    expect(reply.headers).toMatchObject({
      ...ALLOW,
      'x-duramen-model': 'acme/support-llm',
      'x-duramen-tenant': 'acme',
    });
  }
  const wild = await asks('hosts', {
    path: CHAT,
    headers: { host: 'x.acme.example' },
    body: chatOf('support-llm'),
  });
  expect(wild.headers).toMatchObject(ALLOW);
});

test('each of several models is decided, and each decision is in the log', async () => {
  const before = leaf.parse((await service.call('GET', '/v1/decisions?limit=1000')).json).items.length;
  const reply = await asks('several', {
    path: CHAT,
    body: chatOf('support-llm', { models: ['support-llm', 'research-llm'] }),
  });
  const after = leaf.parse((await service.call('GET', '/v1/decisions?limit=1000')).json).items.length;
  expect(after - before).toBe(2);
  // the second is for the eu alone, and this gateway names no region
  expect(reply.headers).toMatchObject({
    'x-duramen-decision': 'deny',
    'x-duramen-model': 'acme/research-llm',
  });
});

test('a call of a tool is decided as the tool of its server', async () => {
  const call =
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"order-lookup","arguments":{}}}';
  const reply = await asks('mcp', { path: '/mcp', headers: { 'x-user': 'bob' }, body: call });
  expect(reply.headers).toMatchObject({
    'x-duramen-action': 'callTool',
    'x-duramen-tool': 'acme/order-lookup',
    'x-duramen-model': '',
  });
  expect(reply.headers['x-duramen-reason']).toMatch(/POLICY_ALLOW|NO_MATCHING_PERMIT/);
});
