/** Who may do what, over a real service: answers, roles, tenants, pages, the log and the command line. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { EXIT } from '../../src/cli/exit-code.ts';
import { runCli } from '../../src/cli/run.ts';
import { recordingTerminal } from '../cli/recording-terminal.ts';
import { manualClock } from '../identity/clock.ts';
import { ADMIN_KEY, problemOf, type Reply, startTestService, type TestService } from './service.ts';

const ref = z.object({ type: z.string(), id: z.string() });
const answer = z.strictObject({
  principal: ref.optional(),
  model: ref.optional(),
  standing: z.object({ code: z.string(), message: z.string() }).nullable(),
  request: z.record(z.string(), z.unknown()),
  operations: z.array(z.string()),
  items: z.array(
    z.strictObject({
      principal: ref.optional(),
      model: ref.optional(),
      allowed: z.array(
        z.strictObject({
          action: z.string(),
          policies: z.array(z.string()),
          obligations: z.array(z.string()),
          unless: z.array(z.string()),
        }),
      ),
      conditional: z.array(
        z.strictObject({
          action: z.string(),
          level: z.string(),
          code: z.string(),
          policies: z.array(z.string()),
          needs: z.enum(['context', 'partitions']),
        }),
      ),
    }),
  ),
  conditions: z.record(
    z.string(),
    z.strictObject({ effect: z.string(), reason: z.string(), clauses: z.array(z.string()) }),
  ),
  complete: z.boolean(),
  incomplete: z.array(z.strictObject({ code: z.string(), message: z.string() })),
  revision: z.object({ layers: z.record(z.string(), z.string()), directory: z.int(), schema: z.string() }),
  evaluatedAt: z.string(),
  nextCursor: z.string().nullable(),
});
type Answer = z.output<typeof answer>;

const decided = z.object({
  decision: z.string(),
  reason: z.object({ policies: z.array(z.string()) }),
  revision: z.object({ directory: z.int(), schema: z.string() }),
});

const ALICE = '/v1/principals/User/acme%2Falice/access';
const CHECKOUT = '/v1/principals/Service/acme%2Fcheckout/access';
const SUPPORT = '/v1/models/acme%2Fsupport-llm/access';

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ filled: true });
});
afterAll(() => service.stop());

async function ask(
  path: string,
  parameters: Readonly<Record<string, string>> = {},
  key = ADMIN_KEY,
): Promise<Answer> {
  const reply = await get(path, parameters, key);
  if (reply.status !== 200) throw new Error(reply.text);
  return answer.parse(reply.json);
}

function get(
  path: string,
  parameters: Readonly<Record<string, string>> = {},
  key = ADMIN_KEY,
): Promise<Reply> {
  return service.call('GET', `${path}?${new URLSearchParams(parameters).toString()}`, { key });
}

const codesOf = ({ incomplete }: Answer) => incomplete.map(({ code }) => code);
const idsOf = ({ items }: Answer) => items.map(({ principal, model }) => (principal ?? model)?.id);

describe('an answer', () => {
  test('lists what /decide allows, with the policies that it names', async () => {
    const { items, operations, revision, request } = await ask(ALICE);
    expect(request).toEqual({});
    const wrong: unknown[] = [];
    for (const { model, allowed } of items) {
      for (const action of operations) {
        const body = { principal: { type: 'User', id: 'acme/alice' }, action, resource: model };
        const said = decided.parse((await service.call('POST', '/decide', { body })).json);
        const listed = allowed.find(one => one.action === action);
        const isSame =
          listed === undefined
            ? said.decision === 'deny'
            : said.decision === 'allow' && listed.policies.join() === said.reason.policies.join();
        const { directory, schema } = said.revision;
        if (!isSame || directory !== revision.directory || schema !== revision.schema) {
          wrong.push({ action, model, listed, said });
        }
      }
    }
    expect(wrong).toEqual([]);
    expect(items.flatMap(({ allowed }) => allowed).length).toBeGreaterThan(10);
  });

  test('is the same from both sides', async () => {
    const { items } = await ask(ALICE);
    for (const { model, allowed } of items) {
      const { items: others } = await ask(`/v1/models/${encodeURIComponent(model?.id ?? '')}/access`);
      expect(others.find(({ principal }) => principal?.id === 'acme/alice')?.allowed).toEqual(allowed);
    }
  });

  test('says which permits hang on the context, and with that context has them', async () => {
    const open = await ask(CHECKOUT, { operations: 'generate' });
    expect(open).toMatchObject({ complete: false });
    expect(codesOf(open)).toEqual(['context']);
    expect(open.items.flatMap(({ allowed }) => allowed)).toEqual([]);
    expect(open.items[0]?.conditional).toEqual([
      {
        action: 'generate',
        level: 'endpoint',
        code: 'NO_MATCHING_PERMIT',
        policies: ['tenant:acme/acme.tier'],
        needs: 'context',
      },
    ]);
    expect(open.conditions['tenant:acme/acme.tier']).toMatchObject({
      effect: 'permit',
      clauses: ['when context.auth.scopes.contains("model:invoke")'],
    });
    const auth = JSON.stringify({ method: 'jwt', assurance: 1, scopes: ['model:invoke'] });
    const given = await ask(CHECKOUT, {
      operations: 'generate',
      auth,
      context: '{"region":"eu","env":"production"}',
    });
    expect(given).toMatchObject({ complete: true, incomplete: [] });
    expect(given.items.flatMap(({ allowed }) => allowed.map(({ action }) => action))).toContain('generate');
  });

  test('says which forbids could deny what is allowed', async () => {
    const { items, conditions } = await ask(ALICE, { operations: 'generate' });
    expect(items[0]?.allowed[0]?.unless).toEqual(['platform/guard.input']);
    expect(conditions['platform/guard.input']?.clauses.join()).toContain('context.input.tokens');
    const settled = await ask(ALICE, {
      operations: 'generate',
      input: '{}',
      params: '{}',
      context: '{"region":"eu","env":"production"}',
    });
    expect(settled.items.every(({ allowed }) => allowed.every(({ unless }) => unless.length === 0))).toBe(
      true,
    );
  });

  test('takes partitions in place of the tenant as a whole', async () => {
    const partitions = JSON.stringify([{ id: 'acme/payments', access: 'export' }]);
    const { items, request } = await ask(ALICE, { operations: 'generate', partitions });
    expect(request).toEqual({ partitions: [{ id: 'acme/payments', access: 'export' }] });
    expect(items.flatMap(({ allowed }) => allowed)).toEqual([]);
  });

  test('says why a disabled principal is denied everything', async () => {
    const body = { status: 'disabled' };
    expect((await service.call('PATCH', '/v1/principals/User/acme%2Ferin', { body })).status).toBe(404);
    await service.call('PATCH', '/v1/principals/User/acme%2Fbob', { body });
    const denied = await ask('/v1/principals/User/acme%2Fbob/access');
    expect(denied).toMatchObject({ standing: { code: 'PRINCIPAL_DISABLED' }, items: [], complete: true });
    await service.call('PATCH', '/v1/principals/User/acme%2Fbob', { body: { status: 'active' } });
  });
});

describe('pages', () => {
  test('are those of one revision, whatever is written meanwhile, and hold everything once', async () => {
    const whole = await ask(SUPPORT);
    const seen: (string | undefined)[] = [];
    let cursor: string | null = null;
    let last: Answer | undefined;
    do {
      last = await ask(SUPPORT, { limit: '2', ...(cursor === null ? {} : { cursor }) });
      seen.push(...idsOf(last));
      expect(last.revision).toEqual(whole.revision);
      expect(codesOf(last).includes('page')).toBe(last.nextCursor !== null);
      cursor = last.nextCursor;
      const status = seen.length % 4 === 0 ? 'active' : 'disabled';
      const written = await service.call('PATCH', '/v1/principals/User/acme%2Falice', { body: { status } });
      expect(written.status).toBe(200);
    } while (cursor !== null);
    await service.call('PATCH', '/v1/principals/User/acme%2Falice', { body: { status: 'active' } });
    expect(seen).toEqual(idsOf(whole));
    expect(seen.length).toBeGreaterThan(2);
  });

  test('are refused to another key, under another question and after they are over', async () => {
    const { nextCursor } = await ask(SUPPORT, { limit: '1' });
    const cursor = nextCursor ?? '';
    const other = await service.makeKey(['auditor']);
    expect(problemOf(await get(SUPPORT, { limit: '1', cursor }, other)).code).toBe('CURSOR_EXPIRED');
    expect(problemOf(await get(SUPPORT, { limit: '1', cursor, operations: 'embed' })).code).toBe(
      'INVALID_REQUEST',
    );
    expect(problemOf(await get(ALICE, { limit: '1', cursor })).code).toBe('INVALID_REQUEST');
    expect(problemOf(await get(SUPPORT, { cursor: 'bm9uZQ' })).code).toBe('INVALID_REQUEST');
    expect((await get(SUPPORT, { cursor })).status).toBe(200);
    expect(problemOf(await get(SUPPORT, { cursor })).status).toBe(410);
  });
});

describe('who may ask', () => {
  const allowed = ['auditor', 'directory', 'admin'];
  test.each(['pep', 'author', 'approver', 'directory', 'auditor', 'keys', 'admin'])('%s', async role => {
    const key = await service.makeKey([role]);
    for (const path of [ALICE, SUPPORT]) {
      expect((await get(path, {}, key)).status).toBe(allowed.includes(role) ? 200 : 403);
    }
  });

  test('a key of a tenant sees its own alone, and is told that there may be more', async () => {
    const key = await service.makeKey(['auditor'], ['acme']);
    const own = await ask(ALICE, {}, key);
    expect(codesOf(own)).toContain('tenants');
    expect(Object.keys(own.revision.layers)).toEqual(['platform', 'tenant:acme']);
    expect(idsOf(own).every(id => id?.startsWith('acme/'))).toBe(true);
    const foreign = await get('/v1/principals/User/globex%2Ferin/access', {}, key);
    const none = await get('/v1/principals/User/globex%2Fnobody/access', {}, key);
    expect(foreign.status).toBe(404);
    expect(foreign.text.replace('globex/erin', 'x').replace(/"requestId.*/, '')).toBe(
      none.text.replace('globex/nobody', 'x').replace(/"requestId.*/, ''),
    );
    expect((await get('/v1/models/globex%2Ftranslate/access', {}, key)).status).toBe(404);
    expect(problemOf(await get(ALICE, { tenant: 'globex' }, key)).code).toBe('TENANT_NOT_ALLOWED');
    const partitions = '[{"id":"globex/shipments"}]';
    expect(problemOf(await get(ALICE, { partitions }, key)).code).toBe('TENANT_NOT_ALLOWED');
  });
});

