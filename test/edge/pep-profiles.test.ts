/** Profiles of gateways over the API: who may, what is told, and that the next question is judged by them. */
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { ask, ASSERTS, chatOf } from './ext-authz/asking.ts';
import { problemOf, startTestService, temporaryFolder, type TestService } from './service.ts';

const PATH = '/v1/pep-profiles';
const EDGE = { kind: 'envoy', body: 'whole', identity: ASSERTS, dialects: ['openai'] };
const CONFIGURED = [{ name: 'fixed', kind: 'nginx' }];
const listed = z.object({
  profile: z.looseObject({ name: z.string() }),
  origin: z.string(),
  readOnly: z.boolean(),
  revision: z.number(),
  updatedBy: z.string().optional(),
});
const page = z.object({ items: z.array(listed), nextCursor: z.string().nullable() });

let service: TestService;
let pep: string;
beforeAll(async () => {
  service = await startTestService({
    env: { DURAMEN_PEP_PROFILES: JSON.stringify(CONFIGURED) },
    filled: true,
  });
  pep = await service.makeKey(['pep']);
});
afterAll(() => service.stop());
beforeEach(async () => {
  await service.call('DELETE', `${PATH}/edge`);
});

const put = (body: unknown, headers: Record<string, string> = {}) =>
  service.call('PUT', `${PATH}/edge`, { body, headers });

/** The status of a question that the shipped policies allow. */
async function question(url = service.url): Promise<number> {
  const reply = await ask(url, {
    path: '/ext-authz/edge/v1/chat/completions',
    headers: { 'x-duramen-key': pep, 'x-user': 'acme/alice', 'content-type': 'application/json' },
    body: chatOf('support-llm'),
  });
  return reply.status;
}

describe('a profile that is written', () => {
  test('counts from the next question on, as does each change and its removal', async () => {
    expect(await question()).toBe(404);
    expect((await put(EDGE)).status).toBe(201);
    expect(await question()).toBe(200);
    expect((await put({ ...EDGE, dialects: [] })).status).toBe(200);
    expect(await question()).toBe(403);
    expect((await put(EDGE)).status).toBe(200);
    expect(await question()).toBe(200);
    expect((await service.call('DELETE', `${PATH}/edge`)).status).toBe(204);
    expect(await question()).toBe(404);
  });

  test('trusts nothing that it does not name', async () => {
    const reply = await put({ kind: 'envoy' });
    expect(reply.status).toBe(201);
    expect(listed.parse(reply.json).profile).toEqual({
      name: 'edge',
      kind: 'envoy',
      authentication: { kind: 'key', header: 'x-duramen-key' },
      identity: { mode: 'none' },
      body: 'none',
      maxBodyBytes: 1_048_576,
      hosts: {},
      dialects: [],
      pathPrefix: '',
      mcp: [],
      models: {},
      tools: 'all',
      toolIds: {},
      severalModels: 'deny',
      accounts: 'deny',
      denyStatus: {},
      removeHeaders: [],
    });
    // nobody may be named
    expect(await question()).toBe(401);
  });

  test('has a revision that is its `ETag`, and never comes back', async () => {
    const first = await put(EDGE);
    const { revision } = listed.parse(first.json);
    expect(first.headers.get('etag')).toBe(`"${revision}"`);
    expect((await put(EDGE, { 'if-none-match': '*' })).status).toBe(412);
    expect((await put(EDGE, { 'if-match': `"${revision + 1}"` })).status).toBe(412);
    const second = await put(EDGE, { 'if-match': `"${revision}"` });
    expect(listed.parse(second.json).revision).toBe(revision + 1);
    const removal = (headers: Record<string, string>) => service.call('DELETE', `${PATH}/edge`, { headers });
    expect((await removal({ 'if-match': `"${revision}"` })).status).toBe(412);
    expect((await removal({ 'if-match': `"${revision + 1}"` })).headers.get('etag')).toBe(
      `"${revision + 2}"`,
    );
    expect(listed.parse((await put(EDGE, { 'if-none-match': '*' })).json).revision).toBe(revision + 3);
  });

  test('is told every fault at once, and nothing changes', async () => {
    await put(EDGE);
    const reply = await put({
      kind: 'nginx',
      bodie: 'whole',
      denyStatus: { RATE_LIMITED: 429 },
      ip: 'x-real-ip',
      region: 'x-real-ip',
      env: 'with space',
      mcp: [
        { path: '/mcp', server: 'a' },
        { path: '/mcp', server: 'b' },
      ],
    });
    expect(reply.status).toBe(422);
    const { code, errors } = problemOf(reply);
    expect(code).toBe('PROFILE_INVALID');
    expect(errors.map(({ pointer }) => pointer)).toEqual([
      '/bodie',
      '/env',
      '/denyStatus/RATE_LIMITED',
      '/region',
      '/mcp/1/path',
    ]);
    expect(await question()).toBe(200);
  });

  test.each(['Edge', 'a_b', '-a', 'a'.repeat(64)])('is not named `%s`', async name => {
    const reply = await service.call('PUT', `${PATH}/${name}`, { body: EDGE });
    expect([reply.status, problemOf(reply).code]).toEqual([422, 'PROFILE_INVALID']);
  });

  test('outlives the process', async () => {
    const folder = temporaryFolder();
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const first = await startTestService({ folder });
    await first.call('PUT', `${PATH}/edge`, { body: EDGE });
    await first.stop();
    const second = await startTestService({
      folder,
      env: { DURAMEN_PEP_PROFILES: JSON.stringify([{ name: 'other', kind: 'caddy' }]) },
    });
    const reply = await second.call('GET', `${PATH}/edge`);
    expect(listed.parse(reply.json)).toMatchObject({ origin: 'api', readOnly: false, revision: 1 });
    const changed = await second.call('PUT', `${PATH}/edge`, { body: EDGE });
    expect(listed.parse(changed.json).revision).toBe(2);
    await second.stop();
  });
});

