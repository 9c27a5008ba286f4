/** Blocks against a real service: who sees them, who lifts them, and that a restart does not. */
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { runCli } from '../../src/cli/run.ts';
import { recordingTerminal } from '../cli/recording-terminal.ts';
import { type LimitedService, type Question, startLimitedService } from './limited-service.ts';
import { ADMIN_KEY, ALLOWED, type Reply, startTestService, temporaryFolder } from './service.ts';

const ALICE = { type: 'User', id: 'acme/alice' };
const ROUTER = { type: 'Service', id: 'globex/router' };
const ADDRESS = '198.51.100.7';
const BURST = { id: 'burst', kind: 'window', unit: 'requests', limit: 2, per: '1s', key: ['principal'] };
const RULES = { violations: 3, within: '60s', block: '60s', maxBlock: '1h', forget: '1h' };
const LIMITS = {
  limits: [
    BURST,
    { ...BURST, id: 'by-address', limit: 1, key: ['address'], match: { networks: ['0.0.0.0/0'] } },
  ],
  penalties: { principal: RULES, address: RULES },
};
const FROM_GLOBEX = {
  principal: ROUTER,
  action: 'generate',
  resource: { type: 'Model', id: 'globex/translate' },
};

const pageSchema = z.object({
  items: z.array(
    z.object({
      kind: z.string(),
      principal: z.object({ type: z.string(), id: z.string() }).optional(),
      address: z.string().optional(),
      level: z.number(),
      until: z.string(),
    }),
  ),
  nextCursor: z.string().nullable(),
});
const eventsSchema = z.object({
  items: z.array(
    z.looseObject({
      kind: z.string(),
      actor: z.string(),
      subject: z.string(),
      details: z.record(z.string(), z.unknown()),
    }),
  ),
});

let service: LimitedService;
beforeAll(async () => {
  service = await startLimitedService(LIMITS);
});
afterAll(() => service.stop());
/** Everything is forgotten but the log. */
beforeEach(() => service.clock.advance(86_400_000));

/** Runs into limits until nothing but blocks comes. */
async function provoke(question: Question, of: LimitedService = service): Promise<void> {
  for (let one = 0; one < 8; one++) await of.decide(question);
  expect(await of.code(question)).toBe('PENALTY_BLOCKED');
}

async function page(key = ADMIN_KEY, query = '') {
  return pageSchema.parse((await service.call('GET', `/v1/penalties${query}`, { key })).json);
}

function lift(body: object, key = ADMIN_KEY): Promise<Reply> {
  return service.call('POST', '/v1/penalties/lift', { key, body });
}

/** Events of a kind, once there are so many. */
async function events(kind: string, count: number) {
  let items: z.output<typeof eventsSchema>['items'] = [];
  await expect
    .poll(async () => {
      const reply = await service.call('GET', `/v1/events?kind=${kind}&order=asc`);
      items = eventsSchema.parse(reply.json).items;
      return items.length;
    })
    .toBeGreaterThanOrEqual(count);
  return items;
}

/** How many blocks have begun, once each of them has its entry. */
async function blocksSoFar(): Promise<number> {
  const { text } = await service.call('GET', '/metrics');
  const counts = [...text.matchAll(/^duramen_penalties_total\{[^}]*\} (\d+)$/gm)];
  const begun = counts.reduce((sum, [, count]) => sum + Number(count), 0);
  return (await events('penalty.block', begun)).length;
}

describe('who is blocked', () => {
  test('is listed, and free when the time is over', async () => {
    await provoke(ALLOWED);
    expect((await page()).items).toMatchObject([{ kind: 'principal', principal: ALICE, level: 1 }]);
    service.clock.advance(60_000);
    expect((await page()).items).toEqual([]);
    expect(await service.code(ALLOWED)).toBe('POLICY_ALLOW');
  });

  test('is told when to come back, in the answer and in headers', async () => {
    await provoke(ALLOWED);
    service.clock.advance(30_500);
    const reply = await service.decide(ALLOWED);
    expect(reply.json).toMatchObject({
      decision: 'deny',
      headers: { 'retry-after': '30' },
      problem: { status: 429 },
    });
  });

  test('is shown by page', async () => {
    await provoke(ALLOWED);
    service.clock.advance(1);
    await provoke(FROM_GLOBEX);
    const first = await page(ADMIN_KEY, '?limit=1');
    const second = await page(ADMIN_KEY, `?limit=1&cursor=${first.nextCursor ?? ''}`);
    expect([...first.items, ...second.items].map(({ principal }) => principal)).toEqual([ALICE, ROUTER]);
    expect(second.nextCursor).toBeNull();
    const wrong = await service.call('GET', '/v1/penalties?cursor=eHh4');
    expect(wrong.status).toBe(400);
  });

  test('is seen by keys of its tenant, and addresses by keys of no tenant alone', async () => {
    await provoke({ ...ALLOWED, context: { ip: ADDRESS } });
    await provoke(FROM_GLOBEX);
    const seen = async (tenants?: readonly string[]) =>
      (await page(await service.makeKey(['limits'], tenants))).items.map(({ kind, principal, address }) =>
        kind === 'address' ? address : principal?.id,
      );
    expect(new Set(await seen())).toEqual(new Set([ADDRESS, ROUTER.id]));
    expect(await seen(['globex'])).toEqual([ROUTER.id]);
    expect(await seen(['acme'])).toEqual([]);
  });
});

