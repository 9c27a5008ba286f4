/** Keys over HTTP: shown once, revoked at once, never stronger than their maker, invisible across tenants. */
import { Agent, request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { manualClock } from '../identity/clock.ts';
import { ADMIN_KEY, ALLOWED, problemOf, startTestService, type TestService } from './service.ts';
import { withOtherLetter } from '../other-letter.ts';

const created = z.object({ id: z.string(), key: z.string(), roles: z.array(z.string()) });
const page = z.object({ items: z.array(z.object({ id: z.string() })), nextCursor: z.string().nullable() });
const clock = manualClock();

const NOT_ACCEPTED = 'the key is not accepted: it is unknown, has expired or was revoked';
let service: TestService;
beforeAll(async () => {
  service = await startTestService({ clock });
});
afterAll(() => service.stop());

async function make(body: unknown, key = ADMIN_KEY) {
  return created.parse((await service.call('POST', '/v1/keys', { key, body })).json);
}

describe('a new key', () => {
  test('is answered once with its text, and works at once', async () => {
    const reply = await service.call('POST', '/v1/keys', {
      body: { roles: ['auditor'], description: 'for the audit' },
    });
    expect(reply.status).toBe(201);
    const { id, key } = created.parse(reply.json);
    expect(reply.headers.get('location')).toBe(`/v1/keys/${id}`);
    expect((await service.call('GET', '/v1/decisions', { key })).status).toBe(200);
    const shown = await service.call('GET', `/v1/keys/${id}`);
    expect(shown.json).toMatchObject({
      id,
      roles: ['auditor'],
      description: 'for the audit',
      createdBy: 'bootstrap',
    });
    expect(shown.text).not.toContain(key);
    expect(shown.text).not.toContain('hash');
  });

  test('ends at its expiry', async () => {
    const { key } = await make({
      roles: ['auditor'],
      expiresAt: new Date(clock.now() + 60_000).toISOString(),
    });
    expect((await service.call('GET', '/v1/status', { key })).status).toBe(200);
    clock.advance(60_000);
    const reply = await service.call('GET', '/v1/status', { key });
    expect(reply.status).toBe(401);
    expect(problemOf(reply).detail).toBe(NOT_ACCEPTED);
  });

  test.each([
    ['no role', { roles: [] }],
    ['an unknown role', { roles: ['root'] }],
    ['an expiry in the past', { roles: ['pep'], expiresAt: '2020-01-01T00:00:00Z' }],
    ['an empty list of tenants', { roles: ['pep'], tenants: [] }],
    ['an unknown field', { role: ['pep'] }],
  ])('with %s is refused', async (_name, body) => {
    expect((await service.call('POST', '/v1/keys', { body })).status).toBe(400);
  });

  test('is an event with its maker, and without its text', async () => {
    const { id, key } = await make({ roles: ['pep'], tenants: ['acme'] });
    const events = await service.call('GET', '/v1/events?kind=key.create&limit=1');
    expect(events.json).toMatchObject({
      items: [{ kind: 'key.create', subject: id, actor: 'bootstrap', tenant: 'acme' }],
    });
    expect(events.text).not.toContain(key.slice(21));
  });
});

/** One connection: the statuses of requests that follow each other on it. */
function liveConnection() {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let isFirst = true;
  const status = (key: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      const sent = request(
        `${service.url}/v1/decisions`,
        { agent, headers: { authorization: `Bearer ${key}` } },
        reply => {
          expect(sent.reusedSocket).toBe(!isFirst);
          isFirst = false;
          reply.resume().once('end', () => resolve(reply.statusCode));
        },
      );
      sent.once('error', reject).end();
    });
  return { status, close: () => agent.destroy() };
}

describe('a connection that stays open', () => {
  test('is refused as soon as its key is revoked', async () => {
    const { id, key } = await make({ roles: ['auditor'] });
    const connection = liveConnection();
    expect([await connection.status(key), await connection.status(key)]).toEqual([200, 200]);
    expect((await service.call('DELETE', `/v1/keys/${id}`)).status).toBe(204);
    expect([await connection.status(key), await connection.status(key)]).toEqual([401, 401]);
    connection.close();
  });

  test('is refused as soon as its key expires', async () => {
    const { key } = await make({
      roles: ['auditor'],
      expiresAt: new Date(clock.now() + 60_000).toISOString(),
    });
    const connection = liveConnection();
    expect([await connection.status(key), await connection.status(key)]).toEqual([200, 200]);
    clock.advance(60_000);
    expect(await connection.status(key)).toBe(401);
    connection.close();
  });

  test('has every other key verified, and shares nothing with other connections', async () => {
    const [one, two] = [await make({ roles: ['auditor'] }), await make({ roles: ['pep'] })];
    const wrong = withOtherLetter(one.key);
    const [first, second] = [liveConnection(), liveConnection()];
    expect(await first.status(one.key)).toBe(200);
    expect(await first.status(wrong)).toBe(401);
    expect(await first.status(two.key)).toBe(403);
    expect(await first.status(one.key)).toBe(200);
    expect(await second.status(wrong)).toBe(401);
    expect(await second.status(one.key)).toBe(200);
    first.close();
    second.close();
  });
});