describe('those of the configuration', () => {
  test('are shown as read-only, and not changed', async () => {
    const { items } = page.parse((await service.call('GET', PATH)).json);
    expect(items).toMatchObject([{ profile: { name: 'fixed' }, origin: 'configuration', readOnly: true }]);
    for (const method of ['PUT', 'DELETE']) {
      const reply = await service.call(method, `${PATH}/fixed`, method === 'PUT' ? { body: EDGE } : {});
      expect([reply.status, problemOf(reply).code]).toEqual([409, 'PROFILE_READ_ONLY']);
    }
  });

  test('win over stored ones of their name, and the log of the service says so', async () => {
    const folder = temporaryFolder();
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const first = await startTestService({ folder });
    await first.call('PUT', `${PATH}/fixed`, { body: EDGE });
    await first.stop();
    const env = { DURAMEN_PEP_PROFILES: JSON.stringify(CONFIGURED) };
    const second = await startTestService({ folder, env });
    const reply = await second.call('GET', `${PATH}/fixed`);
    expect(listed.parse(reply.json)).toMatchObject({ origin: 'configuration', profile: { kind: 'nginx' } });
    expect(second.logLines.some(line => line.includes('the stored one is not in force'))).toBe(true);
    await second.stop();
  });
});

test('pages name every profile once', async () => {
  for (const name of ['a', 'b', 'edge']) await service.call('PUT', `${PATH}/${name}`, { body: EDGE });
  const seen: string[] = [];
  let cursor: string | null = null;
  do {
    const search: string = cursor === null ? '' : `&cursor=${cursor}`;
    const reply = await service.call('GET', `${PATH}?limit=1${search}`);
    const { items, nextCursor }: z.output<typeof page> = page.parse(reply.json);
    seen.push(...items.map(({ profile }) => profile.name));
    cursor = nextCursor;
  } while (cursor !== null);
  expect(seen).toEqual(['a', 'b', 'edge', 'fixed']);
  for (const name of ['a', 'b']) await service.call('DELETE', `${PATH}/${name}`);
});

test('each change is an entry with its actor and digests of before and after', async () => {
  await put(EDGE);
  await put({ ...EDGE, dialects: [] });
  await service.call('DELETE', `${PATH}/edge`);
  const reply = await service.call('GET', '/v1/events?kind=pep_profile.put,pep_profile.delete&limit=3');
  const event = z.object({
    kind: z.string(),
    actor: z.string(),
    subject: z.string(),
    details: z.object({
      revision: z.number(),
      gateway: z.string(),
      digests: z.object({ before: z.string().nullable(), after: z.string().nullable() }),
    }),
  });
  const { items } = z.object({ items: z.array(event) }).parse(reply.json);
  const [removed, changed, created] = items;
  expect(items.map(({ kind }) => kind)).toEqual(['pep_profile.delete', 'pep_profile.put', 'pep_profile.put']);
  expect(new Set(items.map(({ actor, subject }) => `${actor} ${subject}`)).size).toBe(1);
  expect(removed?.details.digests).toEqual({ before: changed?.details.digests.after, after: null });
  expect(changed?.details.digests.before).toBe(created?.details.digests.after);
  expect(created?.details.digests.before).toBe(null);
  expect(created?.details.digests.after).toMatch(/^sha256:/);
});

describe('who may', () => {
  test.each([
    ['auditor', 200, 403],
    ['keys', 403, 403],
    ['pep', 403, 403],
    ['directory', 403, 403],
    ['admin', 200, 201],
  ])('%s reads with %i and writes with %i', async (role, reads, writes) => {
    const key = await service.makeKey([role]);
    expect((await service.call('GET', PATH, { key })).status).toBe(reads);
    expect((await service.call('PUT', `${PATH}/edge`, { key, body: EDGE })).status).toBe(writes);
  });

  test('nobody who is limited to tenants', async () => {
    const key = await service.makeKey(['admin'], ['acme']);
    for (const [method, path] of [
      ['GET', PATH],
      ['GET', `${PATH}/fixed`],
      ['PUT', `${PATH}/edge`],
      ['DELETE', `${PATH}/edge`],
    ] as const) {
      const reply = await service.call(method, path, { key, ...(method === 'PUT' ? { body: EDGE } : {}) });
      expect([method, reply.status, problemOf(reply).code]).toEqual([method, 403, 'TENANT_NOT_ALLOWED']);
    }
  });

  test('a network that asks without a key is let in by keys alone that may assert and last', async () => {
    const network = {
      ...EDGE,
      authentication: { kind: 'network', networks: ['127.0.0.1'], tenants: ['acme'] },
    };
    const make = async (limits: object): Promise<string> => {
      const reply = await service.call('POST', '/v1/keys', { body: { roles: ['admin'], ...limits } });
      return z.object({ key: z.string() }).parse(reply.json).key;
    };
    for (const limits of [
      { mayAssert: false },
      { expiresAt: new Date(Date.now() + 3_600_000).toISOString() },
      { callers: [{ mode: 'verify' }] },
    ]) {
      const key = await make(limits);
      const refused = await service.call('PUT', `${PATH}/edge`, { key, body: network });
      expect([refused.status, refused.text.includes('no-wider-gateways')]).toEqual([403, true]);
      expect((await service.call('PUT', `${PATH}/edge`, { key, body: EDGE })).status).toBeLessThan(300);
    }
    expect((await put(network)).status).toBe(200);
  });
});
