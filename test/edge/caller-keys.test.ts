/** Keys of callers over HTTP: made, used in decisions, narrowed, rotated, revoked, reported, and kept by their owner. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type ManualClock, manualClock } from '../identity/clock.ts';
import { ALLOWED, problemOf, type Reply, startTestService, type TestService } from './service.ts';
import { withOtherLetter } from '../other-letter.ts';

const DAY_MS = 86_400_000;
const OWNER = { type: 'User', id: 'acme/alice' };
const ACTION = { action: ALLOWED.action, resource: ALLOWED.resource };
const keySchema = z.looseObject({
  id: z.string(),
  key: z.string().optional(),
  lastUse: z.object({ at: z.string(), network: z.string().optional() }).optional(),
});
const listSchema = z.object({ items: z.array(keySchema), nextCursor: z.string().nullable() });
const decisionSchema = z.looseObject({
  decisionId: z.string(),
  decision: z.string(),
  reason: z.looseObject({ code: z.string(), message: z.string() }),
  auth: z.object({ mode: z.string(), method: z.string() }),
});

let clock: ManualClock;
let service: TestService;
let pep: string;
beforeAll(async () => {
  clock = manualClock();
  service = await startTestService({
    filled: true,
    clock,
    env: { DURAMEN_AUTH_MAX_FAILURES_PER_MINUTE: '20' },
  });
  const body = { roles: ['pep'], callers: [{ mode: 'verify' }] };
  pep = keySchema.parse((await service.call('POST', '/v1/keys', { body })).json).key ?? '';
});
afterAll(() => service.stop());

const later = (ms: number) => new Date(clock.now() + ms).toISOString();

async function make(change: object = {}, key?: string): Promise<{ id: string; key: string }> {
  const body = { owner: OWNER, expiresAt: later(30 * DAY_MS), ...change };
  const reply = await service.call('POST', '/v1/caller-keys', {
    body,
    ...(key === undefined ? {} : { key }),
  });
  expect({ status: reply.status, text: reply.status === 201 ? '' : reply.text }).toEqual({
    status: 201,
    text: '',
  });
  const { id, key: token = '' } = keySchema.parse(reply.json);
  expect(reply.headers.get('location')).toBe(`/v1/caller-keys/${id}`);
  return { id, key: token };
}

async function decide(key: string, change: object = {}) {
  const body = { ...ACTION, credential: { kind: 'api_key', key }, ...change };
  const reply = await service.call('POST', '/decide', { key: pep, body });
  expect({ status: reply.status, text: reply.status === 200 ? '' : reply.text }).toEqual({
    status: 200,
    text: '',
  });
  return decisionSchema.parse(reply.json);
}

const codeOf = async (key: string, change?: object) => (await decide(key, change)).reason.code;

async function causeOf(decisionId: string): Promise<unknown> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const reply = await service.call('GET', `/v1/decisions/${decisionId}`);
    if (reply.status === 200) return z.looseObject({ caller: z.unknown() }).parse(reply.json).caller;
    if (performance.now() > deadline) throw new Error(`no entry: ${reply.text}`);
    await new Promise(resolve => setTimeout(resolve, 10));
  }
}

test('a scope names actions, or groups of them, that the active schema has', async () => {
  await make({ scopes: [{ actions: ['generate', 'Inference', 'useTenant'] }, { tenants: ['acme'] }] });
  const scopes = [{ tenants: ['acme'] }, { actions: ['generate', 'genrate', 'zzzzzzzz'] }];
  const body = { owner: OWNER, expiresAt: later(DAY_MS), scopes };
  const reply = await service.call('POST', '/v1/caller-keys', { body });
  expect([reply.status, problemOf(reply).code]).toEqual([400, 'INVALID_REQUEST']);
  const [near, far, ...others] = problemOf(reply).errors;
  expect(others).toEqual([]);
  expect(near).toMatchObject({ pointer: '/scopes/1/actions/1', hint: 'did you mean `generate`?' });
  expect(far?.pointer).toBe('/scopes/1/actions/2');
  expect(far?.hint).toMatch(/^there are .*\bInference\b.*\bgenerate\b/);
});

describe('a key in a decision', () => {
  test('proves its owner; the policies decide as for the owner itself', async () => {
    const { id, key } = await make();
    const answer = await decide(key);
    expect(answer).toMatchObject({ decision: 'allow', auth: { mode: 'verify', method: 'api_key' } });
    expect(await causeOf(answer.decisionId)).toEqual({ mode: 'verify', method: 'api_key', binding: 'none' });
    expect(await codeOf(key, { resource: { type: 'Model', id: 'globex/demand' } })).not.toBe('POLICY_ALLOW');
    const entry = await service.call('GET', `/v1/decisions/${answer.decisionId}`);
    expect(entry.json).toMatchObject({
      request: {
        principal: OWNER,
        tenant: 'acme',
        context: { auth: { method: 'api_key', assurance: 1, scopes: [], keyId: id, mode: 'verify' } },
      },
    });
  });

  test('may stand beside the principal that it proves, and no other', async () => {
    const { key } = await make();
    expect(await codeOf(key, { principal: OWNER })).toBe('POLICY_ALLOW');
    const answer = await decide(key, { principal: { type: 'User', id: 'acme/bob' } });
    expect(answer.reason.code).toBe('UNAUTHENTICATED');
    expect(await causeOf(answer.decisionId)).toMatchObject({
      method: 'api_key',
      cause: 'principal_mismatch',
    });
  });

  test('brings its OAuth scopes, and an agent gets no more of them', async () => {
    const { key } = await make({ oauthScopes: ['payments:refund'] });
    const via = {
      agent: 'acme/copilot',
      chain: ['acme/copilot'],
      depth: 1,
      expires: later(DAY_MS),
      humanApproved: false,
    };
    expect(await codeOf(key, { via: { ...via, scopes: ['payments:refund', 'more'] } })).toBe(
      'CREDENTIAL_SCOPE',
    );
    expect(await codeOf(key, { via: { ...via, scopes: ['payments:refund'] } })).not.toBe('CREDENTIAL_SCOPE');
  });

  test('reaches no further than it was made for, with an entry that says what was beyond', async () => {
    const { key } = await make({ scopes: [{ models: ['acme/embed'] }], networks: ['10.0.0.0/8'] });
    const answer = await decide(key, { context: { ip: '10.1.2.3' } });
    expect(answer).toMatchObject({ decision: 'deny', reason: { code: 'CREDENTIAL_SCOPE' } });
    expect(await causeOf(answer.decisionId)).toMatchObject({ cause: 'scope_model', method: 'api_key' });
    expect(await causeOf((await decide(key)).decisionId)).toMatchObject({ cause: 'scope_network' });
    const wide = await make({ scopes: [{ models: ['acme/support-llm'] }], networks: ['10.0.0.0/8'] });
    expect(await codeOf(wide.key, { context: { ip: '10.1.2.3' } })).toBe('POLICY_ALLOW');
  });

  test('that has ended is refused like one that never was, and only a proven one is told why', async () => {
    const [gone, ended] = [await make(), await make({ expiresAt: later(1_000) })];
    expect((await service.call('DELETE', `/v1/caller-keys/${gone.id}?reason=lost`)).status).toBe(204);
    clock.advance(1_000);
    const forged = withOtherLetter(ended.key, 30);
    const answers = [
      await decide(gone.key),
      await decide(ended.key),
      await decide(forged),
      await decide('dmc_'),
    ];
    expect(answers.map(({ reason }) => reason.code)).toEqual([
      'CREDENTIAL_REVOKED',
      'CREDENTIAL_EXPIRED',
      'UNAUTHENTICATED',
      'UNAUTHENTICATED',
    ]);
    expect(new Set(answers.map(({ reason }) => reason.message)).size).toBe(1);
    const causes = await Promise.all(answers.map(({ decisionId }) => causeOf(decisionId)));
    expect(causes).toMatchObject(
      ['key_revoked', 'key_expired', 'key_checksum', 'key_malformed'].map(cause => ({ cause })),
    );
  });

  test('revoked while decisions are under way: whatever is asked after the answer is refused', async () => {
    const { id, key } = await make();
    let revoked = false;
    const revoking = service.call('DELETE', `/v1/caller-keys/${id}`).then(reply => {
      expect(reply.status).toBe(204);
      revoked = true;
    });
    const late: string[] = [];
    while (late.length < 5) {
      const after = revoked;
      const codes = await Promise.all([codeOf(key), codeOf(key)]);
      if (after) late.push(...codes);
    }
    await revoking;
    expect(new Set(late)).toEqual(new Set(['CREDENTIAL_REVOKED']));
  });

  test('wrong ones in a flood are slowed, and right ones are not', async () => {
    const { key } = await make();
    const wrong = 'dmc_'.padEnd(70, '0');
    const body = { ...ACTION, context: { ip: '192.0.2.77' }, credential: { kind: 'api_key', key: wrong } };
    const replies: Reply[] = [];
    for (let count = 0; count < 25; count += 1) {
      replies.push(await service.call('POST', '/decide', { key: pep, body }));
    }
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(20);
    const [slowed] = replies.slice(-1);
    if (slowed === undefined) throw new Error('no reply');
    expect(problemOf(slowed).code).toBe('TOO_MANY_FAILED_AUTHENTICATIONS');
    expect(Number(slowed.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await codeOf(key, { context: { ip: '192.0.2.77' } })).toBe('POLICY_ALLOW');
    clock.advance(60_000);
  });
});

describe('the request for a key', () => {
  test.each([
    ['without an expiry', { expiresAt: undefined }, '/expiresAt'],
    ['beyond ninety days', { expiresAt: '2099-01-01T00:00:00Z' }, '/expiresAt'],
    ['for a model', { owner: { type: 'Model', id: 'acme/support-llm' } }, '/owner/type'],
    ['for nobody', { owner: { type: 'User', id: 'acme/nobody' } }, '/owner'],
    ['with a scope that narrows nothing', { scopes: [{}] }, '/scopes/0'],
    ['with a scope of no models', { scopes: [{ models: [] }] }, '/scopes/0/models'],
    ['with a word that no scope has', { scopes: [{ model: ['x'] }] }, '/scopes/0/model'],
    ['with a network that is none', { networks: ['10.0.0.0/33'] }, '/networks'],
    ['with a key in its description', { description: 'was dmc_0123456789abcdef_' }, '/description'],
  ])('%s is refused', async (_, change, pointer) => {
    const body = { owner: OWNER, expiresAt: later(DAY_MS), ...change };
    const reply = await service.call('POST', '/v1/caller-keys', { body });
    expect(reply.status).toBe(400);
    expect(problemOf(reply).errors.map(one => one.pointer)).toContain(pointer);
  });

  test('repeated by its `Idempotency-Key` shows the key no second time', async () => {
    const body = { owner: OWNER, expiresAt: later(DAY_MS) };
    const headers = { 'idempotency-key': 'once' };
    const first = await service.call('POST', '/v1/caller-keys', { body, headers });
    const second = await service.call('POST', '/v1/caller-keys', { body, headers });
    const [made, again] = [keySchema.parse(first.json), keySchema.parse(second.json)];
    expect(again.id).toBe(made.id);
    expect([made.key === undefined, again.key === undefined]).toEqual([false, true]);
  });

  test.each([['pep'], ['author'], ['auditor'], ['directory']])('of the role %s is refused', async role => {
    const key = await service.makeKey([role]);
    for (const [method, path] of [
      ['POST', '/v1/caller-keys'],
      ['GET', '/v1/caller-keys'],
      ['POST', '/v1/caller-keys/leaks'],
      ['POST', '/v1/caller-keys/revoke'],
    ] as const) {
      const reply = await service.call(method, path, { key, ...(method === 'POST' ? { body: {} } : {}) });
      expect({ path, status: reply.status }).toEqual({ path, status: 403 });
    }
  });
});

describe('keepers of one tenant', () => {
  test('make, see and revoke the keys of their tenant alone', async () => {
    const keeper = await service.makeKey(['keys'], ['globex']);
    const { id } = await make();
    const body = { owner: OWNER, expiresAt: later(DAY_MS) };
    expect((await service.call('POST', '/v1/caller-keys', { key: keeper, body })).status).toBe(400);
    const own = await make({ owner: { type: 'User', id: 'globex/erin' } }, keeper);
    const seen = listSchema.parse((await service.call('GET', '/v1/caller-keys', { key: keeper })).json);
    expect(seen.items.map(one => one.id)).toEqual([own.id]);
    for (const [method, path, sent] of [
      ['GET', `/v1/caller-keys/${id}`, undefined],
      ['DELETE', `/v1/caller-keys/${id}`, undefined],
      ['POST', `/v1/caller-keys/${id}/rotate`, {}],
    ] as const) {
      const reply = await service.call(method, path, {
        key: keeper,
        ...(sent === undefined ? {} : { body: sent }),
      });
      expect({ path, status: reply.status }).toEqual({ path, status: 404 });
    }
    const all = await service.call('POST', '/v1/caller-keys/revoke', {
      key: keeper,
      body: { tenant: 'acme', reason: '' },
    });
    expect(all.status).toBe(403);
  });
});

describe('reports', () => {
  test('of leaks: what is a key is revoked, and the answer has the form that scanners know', async () => {
    const [one, two, foreign] = [
      await make(),
      await make(),
      await make({ owner: { type: 'User', id: 'globex/erin' } }),
    ];
    const keeper = await service.makeKey(['keys'], ['acme']);
    const { createHash } = await import('node:crypto');
    const hash = createHash('sha256').update(two.key).digest('hex');
    const report = (body: unknown, key = keeper) =>
      service.call('POST', '/v1/caller-keys/leaks', { key, body });
    const reply = await report([
      {
        token: one.key,
        type: 'duramen_caller_key',
        url: `https://git.example/?k=${one.key}`,
        source: 'commit',
        new: 1,
      },
      { hash },
      { token: foreign.key },
      { token: `${one.key}x` },
    ]);
    expect(reply.json).toEqual([
      {
        token_hash: createHash('sha256').update(one.key).digest('base64'),
        token_type: 'duramen_caller_key',
        label: 'true_positive',
        keyId: one.id,
        outcome: 'revoked',
      },
      expect.objectContaining({ label: 'true_positive', keyId: two.id }),
      expect.not.objectContaining({ keyId: foreign.id }),
      expect.objectContaining({ label: 'false_positive' }),
    ]);
    expect(reply.text).not.toContain(one.key.slice(21, 50));
    expect([await codeOf(one.key), await codeOf(two.key)]).toEqual([
      'CREDENTIAL_REVOKED',
      'CREDENTIAL_REVOKED',
    ]);
    expect(await codeOf(foreign.key)).not.toBe('CREDENTIAL_REVOKED');
    expect((await report([{ token: one.key, hash }])).status).toBe(400);
    expect(
      (await service.call('POST', '/v1/caller-keys/leaks', { key: undefined, body: [{ token: one.key }] }))
        .status,
    ).toBe(401);
  });

  test('of an owner: every key ends, and the number is told', async () => {
    const owner = { type: 'User', id: 'acme/carol' };
    const keys = [await make({ owner }), await make({ owner })];
    const body = { owner, reason: 'left' };
    const reply = await service.call('POST', '/v1/caller-keys/revoke', { body });
    expect(reply.json).toEqual({ revoked: 2 });
    expect(await Promise.all(keys.map(({ key }) => codeOf(key)))).toEqual([
      'CREDENTIAL_REVOKED',
      'CREDENTIAL_REVOKED',
    ]);
    const neither = await service.call('POST', '/v1/caller-keys/revoke', { body: { reason: '' } });
    expect(neither.status).toBe(400);
  });

  test('of use: unused and ending keys, the minute of the last use and its network', async () => {
    const owner = { type: 'User', id: 'acme/bob' };
    const [used, idle] = [await make({ owner }), await make({ owner, expiresAt: later(DAY_MS) })];
    clock.advance(60_000);
    await decide(used.key, { context: { ip: '203.0.113.9' } });
    const list = async (query: string) =>
      listSchema.parse((await service.call('GET', `/v1/caller-keys?owner=User:acme/bob&${query}`)).json)
        .items;
    const at = new Date(Math.floor(clock.now() / 60_000) * 60_000).toISOString();
    expect((await list('')).find(({ id }) => id === used.id)?.lastUse).toEqual({
      at,
      network: '203.0.113.0/24',
    });
    expect((await list(`unusedSince=${later(0)}`)).map(({ id }) => id)).toEqual([idle.id]);
    expect((await list(`expiresBefore=${later(2 * DAY_MS)}`)).map(({ id }) => id)).toEqual([idle.id]);
    expect((await service.call('GET', '/v1/caller-keys?owner=alice')).status).toBe(400);
  });
});

describe('changes', () => {
  test('are events with the owner under a pseudonym, and never its name', async () => {
    const { id } = await make({ owner: { type: 'Service', id: 'acme/checkout' } });
    await service.call('POST', `/v1/caller-keys/${id}/rotate`, { body: {} });
    const events = await service.call(
      'GET',
      '/v1/events?kind=caller_key.create,caller_key.rotate&limit=1000',
    );
    expect(events.text).toContain(id);
    expect(events.text).toContain('caller_key.rotate');
    const leaves = z
      .object({ items: z.array(z.looseObject({ details: z.unknown() })) })
      .parse(events.json)
      .items.map(({ details }) => JSON.stringify(details));
    expect(leaves.join()).not.toMatch(/checkout|alice/);
  });

  test('the keys of an erased owner are gone', async () => {
    const owner = { type: 'Service', id: 'acme/batch' };
    const { id, key } = await make({ owner });
    const body = { principal: owner, reason: 'request 4711', deleteEntity: true };
    expect((await service.call('POST', '/v1/audit/erase', { body })).status).toBe(200);
    expect((await service.call('GET', `/v1/caller-keys/${id}`)).status).toBe(404);
    expect(await codeOf(key)).toBe('UNAUTHENTICATED');
  });
});
