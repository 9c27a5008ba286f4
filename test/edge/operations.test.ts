/** Probes, metrics, status, problem pages, and an OpenAPI document that says exactly what is served. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { ERROR_CODES } from '../../src/domain/errors.ts';
import { makeRoutes, openApiText } from '../../src/edge/http/routes.ts';
import { readVersion } from '../../src/wiring/version.ts';
import { ALLOWED, problemOf, startTestService, type TestService } from './service.ts';

let empty: TestService;
let service: TestService;
beforeAll(async () => {
  empty = await startTestService();
  service = await startTestService({ filled: true });
});
afterAll(async () => {
  await empty.stop();
  await service.stop();
});

describe('probes', () => {
  test('/livez answers anybody', async () => {
    const reply = await empty.call('GET', '/livez', { key: undefined });
    expect([reply.status, reply.json]).toEqual([200, { status: 'alive' }]);
  });

  test('/readyz is 503 without a platform bundle, says what to do, and 200 with one', async () => {
    const waiting = await empty.call('GET', '/readyz?verbose', { key: undefined });
    expect(waiting.status).toBe(503);
    expect(waiting.text).toContain('push one with POST /v1/bundles?activate=true');
    const ready = await service.call('GET', '/readyz?verbose', { key: undefined });
    expect(ready.status).toBe(200);
    const names = z
      .object({ checks: z.array(z.object({ name: z.string(), ok: z.boolean() })) })
      .parse(ready.json);
    expect(names.checks.filter(({ ok }) => !ok)).toEqual([]);
    expect(names.checks.map(({ name }) => name)).toEqual([
      'state store',
      'decision log',
      'query index',
      'platform bundle',
      'policy compiler',
      'evaluators agree',
      'administration',
      'break-glass',
      'anchor local',
    ]);
  });
});

test('/metrics counts decisions and requests, with no principal or model in any label', async () => {
  await service.call('POST', '/decide', { body: ALLOWED });
  const { status, headers, text } = await service.call('GET', '/metrics');
  expect(status).toBe(200);
  expect(headers.get('content-type')).toMatch(/^text\/plain/);
  for (const name of [
    'duramen_decisions_total{decision="allow",reason_code="POLICY_ALLOW",endpoint="decide"} 1',
    'duramen_decision_duration_seconds_count 1',
    'duramen_http_request_duration_seconds_count{route="/decide",method="POST",code="200"} 1',
    'duramen_decision_log_queue_length 0',
    'duramen_bundle_info{name="platform",revision="sha256:',
    'duramen_sqlite_wal_bytes{database="log"}',
    'duramen_build_info{version="',
    'duramen_log_anchor_age_seconds{target="local"}',
    'duramen_log_anchor_failures_total{target="local"} 0',
  ]) {
    expect(text).toContain(name);
  }
  expect(text).not.toMatch(/alice|support-llm/);
});

test('/metrics, which names layers, policies and limits of every tenant, is for keys of every tenant', async () => {
  const ofOne = await service.call('GET', '/metrics', { key: await service.makeKey(['admin'], ['acme']) });
  expect(ofOne.status).toBe(403);
  expect(ofOne.text).toContain('TENANT_NOT_ALLOWED');
  expect(ofOne.text).not.toContain('globex');
  const ofAll = await service.call('GET', '/metrics', { key: await service.makeKey(['load']) });
  expect(ofAll.text).toContain('name="tenant:globex"');
});

test('/v1/status shows layers, revisions and the log, to a credential of one tenant its own layer alone', async () => {
  const { json } = await service.call('GET', '/v1/status');
  expect(json).toMatchObject({
    ready: true,
    directory: { revision: 1, entities: 47 },
    engine: { evaluator: 'compiled', layersOnWasm: [] },
  });
  const layersOf = (value: unknown) =>
    Object.keys(z.object({ layers: z.record(z.string(), z.unknown()) }).parse(value).layers);
  expect(layersOf(json).sort()).toEqual(['platform', 'tenant:acme', 'tenant:globex']);
  const key = await service.makeKey(['pep'], ['acme']);
  expect(layersOf((await service.call('GET', '/v1/status', { key })).json)).toEqual(['tenant:acme']);
});

test.each(Object.entries(ERROR_CODES))(
  'the problem %s has a page for anybody',
  async (code, { status, title }) => {
    const slug = code.toLowerCase().replaceAll('_', '-');
    const reply = await empty.call('GET', `/problems/${slug}`, { key: undefined });
    expect(reply.status).toBe(200);
    expect(reply.json).toMatchObject({ type: `/problems/${slug}`, code, status, title });
    expect((await empty.call('GET', `/problems/${code}`, { key: undefined })).json).toEqual(reply.json);
  },
);

test.each([
  ['/v1/models/acme/support-llm', 'a slash in an id is `%2F`'],
  ['/v1/decidee', 'see /openapi.json'],
])('the path %s, which is no route, is told what is meant', async (path, advice) => {
  const { status, text } = await empty.call('GET', path);
  expect(status).toBe(404);
  expect(text).toContain(advice);
});

test('an unknown problem is 404', async () => {
  expect((await empty.call('GET', '/problems/constructor', { key: undefined })).status).toBe(404);
});

describe('credentials', () => {
  test.each([
    ['/metrics'],
    ['/v1/status'],
    ['/openapi.json'],
    ['/v1/keys'],
    ['/v1/decisions'],
    ['/v1/layers'],
  ])('%s needs one', async path => {
    expect((await empty.call('GET', path, { key: undefined })).status).toBe(401);
  });
});

describe('the OpenAPI document', () => {
  const document = z.object({
    openapi: z.literal('3.1.0'),
    paths: z.record(z.string(), z.record(z.string(), z.looseObject({ operationId: z.string() }))),
    components: z.object({ schemas: z.record(z.string(), z.unknown()) }),
  });

  test('is served as it is committed', async () => {
    const committed = readFileSync(join(import.meta.dirname, '../../schema/openapi.json'), 'utf8');
    expect((await service.call('GET', '/openapi.json')).text).toBe(committed);
    expect(openApiText(makeRoutes(readVersion()), readVersion())).toBe(committed);
  });

  test('names every operation once, and refers to nothing that is missing', async () => {
    const { text, json } = await service.call('GET', '/openapi.json');
    const { paths, components } = document.parse(json);
    const ids = Object.values(paths).flatMap(path =>
      Object.values(path).map(({ operationId }) => operationId),
    );
    expect(new Set(ids).size).toBe(ids.length);
    for (const [, name = ''] of text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      expect(components.schemas).toHaveProperty(name);
    }
    expect(text).not.toContain('$defs');
  });

  test('describes conditions where they are looked at, and nowhere else', async () => {
    const { paths } = document.parse((await service.call('GET', '/openapi.json')).json);
    const operationSchema = z.looseObject({
      parameters: z.array(z.looseObject({ name: z.string() })).default([]),
      responses: z.record(z.string(), z.unknown()),
    });
    const described: string[] = [];
    for (const [path, operations] of Object.entries(paths)) {
      for (const [method, operation] of Object.entries(operations)) {
        const { parameters, responses } = operationSchema.parse(operation);
        const hasCondition = parameters.some(({ name }) => name === 'If-Match');
        expect([path, method, hasCondition]).toEqual([path, method, '412' in responses]);
        if (hasCondition) described.push(`${method} ${path}`);
      }
    }
    expect(described).toContain('put /v1/models/{id}');
    expect(described).toContain('post /v1/bundles/{digest}/activate');
    expect(described).not.toContain('put /v1/log/exports/{name}');
  });

  test.each([
    ['POST', '/v1/bundles?activate=true'],
    ['POST', '/v1/keys'],
    ['DELETE', '/v1/keys/0123456789'],
    ['POST', '/v1/directory/import'],
    ['PUT', '/v1/log/exports/copy'],
  ])('of %s %s: a condition that nobody looks at is refused', async (method, path) => {
    for (const name of ['If-Match', 'If-None-Match']) {
      const reply = await service.call(method, path, { headers: { [name]: '"1"' } });
      expect([reply.status, problemOf(reply).code]).toEqual([400, 'INVALID_REQUEST']);
      expect(reply.text).toContain(`does not look at \`${name}\``);
    }
  });

  test('lists the routes that run, and no others: undocumented methods are 405 with Allow', async () => {
    const { paths } = document.parse((await service.call('GET', '/openapi.json')).json);
    for (const template of Object.keys(paths)) {
      const path = template.replaceAll(/\{\w+\}/g, 'x');
      // a path can be one of its own and an id of another: `/v1/caller-keys/revoke`
      const documented = Object.entries(paths)
        .filter(([other]) => pathPattern(other).test(path))
        .flatMap(([, operations]) => Object.keys(operations).map(method => method.toUpperCase()));
      const methods = [...new Set(documented)];
      const allowed = methods.flatMap(method => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
      const wrong = ['PUT', 'PATCH', 'DELETE', 'POST', 'GET'].filter(method => !methods.includes(method));
      for (const method of wrong) {
        const reply = await service.call(method, path);
        expect([path, method, reply.status]).toEqual([path, method, 405]);
        expect(reply.headers.get('allow')?.split(', ').sort()).toEqual(allowed.sort());
      }
      for (const method of methods) {
        const reply = await service.call(method, path, { key: 'nobody' });
        expect([path, method, [401, 429, 200, 404].includes(reply.status)]).toEqual([path, method, true]);
        expect(reply.text).not.toContain('no such route');
      }
    }
  });
});

function pathPattern(template: string): RegExp {
  return new RegExp(`^${template.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`);
}

describe('routing', () => {
  test('an unknown route is a problem that points to the document', async () => {
    const reply = await service.call('GET', '/v2/decide');
    expect(reply.status).toBe(404);
    expect(problemOf(reply).detail).toContain('/openapi.json');
  });

  test('HEAD answers as GET without a body', async () => {
    const reply = await service.call('HEAD', '/v1/layers');
    expect([reply.status, reply.text]).toEqual([200, '']);
    expect((await service.call('HEAD', '/v1/models/acme%2Fnothing')).status).toBe(404);
  });

  test.each([
    ['a sane request id is echoed', 'abc-123', true],
    ['one with a quote is replaced', 'a"b', false],
    ['one that is too long is replaced', 'x'.repeat(129), false],
  ])('%s', async (_name, id, echoed) => {
    const reply = await service.call('GET', '/livez', { headers: { 'x-request-id': id } });
    const answered = reply.headers.get('x-request-id') ?? '';
    expect(answered === id).toBe(echoed);
    expect(answered).toMatch(/^[\x21-\x7e]{1,128}$/);
  });
});
