/** POST and GET /v1/load against a real service: who may report what, and what counts. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { startTestService, type TestService } from './service.ts';

const MODEL = 'acme/support-llm';

let service: TestService;
let reporter: string;
let ofGlobex: string;
beforeAll(async () => {
  service = await startTestService({ filled: true });
  reporter = await service.makeKey(['load']);
  ofGlobex = await service.makeKey(['load'], ['globex']);
});
afterAll(() => service.stop());

const reportedSchema = z.object({ outcome: z.string(), load: z.record(z.string(), z.unknown()).nullable() });

async function report(body: object, key = reporter) {
  return service.call('POST', '/v1/load', { key, body: { model: MODEL, ...body } });
}

describe('a report', () => {
  test('is answered with what is known of the model', async () => {
    const reply = await report({ source: 'gpu-1', gpuPercent: 40, queueDepth: 3, ttlSeconds: 60 });
    expect(reply.status).toBe(200);
    expect(reportedSchema.parse(reply.json)).toMatchObject({
      outcome: 'accepted',
      load: { model: MODEL, sources: 1, gpuPercent: 40, kvCachePercent: null, queueDepth: 3, step: 0 },
    });
    const listed = await service.call('GET', '/v1/load');
    expect(listed.json).toMatchObject({ items: [{ model: MODEL, sources: 1, gpuPercent: 40 }] });
  });

  test('that is older than the one that is known changes nothing, and says so', async () => {
    await report({ source: 'gpu-2', gpuPercent: 50 });
    const observedAt = new Date(service.running.services.clock.now() - 5_000).toISOString();
    const late = reportedSchema.parse((await report({ source: 'gpu-2', gpuPercent: 99, observedAt })).json);
    expect(late.outcome).toBe('stale');
    expect(late.load).not.toMatchObject({ gpuPercent: 99 });
  });

  test.each([
    ['of nothing', { source: 'x' }, 400],
    ['of a model and a group', { modelGroup: 'acme/shared-llms', gpuPercent: 1 }, 400],
    ['of more than everything', { gpuPercent: 101 }, 400],
    ['of a fraction', { gpuPercent: 0.5 }, 400],
    ['for ever', { gpuPercent: 1, ttlSeconds: 601 }, 400],
    ['of the future', { gpuPercent: 1, observedAt: '2100-01-01T00:00:00Z' }, 400],
    ['of a model that is none', { model: 'acme/nothing', gpuPercent: 1 }, 404],
  ])('%s is refused', async (_, body, status) => {
    expect((await report(body)).status).toBe(status);
  });

  test('is for models of the key alone: a foreign one is as if it did not exist', async () => {
    const foreign = await report({ gpuPercent: 100 }, ofGlobex);
    const missing = await report({ model: 'globex/nothing', gpuPercent: 100 }, ofGlobex);
    expect([foreign.status, missing.status]).toEqual([404, 404]);
    const detailOf = (reply: { json: unknown }, model: string): string =>
      z.object({ detail: z.string() }).parse(reply.json).detail.replace(model, 'it');
    expect(detailOf(foreign, MODEL)).toBe(detailOf(missing, 'globex/nothing'));
  });

  test.each([['pep'], ['author'], ['directory'], ['keys'], ['limits'], ['auditor']])(
    'is not for the role %s',
    async role => expect((await report({ gpuPercent: 1 }, await service.makeKey([role]))).status).toBe(403),
  );

  test('is all that its role may', async () => {
    for (const path of ['/v1/load', '/v1/penalties', '/v1/decisions', '/v1/keys', '/v1/layers']) {
      const { status } = await service.call('GET', path, { key: reporter });
      expect([path, status]).toEqual([path, 403]);
    }
  });
});

test('a viewer that is limited to tenants sees their models alone', async () => {
  await report({ gpuPercent: 10 });
  const items = z.object({ items: z.array(z.object({ model: z.string() })) });
  const acme = await service.call('GET', '/v1/load', { key: await service.makeKey(['limits'], ['acme']) });
  const globex = await service.call('GET', '/v1/load', {
    key: await service.makeKey(['limits'], ['globex']),
  });
  expect(items.parse(acme.json).items.map(({ model }) => model)).toEqual([MODEL]);
  expect(items.parse(globex.json).items).toEqual([]);
});

test('metrics tell how loaded models are, and name none', async () => {
  await report({ gpuPercent: 10 });
  const { text } = await service.call('GET', '/metrics');
  expect(text).toMatch(/^duramen_load_models\{step="0"\} 1$/m);
  expect(text).toMatch(/^duramen_penalties\{kind="principal"\} 0$/m);
  expect(text).not.toContain(MODEL);
});
