/**
 * GET /v1/limits/usage about a part of a call: what is known to count is told with where it stands, the rest with what
 * is missing. The clock stands.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type LimitedService, startLimitedService, testClock } from './limited-service.ts';
import { ALLOWED, problemOf } from './service.ts';

const LIMITS = {
  prices: { version: '1', default: { inputPerMillion: 1_000_000, outputPerMillion: 1_000_000 } },
  modelClasses: [{ id: 'high_value', minRisk: 3 }],
  limits: [
    {
      id: 'burst',
      kind: 'window',
      unit: 'requests',
      limit: 10,
      per: '60s',
      key: ['principal'],
      byClass: { high_value: 20 },
    },
    { id: 'budget', kind: 'quota', unit: 'micro_usd', limit: 9_000, period: 'day', key: ['tenant'] },
    { id: 'pair', kind: 'window', unit: 'requests', limit: 5, per: '60s', key: ['principal', 'model'] },
    { id: 'model', kind: 'window', unit: 'requests', limit: 50, per: '60s', key: ['model'] },
    { id: 'gateway', kind: 'window', unit: 'requests', limit: 70, per: '60s', key: ['pep'] },
    {
      id: 'fraud',
      kind: 'window',
      unit: 'requests',
      limit: 3,
      per: '60s',
      key: ['principal'],
      match: { models: ['acme/card-fraud'] },
    },
    { id: 'gold', kind: 'window', unit: 'requests', limit: 8, per: '1h', key: ['principal'], sets: ['vip'] },
    { id: 'pool', kind: 'concurrency', limit: 4, lease: '5m', key: [], fair: { weights: { acme: 1 } } },
  ],
};

const answerSchema = z.object({
  items: z.array(
    z.looseObject({
      name: z.string(),
      limit: z.number(),
      used: z.number(),
      varies: z.array(z.string()),
      dependsOn: z.array(z.string()),
      sets: z.array(z.string()).optional(),
    }),
  ),
  others: z.array(
    z.looseObject({ name: z.string(), needs: z.array(z.string()), sets: z.array(z.string()).optional() }),
  ),
});

let service: LimitedService;
beforeAll(async () => {
  const clock = testClock(Date.parse('2026-03-10T12:00:00.000Z'));
  service = await startLimitedService(LIMITS, { clock });
  const question = { ...ALLOWED, input: { tokens: 100 }, params: { maxOutputTokens: 400 } };
  for (let at = 0; at < 2; at++) await service.decide(question);
});
afterAll(() => service.stop());

async function usage(query: string, key?: string) {
  const reply = await service.call('GET', `/v1/limits/usage?${query}`, key === undefined ? {} : { key });
  expect(reply.status).toBe(200);
  const { items, others } = answerSchema.parse(reply.json);
  return {
    used: Object.fromEntries(items.map(({ name, used }) => [name.slice('platform/'.length), used])),
    needs: Object.fromEntries(others.map(({ name, needs }) => [name.slice('platform/'.length), needs])),
    item: (id: string) => items.find(({ name }) => name === `platform/${id}`),
  };
}

describe('sets that no layer declares', () => {
  test.each([
    ['principal=User:acme/alice', 'platform/vpi', 'did you mean `platform/vip`?'],
    ['principal=User:acme/alice&model=acme/support-llm', 'vip', 'did you mean `platform/vip`?'],
    [
      'principal=User:acme/alice&model=acme/support-llm',
      'platform/vip,frobnicate',
      'write the layer and the set',
    ],
  ])('are refused: %s with %s', async (query, sets, hint) => {
    const reply = await service.call('GET', `/v1/limits/usage?${query}&limitSets=${sets}`);
    expect([reply.status, problemOf(reply).code]).toEqual([400, 'INVALID_REQUEST']);
    expect(problemOf(reply).errors).toMatchObject([{ pointer: '?limitSets' }]);
    expect(problemOf(reply).errors[0]?.hint).toContain(hint);
  });

  test('are refused at a reset too, and a set or a limit that is there is not', async () => {
    const body = {
      limit: 'platform/gold',
      principal: { type: 'User', id: 'acme/alice' },
      model: 'acme/support-llm',
      reason: 'r',
    };
    const reset = (limitSets: readonly string[]) =>
      service.call('POST', '/v1/limits/reset', { body: { ...body, limitSets } });
    expect(problemOf(await reset(['platform/vpi'])).errors).toMatchObject([{ pointer: '/limitSets' }]);
    for (const set of ['platform/vip', 'platform/gold']) expect((await reset([set])).status).toBe(200);
  });

  test('an action that is none is told by the name of its parameter', async () => {
    const query = 'principal=User:acme/alice&model=acme/support-llm&action=genrate';
    const reply = await service.call('GET', `/v1/limits/usage?${query}`);
    expect(problemOf(reply).errors).toMatchObject([{ pointer: '?action', hint: 'did you mean `generate`?' }]);
  });
});

describe('GET /v1/limits/usage', () => {
  test('of a principal alone tells what counts by it, its tenant or everybody, and what the rest needs', async () => {
    const { used, needs, item } = await usage('principal=User:acme/alice');
    expect(used).toEqual({ burst: 2, budget: 1_000, fraud: 0, gold: 0, pool: 2 });
    expect(needs).toEqual({ pair: ['model'], model: ['model'], gateway: ['pep'] });
    // one in money has its number though nothing can be priced
    expect(item('budget')).toMatchObject({ limit: 9_000, varies: [], dependsOn: ['operation'] });
    expect(item('burst')).toMatchObject({ limit: 10, varies: ['model'], dependsOn: [] });
    expect(item('fraud')).toMatchObject({ dependsOn: ['model'] });
    expect(item('gold')).toMatchObject({ sets: ['vip'] });
  });

  test('of a model alone tells what counts by it', async () => {
    const { used, needs, item } = await usage('model=acme/support-llm');
    expect(used).toEqual({ model: 2, pool: 2 });
    expect(needs).toEqual({
      burst: ['principal'],
      budget: ['tenant', 'operation'],
      pair: ['principal'],
      gateway: ['pep'],
      gold: ['principal'],
    });
    expect(item('model')).toMatchObject({ limit: 50, varies: [], dependsOn: [] });
  });

  test('of a tenant alone tells what counts by it', async () => {
    const { used, needs } = await usage('tenant=acme');
    expect(used).toEqual({ budget: 1_000, pool: 2 });
    expect(needs).toMatchObject({ burst: ['principal'], model: ['model'], pair: ['principal', 'model'] });
  });

  test('of a call tells what it would be charged to, and of counters by a gateway none without it', async () => {
    const call = 'principal=User:acme/alice&model=acme/support-llm';
    const { used, needs, item } = await usage(call);
    expect(used).toEqual({ burst: 2, budget: 1_000, pair: 2, model: 2, pool: 2 });
    expect(needs).toEqual({ gateway: ['pep'], gold: [] });
    expect(item('burst')).toMatchObject({ varies: [], dependsOn: [] });
    expect((await usage(`${call}&pep=x`)).used).toMatchObject({ gateway: 0 });
  });

  test('looks without changing anything', async () => {
    for (const query of ['principal=User:acme/alice', 'tenant=acme', 'model=acme/support-llm']) {
      expect(await usage(query).then(({ used }) => used)).toEqual((await usage(query)).used);
    }
  });

  test('agrees with the metrics of what limits admitted and hold', async () => {
    const { text } = await service.call('GET', '/metrics');
    expect(text).toContain(
      'duramen_limit_checks_total{limit="platform/pair",mode="enforce",result="admitted"} 2\n',
    );
    expect(text).toContain('duramen_limit_holding 2\n');
    // burst, budget, pair, model, gateway, pool and the share of the tenant in it
    expect(text).toContain('duramen_limit_keys 7\n');
    expect(text).not.toContain('acme/alice');
  });

  test('shows a key of one tenant nothing of another', async () => {
    const key = await service.makeKey(['limits'], ['globex']);
    for (const query of ['principal=User:acme/alice', 'tenant=acme', 'model=acme/support-llm']) {
      expect((await service.call('GET', `/v1/limits/usage?${query}`, { key })).status).toBe(404);
    }
    expect((await usage('tenant=globex', key)).used).toMatchObject({ budget: 0 });
  });

  test.each([
    ['', 400, 'INVALID_REQUEST'],
    ['action=generate', 400, 'INVALID_REQUEST'],
    ['tenant=nowhere', 404, 'NOT_FOUND'],
    ['model=acme/nothing', 404, 'NOT_FOUND'],
    ['principal=User:acme/nobody', 404, 'NOT_FOUND'],
  ])('refuses %s', async (query, status, code) => {
    const reply = await service.call('GET', `/v1/limits/usage?${query}`);
    expect([reply.status, problemOf(reply).code]).toEqual([status, code]);
  });

  test.each(['User::acme/alice', 'AI::User::acme/alice', 'AI::User::"acme/alice"', 'acme/alice'])(
    'refuses the principal %s, and says how it is written',
    async principal => {
      for (const path of ['/v1/limits', '/v1/limits/usage']) {
        const reply = await service.call('GET', `${path}?${new URLSearchParams({ principal }).toString()}`);
        expect([reply.status, reply.text]).toEqual([
          400,
          expect.stringContaining('must be such as `User:acme/alice`, with one colon between type and id'),
        ]);
      }
    },
  );

  test('does not let a counter of a gateway be forgotten that was not named', async () => {
    const body = {
      limit: 'platform/gateway',
      principal: ALLOWED.principal,
      model: 'acme/support-llm',
      reason: 'r',
    };
    expect((await service.call('POST', '/v1/limits/reset', { body })).status).toBe(404);
  });
});
