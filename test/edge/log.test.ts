/** Reading the decision log over HTTP: filters, pages, tenants, and entries as their leaves say them. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { ALLOWED, problemOf, startTestService, type TestService } from './service.ts';

const item = z.looseObject({
  decisionId: z.string(),
  evaluatedAt: z.string(),
  decision: z.string(),
  log: z.object({ origin: z.string(), index: z.number(), leafHash: z.string() }),
});
const singleItem = item.extend({
  log: z.object({ leaf: z.string(), leafHash: z.string(), openings: z.array(z.string()) }),
});
const leafSchema = z.object({ request: z.object({ principal: z.object({ id: z.string() }) }) });
const page = z.object({ items: z.array(item), nextCursor: z.string().nullable() });

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ filled: true });
  const deny = { ...ALLOWED, action: 'classify', resource: { type: 'Model', id: 'acme/card-fraud' } };
  const globex = {
    principal: { type: 'User', id: 'globex/gina' },
    action: 'generate',
    resource: { type: 'Model', id: 'globex/chat' },
  };
  for (const body of [ALLOWED, deny, globex, ALLOWED, deny]) await service.call('POST', '/decide', { body });
});
afterAll(() => service.stop());

async function list(query: string, key?: string) {
  return page.parse(
    (await service.call('GET', `/v1/decisions?${query}`, key === undefined ? {} : { key })).json,
  );
}

describe('decisions', () => {
  test.each([
    ['', 5],
    ['decision=allow', 2],
    ['decision=deny&principal=acme/alice', 2],
    ['decision=!allow', 3],
    ['code=POLICY_ALLOW,NO_MATCHING_PERMIT&tenant=acme', 4],
    ['policy=tenant:acme/acme.data-scientist', 2],
    ['model=acme/card-fraud', 2],
    ['action=generate&tenant=acme', 2],
    ['to=2020-01-01T00:00:00Z', 0],
  ])('%s finds %d', async (query, count) => {
    expect((await list(query)).items).toHaveLength(count);
  });

  test('come newest first, or oldest first, in pages that hold each once', async () => {
    const newest = (await list('')).items.map(({ decisionId }) => decisionId);
    const oldest = (await list('order=asc')).items.map(({ decisionId }) => decisionId);
    expect(oldest).toEqual([...newest].reverse());
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const { items, nextCursor }: z.output<typeof page> = await list(
        `limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`,
      );
      seen.push(...items.map(({ decisionId }) => decisionId));
      cursor = nextCursor;
    }
    expect(seen).toEqual(newest);
  });

  test('are found by id, with the exact leaf, which holds no name of a person', async () => {
    const [first] = (await list('limit=1&principal=User::acme/alice')).items;
    const reply = await service.call('GET', `/v1/decisions/${first?.decisionId}`);
    const found = singleItem.parse(reply.json);
    const { leaf, leafHash, openings } = found.log;
    expect(
      createHash('sha256')
        .update(Buffer.from([0]))
        .update(leaf)
        .digest('hex'),
    ).toBe(leafHash);
    expect(leaf).not.toContain('acme/alice');
    expect(openings).toEqual([]);
    expect(found).toMatchObject({
      kind: 'decision',
      request: { principal: { type: 'User', id: 'acme/alice' } },
      engine: /^compiled\//,
    });
  });

  test('of a principal are found under its pseudonym as well, in any type', async () => {
    const [first] = (await list('limit=1&principal=acme/alice')).items;
    const reply = await service.call('GET', `/v1/decisions/${first?.decisionId}`);
    const leaf = leafSchema.parse(JSON.parse(singleItem.parse(reply.json).log.leaf));
    const { id } = leaf.request.principal;
    expect(id).toMatch(/^p:[\w-]{22}$/);
    expect((await list(`principal=${id}`)).items).toHaveLength(4);
    expect((await list('principal=!acme/alice')).items).toHaveLength(1);
    expect((await list('principal=Agent::acme/alice')).items).toHaveLength(0);
    expect((await list('principal=User:acme/alice')).items).toHaveLength(4);
    expect((await list('principal=!User:acme/alice')).items).toHaveLength(1);
    expect((await list('principal=Agent:acme/alice')).items).toHaveLength(0);
    expect((await list('principal=globex/gina,User::acme/alice')).items).toHaveLength(5);
  });

  test('that do not exist are 404', async () => {
    expect((await service.call('GET', '/v1/decisions/nothing')).status).toBe(404);
  });

  test.each([
    ['limit=0'],
    ['from=yesterday'],
    ['decision=maybe'],
    ['principle=x'],
    ['order=up'],
    ['cursor=zzz'],
  ])('%s is 400 and names the parameter', async query => {
    const reply = await service.call('GET', `/v1/decisions?${query}`);
    expect(reply.status).toBe(400);
    expect(problemOf(reply).detail).toContain(query.split('=')[0]);
  });

  test('of other tenants do not exist for an auditor of one', async () => {
    const key = await service.makeKey(['auditor'], ['globex']);
    const { items } = await list('', key);
    expect(items).toHaveLength(1);
    const [foreign] = (await list('tenant=acme&limit=1')).items;
    expect((await service.call('GET', `/v1/decisions/${foreign?.decisionId}`, { key })).status).toBe(404);
    expect((await list('tenant=acme', key)).items).toHaveLength(0);
  });
});

describe('events', () => {
  test('name kind, actor, subject and time, newest first', async () => {
    const reply = await service.call('GET', '/v1/events?kind=bundle.activate,entity.import');
    expect(reply.json).toMatchObject({
      items: [
        { kind: 'entity.import', actor: 'bootstrap' },
        { subject: 'tenant:globex' },
        { subject: 'tenant:acme' },
        { subject: 'platform' },
      ],
    });
  });

  test('of an unknown kind are refused with the kind that was meant', async () => {
    const reply = await service.call('GET', '/v1/events?kind=bundle.activated');
    expect(problemOf(reply).errors[0]?.hint).toBe('did you mean `bundle.activate`?');
  });
});

test.each([['pep'], ['author'], ['approver'], ['directory'], ['keys']])(
  'role %s reads no log',
  async role => {
    const key = await service.makeKey([role]);
    for (const path of ['/v1/decisions', '/v1/decisions/x', '/v1/events']) {
      expect((await service.call('GET', path, { key })).status).toBe(403);
    }
  },
);