describe('what is refused', () => {
  test.each([
    ['an operation that is none', ALICE, { operations: 'generat' }, 400, 'generate'],
    ['a context key that is none', ALICE, { context: '{"regio":"eu"}' }, 400, 'region'],
    ['a context that is no JSON', ALICE, { context: '{' }, 400, '?context'],
    ['a context with a key twice', ALICE, { context: '{"env":"a","env":"b"}' }, 400, '?context'],
    ['a context that is no object', ALICE, { context: '[]' }, 400, '?context'],
    ['the time', ALICE, { context: '{"now":"2026-01-01T00:00:00Z"}' }, 400, 'clock'],
    [
      'a mode that only the service knows',
      ALICE,
      { auth: '{"method":"a","assurance":9,"scopes":[]}' },
      400,
      '?auth',
    ],
    ['a parameter that is none', ALICE, { principal: 'x' }, 400, '?principal'],
    ['an unknown principal', '/v1/principals/User/acme%2Fnobody/access', {}, 404, 'acme/nobody'],
    [
      'a principal that is none',
      '/v1/principals/Model/acme%2Fsupport-llm/access',
      {},
      404,
      'User, Service, Agent',
    ],
    ['an unknown model', '/v1/models/acme%2Fnone/access', {}, 404, 'acme/none'],
  ])('%s', async (_name, path, parameters, status, told) => {
    const reply = await get(path, parameters);
    expect(reply.status).toBe(status);
    expect(reply.text).toContain(told);
  });
});

