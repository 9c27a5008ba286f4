/**
 * Envoy's rate limit service: what descriptors count, and what they never say. Invariants: an OK is said by a code that
 * is there; what cannot be understood or counted is over the limit.
 */
import { status as grpcStatus } from '@grpc/grpc-js';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { pushLimits, testClock } from '../limited-service.ts';
import { callWith, type Ended } from './envoy.ts';
import { type CheckScene, startCheckScene } from './scene.ts';
import { type Field, int, Message, part } from './wire.ts';

const METHOD = '/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit';
const OK = 1;
const OVER_LIMIT = 2;

const LIMITS = {
  limits: [
    { id: 'user', kind: 'window', unit: 'requests', limit: 3, per: '60s', key: ['principal'] },
    { id: 'tenant', kind: 'window', unit: 'requests', limit: 5, per: '1h', key: ['tenant'] },
    { id: 'tokens', kind: 'quota', unit: 'tokens', limit: 1_000, period: 'day', key: ['principal', 'model'] },
    { id: 'lanes', kind: 'concurrency', limit: 1, key: ['tenant'] },
    { id: 'trial', kind: 'window', unit: 'requests', limit: 1, per: '60s', key: ['tenant'], mode: 'shadow' },
  ],
};

const clock = testClock(Date.parse('2026-03-10T12:00:00.000Z'));
let scene: CheckScene;
beforeAll(async () => {
  scene = await startCheckScene(
    [
      { name: 'edge', kind: 'envoy', identity: { mode: 'assert', principal: 'x-user' } },
      { name: 'open', kind: 'envoy', identity: { mode: 'assert', principal: 'x-user' }, onFailure: 'error' },
      { name: 'mute', kind: 'envoy' },
    ],
    {},
    clock,
  );
  await pushLimits(scene.service, LIMITS);
});
afterAll(() => scene.stop());
// everything that was counted leaves
beforeEach(() => clock.advance(2 * 86_400_000));

type Entries = Readonly<Record<string, string>>;

/** A descriptor. @param hits its own addend */
function descriptor(entries: Entries, hits?: number): Field {
  const told = Object.entries(entries).map(([key, value]) => part(1, [part(1, key), part(2, value)]));
  return part(2, [...told, ...(hits === undefined ? [] : [part(3, hits === 0 ? [] : [int(1, hits)])])]);
}

function ask(
  descriptors: readonly Field[],
  { domain = 'edge', hits = 0, key = scene.key }: { domain?: string; hits?: number; key?: string } = {},
): Promise<Ended> {
  const request = [part(1, domain), ...descriptors, ...(hits === 0 ? [] : [int(3, hits)])];
  return callWith(scene.client, Buffer.concat(request), { authorization: `Bearer ${key}` }, { path: METHOD });
}

function answerOf({ bytes, error }: Ended): Message {
  if (bytes === undefined) throw new Error(`there is no answer: ${error?.details}`);
  return new Message(bytes);
}

async function code(
  descriptors: readonly Field[],
  options: Parameters<typeof ask>[1] = {},
): Promise<number | undefined> {
  return answerOf(await ask(descriptors, options)).int(1);
}

const ALICE = { principal: 'User:acme/alice' };

describe('requests', () => {
  test('are counted by the limits whose keys the descriptor names, and denied beyond', async () => {
    for (let at = 0; at < 3; at++) expect(await code([descriptor(ALICE)])).toBe(OK);
    const denied = answerOf(await ask([descriptor(ALICE)]));
    expect(denied.int(1)).toBe(OVER_LIMIT);
    const [status] = denied.messages(2);
    expect(status?.int(1)).toBe(OVER_LIMIT);
    const limit = status?.message(2);
    expect([limit?.int(1), limit?.int(2), limit?.text(3)]).toEqual([3, 2, 'platform/user']);
    expect(status?.int(3)).toBeUndefined();
    expect(status?.message(4)?.int(1)).toBe(60);
    const headers = denied.messages(3).map(header => [header.text(1), header.text(2)]);
    expect(Object.fromEntries(headers)).toMatchObject({ 'retry-after': '60' });
  });

  test('are in the metrics of limits; what only looked and passed is not', async () => {
    const count = async (result: string): Promise<number> => {
      const { text } = await scene.service.call('GET', '/metrics');
      const series = `duramen_limit_checks_total{limit="platform/user",mode="enforce",result="${result}"} `;
      return Number(text.split(series)[1]?.split('\n')[0] ?? 0);
    };
    const [admitted, denied] = [await count('admitted'), await count('denied')];
    await ask([descriptor(ALICE, 0)]);
    for (let at = 0; at < 4; at++) await ask([descriptor(ALICE)]);
    expect(await count('admitted')).toBe(admitted + 3);
    expect(await count('denied')).toBe(denied + 1);
  });

  test('of one principal are not those of another, and those nobody knows are counted together', async () => {
    for (let at = 0; at < 3; at++) await ask([descriptor(ALICE)]);
    expect(await code([descriptor({ principal: 'User:acme/bob' })])).toBe(OK);
    const strangers = ['a', 'b', 'c', 'd'].map(name => descriptor({ principal: `User:nowhere/${name}` }));
    const codes: (number | undefined)[] = [];
    for (const stranger of strangers) codes.push(await code([stranger]));
    expect(codes).toEqual([OK, OK, OK, OVER_LIMIT]);
  });

  test('of several descriptors are counted all or none', async () => {
    for (let at = 0; at < 3; at++) await ask([descriptor(ALICE)]);
    const both = [descriptor({ principal: 'User:acme/bob' }), descriptor(ALICE)];
    const answer = answerOf(await ask(both));
    expect(answer.int(1)).toBe(OVER_LIMIT);
    expect(answer.messages(2)).toHaveLength(2);
    for (let at = 0; at < 2; at++) expect(await code([descriptor({ principal: 'User:acme/bob' })])).toBe(OK);
  });

  test('count as many as the addend says; an addend of 0 looks and counts nothing', async () => {
    for (let at = 0; at < 5; at++) expect(await code([descriptor(ALICE, 0)])).toBe(OK);
    expect(await code([descriptor(ALICE)], { hits: 3 })).toBe(OK);
    expect(await code([descriptor(ALICE, 0)])).toBe(OVER_LIMIT);
  });

  test('are those that decisions count', async () => {
    const body = {
      principal: { type: 'User', id: 'acme/alice' },
      action: 'generate',
      resource: { type: 'Model', id: 'acme/support-llm' },
    };
    await ask([descriptor(ALICE)], { hits: 2 });
    const one = await scene.service.call('POST', '/decide', { body });
    expect(one.json).toMatchObject({ decision: 'allow' });
    expect(await code([descriptor(ALICE)])).toBe(OVER_LIMIT);
  });

  test('a limit whose key the descriptor leaves open is not for it', async () => {
    for (let at = 0; at < 8; at++) expect(await code([descriptor({ model: 'acme/support-llm' })])).toBe(OK);
  });
});

