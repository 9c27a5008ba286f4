/**
 * What a gateway that is limited to a tenant learns of objects of other tenants: nothing, not even whether they are there. The
 * log keeps what was decided.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { ASSERTS, ask, chatOf, startWithProfiles } from './ext-authz/asking.ts';
import type { TestService } from './service.ts';

const ALICE = {
  principal: { type: 'User', id: 'acme/alice' },
  action: 'generate',
  resource: { type: 'Model', id: 'acme/support-llm' },
};
const model = (id: string) => ({ resource: { type: 'Model', id } });
const via = (...chain: readonly [string, ...string[]]) => ({
  via: {
    agent: chain[0],
    chain,
    depth: chain.length,
    scopes: [],
    expires: '2099-01-01T00:00:00Z',
    humanApproved: false,
  },
});
const single = (action: string, type: string) => (id: string) => ({ action, resource: { type, id } });
const answer = z.looseObject({
  decision: z.string(),
  decisionId: z.string(),
  reason: z.looseObject({ code: z.string() }),
});

let service: TestService;
let limited: string;
let free: string;
beforeAll(async () => {
  service = await startWithProfiles([
    { name: 'edge', kind: 'envoy', body: 'whole', identity: ASSERTS, dialects: ['openai'] },
  ]);
  limited = await service.makeKey(['pep'], ['acme']);
  free = await service.makeKey(['pep']);
  // one below acme, and one whose id does not tell whose it is
  const put = async (path: string, body: object) => {
    const { status, text } = await service.call('PUT', path, { body });
    if (status !== 201) throw new Error(text);
  };
  const tool = { attributes: { effect: 'write', scope: 'x', spendLimitCents: 0 } };
  await put('/v1/entities/Tool/m1%2Fnotify', tool);
  const user = { actsFor: [], org: 'globex/ops', tier: 'standard', clearance: 2 };
  const attributes = { ...user, tenant: { type: 'Tenant', id: 'globex' } };
  await put('/v1/principals/User/nameless', { attributes });
});
afterAll(() => service.stop());

async function decide(key: string, fields: object) {
  const reply = await service.call('POST', '/decide', { key, body: { ...ALICE, ...fields } });
  expect(reply.status).toBe(200);
  return answer.parse(reply.json);
}

/** Everything but what every answer has of its own. */
function shape(given: z.infer<typeof answer>, id: string): string {
  const { decisionId: _, log: _log, evaluatedAt: _at, ...rest } = given;
  return JSON.stringify(rest).replaceAll(id, '<id>');
}

describe('is answered like one that is not there', () => {
  // biome-ignore format: one object a line
  test.each<[string, id: string, code: string, (id: string) => object]>([
    ['a model', 'globex/demand', 'UNKNOWN_RESOURCE', model],
    ['a model, asked for in full', 'globex/demand', 'UNKNOWN_RESOURCE', id => ({ ...model(id), explain: 'full' })],
    ['a model, asked for without explanation', 'globex/demand', 'UNKNOWN_RESOURCE', id => ({ ...model(id), explain: 'none' })],
    ['a tool', 'globex/notify', 'UNKNOWN_RESOURCE', id => ({ tools: [{ id }] })],
    ['a tool alone', 'globex/notify', 'UNKNOWN_RESOURCE', single('callTool', 'Tool')],
    ['a partition', 'globex/shipments', 'UNKNOWN_RESOURCE', id => ({ partitions: [{ id, access: 'read' }] })],
    ['a sink', 'globex/export', 'UNKNOWN_RESOURCE', id => ({ outputs: [{ id, path: 'a', classification: 1 }] })],
    ['an agent', 'globex/dispatcher', 'UNKNOWN_PRINCIPAL', id => ({ ...via(id), resource: { type: 'Model', id: 'acme/card-fraud' } })],
    ['an agent of a chain', 'globex/dispatcher', 'UNKNOWN_PRINCIPAL', id => ({ ...via('acme/copilot', id), ...model('acme/card-fraud') })],
    ['a tenant', 'globex', 'UNKNOWN_TENANT', id => ({ onBehalfOf: id })],
    ['a principal', 'globex/erin', 'UNKNOWN_PRINCIPAL', id => ({ tenant: 'acme', principal: { type: 'User', id }, ...model('acme/card-fraud') })],
  ])('%s', async (_name, id, code, fields) => {
    const missing = `${id}-missing`;
    const there = await decide(limited, fields(id));
    const notThere = await decide(limited, fields(missing));
    expect([there.decision, there.reason.code]).toEqual(['deny', code]);
    expect(shape(there, id)).toBe(shape(notThere, missing));
    // who is not limited is told, and so are those who read the log
    const full = await decide(free, fields(id));
    expect(full.reason.code).not.toBe(code);
    const entry = await service.call('GET', `/v1/decisions/${there.decisionId}`);
    expect(entry.json).toMatchObject({ decision: 'deny', reason: full.reason });
  });
});

