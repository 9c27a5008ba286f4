/** Checks over a real listener, written and judged as Envoy does: what passes, with which headers, and what does not. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PepProfileInput } from '../../../src/domain/pep-profile.ts';
import { ASSERTS, chatOf } from '../ext-authz/asking.ts';
import { callWith, checkRequest, type Described, envoyJudges, type Verdict } from './envoy.ts';
import { ALICE, CHAT, type CheckScene, startCheckScene } from './scene.ts';
import { entry, Message, part } from './wire.ts';

const SHARED: Pick<PepProfileInput, 'kind' | 'identity' | 'dialects'> = {
  kind: 'envoy',
  identity: ASSERTS,
  dialects: ['openai', 'anthropic', 'gemini', 'torchserve', 'open-inference'],
};
const JWT = 'metadata:envoy.filters.http.jwt_authn/jwt_payload/sub';
// biome-ignore format: one profile a line
const PROFILES: readonly PepProfileInput[] = [
  { ...SHARED, name: 'whole', body: 'whole', removeHeaders: ['authorization', 'x-user'] },
  { ...SHARED, name: 'flagged', body: 'flagged' },
  { ...SHARED, name: 'blind' },
  { ...SHARED, name: 'small', body: 'whole', maxBodyBytes: 1024 },
  { ...SHARED, name: 'agent', kind: 'agentgateway', body: 'whole' },
  { ...SHARED, name: 'mapped', body: 'whole', denyStatus: { FORBIDDEN_BY_POLICY: 451, MODEL_UNKNOWN: 429 } },
  { ...SHARED, name: 'jwt', body: 'whole', identity: { ...ASSERTS, principal: JWT, principalPrefix: 'acme/' } },
  { ...SHARED, name: 'mesh', body: 'whole', identity: { ...ASSERTS, principal: 'source:principal' } },
  { ...SHARED, name: 'nowhere', body: 'whole', identity: { ...ASSERTS, principal: 'elsewhere:name' } },
  { ...SHARED, name: 'nobody', body: 'whole', identity: { mode: 'none' } },
  { ...SHARED, name: 'hosts', body: 'whole', hosts: { 'llm.acme.example': { tenant: 'acme' } } },
];

const GOOD: Described = { path: CHAT, headers: ALICE, body: chatOf('acme/support-llm') };
/** Another tenant's model. */
const FOREIGN: Described = { ...GOOD, body: chatOf('globex/demand') };

let scene: CheckScene;
beforeAll(async () => {
  scene = await startCheckScene(PROFILES);
});
afterAll(() => scene.stop());

/** `allow`, or the code of the deny. */
function reasonOf(verdict: Verdict): string {
  return verdict.passes ? 'allow' : (verdict.headers.get('x-duramen-reason') ?? `status ${verdict.status}`);
}
const reason = async (profile: string, described: Described): Promise<string> =>
  reasonOf(await scene.judge(profile, described));

describe('an allow', () => {
  test.each([
    ['joined headers and a body of text', {}],
    ['raw headers', { form: 'list' }],
    ['a body of bytes', { bodyForm: 'raw' }],
    ['raw headers and a body of bytes', { form: 'list', bodyForm: 'raw' }],
    ['no pseudo-headers', { bare: true }],
    ['a size that is not known', { size: -1 }],
    ['a length that fits', { headers: [...ALICE, ['content-length', String(GOOD.body?.length)]] }],
  ] satisfies [string, Partial<Described>][])('is given for %s', async (_, form) => {
    expect(await reason('whole', { ...GOOD, ...form })).toBe('allow');
  });

  test.each(['new', 'old'] as const)(
    'sets the headers of the decision in place of all others, in %s versions',
    async version => {
      const told = [...ALICE, ['authorization', 'Bearer x']] as const;
      const verdict = envoyJudges(
        await scene.ask('whole', { ...GOOD, headers: told }),
        [
          ...told,
          // what the gateway did not show us, because it sends a selection of the headers
          ['x-duramen-principal', 'User::acme/admin'],
          ['x-duramen-model', 'a'],
          ['x-duramen-model', 'b'],
          ['x-duramen-tool', 'acme/refund'],
        ],
        false,
        version,
      );
      expect(verdict.passes).toBe(true);
      expect(verdict.headers.get('x-duramen-principal')).toEqual(['User::acme/alice']);
      expect(verdict.headers.get('x-duramen-model')).toEqual(['acme/support-llm']);
      for (const gone of ['x-duramen-tool', 'authorization', 'x-user']) {
        expect(verdict.headers.has(gone)).toBe(false);
      }
    },
  );

  test('carries the decision as metadata, with the place of its entry', async () => {
    const { bytes } = await scene.ask('whole', GOOD);
    const values = metadataOf(bytes);
    expect(values).toMatchObject({
      decision: 'allow',
      reason: 'POLICY_ALLOW',
      principal: 'User::acme/alice',
      tenant: 'acme',
      action: 'generate',
      model: 'acme/support-llm',
      requested_model: 'acme/support-llm',
      tool: '',
      policies: ['tenant:acme/acme.data-scientist'],
      obligations: [],
    });
    const entryOfLog = await scene.service.call('GET', `/v1/decisions/${String(values['decision_id'])}`);
    expect(entryOfLog.json).toMatchObject({
      decision: 'allow',
      log: { origin: values['log_origin'], index: values['log_index'] },
    });
    expect(entryOfLog.text).toContain('sha256:');
    expect(entryOfLog.text).not.toContain('"hi"');
  });
});