test('a query is one entry, however many pages it has, without context and without a name of the person', async () => {
  const count = async () =>
    z
      .object({
        items: z.array(z.looseObject({ subject: z.string(), actor: z.string(), details: z.unknown() })),
      })
      .parse((await service.call('GET', '/v1/events?kind=access.read&limit=1000')).json).items;
  const before = (await count()).length;
  const ip = '{"ip":"203.0.113.9"}';
  let cursor: string | null = null;
  do {
    const page: Answer = await ask(ALICE, {
      limit: '1',
      context: ip,
      ...(cursor === null ? {} : { cursor }),
    });
    cursor = page.nextCursor;
  } while (cursor !== null);
  const entries = await count();
  expect(entries.length).toBe(before + 1);
  expect(JSON.stringify(entries[0]?.details)).not.toContain('203.0.113.9');
  const leaf = await service.call('GET', '/v1/log/entries?from=0&limit=1000');
  expect(leaf.text).not.toContain('203.0.113.9');
});

test('who asks too often has to wait, and the log does not grow', async () => {
  // on a clock that stands still, so that no minute ends meanwhile
  const own = await startTestService({ filled: true, clock: manualClock() });
  onTestFinished(() => own.stop());
  const key = await own.makeKey(['auditor']);
  const ask = (): Promise<Reply> => own.call('GET', `${SUPPORT}?operations=embed`, { key });
  const statuses: number[] = [];
  for (let at = 0; at < 125; at++) statuses.push((await ask()).status);
  expect(statuses.filter(status => status === 200).length).toBe(120);
  const refused = await ask();
  expect(problemOf(refused)).toMatchObject({ status: 429, code: 'TOO_MANY_ACCESS_QUERIES' });
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
});