describe('revocation', () => {
  test('counts from the next request on, and is an event', async () => {
    const { id, key } = await make({ roles: ['auditor'] });
    expect((await service.call('DELETE', `/v1/keys/${id}`)).status).toBe(204);
    const reply = await service.call('GET', '/v1/status', { key });
    expect(reply.status).toBe(401);
    expect(problemOf(reply).detail).toBe(NOT_ACCEPTED);
    const events = await service.call('GET', '/v1/events?kind=key.revoke&limit=1');
    expect(events.json).toMatchObject({ items: [{ subject: id, actor: 'bootstrap' }] });
  });

  test('twice changes nothing the second time', async () => {
    const { id } = await make({ roles: ['auditor'] });
    expect((await service.call('DELETE', `/v1/keys/${id}`)).status).toBe(204);
    const first = (await service.call('GET', `/v1/keys/${id}`)).text;
    clock.advance(1000);
    expect((await service.call('DELETE', `/v1/keys/${id}`)).status).toBe(204);
    expect((await service.call('GET', `/v1/keys/${id}`)).text).toBe(first);
  });

  test('of the last admin key is refused', async () => {
    const reply = await service.call('DELETE', '/v1/keys/bootstrap');
    expect(reply.status).toBe(409);
    expect(problemOf(reply).code).toBe('LAST_ADMIN_KEY');
    expect((await service.call('GET', '/v1/status')).status).toBe(200);
  });

  test('of one of two admin keys is allowed', async () => {
    const { id, key } = await make({ roles: ['admin'] });
    expect((await service.call('DELETE', `/v1/keys/${id}`, { key })).status).toBe(204);
  });

  test('of an unknown key is 404', async () => {
    expect((await service.call('DELETE', '/v1/keys/nothing')).status).toBe(404);
  });
});

describe('authority', () => {
  test('nobody hands out a role that they do not hold', async () => {
    const { key } = await make({ roles: ['keys', 'pep'] });
    expect((await service.call('POST', '/v1/keys', { key, body: { roles: ['pep'] } })).status).toBe(201);
    for (const roles of [['admin'], ['pep', 'auditor']]) {
      const reply = await service.call('POST', '/v1/keys', { key, body: { roles } });
      expect(reply.status).toBe(403);
      expect(problemOf(reply).code).toBe('ROLE_REQUIRED');
    }
  });

  test('nobody hands out a tenant that they do not have', async () => {
    const { key } = await make({ roles: ['keys', 'pep'], tenants: ['acme'] });
    const tries: [tenants: string[] | undefined, status: number][] = [
      [['acme'], 201],
      [['globex'], 403],
      [['acme', 'globex'], 403],
      [undefined, 403],
    ];
    for (const [tenants, status] of tries) {
      const body = { roles: ['pep'], ...(tenants === undefined ? {} : { tenants }) };
      expect((await service.call('POST', '/v1/keys', { key, body })).status).toBe(status);
    }
  });

  test('nobody hands out the right to assert that they do not have', async () => {
    const { key } = await make({ roles: ['keys', 'pep'], mayAssert: false });
    expect((await service.call('POST', '/v1/keys', { key, body: { roles: ['pep'] } })).status).toBe(403);
    const body = { roles: ['pep'], mayAssert: false };
    expect((await service.call('POST', '/v1/keys', { key, body })).status).toBe(201);
  });

  test('nobody revokes a key that is stronger than their own', async () => {
    const { key } = await make({ roles: ['keys'] });
    const strong = await make({ roles: ['auditor'] });
    expect((await service.call('DELETE', `/v1/keys/${strong.id}`, { key })).status).toBe(403);
  });

  test('keys of other tenants do not exist for a credential that is limited to tenants', async () => {
    const { key } = await make({ roles: ['keys', 'pep'], tenants: ['acme'] });
    const own = await make({ roles: ['pep'], tenants: ['acme'] });
    const foreign = await make({ roles: ['pep'], tenants: ['globex'] });
    const seen = page
      .parse((await service.call('GET', '/v1/keys?limit=1000', { key })).json)
      .items.map(({ id }) => id);
    expect(seen).toContain(own.id);
    expect(seen).not.toContain(foreign.id);
    expect(seen).not.toContain('bootstrap');
    const answers = [];
    for (const id of [foreign.id, 'nothing']) {
      const get = await service.call('GET', `/v1/keys/${id}`, { key });
      const revoke = await service.call('DELETE', `/v1/keys/${id}`, { key });
      answers.push([get.status, revoke.status, problemOf(get).detail.replace(id, '')]);
    }
    expect(answers[0]).toEqual(answers[1]);
  });

  test.each([['pep'], ['author'], ['approver'], ['directory'], ['auditor']])(
    'role %s cannot manage keys',
    async role => {
      const { key } = await make({ roles: [role] });
      expect((await service.call('GET', '/v1/keys', { key })).status).toBe(403);
      expect((await service.call('POST', '/v1/keys', { key, body: { roles: ['pep'] } })).status).toBe(403);
    },
  );

  test('a key that may not assert cannot say how the principal was authenticated', async () => {
    const { key } = await make({ roles: ['pep'], mayAssert: false });
    const auth = { method: 'jwt', assurance: 3, scopes: ['model:invoke'] };
    const reply = await service.call('POST', '/decide', { key, body: { ...ALLOWED, auth } });
    expect([reply.status, problemOf(reply).code]).toEqual([403, 'ASSERTION_NOT_ALLOWED']);
  });
});