describe('a deny', () => {
  test.each([
    [CHAT, FOREIGN.body, { error: { code: 'FORBIDDEN_BY_POLICY', type: 'permission_error' } }],
    ['/v1/messages', FOREIGN.body, { type: 'error', error: { type: 'permission_error' } }],
    ['/v1beta/models/nope:generateContent', '{"contents":[]}', { error: { status: 'PERMISSION_DENIED' } }],
    ['/v2/models/nope/infer', '{"inputs":[]}', { error: 'INPUT_REJECTED: the request has no `inputs`' }],
  ])('speaks as the API of %s does', async (path, body, shape) => {
    const verdict = await scene.judge('whole', { ...FOREIGN, path, body: body ?? '' });
    if (verdict.passes) throw new Error('it passes');
    expect(verdict.status).toBe(403);
    expect(verdict.headers.get('content-type')).toBe('application/json');
    expect(JSON.parse(verdict.body)).toMatchObject(shape);
  });

  test('has the status that the profile gives its code, and never the code 0', async () => {
    const codes: Record<string, unknown> = {};
    for (const [profile, described] of [
      ['whole', FOREIGN],
      ['mapped', FOREIGN],
      ['mapped', { ...GOOD, path: '/v1/unknown' }],
      ['nobody', GOOD],
    ] as const) {
      const ended = await scene.ask(profile, described);
      const verdict = envoyJudges(ended, []);
      const code = new Message(ended.bytes ?? Buffer.alloc(0)).message(1)?.int(1);
      if (!verdict.passes) codes[`${profile} ${reasonOf(verdict)}`] = [verdict.status, code];
    }
    expect(codes).toEqual({
      'whole FORBIDDEN_BY_POLICY': [403, 7],
      'mapped FORBIDDEN_BY_POLICY': [451, 7],
      'mapped MODEL_UNKNOWN': [429, 8],
      'nobody UNAUTHENTICATED': [401, 16],
    });
  });

  test('carries its metadata too', async () => {
    const { bytes } = await scene.ask('whole', FOREIGN);
    expect(metadataOf(bytes)).toMatchObject({
      decision: 'deny',
      reason: 'FORBIDDEN_BY_POLICY',
      policies: [expect.stringMatching(/^platform\//)],
    });
  });
});

describe('a body', () => {
  const length = (bytes: number) => ['content-length', String(bytes)] as const;
  const whole = ['x-envoy-auth-partial-body', 'false'] as const;
  const cut = ['x-envoy-auth-partial-body', 'true'] as const;
  const bytes = Buffer.byteLength(GOOD.body ?? '');

  test.each([
    ['whole', 'flagged as whole', { headers: [...ALICE, whole] }, 'allow'],
    ['whole', 'flagged as cut', { headers: [...ALICE, cut] }, 'BODY_INCOMPLETE'],
    ['whole', 'shorter than announced', { headers: [...ALICE, length(bytes + 1)] }, 'BODY_INCOMPLETE'],
    ['whole', 'longer than announced', { headers: [...ALICE, length(bytes - 1)] }, 'BODY_INCOMPLETE'],
    [
      'whole',
      'announced as no number',
      { headers: [...ALICE, ['content-length', '1e3']] },
      'BODY_INCOMPLETE',
    ],
    ['whole', 'announced twice', { headers: [...ALICE, length(bytes), length(bytes)] }, 'BODY_INCOMPLETE'],
    ['whole', 'less than arrived', { size: bytes + 1 }, 'BODY_INCOMPLETE'],
    ['whole', 'announced and not there', { body: '', headers: [...ALICE, length(bytes)] }, 'BODY_INCOMPLETE'],
    ['whole', 'not there', { body: '' }, 'BODY_INCOMPLETE'],
    ['whole', 'cut JSON', { body: GOOD.body?.slice(0, -1) ?? '' }, 'BODY_INCOMPLETE'],
    [
      'whole',
      'no UTF-8',
      { body: Buffer.from(chatOf('acme/support-llm', { user: 'é' }), 'latin1') },
      'BODY_UNREADABLE',
    ],
    ['flagged', 'flagged as whole', { headers: [...ALICE, whole] }, 'allow'],
    ['flagged', 'flagged as cut', { headers: [...ALICE, cut] }, 'BODY_INCOMPLETE'],
    ['flagged', 'without a flag', {}, 'BODY_INCOMPLETE'],
    ['flagged', 'flagged twice', { form: 'list', headers: [...ALICE, whole, whole] }, 'INPUT_REJECTED'],
    ['flagged', 'with both flags', { headers: [...ALICE, whole, cut] }, 'BODY_INCOMPLETE'],
    ['agent', 'of a known size', {}, 'allow'],
    ['agent', 'of an unknown size, which says that it was cut', { size: -1 }, 'BODY_INCOMPLETE'],
    ['blind', 'that nobody is to look at', {}, 'BODY_INCOMPLETE'],
    ['small', 'within the limit', {}, 'allow'],
    [
      'small',
      'beyond the limit',
      { body: chatOf('acme/support-llm', { user: 'x'.repeat(1024) }) },
      'BODY_INCOMPLETE',
    ],
  ] satisfies [string, string, Partial<Described>, string][])(
    'for %s, %s',
    async (profile, _, form, expected) => {
      expect(await reason(profile, { ...GOOD, ...form })).toBe(expected);
    },
  );

  test('that the gateway does not send passes where the path says everything', async () => {
    const predict = { ...GOOD, path: '/predictions/acme%2Fsupport-llm' };
    expect(await reason('blind', { ...predict, body: '' })).toBe('allow');
    expect(await reason('flagged', { ...predict, body: '', headers: [...ALICE, length(900)] })).toBe('allow');
  });
});

describe('a request that is described twice', () => {
  const raw = (described: Described, ...more: readonly Buffer[]): Promise<string> =>
    callWith(
      scene.client,
      Buffer.concat([checkRequest({ ...described, extensions: { duramen_profile: 'whole' } }), ...more]),
      { authorization: `Bearer ${scene.key}` },
    ).then(ended => reasonOf(envoyJudges(ended, [])));

  test.each([
    ['another method', [[':method', 'GET']]],
    ['another path', [[':path', '/v1/models']]],
    ['another authority', [[':authority', 'other.example']]],
    [
      'a pseudo-header twice',
      [
        [':path', CHAT],
        [':path', CHAT],
      ],
    ],
    ['a name that is none', [['x user', 'acme/alice']]],
    ['an empty name', [['', 'x']]],
    ['a name with a replacement', [['x-us�er', 'x']]],
    ['a line break in a value', [['x-other', 'a\r\nx-user: acme/alice']]],
    ['a zero byte in a value', [['x-other', 'a\0']]],
    ['a control character in a value', [['x-other', 'a\x01']]],
    ['a delete character in a value', [['x-other', 'a\x7f']]],
    ['another host', [['host', 'other.example']]],
  ] satisfies [string, (readonly [string, string])[]][])('is denied: %s', async (_, headers) => {
    const described = { ...GOOD, bare: true, form: 'list', headers: [...ALICE, ...headers] } as const;
    expect(await raw(described)).toBe('INPUT_REJECTED');
  });

  test('is read when both say the same', async () => {
    const headers = [...ALICE, ['host', 'LLM.example']] as const;
    expect(await reason('whole', { ...GOOD, headers })).toBe('allow');
  });

  test('is denied when it has headers in two forms, or two bodies', async () => {
    const http = (fields: readonly Buffer[]): Buffer => part(1, [part(4, [part(2, fields)])]);
    const one = [part(2, 'POST'), part(4, CHAT), entry(3, 'x-user', 'acme/alice')];
    const extension = part(1, [entry(10, 'duramen_profile', 'whole')]);
    const list = part(13, [part(1, [part(1, 'x-user'), part(3, 'acme/alice')])]);
    const send = async (fields: readonly Buffer[]) =>
      reasonOf(
        envoyJudges(
          await callWith(scene.client, merged(http(fields), extension), {
            authorization: `Bearer ${scene.key}`,
          }),
          [],
        ),
      );
    const body = chatOf('acme/support-llm');
    expect(await send([...one, part(11, body)])).toBe('allow');
    expect(await send([...one, part(11, body), list])).toBe('INPUT_REJECTED');
    expect(await send([...one, part(11, body), part(12, body)])).toBe('INPUT_REJECTED');
    const both = part(13, [part(1, [part(1, 'x-user'), part(2, 'acme/erin'), part(3, 'acme/alice')])]);
    expect(await send([part(2, 'POST'), part(4, CHAT), part(11, body), both])).toBe('INPUT_REJECTED');
  });

  test('is denied when it describes no HTTP request', async () => {
    const attributes = part(1, [entry(10, 'duramen_profile', 'whole')]);
    const ended = await callWith(scene.client, attributes, { authorization: `Bearer ${scene.key}` });
    expect(reasonOf(envoyJudges(ended, []))).toBe('INPUT_REJECTED');
  });
});

describe('the caller', () => {
  const anonymous: Described = { ...GOOD, headers: [['content-type', 'application/json']] };
  const claims = (...fields: readonly Buffer[]) => ({
    'envoy.filters.http.jwt_authn': [entry(1, 'jwt_payload', [part(5, fields)])],
  });
  const sub = (name: string): Buffer => entry(1, 'sub', [part(3, name)]);

  test.each([
    ['jwt', 'in the metadata', { metadata: claims(sub('alice')) }, 'allow'],
    [
      'jwt',
      'in the metadata, and is somebody else',
      { metadata: claims(sub('nobody')) },
      'UNKNOWN_PRINCIPAL',
    ],
    ['jwt', 'nowhere in the metadata', {}, 'UNAUTHENTICATED'],
    [
      'jwt',
      'in another field',
      { metadata: claims(entry(1, 'name', [part(3, 'alice')])) },
      'UNAUTHENTICATED',
    ],
    ['jwt', 'no text', { metadata: claims(entry(1, 'sub', [part(5, [])])) }, 'UNAUTHENTICATED'],
    ['jwt', 'in a header alone', { headers: [...ALICE, [JWT, 'alice']] }, 'INPUT_REJECTED'],
    ['mesh', 'in the certificate', { principal: 'acme/alice' }, 'allow'],
    ['mesh', 'in no certificate', {}, 'UNAUTHENTICATED'],
    ['mesh', 'in the header that others trust', { headers: ALICE }, 'UNAUTHENTICATED'],
    ['nowhere', 'at a place that is none', { headers: ALICE, principal: 'acme/alice' }, 'UNAUTHENTICATED'],
    ['whole', 'in a certificate that nobody asked for', { principal: 'acme/alice' }, 'UNAUTHENTICATED'],
    [
      'whole',
      'two at once',
      { form: 'list', headers: [...ALICE, ['x-user', 'acme/erin']] },
      'INPUT_REJECTED',
    ],
    ['whole', 'two at once, joined', { headers: [...ALICE, ['x-user', 'acme/erin']] }, 'UNKNOWN_PRINCIPAL'],
    ['whole', 'beside an alias', { headers: [...ALICE, ['x_user', 'acme/erin']] }, 'INPUT_REJECTED'],
    [
      'whole',
      'beside our own headers',
      { headers: [...ALICE, ['x-duramen-principal', 'x']] },
      'INPUT_REJECTED',
    ],
  ] satisfies [string, string, Partial<Described>, string][])(
    'of %s: %s',
    async (profile, _, form, expected) => {
      expect(await reason(profile, { ...anonymous, ...form })).toBe(expected);
    },
  );

  test('has the tenant of the host', async () => {
    expect(await reason('hosts', { ...GOOD, host: 'llm.acme.example:443' })).toBe('allow');
    expect(await reason('hosts', GOOD)).toBe('UNKNOWN_TENANT');
  });
});

/** Joins the `attributes` of two CheckRequests, which both hold nothing else. */
function merged(...requests: readonly Buffer[]): Buffer {
  return part(
    1,
    requests.map(request => new Message(request).all(1)[0] ?? Buffer.alloc(0)),
  );
}

/** `dynamic_metadata` of an answer. */
function metadataOf(bytes: Buffer | undefined): Record<string, unknown> {
  const fields = new Message(bytes ?? Buffer.alloc(0)).message(4)?.messages(1) ?? [];
  const values: Record<string, unknown> = {};
  for (const field of fields) values[field.text(1) ?? ''] = valueOf(field.message(2));
  return values;
}

function valueOf(value: Message | undefined): unknown {
  const number = value?.all(2)[0];
  if (number !== undefined) return number.readDoubleLE();
  const list = value?.message(6);
  return list === undefined ? value?.text(3) : list.messages(1).map(valueOf);
}