describe('lifting', () => {
  test('lets a principal in at once, and is recorded with its reason', async () => {
    const before = (await events('penalty.lift', 0)).length;
    await provoke(ALLOWED);
    const reply = await lift({ principal: ALICE, reason: 'a loop that is fixed, ticket 4711' });
    expect([reply.status, reply.json]).toMatchObject([200, { kind: 'principal', principal: ALICE }]);
    service.clock.advance(1_000);
    expect(await service.code(ALLOWED)).toBe('POLICY_ALLOW');
    const [event] = (await events('penalty.lift', before + 1)).slice(before);
    expect(event).toMatchObject({
      details: { of: 'principal', reason: 'a loop that is fixed, ticket 4711' },
    });
  });

  test('takes an address in any spelling', async () => {
    await provoke({ ...ALLOWED, context: { ip: ADDRESS } });
    const reply = await lift({ address: `::ffff:${ADDRESS}`, reason: 'the office' });
    expect(reply.json).toMatchObject({ kind: 'address', address: ADDRESS });
    expect((await page()).items).toEqual([]);
  });

  test.each([
    ['nobody is blocked', { principal: ALICE, reason: 'x' }, 404],
    ['no reason is given', { principal: ALICE }, 400],
    ['nobody is named', { reason: 'x' }, 400],
    ['both are named', { principal: ALICE, address: ADDRESS, reason: 'x' }, 400],
    ['the address is none', { address: 'example.com', reason: 'x' }, 400],
  ])('is refused when %s', async (_, body, status) => {
    expect((await lift(body)).status).toBe(status);
  });

  test.each([['auditor'], ['keys'], ['load'], ['pep']])('is not for the role %s', async role => {
    expect((await lift({ principal: ALICE, reason: 'x' }, await service.makeKey([role]))).status).toBe(403);
  });

  test('is not for keys of another tenant, to whom it does not exist', async () => {
    await provoke(ALLOWED);
    const foreign = await service.makeKey(['limits'], ['globex']);
    expect((await lift({ principal: ALICE, reason: 'x' }, foreign)).status).toBe(404);
    expect(await service.code(ALLOWED)).toBe('PENALTY_BLOCKED');
    const own = await service.makeKey(['limits'], ['acme']);
    expect((await lift({ principal: ALICE, reason: 'x' }, own)).status).toBe(200);
  });
});

test('a block is an entry that names neither principal nor address', async () => {
  const before = await blocksSoFar();
  await provoke({ ...ALLOWED, context: { ip: ADDRESS } });
  await provoke(ALLOWED);
  const entries = (await events('penalty.block', before + 2)).slice(before);
  expect(entries.map(({ actor, details }) => [actor, details['of']])).toEqual([
    ['system', 'address'],
    ['system', 'principal'],
  ]);
  expect(entries[0]?.subject).toMatch(/^u:/);
  expect(JSON.stringify(entries)).not.toContain(ADDRESS);
  const { items } = z
    .object({ items: z.array(z.object({ log: z.object({ index: z.int() }) })) })
    .parse((await service.call('GET', '/v1/events?kind=penalty.block')).json);
  const size = (items[0]?.log.index ?? 0) + 1;
  const leaves = await service.call('GET', `/v1/log/tile/entries/000.p/${size}`);
  expect([leaves.status, leaves.text.includes('penalty.block')]).toEqual([200, true]);
  for (const name of ['acme/alice', ADDRESS])
    expect([name, leaves.text.includes(name)]).toEqual([name, false]);
});

test('a restart keeps blocks and what led to them', async () => {
  const folder = temporaryFolder();
  const first = await startLimitedService(LIMITS, { folder });
  await provoke(ALLOWED, first);
  first.clock.advance(60_000);
  await provoke(ALLOWED, first);
  await first.stop();
  const second = await startTestService({ folder, clock: first.clock });
  const listed = pageSchema.parse((await second.call('GET', '/v1/penalties')).json);
  const denied = await second.call('POST', '/decide', { body: ALLOWED });
  await second.stop();
  rmSync(folder, { recursive: true });
  expect(listed.items).toMatchObject([{ principal: ALICE, level: 2 }]);
  expect(denied.json).toMatchObject({ reason: { code: 'PENALTY_BLOCKED' } });
});

test('whoever is erased has no block any more', async () => {
  const bob = { type: 'User', id: 'acme/bob' };
  await provoke({ ...ALLOWED, principal: bob });
  await events('penalty.block', 1);
  const body = { principal: bob, reason: 'ticket 4712', deleteEntity: true };
  // an event about the principal may still be on its way into the log
  await expect.poll(async () => (await service.call('POST', '/v1/audit/erase', { body })).status).toBe(200);
  expect((await page()).items).toEqual([]);
});

test('`duramen penalties` lists and lifts', async () => {
  await provoke(ALLOWED);
  const run = async (...args: string[]) => {
    const terminal = recordingTerminal({ env: { DURAMEN_URL: service.url, DURAMEN_KEY: ADMIN_KEY } });
    const code = await runCli(['penalties', ...args], terminal, '0');
    return { code, out: terminal.stdout(), err: terminal.stderr() };
  };
  expect((await run('list')).out).toMatch(/User:acme\/alice .* 1 +platform\/burst/);
  expect((await run('lift', '--reason', 'x')).code).toBe(64);
  const lifted = await run('lift', '--principal', 'User:acme/alice', '--reason', 'ticket 4711');
  expect([lifted.code, lifted.err]).toMatchObject([0, expect.stringContaining('the block is lifted')]);
  expect((await run('list')).err).toContain('nothing found');
});