describe('usage', () => {
  const usage = (hits?: number) => descriptor({ ...ALICE, model: 'acme/support-llm', unit: 'tokens' }, hits);

  test('is counted as it is told, also beyond the limit, and what comes after is over it', async () => {
    expect(await code([usage(0)])).toBe(OK);
    expect(await code([usage(400)])).toBe(OK);
    expect(await code([usage(900)])).toBe(OK);
    expect(await code([usage(0)])).toBe(OVER_LIMIT);
    clock.advance(86_400_000);
    expect(await code([usage(0)])).toBe(OK);
  });

  test('told while the limit is reached is counted too', async () => {
    await ask([usage(1_000)]);
    expect(await code([usage(500)])).toBe(OVER_LIMIT);
    const { json } = await scene.service.call(
      'GET',
      '/v1/limits/usage?principal=User:acme/alice&model=acme/support-llm',
    );
    const { items } = z
      .object({ items: z.array(z.object({ name: z.string(), used: z.number() })) })
      .parse(json);
    expect(items.find(({ name }) => name === 'platform/tokens')?.used).toBe(1_500);
  });

  test('is an entry', async () => {
    await ask([usage(10)]);
    const { json } = await scene.service.call('GET', '/v1/events?kind=limit.check&limit=1');
    expect(json).toMatchObject({
      items: [
        {
          subject: 'AI::User::"acme/alice"',
          tenant: 'acme',
          details: { domain: 'edge', limits: [{ name: 'platform/tokens', unit: 'tokens', amount: 10 }] },
        },
      ],
    });
  });
});

describe('over the limit is', () => {
  test.each<[string, Entries]>([
    ['an entry without a meaning', { ...ALICE, colour: 'red' }],
    ['a unit that is none', { ...ALICE, unit: 'pounds' }],
    ['a principal that is none', { principal: 'User:a b' }],
    ['a model that is no id', { model: 'a"b' }],
  ])('%s', async (_name, entries) => {
    expect(await code([descriptor(entries)])).toBe(OVER_LIMIT);
  });

  test('a caller named by a gateway that may not name any', async () => {
    expect(await code([descriptor(ALICE)], { domain: 'mute' })).toBe(OVER_LIMIT);
    expect(await code([descriptor({ model: 'acme/support-llm' })], { domain: 'mute' })).toBe(OK);
  });

  test('a tenant that the key may not ask for', async () => {
    const key = await scene.service.makeKey(['pep'], ['globex']);
    expect(await code([descriptor(ALICE)], { key })).toBe(OVER_LIMIT);
    expect(await code([descriptor({ tenant: 'acme' })], { key })).toBe(OVER_LIMIT);
  });
});

describe('an error is', () => {
  test.each<[string, () => Promise<Ended>, string]>([
    ['a domain without a profile', () => ask([descriptor(ALICE)], { domain: 'nope' }), 'NOT_FOUND'],
    ['a gateway without a key', () => ask([descriptor(ALICE)], { key: 'dmn_x' }), 'UNAUTHENTICATED'],
    [
      'what fails for a profile that wants errors',
      () => ask([descriptor({ colour: 'red' })], { domain: 'open' }),
      'INVALID_ARGUMENT',
    ],
    [
      'bytes that are no request',
      () =>
        callWith(
          scene.client,
          Buffer.from([0x0f]),
          { authorization: `Bearer ${scene.key}` },
          { path: METHOD },
        ),
      'INVALID_ARGUMENT',
    ],
  ])('%s', async (_name, run, expected) => {
    const { error } = await run();
    expect(error === undefined ? 'OK' : grpcStatus[error.code]).toBe(expected);
  });
});
