/** Bundles over HTTP: statuses, compare-and-swap, byte-identical archives, and who may do what. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { problemOf, shippedBundle, startTestService, type TestService } from './service.ts';

const pushed = z.object({
  digest: z.string(),
  layer: z.string(),
  state: z.string(),
  report: z.object({ policies: z.number() }),
});
const NOTHING = `sha256:${'0'.repeat(64)}`;

let service: TestService;
let acmeAuthor: string;
beforeAll(async () => {
  service = await startTestService({ filled: true });
  acmeAuthor = await service.makeKey(['author'], ['acme']);
});
afterAll(() => service.stop());

/** A small bundle of a tenant; `note` makes its content different. */
function bundle(
  note: string,
  layer = 'tenant:acme',
  policy = `permit (principal in AI::Tenant::"acme", action == AI::Action::"useTenant", resource == AI::Tenant::"acme");`,
) {
  const text = `@id("acme.members")\n@reason("${note}")\n${policy}`;
  return { manifest: { layer, version: note }, files: { 'policies/a.cedar': text } };
}

const listed = z.object({ items: z.array(z.unknown()), nextCursor: z.string().nullable() });

/** A list read in pages of one. */
async function pages(path: string): Promise<unknown[]> {
  const items: unknown[] = [];
  for (let more = ''; ; ) {
    const page = listed.parse((await service.call('GET', `${path}?limit=1${more}`)).json);
    expect(page.items).toHaveLength(1);
    items.push(...page.items);
    if (page.nextCursor === null) return items;
    more = `&cursor=${page.nextCursor}`;
  }
}

async function push(body: unknown, query = '', key?: string) {
  return service.call('POST', `/v1/bundles${query}`, key === undefined ? { body } : { body, key });
}

describe('push', () => {
  test('stages with 201; the same content again is 200 under the same digest', async () => {
    const first = await push(bundle('one'));
    expect(first.status).toBe(201);
    const { digest, state } = pushed.parse(first.json);
    expect(state).toBe('staged');
    expect(first.headers.get('etag')).toBe(`"${digest}"`);
    const second = await push(bundle('one'));
    expect([second.status, pushed.parse(second.json).digest]).toEqual([200, digest]);
  });

  test('of a dry run stores nothing', async () => {
    const { status, json } = await push(bundle('dry'), '?dryRun=true');
    const { digest, state } = pushed.parse(json);
    expect([status, state]).toEqual([200, 'checked']);
    expect((await service.call('GET', `/v1/bundles/${digest}`)).status).toBe(404);
  });

  test.each([
    ['a syntax error', bundle('bad', 'tenant:acme', 'permit (principal, action'), 'BUNDLE_INVALID'],
    [
      'an attribute that does not exist',
      bundle(
        'bad',
        'tenant:acme',
        'permit (principal, action == AI::Action::"invoke", resource) when { resource.nope };',
      ),
      'BUNDLE_INVALID',
    ],
    [
      'a foreign resource',
      bundle(
        'bad',
        'tenant:acme',
        'permit (principal, action == AI::Action::"invoke", resource == AI::Model::"globex/chat");',
      ),
      'BUNDLE_INVALID',
    ],
    [
      'no policy id',
      {
        manifest: { layer: 'tenant:acme', version: '1' },
        files: { 'policies/a.cedar': 'permit (principal, action, resource);' },
      },
      'BUNDLE_INVALID',
    ],
    [
      'a path out of the bundle',
      { manifest: { layer: 'tenant:acme', version: '1' }, files: { '../a.cedar': '' } },
      'BUNDLE_INVALID',
    ],
    [
      'an unknown manifest key',
      { manifest: { layer: 'tenant:acme', version: '1', lyer: '' }, files: {} },
      'BUNDLE_INVALID',
    ],
  ])('with %s is 422 with the places, and changes nothing', async (_name, body, code) => {
    const layers = (await service.call('GET', '/v1/layers')).text;
    const reply = await push(body, '?activate=true');
    expect(reply.status).toBe(422);
    const problem = problemOf(reply);
    expect(problem.code).toBe(code);
    expect(problem.errors.length).toBeGreaterThan(0);
    expect((await service.call('GET', '/v1/layers')).text).toBe(layers);
  });

  test.each([
    ['text', 'text/plain', 415],
    ['garbage as gzip', 'application/gzip', 422],
    ['garbage as JSON', 'application/json', 422],
  ])('of %s is refused', async (_name, type, status) => {
    expect((await service.call('POST', '/v1/bundles', { body: 'garbage', type })).status).toBe(status);
  });

  test('of an unknown query parameter is 400', async () => {
    expect((await push(bundle('one'), '?dryrun=true')).status).toBe(400);
    expect((await push(bundle('one'), '?dryRun=yes')).status).toBe(400);
  });

  test('for another tenant or the platform is refused to a credential of one tenant', async () => {
    expect((await push(bundle('mine'), '', acmeAuthor)).status).toBe(201);
    for (const layer of ['tenant:globex', 'platform', 'tenant:nobody']) {
      const reply = await push(bundle('theirs', layer), '', acmeAuthor);
      expect([reply.status, problemOf(reply).code]).toEqual([403, 'TENANT_NOT_ALLOWED']);
    }
  });

  test('and activate takes the role approver too', async () => {
    const reply = await push(bundle('eager'), '?activate=true', acmeAuthor);
    expect([reply.status, problemOf(reply).code]).toEqual([403, 'ROLE_REQUIRED']);
  });

  test('is refused to every other role', async () => {
    for (const role of ['pep', 'approver', 'directory', 'auditor', 'keys']) {
      expect((await push(bundle('x'), '', await service.makeKey([role]))).status).toBe(403);
    }
  });
});

