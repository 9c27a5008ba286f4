/** The directory over HTTP: views, entity tags, merges, ids with slashes, imports, tenants that stay apart. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { problemOf, startTestService, type TestService } from './service.ts';

const NDJSON = 'application/x-ndjson';
const entity = z.object({
  type: z.string(),
  id: z.string(),
  revision: z.number(),
  status: z.string(),
  attributes: z.record(z.string(), z.unknown()),
});
const page = z.object({ items: z.array(entity), nextCursor: z.string().nullable() });

let service: TestService;
let acme: string;
beforeAll(async () => {
  service = await startTestService({ filled: true });
  acme = await service.makeKey(['directory'], ['acme']);
});
afterAll(() => service.stop());

const USER = {
  attributes: { actsFor: [], org: 'acme/eu/new', tier: 'standard', clearance: 1 },
  parents: [{ type: 'Role', id: 'acme/data-scientist' }],
};

describe('one entity', () => {
  test('is created, read, replaced and removed under an id with a slash', async () => {
    const path = '/v1/principals/User/acme%2Fdora';
    const made = await service.call('PUT', path, { body: USER });
    expect(made.status).toBe(201);
    const { revision } = entity.parse(made.json);
    expect(made.headers.get('etag')).toBe(`"${revision}"`);
    expect((await service.call('PUT', path, { body: { ...USER, status: 'disabled' } })).status).toBe(200);
    const read = await service.call('GET', path);
    expect(entity.parse(read.json)).toMatchObject({
      type: 'User',
      id: 'acme/dora',
      status: 'disabled',
      revision: revision + 1,
    });
    expect((await service.call('DELETE', path)).status).toBe(204);
    expect((await service.call('GET', path)).status).toBe(404);
  });

  test('is the same through every view of it', async () => {
    const paths = ['/v1/models/acme%2Fsupport-llm', '/v1/entities/Model/acme%2Fsupport-llm'];
    const [view, general] = await Promise.all(paths.map(path => service.call('GET', path)));
    expect(view?.text).toBe(general?.text);
    expect((await service.call('GET', '/v1/principals/Model/acme%2Fsupport-llm')).status).toBe(404);
  });

  test('is told where to be found by a view that does not hold its type', async () => {
    const hintOf = async (path: string) =>
      problemOf(await service.call('GET', path)).errors.map(({ hint }) => hint);
    expect(await hintOf('/v1/principals/Usr/acme%2Falice')).toEqual(['did you mean `User`?']);
    expect(await hintOf('/v1/principals?type=Model')).toEqual([
      'other types are under `/v1/entities`: `/v1/entities?type=Model`, `/v1/entities/Model/{id}`',
    ]);
    expect((await service.call('GET', '/v1/entities?type=Model')).status).toBe(200);
  });

  test('is merged by PATCH: null removes, the rest stays', async () => {
    const path = '/v1/models/acme%2Fembed';
    const reply = await service.call('PATCH', path, {
      body: { attributes: { risk: 1 }, tags: { owner: 'ml' } },
    });
    expect(reply.status).toBe(200);
    expect(reply.json).toMatchObject({ attributes: { risk: 1, stage: 'production' }, tags: { owner: 'ml' } });
    const removed = await service.call('PATCH', path, { body: { tags: { owner: null } } });
    expect(removed.text).not.toContain('owner');
  });

  test('that does not fit the schema is 422 with every problem', async () => {
    const body = { attributes: { org: 1, clearance: 'x', nme: true }, parents: [] };
    const reply = await service.call('PUT', '/v1/principals/User/acme%2Fbad', { body });
    expect(reply.status).toBe(422);
    const { code, errors } = problemOf(reply);
    expect(code).toBe('ENTITY_INVALID');
    expect(errors.length).toBeGreaterThan(2);
    expect((await service.call('GET', '/v1/principals/User/acme%2Fbad')).status).toBe(404);
  });

  test.each([
    ['an unknown key', { attrs: {} }, 400],
    ['an unsafe integer', { attributes: { clearance: 2 ** 60 } }, 422],
    [
      'a smuggled extension',
      { ...USER, attributes: { ...USER.attributes, org: { __extn: { fn: 'ip', arg: '::1' } } } },
      422,
    ],
    ['an unknown status', { ...USER, status: 'paused' }, 400],
  ])('with %s is refused', async (_name, body, status) => {
    expect((await service.call('PUT', '/v1/principals/User/acme%2Fbad', { body })).status).toBe(status);
  });

  test.each([
    ['a space', 'acme%20x'],
    ['a quote', 'a%22b'],
    ['a control character', 'a%00b'],
    ['a letter beyond ASCII', 'm%C3%BCller'],
    ['257 characters', 'x'.repeat(257)],
  ])('an id with %s is 400', async (_name, id) => {
    expect((await service.call('GET', `/v1/models/${id}`)).status).toBe(400);
  });
});

describe('preconditions', () => {
  const path = '/v1/models/acme%2Fresearch-llm';
  const body = { attributes: { risk: 2 } };

  test('If-Match passes with the current tag and fails with a stale one, changing nothing', async () => {
    const etag = (await service.call('GET', path)).headers.get('etag') ?? '';
    const first = await service.call('PATCH', path, { body, headers: { 'if-match': etag } });
    expect(first.status).toBe(200);
    const second = await service.call('PATCH', path, {
      body: { attributes: { risk: 3 } },
      headers: { 'if-match': etag },
    });
    expect(second.status).toBe(412);
    expect((await service.call('GET', path)).text).toBe(first.text);
  });

  test('If-None-Match: * creates only', async () => {
    const headers = { 'if-none-match': '*' };
    expect(
      (await service.call('PUT', '/v1/principals/User/acme%2Ffresh', { body: USER, headers })).status,
    ).toBe(201);
    expect(
      (await service.call('PUT', '/v1/principals/User/acme%2Ffresh', { body: USER, headers })).status,
    ).toBe(412);
  });

  test('a tag that is none is 400', async () => {
    expect((await service.call('PATCH', path, { body, headers: { 'if-match': 'W/x' } })).status).toBe(400);
  });

  test('a reader who is up to date gets 304 without a body', async () => {
    const etag = (await service.call('GET', path)).headers.get('etag') ?? '';
    const reply = await service.call('GET', path, { headers: { 'if-none-match': etag } });
    expect(reply.status).toBe(304);
    expect(reply.text).toBe('');
  });
});

describe('a removed group', () => {
  const group = '/v1/entities/Team/acme%2Fgone';
  const member = (name: string, tenant: string) =>
    service.call('PUT', `/v1/principals/User/${tenant}%2F${name}`, {
      body: {
        ...USER,
        parents: [
          { type: 'Tenant', id: tenant },
          { type: 'Team', id: 'acme/gone' },
        ],
      },
    });

  test('leaves its members in it, and the answer says how many', async () => {
    const body = { parents: [{ type: 'Tenant', id: 'acme' }] };
    expect((await service.call('PUT', group, { body })).status).toBe(201);
    expect((await service.call('DELETE', group)).headers.get('x-duramen-members')).toBeNull();
    await service.call('PUT', group, { body });
    for (const name of ['m1', 'm2']) expect((await member(name, 'acme')).status).toBe(201);
    expect((await member('m3', 'globex')).status).toBe(201);
    const removed = await service.call('DELETE', group);
    expect([removed.status, removed.headers.get('x-duramen-members')]).toEqual([204, '3']);
    const listing = await service.call('GET', '/v1/entities?parent=Team/acme/gone');
    expect(z.object({ items: z.array(z.unknown()) }).parse(listing.json).items).toHaveLength(3);
  });

  test('tells a key of one tenant of the members of that tenant alone', async () => {
    await service.call('PUT', group, { body: {} });
    const key = await service.makeKey(['directory'], ['acme']);
    const removed = await service.call('DELETE', group, { key });
    expect([removed.status, removed.headers.get('x-duramen-members')]).toEqual([204, '2']);
  });
});

describe('lists', () => {
  test('filter by type, tenant, parent and start of the id', async () => {
    const ids = async (query: string) => {
      const reply = await service.call('GET', `/v1/principals?${query}`);
      return page.parse(reply.json).items.map(({ type, id }) => `${type} ${id}`);
    };
    expect((await ids('type=Service&tenant=acme')).every(name => name.startsWith('Service acme/'))).toBe(
      true,
    );
    expect(await ids('prefix=acme%2Fali')).toEqual(['User acme/alice']);
    expect(await ids('parent=Role%2Facme%2Fdata-scientist')).toContain('User acme/alice');
    expect(await ids('tenant=nobody')).toEqual([]);
  });

  test('pages hold each model once', async () => {
    const all = page
      .parse((await service.call('GET', '/v1/models?limit=1000')).json)
      .items.map(({ id }) => id);
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const query: string = cursor === '' ? '' : `&cursor=${cursor}`;
      const { items, nextCursor } = page.parse(
        (await service.call('GET', `/v1/models?limit=2${query}`)).json,
      );
      seen.push(...items.map(({ id }) => id));
      cursor = nextCursor;
    }
    expect(seen).toEqual(all);
  });

  test.each(['x', 'Role:acme/data-scientist', '/acme'])(
    'the parent %s is told what is wanted',
    async parent => {
      const { status, text } = await service.call(
        'GET',
        `/v1/principals?parent=${encodeURIComponent(parent)}`,
      );
      expect(status).toBe(400);
      expect(text).toContain('must be `Type/id`, such as `Role/acme/data-scientist`');
    },
  );

  test.each([
    ['type', 'Nope', 'it has Agent, '],
    ['type', 'Modle', 'did you mean `Model`?'],
    ['parent', 'Rolle/acme/x', 'did you mean `Role`?'],
  ])('%s=%s, which the schema does not have, is 400 and not an empty list', async (name, value, hint) => {
    const reply = await service.call('GET', `/v1/entities?${name}=${value}`);
    const { status, code } = problemOf(reply);
    expect([status, code]).toEqual([400, 'INVALID_REQUEST']);
    expect(reply.json).toMatchObject({ errors: [{ pointer: `?${name}` }] });
    expect(reply.text).toContain(hint);
  });

  test.each([['type=Model'], ['parent=x'], ['cursor=abc'], ['tennant=acme']])(
    '%s is refused',
    async query => {
      expect([400, 404]).toContain((await service.call('GET', `/v1/principals?${query}`)).status);
    },
  );
});

describe('tenants stay apart', () => {
  test('a foreign entity is missing, for reading and for writing', async () => {
    const answers = [];
    for (const id of ['globex%2Fchat', 'globex%2Fnothing']) {
      const get = await service.call('GET', `/v1/models/${id}`, { key: acme });
      const remove = await service.call('DELETE', `/v1/models/${id}`, { key: acme });
      const patch = await service.call('PATCH', `/v1/models/${id}`, {
        key: acme,
        body: { attributes: { risk: 1 } },
      });
      answers.push([get.status, remove.status, patch.status]);
    }
    expect(answers[0]).toEqual([404, 404, 404]);
    expect(answers[1]).toEqual(answers[0]);
  });

  test('a list shows only the own tenant', async () => {
    const { items } = page.parse((await service.call('GET', '/v1/models', { key: acme })).json);
    expect(items.length).toBeGreaterThan(0);
    expect(items.every(({ id }) => id.startsWith('acme/'))).toBe(true);
  });

  test('an entity for another tenant is refused', async () => {
    const reply = await service.call('PUT', '/v1/principals/User/globex%2Feve', { key: acme, body: USER });
    expect(reply.status).toBe(403);
    expect(problemOf(reply).code).toBe('TENANT_NOT_ALLOWED');
  });
});

describe('the tenant itself', () => {
  const views = ['/v1/tenants/acme', '/v1/entities/Tenant/acme'];
  const raised = { attributes: { plan: 'enterprise', sharedWith: [] }, parents: [], status: 'active' };

  test.each(views)(
    'is read at %s by a key that is limited to it, and neither written nor removed',
    async path => {
      const before = (await service.call('GET', path, { key: acme })).text;
      expect(before).toContain('"Tenant"');
      for (const [method, body] of [
        ['PUT', raised],
        ['PATCH', { attributes: { plan: 'enterprise' } }],
        ['PATCH', { status: 'active' }],
        ['PATCH', { parents: [] }],
        ['DELETE', undefined],
      ] as const) {
        const reply = await service.call(method, path, { key: acme, body });
        expect([method, reply.status]).toEqual([method, 403]);
        expect(problemOf(reply).errors[0]?.message).toContain('builtin/tenant-itself');
      }
      expect((await service.call('GET', path)).text).toBe(before);
    },
  );

  test('is not written by an import of such a key, whatever else is in it', async () => {
    const before = (await service.call('GET', '/v1/tenants/acme')).text;
    const user = { type: 'User', id: 'acme/imported-with-tenant', ...USER };
    const body = [user, { type: 'Tenant', id: 'acme', ...raised }].map(one => JSON.stringify(one)).join('\n');
    const reply = await service.call('POST', '/v1/directory/import', { key: acme, body, type: NDJSON });
    expect(reply.status).toBe(422);
    expect(reply.json).toMatchObject({ errors: [{ line: 2 }] });
    expect(reply.text).toContain('builtin/tenant-itself');
    expect((await service.call('GET', '/v1/tenants/acme')).text).toBe(before);
    expect((await service.call('GET', '/v1/principals/User/acme%2Fimported-with-tenant')).status).toBe(404);
  });

  test('of somebody else is missing for such a key', async () => {
    const patch = { key: acme, body: { attributes: { plan: 'free' } } };
    expect((await service.call('PATCH', '/v1/tenants/globex', patch)).status).toBe(404);
    expect((await service.call('PATCH', '/v1/tenants/nobody', patch)).status).toBe(404);
  });

  test('is written by a key of every tenant', async () => {
    const key = await service.makeKey(['directory']);
    const read = await service.call('GET', '/v1/tenants/globex', { key });
    const { attributes } = entity.parse(read.json);
    expect((await service.call('PATCH', '/v1/tenants/globex', { key, body: { attributes } })).status).toBe(
      200,
    );
  });
});

describe('import', () => {
  const line = (id: string) => JSON.stringify({ type: 'User', id, ...USER });

  test('applies every line as one revision and says so last', async () => {
    const before = page.parse((await service.call('GET', '/v1/models?limit=1')).json);
    const body = Array.from({ length: 2500 }, (_, index) => line(`acme/import-${index}`)).join('\n');
    const reply = await service.call('POST', '/v1/directory/import', { body, type: NDJSON });
    expect(reply.status).toBe(200);
    expect(reply.headers.get('content-type')).toBe(NDJSON);
    const lines = reply.text
      .trim()
      .split('\n')
      .map(text => z.record(z.string(), z.unknown()).parse(JSON.parse(text)));
    expect(lines.slice(0, -1).every(({ state }) => state === 'running')).toBe(true);
    expect(lines.at(-1)).toMatchObject({ state: 'done', created: 2500, replaced: 0 });
    expect(before.items).toHaveLength(1);
    const read = await service.call('GET', '/v1/principals/User/acme%2Fimport-2499');
    expect(entity.parse(read.json).revision).toBe(lines.at(-1)?.['revision']);
  });

  test('with one bad line changes nothing and names the line', async () => {
    const body = [
      line('acme/good-1'),
      '{"type":"User","id":"acme/bad","atributes":{}}',
      line('acme/good-2'),
    ].join('\n');
    const reply = await service.call('POST', '/v1/directory/import', { body, type: NDJSON });
    expect(reply.status).toBe(422);
    expect(reply.text).toContain('"line":2');
    expect(reply.text).toContain('did you mean `attributes`?');
    expect((await service.call('GET', '/v1/principals/User/acme%2Fgood-1')).status).toBe(404);
  });

  test('of a foreign tenant is refused', async () => {
    const body = JSON.stringify({ type: 'User', id: 'globex/eve', ...USER });
    const reply = await service.call('POST', '/v1/directory/import', { key: acme, body, type: NDJSON });
    expect([reply.status, problemOf(reply).code]).toEqual([422, 'ENTITY_INVALID']);
    expect((await service.call('GET', '/v1/principals/User/globex%2Feve')).status).toBe(404);
  });

  test('as JSON instead of NDJSON is 415', async () => {
    expect((await service.call('POST', '/v1/directory/import', { body: line('acme/x') })).status).toBe(415);
  });
});

test.each([['pep'], ['author'], ['approver'], ['keys']])('role %s can neither read nor write', async role => {
  const key = await service.makeKey([role]);
  expect((await service.call('GET', '/v1/models', { key })).status).toBe(403);
  expect((await service.call('PUT', '/v1/principals/User/acme%2Fx', { key, body: USER })).status).toBe(403);
});

test('an auditor reads and does not write', async () => {
  const key = await service.makeKey(['auditor']);
  expect((await service.call('GET', '/v1/models', { key })).status).toBe(200);
  expect((await service.call('PUT', '/v1/principals/User/acme%2Fx', { key, body: USER })).status).toBe(403);
});