describe('lists', () => {
  test('pages hold every key once, newest first', async () => {
    for (let count = 0; count < 5; count += 1) await make({ roles: ['pep'], description: `page ${count}` });
    const all = page.parse((await service.call('GET', '/v1/keys?limit=1000')).json).items.map(({ id }) => id);
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const query: string = cursor === null ? '' : `&cursor=${cursor}`;
      const { items, nextCursor } = page.parse((await service.call('GET', `/v1/keys?limit=2${query}`)).json);
      seen.push(...items.map(({ id }) => id));
      cursor = nextCursor;
    } while (cursor !== null);
    expect(seen).toEqual(all);
    expect(all.at(-1)).toBe('bootstrap');
  });

  test.each([['limit=0'], ['limit=1001'], ['limit=x'], ['cursor=%00'], ['limt=1'], ['limit=1&limit=2']])(
    '%s is refused',
    async query => {
      expect((await service.call('GET', `/v1/keys?${query}`)).status).toBe(400);
    },
  );
});

describe('Idempotency-Key', () => {
  const headers = { 'idempotency-key': 'make-one' };

  test('a repetition gets the first answer without the text of the key, and makes nothing', async () => {
    const body = { roles: ['pep'], description: 'once' };
    const first = await service.call('POST', '/v1/keys', { body, headers });
    const second = await service.call('POST', '/v1/keys', { body, headers });
    expect(second.status).toBe(201);
    expect(second.headers.get('idempotency-replayed')).toBe('true');
    expect(second.headers.get('location')).toBe(first.headers.get('location'));
    const { id, key } = created.parse(first.json);
    expect(second.json).toMatchObject({ id });
    expect(second.text).not.toContain(key.slice(21));
  });

  test('another request under the same key is 409', async () => {
    const reply = await service.call('POST', '/v1/keys', { body: { roles: ['auditor'] }, headers });
    expect(reply.status).toBe(409);
    expect(problemOf(reply).code).toBe('IDEMPOTENCY_CONFLICT');
  });

  test('a failure is not kept', async () => {
    const retried = { 'idempotency-key': 'retry' };
    expect((await service.call('POST', '/v1/keys', { body: { roles: [] }, headers: retried })).status).toBe(
      400,
    );
    const reply = await service.call('POST', '/v1/keys', { body: { roles: ['pep'] }, headers: retried });
    expect(reply.status).toBe(201);
  });

  test('of two at once one runs', async () => {
    const once = { 'idempotency-key': 'at-once' };
    const body = { roles: ['pep'], description: 'race' };
    const replies = await Promise.all(
      [1, 2, 3, 4].map(() => service.call('POST', '/v1/keys', { body, headers: once })),
    );
    const made = replies.filter(reply => reply.status === 201 && !reply.headers.has('idempotency-replayed'));
    expect(made).toHaveLength(1);
    const others = replies.filter(reply => reply.status !== 201).map(reply => problemOf(reply).code);
    expect(others.every(code => code === 'IDEMPOTENCY_CONFLICT')).toBe(true);
  });

  test('that is no token is 400', async () => {
    const reply = await service.call('POST', '/v1/keys', {
      body: { roles: ['pep'] },
      headers: { 'idempotency-key': 'a b' },
    });
    expect(reply.status).toBe(400);
  });
});

describe('failed authentication', () => {
  test('is logged with source, cause and count, and never with the token', async () => {
    await service.call('GET', '/v1/status', { key: 'dmn_not-a-key-canary' });
    const events = () => service.call('GET', '/v1/events?kind=auth.failed&limit=10');
    await expect.poll(async () => (await events()).text).toContain('"cause":"malformed"');
    const logged = await events();
    const [name] = /u:[A-Za-z0-9_-]{22}/.exec(logged.text) ?? [];
    expect(logged.text).not.toContain('127.0.0.1');
    const told = service.logLines.find(line => line.includes('authentication failed'));
    expect(told).toContain('"source":"127.0.0.1"');
    expect(told).toContain(`"loggedAs":"${name}"`);
    expect(logged.text + service.logLines.join('')).not.toContain('canary');
  });

  test('a flood gets 429 with the time to wait, while valid keys pass', async () => {
    clock.advance(60_000);
    let last = await service.call('GET', '/v1/status', { key: 'nonsense' });
    for (let count = 0; count < 61; count += 1)
      last = await service.call('GET', '/v1/status', { key: 'nonsense' });
    expect(last.status).toBe(429);
    expect(Number(last.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await service.call('GET', '/v1/status')).status).toBe(200);
  });
});