describe('duramen access', () => {
  async function run(...args: string[]) {
    const terminal = recordingTerminal({ env: { DURAMEN_URL: service.url, DURAMEN_KEY: ADMIN_KEY } });
    return { code: await runCli(['access', ...args], terminal, 'test'), terminal };
  }

  test('prints what a principal may do, and what hangs on the context', async () => {
    const { code, terminal } = await run('principal', 'Service:acme/checkout', '--operation', 'generate');
    expect(code).toBe(EXIT.ok);
    expect(terminal.stdout()).toContain('acme/support-llm');
    expect(terminal.stderr()).toContain('not complete: operations under `conditional`');
    expect(terminal.stderr()).toContain('tenant:acme/acme.tier: when context.auth.scopes.contains');
  });

  test('prints who may use a model, with a scope and a context', async () => {
    const { code, terminal } = await run(
      'model',
      'acme/support-llm',
      '--operation',
      'generate',
      '--scope',
      'model:invoke',
      '--context',
      '{"region":"eu"}',
      '-o',
      'json',
    );
    expect(code).toBe(EXIT.ok);
    const { items } = z
      .object({ items: z.array(z.object({ principal: ref, allowed: z.array(z.unknown()) })) })
      .parse(JSON.parse(terminal.stdout()));
    const users = items.filter(({ allowed }) => allowed.length > 0).map(({ principal }) => principal.id);
    expect(users).toContain('acme/checkout');
    expect(users).toContain('acme/alice');
  });

  test('tells a wrong name of a principal from an unknown one', async () => {
    expect((await run('principal', 'alice')).code).toBe(EXIT.usage);
    expect((await run('principal', 'User:acme/nobody')).code).toBe(EXIT.failure);
  });
});