describe('is told about', () => {
  test('what is of the tenant itself, or of one below it', async () => {
    const own = await decide(limited, model('acme/card-fraud'));
    expect(own.reason.code).not.toBe('UNKNOWN_RESOURCE');
    const below = await decide(limited, { tools: [{ id: 'm1/notify' }] });
    expect([below.decision, below.reason.code === 'UNKNOWN_RESOURCE']).toEqual(['deny', false]);
  });

  test('what is shared with the tenant', async () => {
    const shared = await decide(limited, model('globex/translate'));
    expect(shared.reason.code).not.toBe('UNKNOWN_RESOURCE');
  });

  test('levels that do not look at a foreign object', async () => {
    const fields = { ...model('globex/demand'), levels: ['tenant'] };
    expect((await decide(limited, fields)).decision).toBe((await decide(free, fields)).decision);
  });
});

test('whose a principal is whose id does not tell is not told', async () => {
  const told = async (id: string) => {
    const body = { ...ALICE, principal: { type: 'User', id } };
    const { status, json } = await service.call('POST', '/decide', { key: limited, body });
    return { status, ...z.object({ code: z.string(), detail: z.string() }).parse(json) };
  };
  expect(await told('nameless')).toEqual(await told('nobody'));
});

test('a repeated request id is answered as the first one was', async () => {
  const fields = { requestId: 'r1', ...model('globex/demand') };
  expect(await decide(limited, fields)).toEqual(await decide(limited, fields));
});

test('a gateway asks about a foreign model as about one that nobody has', async () => {
  const asks = (key: string, name: string) =>
    ask(service.url, {
      path: '/ext-authz/edge/v1/chat/completions',
      headers: { 'x-duramen-key': key, 'x-user': 'acme/alice', 'content-type': 'application/json' },
      body: chatOf(name),
    });
  const own = (reply: Awaited<ReturnType<typeof ask>>, name: string) => {
    const {
      'x-duramen-decision-id': id = '',
      'x-duramen-log': _,
      'x-request-id': _request,
      date: _date,
      ...headers
    } = reply.headers;
    return JSON.stringify([reply.status, headers, reply.text])
      .replaceAll(id, '<decision>')
      .replaceAll(name, '<name>');
  };
  const there = await asks(limited, 'globex/demand');
  const notThere = await asks(limited, 'globex/absent');
  expect(there.headers['x-duramen-reason']).toBe('MODEL_UNKNOWN');
  expect(own(there, 'globex/demand')).toBe(own(notThere, 'globex/absent'));
  const entry = await service.call('GET', `/v1/decisions/${there.headers['x-duramen-decision-id']}`);
  expect(entry.json).toMatchObject({ reason: { code: 'FORBIDDEN_BY_POLICY' } });
  expect((await asks(free, 'globex/demand')).headers['x-duramen-reason']).toBe('FORBIDDEN_BY_POLICY');
});