describe('archives', () => {
  test('of the JSON form are pushed again under the same digest, byte for byte', async () => {
    const { digest } = pushed.parse((await push(bundle('archived'))).json);
    const download = () =>
      fetch(`${service.url}/v1/bundles/${digest}/archive`, {
        headers: { authorization: 'Bearer edge-tests-admin-key-0123456789abcdefgh' },
      });
    const response = await download();
    expect(response.headers.get('content-type')).toBe('application/gzip');
    const archive = new Uint8Array(await response.arrayBuffer());
    expect(new Uint8Array(await (await download()).arrayBuffer())).toEqual(archive);
    const again = await service.call('POST', '/v1/bundles', { body: archive, type: 'application/gzip' });
    expect([again.status, pushed.parse(again.json).digest]).toEqual([200, digest]);
  });
});

describe('activation', () => {
  test('compares with what the caller saw, and rolls back', async () => {
    const [one, two] = [await push(bundle('act-1')), await push(bundle('act-2'))].map(
      reply => pushed.parse(reply.json).digest,
    );
    const act = (digest: string | undefined, body: unknown) =>
      service.call('POST', `/v1/bundles/${digest}/activate`, { body });
    expect((await act(one, { reason: 'first' })).status).toBe(200);
    const stale = await act(two, { expectedActive: two, reason: 'stale' });
    expect([stale.status, problemOf(stale).code]).toEqual([409, 'ACTIVATION_CONFLICT']);
    expect((await act(two, { expectedActive: null, reason: 'none was active' })).status).toBe(409);
    const switched = await act(two, { expectedActive: one, reason: 'better' });
    expect(switched.json).toMatchObject({ digest: two, previous: one, reason: 'better', kind: 'activate' });
    const rollBack = (body: unknown) => service.call('POST', '/v1/layers/tenant%3Aacme/rollback', { body });
    const worse = { reason: 'worse', expectedActive: two };
    const [back, late] = await Promise.all([rollBack(worse), rollBack(worse)]);
    expect([late.status, problemOf(late).code]).toEqual([409, 'ACTIVATION_CONFLICT']);
    expect(back.json).toMatchObject({ digest: one, kind: 'rollback', reason: 'worse' });
    const history = await service.call('GET', '/v1/layers/tenant:acme/history?limit=3');
    expect(history.json).toMatchObject({ items: [{ kind: 'rollback' }, { digest: two }, { digest: one }] });
    const all = listed.parse((await service.call('GET', '/v1/layers/tenant:acme/history')).json).items;
    expect(await pages('/v1/layers/tenant:acme/history')).toEqual(all);
    const layers = listed.parse((await service.call('GET', '/v1/layers')).json).items;
    expect(await pages('/v1/layers')).toEqual(layers);
    for (const path of ['/v1/layers', '/v1/layers/tenant:acme/history']) {
      expect(problemOf(await service.call('GET', `${path}?cursor=none`)).code).toBe('INVALID_REQUEST');
    }
    const events = await service.call('GET', '/v1/events?kind=bundle.rollback&limit=1');
    expect(events.json).toMatchObject({ items: [{ tenant: 'acme', actor: 'bootstrap' }] });
  });

  describe('with conditional headers', () => {
    const tag = (digest: string | undefined) => `"${digest}"`;
    const act = (digest: string | undefined, headers: Record<string, string>, body: object = {}) =>
      service.call('POST', `/v1/bundles/${digest}/activate`, { body, headers });
    const rollBack = (headers: Record<string, string>) =>
      service.call('POST', '/v1/layers/tenant:acme/rollback', { body: {}, headers });
    async function two(name: string): Promise<[string, string]> {
      const [one, other] = [await push(bundle(`${name}-1`)), await push(bundle(`${name}-2`))];
      return [pushed.parse(one.json).digest, pushed.parse(other.json).digest];
    }
    const activeDigest = async () =>
      z
        .object({ items: z.tuple([z.object({ digest: z.string() })]) })
        .parse((await service.call('GET', '/v1/layers/tenant:acme/history?limit=1')).json).items[0].digest;

    test('changes nothing when another bundle is active than If-Match names', async () => {
      const [one, other] = await two('match');
      const first = await act(one, {});
      expect(first.headers.get('etag')).toBe(tag(one));
      for (const stale of [tag(NOTHING), tag(other)]) {
        const reply = await act(other, { 'if-match': stale });
        expect([reply.status, problemOf(reply).code]).toEqual([412, 'PRECONDITION_FAILED']);
        expect(problemOf(reply).detail).toContain(one);
        expect((await rollBack({ 'if-match': stale })).status).toBe(412);
      }
      expect(await activeDigest()).toBe(one);
      const next = await act(other, { 'if-match': `${tag(NOTHING)}, ${first.headers.get('etag')}` });
      expect([next.status, next.headers.get('etag')]).toEqual([200, tag(other)]);
      const back = await rollBack({ 'if-match': tag(other) });
      expect([back.status, back.headers.get('etag')]).toEqual([200, tag(one)]);
      expect((await rollBack({ 'if-match': '*' })).headers.get('etag')).toBe(tag(other));
    });

    test('of two who name the same bundle one activates', async () => {
      const [one, other] = await two('race');
      const held = { 'if-match': tag(await activeDigest()) };
      const statuses = (await Promise.all([act(one, held), act(other, held)])).map(({ status }) => status);
      expect(statuses.sort((left, right) => left - right)).toEqual([200, 412]);
    });

    test('holds `expectedActive` beside If-Match, and what is active already against both', async () => {
      const [one, other] = await two('both');
      expect((await act(one, {})).status).toBe(200);
      expect((await act(other, { 'if-match': tag(one) }, { expectedActive: other })).status).toBe(409);
      expect((await act(one, { 'if-match': tag(other) })).status).toBe(412);
      expect((await act(one, { 'if-match': tag(one) })).status).toBe(200);
    });

    test('If-None-Match is for a layer without a bundle', async () => {
      const policy = `permit (principal in AI::Tenant::"initech", action == AI::Action::"useTenant", resource == AI::Tenant::"initech");`;
      const fresh = pushed.parse((await push(bundle('fresh', 'tenant:initech', policy))).json).digest;
      expect((await act(fresh, { 'if-match': '*' })).status).toBe(412);
      expect((await act(fresh, { 'if-none-match': '*' })).status).toBe(200);
      expect((await act(fresh, { 'if-none-match': '*' })).status).toBe(412);
    });

    test.each(['5', '"5"', 'W/"sha256:00"', NOTHING, `${tag(NOTHING)},`])(
      'refuses If-Match: %s',
      async value => {
        const [one] = await two('form');
        expect((await act(one, { 'if-match': value })).status).toBe(400);
        expect((await rollBack({ 'if-match': value })).status).toBe(400);
      },
    );

    test('an Idempotency-Key stands for one condition', async () => {
      const [one, other] = await two('idempotent');
      expect((await act(one, {})).status).toBe(200);
      const key = { 'idempotency-key': 'conditional-activation' };
      expect((await act(other, { ...key, 'if-match': tag(one) })).status).toBe(200);
      expect((await act(other, { ...key, 'if-match': tag(one) })).headers.get('idempotency-replayed')).toBe(
        'true',
      );
      for (const headers of [{}, { 'if-match': tag(NOTHING) }]) {
        const reply = await act(other, { ...key, ...headers });
        expect([reply.status, problemOf(reply).code]).toEqual([409, 'IDEMPOTENCY_CONFLICT']);
      }
    });
  });

  test('of an unknown digest is 404, of no digest 400', async () => {
    const body = { reason: '' };
    expect((await service.call('POST', `/v1/bundles/${NOTHING}/activate`, { body })).status).toBe(404);
    expect((await service.call('POST', '/v1/bundles/latest/activate', { body })).status).toBe(400);
  });

  test('is for approvers, authors do not suffice', async () => {
    const { digest } = pushed.parse((await push(bundle('four-eyes'))).json);
    const path = `/v1/bundles/${digest}/activate`;
    expect(
      (await service.call('POST', path, { key: await service.makeKey(['author']), body: {} })).status,
    ).toBe(403);
    const foreign = await service.makeKey(['approver'], ['globex']);
    expect((await service.call('POST', path, { key: foreign, body: {} })).status).toBe(404);
    const approver = await service.makeKey(['approver'], ['acme']);
    expect((await service.call('POST', path, { key: approver, body: {} })).status).toBe(200);
  });

  test('of what was never active cannot be rolled back', async () => {
    const body = { reason: '' };
    expect((await service.call('POST', '/v1/layers/tenant:nobody/rollback', { body })).status).toBe(404);
    const first = await service.call('POST', '/v1/layers/platform/rollback', { body });
    expect([first.status, problemOf(first).code]).toEqual([409, 'NOTHING_TO_ROLL_BACK']);
    expect((await service.call('POST', '/v1/layers/nonsense/rollback', { body })).status).toBe(400);
  });
});

describe('what a credential of one tenant sees', () => {
  test('is its own layer alone', async () => {
    const layers = await service.call('GET', '/v1/layers', { key: acmeAuthor });
    expect(layers.json).toMatchObject({ items: [{ layer: 'tenant:acme' }] });
    const list = z.object({ items: z.array(z.object({ layer: z.string() })) });
    const { items } = list.parse(
      (await service.call('GET', '/v1/bundles?limit=1000', { key: acmeAuthor })).json,
    );
    expect(items.length).toBeGreaterThan(0);
    expect(items.every(({ layer }) => layer === 'tenant:acme')).toBe(true);
    const { digest } = pushed.parse((await push(await shippedBundle('tenants/globex'))).json);
    for (const path of [
      `/v1/bundles/${digest}`,
      `/v1/bundles/${digest}/archive`,
      '/v1/layers/tenant:globex/history',
    ]) {
      expect((await service.call('GET', path, { key: acmeAuthor })).status).toBe(404);
    }
  });
});
