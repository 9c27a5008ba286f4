/** GET /v1/limits over the shipped bundles: which limits hold for whom, with which number and why. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { manualClock } from '../identity/clock.ts';
import { ALLOWED, problemOf, startTestService, type TestService } from './service.ts';

const answerSchema = z.looseObject({
  items: z.array(
    z.looseObject({
      name: z.string(),
      limit: z.number(),
      source: z.string(),
      varies: z.array(z.string()),
      sets: z.array(z.string()).optional(),
    }),
  ),
  prices: z.array(z.looseObject({ list: z.string() })),
  layers: z.array(z.object({ layer: z.string(), digest: z.string() })),
});

let service: TestService;
beforeAll(async () => {
  // it stands still: one of the shipped limits ends with a day of the calendar
  service = await startTestService({ filled: true, clock: manualClock() });
});
afterAll(() => service.stop());

async function limits(query: string, key?: string) {
  const reply = await service.call('GET', `/v1/limits?${query}`, key === undefined ? {} : { key });
  expect(reply.status).toBe(200);
  const { items, prices, layers } = answerSchema.parse(reply.json);
  return { items: new Map(items.map(item => [item.name, item])), prices, layers };
}

describe('GET /v1/limits', () => {
  test('tells a principal with a model each number and where it comes from', async () => {
    const { items, prices, layers } = await limits('principal=User:acme/alice&model=acme/support-llm');
    expect(items.get('platform/tenant-month-usd')).toMatchObject({
      limit: 50_000_000_000,
      source: 'base 10000000000 x plan enterprise 1000%, tightened to 50000000000 by tenant:acme',
      scope: ['tenant'],
      period: 'month',
      onStoreFailure: 'deny',
      varies: [],
    });
    expect(items.get('platform/principal-second')).toMatchObject({ limit: 2_000, seconds: 1 });
    expect(items.get('platform/address-second')).toMatchObject({ mode: 'shadow' });
    expect(prices).toEqual([
      {
        list: 'platform@2026-11',
        inputPerMillion: 500_000,
        outputPerMillion: 1_500_000,
        perRequest: 0,
        perComputeSecond: 100,
      },
    ]);
    expect(layers.map(({ layer }) => layer)).toEqual(['platform', 'tenant:acme']);
  });

  test('shows limits of sets with the sets that bring them in', async () => {
    const { items } = await limits('principal=Agent:acme/copilot&model=acme/support-llm');
    expect(items.get('tenant:acme/agent-tokens')).toMatchObject({ sets: ['agents'], limit: 50_000_000 });
    expect(items.get('platform/principal-second')).toMatchObject({
      limit: 1_000,
      source: 'base 2000, tightened to 1000 by tenant:acme',
    });
  });

  test('leaves out what is for other models, and shows what may hold while no model is named', async () => {
    const support = await limits('principal=User:acme/alice&model=acme/support-llm');
    expect(support.items.has('tenant:acme/fraud-day')).toBe(false);
    const alone = await limits('principal=Service:acme/batch');
    expect(alone.items.get('tenant:acme/fraud-day')).toMatchObject({
      limit: 2_000_000,
      source: 'override 2000000 until 2027-07-01T00:00:00.000Z',
    });
    expect(alone.items.get('platform/principal-minute')).toMatchObject({ varies: ['model'] });
    expect(alone.prices).toEqual([]);
  });

  test('shows what may hold for a model while nobody is named', async () => {
    const { items } = await limits('model=acme/card-fraud');
    expect(items.get('platform/principal-minute')).toMatchObject({
      limit: 4_000,
      source: 'base 20000 x class high_value 20%',
      varies: ['principal'],
    });
    expect(items.has('tenant:acme/fraud-day')).toBe(true);
  });

  test('shows what may hold for a tenant while nobody is named', async () => {
    const { items } = await limits('tenant=acme');
    expect(items.get('platform/tenant-month-usd')).toMatchObject({ limit: 50_000_000_000, varies: [] });
    expect(items.get('platform/principal-minute')).toMatchObject({ varies: ['principal', 'model'] });
  });

  test('agrees with what a decision says', async () => {
    const { items } = await limits(
      'principal=User:acme/alice&model=acme/support-llm&action=generate&pep=x&key=k&ip=192.0.2.1',
    );
    const { json } = await service.call('POST', '/decide', { body: { ...ALLOWED, consume: false } });
    const said = z
      .looseObject({ limits: z.array(z.looseObject({ name: z.string(), limit: z.number() })) })
      .parse(json);
    expect(said.limits.length).toBeGreaterThan(4);
    for (const { name, limit } of said.limits) expect([name, items.get(name)?.limit]).toEqual([name, limit]);
    const always = [...items.values()].filter(({ sets }) => sets === undefined).map(({ name }) => name);
    expect(said.limits.map(({ name }) => name).toSorted()).toEqual(always.toSorted());
  });

  test.each([
    ['action=generat', 400, 'there is no operation `generat` on models', 'did you mean `generate`?'],
    ['ip=10.0.0', 400, '`?ip` must be an IP address, such as `192.0.2.1`', undefined],
    ['tenant=nobody', 404, 'there is no tenant `nobody`', undefined],
  ])('refuses %s, which no call could have, whoever it is about', async (query, status, detail, hint) => {
    for (const path of ['/v1/limits', '/v1/limits/usage']) {
      const reply = await service.call('GET', `${path}?principal=User:acme/alice&${query}`);
      expect(reply.status).toBe(status);
      expect(problemOf(reply).detail).toBe(detail);
      expect(problemOf(reply).errors[0]?.hint).toBe(hint);
    }
  });

  test('shows a key of one tenant nothing of another', async () => {
    const key = await service.makeKey(['limits'], ['globex']);
    const shown = await limits('principal=Service:globex/router', key);
    expect(shown.layers.map(({ layer }) => layer)).not.toContain('tenant:acme');
    // what a limit of the platform is for may name other tenants
    expect([...shown.items.values()].filter(item => 'match' in item)).toEqual([]);
    for (const query of ['principal=User:acme/alice', 'model=acme/support-llm', 'tenant=acme']) {
      const { status } = await service.call('GET', `/v1/limits?${query}`, { key });
      expect(status).toBe(404);
    }
  });

  test('tells a key of one tenant nothing of a model of another, not even beside a principal of its own', async () => {
    const key = await service.makeKey(['limits'], ['globex']);
    const ask = async (path: string, model: string) => {
      const query = `principal=Service:globex/router&model=${model}`;
      const { status, text } = await service.call('GET', `${path}?${query}`, { key });
      return [status, text.replaceAll(model, 'M').replace(/"requestId":"[^"]*"/, '')];
    };
    for (const path of ['/v1/limits', '/v1/limits/usage']) {
      const missing = await ask(path, 'acme/nothing');
      expect(missing[0]).toBe(404);
      expect(await ask(path, 'acme/fraud@3')).toEqual(missing);
    }
  });

  test('tells a key of one tenant of a model of another that is shared with it', async () => {
    const key = await service.makeKey(['limits'], ['globex']);
    const query = 'principal=Service:globex/router&model=acme/embed';
    const share = async (ids: readonly string[]) => {
      const sharedWith = ids.map(id => ({ type: 'Tenant', id }));
      await service.call('PATCH', '/v1/models/acme%2Fembed', { body: { attributes: { sharedWith } } });
      const paths = ['/v1/limits', '/v1/limits/usage'];
      return Promise.all(
        paths.map(async path => (await service.call('GET', `${path}?${query}`, { key })).status),
      );
    };
    expect(await share(['globex'])).toEqual([200, 200]);
    expect(await share([])).toEqual([404, 404]);
  });

  test.each([
    ['', 400, 'INVALID_REQUEST'],
    ['principal=alice', 400, 'INVALID_REQUEST'],
    ['principal=User:acme/nobody', 404, 'NOT_FOUND'],
    ['model=acme/nothing', 404, 'NOT_FOUND'],
    ['tenant=nowhere', 404, 'NOT_FOUND'],
  ])('refuses %s', async (query, status, code) => {
    const reply = await service.call('GET', `/v1/limits?${query}`);
    expect([reply.status, problemOf(reply).code]).toEqual([status, code]);
  });
});
