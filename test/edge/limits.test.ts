/**
 * Limits over the wire: what every way of asking is told, what gateways report afterwards, and what operators see. The
 * clock stands until a test turns it.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { PepProfileInput } from '../../src/domain/pep-profile.ts';
import { type LimitedService, startLimitedService, testClock } from './limited-service.ts';
import { ALLOWED, problemOf } from './service.ts';

const DAY_MS = 86_400_000;
const LIMITS = {
  limits: [
    { id: 'burst', kind: 'window', unit: 'requests', limit: 2, per: '60s', key: ['principal'] },
    { id: 'budget', kind: 'quota', unit: 'tokens', limit: 2_000, period: 'day', key: ['tenant'] },
  ],
};

const PROFILES: readonly PepProfileInput[] = [
  {
    name: 'proxy',
    kind: 'caddy',
    identity: { mode: 'assert', principal: 'x-user' },
    body: 'whole',
    dialects: ['openai'],
  },
  {
    name: 'old',
    kind: 'nginx',
    identity: { mode: 'assert', principal: 'x-user' },
    body: 'whole',
    dialects: ['openai'],
  },
  {
    name: 'many',
    kind: 'envoy',
    identity: { mode: 'assert', principal: 'x-user' },
    body: 'whole',
    dialects: ['openai'],
    severalModels: 'decide',
  },
  { name: 'hook', kind: 'portkey', identity: { mode: 'assert', principal: 'user' }, dialects: ['openai'] },
];

const clock = testClock(Date.parse('2026-03-10T12:00:00.000Z'));
let service: LimitedService;
let pep: string;
beforeAll(async () => {
  service = await startLimitedService(LIMITS, {
    clock,
    env: { DURAMEN_PEP_PROFILES: JSON.stringify(PROFILES) },
  });
  pep = await service.makeKey(['pep']);
});
afterAll(() => service.stop());
beforeEach(() => clock.advance(2 * DAY_MS));

const QUESTION = { ...ALLOWED, input: { tokens: 100 }, params: { maxOutputTokens: 400 } };

const decisionSchema = z.looseObject({
  decisionId: z.string(),
  decision: z.string(),
  reason: z.object({ code: z.string() }),
  headers: z.record(z.string(), z.string()).optional(),
  problem: z.looseObject({ status: z.number() }).optional(),
  limits: z.array(z.looseObject({ name: z.string(), used: z.number(), remaining: z.number() })).optional(),
});

async function decide(fields: object = {}, key = pep) {
  const reply = await service.call('POST', '/decide', { body: { ...QUESTION, ...fields }, key });
  expect(reply.status).toBe(200);
  return decisionSchema.parse(reply.json);
}

const report = (id: string, body: object, key = pep) =>
  service.call('POST', `/v1/decisions/${id}/outcome`, { body, key });

describe('POST /decide', () => {
  test('tells an allow where its limits stand, and a deny how to answer the client', async () => {
    const allowed = await decide();
    expect(allowed.limits?.map(({ name, remaining }) => ({ name, remaining }))).toEqual(
      expect.arrayContaining([
        { name: 'platform/burst', remaining: 1 },
        { name: 'platform/budget', remaining: 1_500 },
      ]),
    );
    await decide();
    expect(await decide()).toMatchObject({
      decision: 'deny',
      reason: { code: 'RATE_LIMITED' },
      headers: { 'retry-after': '60', 'x-ratelimit-limit': '2', 'x-ratelimit-remaining': '0' },
      problem: { status: 429, 'violated-policies': ['platform/burst'] },
    });
  });

  test('tells clients nothing of what remains to their tenant', async () => {
    const { headers } = await decide();
    expect(headers?.['ratelimit']).not.toContain('budget');
  });

  test('charges the items of a batch one by one, in their order', async () => {
    const requests = [QUESTION, QUESTION, QUESTION];
    const reply = await service.call('POST', '/decide/batch', { body: { requests }, key: pep });
    const { decisions } = z.object({ decisions: z.array(decisionSchema) }).parse(reply.json);
    expect(decisions.map(({ reason }) => reason.code)).toEqual([
      'POLICY_ALLOW',
      'POLICY_ALLOW',
      'RATE_LIMITED',
    ]);
  });

  test('charges a request once, however often its id is sent', async () => {
    const ids = await Promise.all(
      [1, 2, 3, 4].map(async () => (await decide({ requestId: 'once' })).decisionId),
    );
    expect(new Set(ids).size).toBe(1);
    expect((await decide()).decision).toBe('allow');
  });

  test('tries a request out without charging it', async () => {
    for (let at = 0; at < 4; at++) expect((await decide({ consume: false })).decision).toBe('allow');
    expect((await decide()).limits?.every(({ used }) => used === 1 || used === 500)).toBe(true);
  });
});

describe('gateways that ask by headers', () => {
  const chat = (path: string) =>
    service.call('POST', path, {
      key: undefined,
      headers: {
        'x-duramen-key': pep,
        'x-user': 'acme/alice',
        'x-forwarded-method': 'POST',
        'x-forwarded-uri': '/v1/chat/completions',
        'x-forwarded-host': 'ai.example',
        'x-original-method': 'POST',
        'x-original-uri': '/v1/chat/completions',
        'x-original-host': 'ai.example',
      },
      body: { model: 'acme/support-llm', messages: [{ role: 'user', content: 'hi' }], max_tokens: 100 },
    });

  test('get the status, the headers for their client, and a body in its dialect', async () => {
    const allowed = await chat('/ext-authz/proxy');
    expect([allowed.status, allowed.headers.get('x-ratelimit-remaining')]).toEqual([200, '1']);
    await chat('/ext-authz/proxy');
    const denied = await chat('/ext-authz/proxy');
    expect(denied.status).toBe(429);
    expect(denied.headers.get('retry-after')).toBe('60');
    expect(denied.headers.get('ratelimit')).toBe('"platform/burst";r=0;t=60');
    expect(denied.headers.get('x-duramen-reason')).toBe('RATE_LIMITED');
    expect(denied.json).toMatchObject({ error: { code: 'RATE_LIMITED', type: 'rate_limit_error' } });
  });

  test('that know two statuses get one of them, and the wanted one beside it', async () => {
    for (let at = 0; at < 2; at++) await decide();
    const denied = await chat('/ext-authz/old');
    expect([denied.status, denied.headers.get('x-duramen-status')]).toEqual([403, '429']);
  });

  test('that ask by a hook are told in its body', async () => {
    const hook = {
      eventType: 'beforeRequestHook',
      requestType: 'chatComplete',
      metadata: { user: 'acme/alice' },
      request: {
        json: { model: 'acme/support-llm', max_tokens: 9, messages: [{ role: 'user', content: 'hi' }] },
      },
    };
    for (let at = 0; at < 2; at++) await decide();
    const reply = await service.call('POST', '/hooks/portkey/hook', {
      key: undefined,
      headers: { 'x-duramen-key': pep },
      body: hook,
    });
    expect(reply.status).toBe(200);
    expect(reply.json).toMatchObject({
      verdict: false,
      data: { code: 'RATE_LIMITED', status: 429, headers: { 'retry-after': '60' } },
    });
  });
});

describe('a request with several models', () => {
  test('holds nothing for those that were allowed when another one is denied', async () => {
    const ask = (models: readonly string[]) =>
      service.call('POST', '/ext-authz/many/v1/chat/completions', {
        key: undefined,
        headers: { 'x-duramen-key': pep, 'x-user': 'acme/alice' },
        body: { model: models[0], models, max_tokens: 100, messages: [{ role: 'user', content: 'hi' }] },
      });
    const denied = await ask(['acme/support-llm', 'globex/translate']);
    expect([denied.status, denied.headers.get('x-duramen-decision')]).toEqual([403, 'deny']);
    const { limits } = await decide({ consume: false });
    expect(limits?.find(({ name }) => name === 'platform/budget')?.used).toBe(0);
    const { json } = await service.call('GET', '/v1/events?kind=decision.outcome&limit=1');
    expect(json).toMatchObject({ items: [{ tenant: 'acme', details: { status: 'withdrawn' } }] });
  });
});

describe('outcomes', () => {
  test('settle, once, and take a decision from those that miss one', async () => {
    const { decisionId } = await decide();
    const missing = async () => {
      const { json } = await service.call('GET', '/v1/decisions?outcome=missing&limit=1');
      return z.object({ items: z.array(z.looseObject({ decisionId: z.string() })) }).parse(json).items[0]
        ?.decisionId;
    };
    expect(await missing()).toBe(decisionId);
    const body = { status: 'completed', usage: { inputTokens: 100, outputTokens: 20 } };
    const first = await report(decisionId, body);
    expect(first.json).toMatchObject({
      state: 'settled',
      charges: [{ name: 'platform/budget', reserved: 500, charged: 120, overdraft: 0 }],
    });
    expect((await report(decisionId, { status: 'failed' })).json).toMatchObject({
      state: 'repeated',
      status: 'completed',
    });
    expect(await missing()).not.toBe(decisionId);
    const { json } = await service.call('GET', `/v1/events?kind=decision.outcome&limit=1`);
    expect(json).toMatchObject({ items: [{ subject: decisionId, details: { status: 'completed' } }] });
  });

  test('are for gateways, of decisions that they may ask for, that allowed', async () => {
    const { decisionId } = await decide();
    const [auditor, foreign] = await Promise.all([
      service.makeKey(['auditor']),
      service.makeKey(['pep'], ['globex']),
    ]);
    const body = { status: 'completed' };
    expect(problemOf(await report(decisionId, body, auditor)).code).toBe('ROLE_REQUIRED');
    expect(problemOf(await report(decisionId, body, foreign)).code).toBe('NOT_FOUND');
    expect(problemOf(await report(decisionId, { status: 'done' })).code).toBe('INVALID_REQUEST');
    await decide();
    const denied = await decide();
    expect(problemOf(await report(denied.decisionId, body))).toMatchObject({
      code: 'NO_OPEN_CALL',
      status: 409,
    });
  });

  test('are put off by an extension', async () => {
    const { decisionId } = await decide();
    clock.advance(200_000);
    const reply = await service.call('POST', `/v1/decisions/${decisionId}/extend`, {
      body: { seconds: 600 },
      key: pep,
    });
    expect(reply.json).toEqual({ decisionId, expiresAt: new Date(clock.now() + 600_000).toISOString() });
    clock.advance(590_000);
    const usage = await service.call(
      'GET',
      '/v1/limits/usage?principal=User:acme/alice&model=acme/support-llm',
    );
    expect(usage.text).toContain('"used":500');
  });
});

describe('operators', () => {
  const USAGE = '/v1/limits/usage?principal=User:acme/alice&model=acme/support-llm';

  test('see where limits stand, and looking changes nothing', async () => {
    await decide();
    const first = await service.call('GET', USAGE);
    expect(first.json).toMatchObject({
      items: [
        { name: 'platform/burst', used: 1, remaining: 1, source: 'base 2' },
        { name: 'platform/budget', used: 500, remaining: 1_500 },
      ],
    });
    expect((await service.call('GET', USAGE)).json).toEqual(first.json);
    expect(problemOf(await service.call('GET', `${USAGE}x&principal=User:acme/nobody`)).status).toBe(400);
    expect((await service.call('GET', USAGE.replace('alice', 'nobody'))).status).toBe(404);
  });

  test('reset a limit with a reason, which is an entry without a name in it', async () => {
    for (let at = 0; at < 3; at++) await decide();
    const body = {
      limit: 'platform/burst',
      principal: ALLOWED.principal,
      model: 'acme/support-llm',
      reason: 'ticket 4711',
    };
    const reply = await service.call('POST', '/v1/limits/reset', { body });
    expect(reply.json).toMatchObject({ name: 'platform/burst', used: 2 });
    expect((await decide()).decision).toBe('allow');
    const { json } = await service.call('GET', '/v1/events?kind=limit.reset&limit=1');
    expect(json).toMatchObject({
      items: [
        {
          subject: 'AI::User::"acme/alice"',
          tenant: 'acme',
          details: { limit: 'platform/burst', reason: 'ticket 4711' },
        },
      ],
    });
    const unknown = await service.call('POST', '/v1/limits/reset', {
      body: { ...body, limit: 'platform/none' },
    });
    expect(unknown.status).toBe(404);
  });

  test('of one tenant neither see other tenants nor widen what the platform sets', async () => {
    const key = await service.makeKey(['limits'], ['globex']);
    expect((await service.call('GET', USAGE, { key })).status).toBe(404);
    const own = await service.makeKey(['limits'], ['acme']);
    expect((await service.call('GET', USAGE, { key: own })).status).toBe(200);
    const body = {
      limit: 'platform/burst',
      principal: ALLOWED.principal,
      model: 'acme/support-llm',
      reason: 'r',
    };
    const refused = await service.call('POST', '/v1/limits/reset', { key: own, body });
    expect(problemOf(refused).code).toBe('TENANT_NOT_ALLOWED');
  });
});
