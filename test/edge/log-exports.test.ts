/** Exports over HTTP: how far copies are, who may say so, and that what holds retention back is on record. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { problemOf, startTestService, type TestService } from './service.ts';

const exportSchema = z.strictObject({
  name: z.string(),
  acknowledged: z.number(),
  createdAt: z.string(),
  updatedAt: z.string(),
});

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());

const put = (name: string, acknowledged: unknown) =>
  service.call('PUT', `/v1/log/exports/${name}`, { body: { acknowledged } });

async function events(): Promise<readonly unknown[]> {
  const reply = await service.call('GET', '/v1/events?kind=log.export&order=asc');
  const page = z.object({ items: z.array(z.looseObject({ subject: z.string(), details: z.unknown() })) });
  return page.parse(reply.json).items.map(({ subject, details }) => [subject, details]);
}

test('an export begins, goes on, goes back and ends; all but going on is logged', async () => {
  const first = await put('siem', 1);
  expect(first.status).toBe(200);
  expect(exportSchema.parse(first.json)).toMatchObject({ name: 'siem', acknowledged: 1 });
  expect(exportSchema.parse((await put('siem', 2)).json).acknowledged).toBe(2);
  expect(exportSchema.parse((await put('siem', 0)).json).acknowledged).toBe(0);
  await put('a-copy.2', 1);
  const list = z
    .object({ items: z.array(exportSchema) })
    .parse((await service.call('GET', '/v1/log/exports')).json);
  expect(list.items.map(({ name }) => name)).toEqual(['a-copy.2', 'siem']);
  const one = await service.call('GET', '/v1/log/exports/siem');
  expect(exportSchema.parse(one.json)).toEqual(list.items[1]);
  expect((await service.call('DELETE', '/v1/log/exports/siem')).status).toBe(204);
  expect((await service.call('DELETE', '/v1/log/exports/siem')).status).toBe(404);
  expect((await service.call('GET', '/v1/log/exports/siem')).status).toBe(404);
  expect(await events()).toEqual([
    ['siem', { acknowledged: 1 }],
    ['siem', { acknowledged: 0, before: 2 }],
    ['a-copy.2', { acknowledged: 1 }],
    ['siem', { before: 0, removed: true }],
  ]);
});

test.each([
  ['more than the log has', 1_000_000, '/acknowledged'],
  ['a negative number', -1, '/acknowledged'],
  ['a fraction', 1.5, '/acknowledged'],
  ['a text', '1', '/acknowledged'],
])('%s is refused', async (_name, acknowledged, pointer) => {
  const reply = await put('bad', acknowledged);
  expect(reply.status).toBe(400);
  expect(problemOf(reply).errors[0]?.pointer).toBe(pointer);
});

test.each(['a%2Fb', 'ü', 'x'.repeat(65), '%20'])('the name %s is refused', async name => {
  expect((await put(encodeURI(decodeURI(name)), 1)).status).toBe(400);
});

test('there are at most 64, and the one too many leaves no trace', async () => {
  const { items } = z
    .object({ items: z.array(exportSchema) })
    .parse((await service.call('GET', '/v1/log/exports')).json);
  for (let at = items.length; at < 64; at++) expect((await put(`n${at}`, 0)).status).toBe(200);
  const before = (await events()).length;
  expect((await put('one-too-many', 0)).status).toBe(400);
  expect(await events()).toHaveLength(before);
});

test('are not for keys that are limited to tenants, nor for other roles', async () => {
  for (const key of [await service.makeKey(['auditor'], ['acme']), await service.makeKey(['pep'])]) {
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const body = method === 'PUT' ? { body: { acknowledged: 1 } } : {};
      expect((await service.call(method, '/v1/log/exports/siem', { key, ...body })).status).toBe(403);
    }
  }
});
