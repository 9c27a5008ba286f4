/** POST /decide and /decide/batch by status: what each kind of request gets, and that denies are answers. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { decisionSchema } from '../../src/domain/decision.ts';
import {
  ADMIN_KEY,
  ALLOWED,
  type CallOptions,
  problemOf,
  startTestService,
  type TestService,
} from './service.ts';

let service: TestService;
let pep: string;
let globexPep: string;
let auditor: string;

beforeAll(async () => {
  service = await startTestService({ filled: true });
  pep = await service.makeKey(['pep']);
  globexPep = await service.makeKey(['pep'], ['globex']);
  auditor = await service.makeKey(['auditor']);
});
afterAll(() => service.stop());

function decide(body: unknown, options: CallOptions = {}) {
  return service.call('POST', '/decide', { key: pep, body, ...options });
}

describe('200', () => {
  test('an allow names its reason, policies, revisions and place in the log', async () => {
    const reply = await decide(ALLOWED);
    expect(reply.status).toBe(200);
    const decision = decisionSchema.parse(reply.json);
    expect(decision.decision).toBe('allow');
    expect(decision.reason).toMatchObject({ code: 'POLICY_ALLOW', level: 'action' });
    expect(decision.reason.policies).toEqual(['tenant:acme/acme.data-scientist']);
    expect(Object.keys(decision.levels).sort()).toEqual(['action', 'endpoint', 'tenant']);
    expect(decision.log.origin).toMatch(/^duramen\.local\/[0-9a-f]{16}$/);
  });

  test('a deny is an answer, and says what was missing', async () => {
    const reply = await decide({
      ...ALLOWED,
      action: 'classify',
      resource: { type: 'Model', id: 'acme/card-fraud' },
    });
    expect(reply.status).toBe(200);
    const decision = decisionSchema.parse(reply.json);
    expect(decision).toMatchObject({ decision: 'deny', reason: { code: 'NO_MATCHING_PERMIT' } });
    const misses = Object.values(decision.levels).flatMap(level =>
      level.checks.flatMap(check => check.nearMisses),
    );
    expect(misses[0]?.missing).toContain('clearance');
  });

  test.each([
    ['principal', { principal: { type: 'User', id: 'acme/nobody' } }, 'UNKNOWN_PRINCIPAL'],
    ['resource', { resource: { type: 'Model', id: 'acme/nothing' } }, 'UNKNOWN_RESOURCE'],
    ['action', { action: 'levitate' }, 'UNKNOWN_ACTION'],
  ])('an unknown %s is a logged deny, not an error', async (_name, change, code) => {
    const reply = await decide({ ...ALLOWED, ...change });
    expect(reply.status).toBe(200);
    expect(decisionSchema.parse(reply.json)).toMatchObject({ decision: 'deny', reason: { code } });
  });

  test('the headers carry outcome, ids and no permission to cache', async () => {
    const { headers, json } = await decide(ALLOWED, { headers: { 'x-request-id': 'gw-7f3' } });
    const { decisionId, log } = decisionSchema.parse(json);
    expect(headers.get('x-duramen-log')).toBe(`${log.origin} ${log.index} ${log.size}`);
    expect(log.size).toBeGreaterThan(log.index);
    expect(headers.get('x-duramen-decision')).toBe('allow');
    expect(headers.get('x-duramen-reason')).toBe('POLICY_ALLOW');
    expect(headers.get('x-duramen-decision-id')).toBe(decisionId);
    expect(headers.get('x-request-id')).toBe('gw-7f3');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('content-type')).toBe('application/json');
  });

  test('a context value that does not fit is told with its place in the first sentence, too', async () => {
    const { detail, errors } = problemOf(await decide({ ...ALLOWED, context: { ip: '1.2.3.400' } }));
    expect(detail).toMatch(/^`\/context\/ip` must be an IP address or range/);
    expect(errors.map(({ pointer }) => pointer)).toEqual(['/context/ip']);
  });

  test('request id and trace context reach the log entry', async () => {
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    const { json } = await decide(ALLOWED, { headers: { 'x-request-id': 'gw-8', traceparent } });
    const { decisionId } = decisionSchema.parse(json);
    const entry = await service.call('GET', `/v1/decisions/${decisionId}`);
    expect(entry.json).toMatchObject({ decisionId, httpRequestId: 'gw-8', trace: traceparent });
  });

  test('the same request id and body give the same decision, at any time in between', async () => {
    const body = { ...ALLOWED, requestId: 'retry-1' };
    const [first, second] = [await decide(body), await decide(body)];
    expect(second.json).toEqual(first.json);
  });

  test('text that is not ASCII arrives and leaves whole', async () => {
    const reply = await decide({ ...ALLOWED, context: { region: 'Zürich 😀' } });
    expect(reply.status).toBe(200);
    expect(decisionSchema.parse(reply.json).decisionId).not.toBe('');
  });
});

describe('refusals', () => {
  const body = JSON.stringify(ALLOWED);
  const cases: [
    name: string,
    status: number,
    code: string,
    options: () => CallOptions & { path?: string },
  ][] = [
    ['no credential', 401, 'CREDENTIAL_REQUIRED', () => ({ key: undefined, body })],
    ['an unknown credential', 401, 'CREDENTIAL_REQUIRED', () => ({ key: `${pep.slice(0, -1)}!`, body })],
    ['a credential without the role', 403, 'ROLE_REQUIRED', () => ({ key: auditor, body })],
    ['a tenant beyond the credential', 403, 'TENANT_NOT_ALLOWED', () => ({ key: globexPep, body })],
    ['malformed JSON', 400, 'INVALID_REQUEST', () => ({ body: body.slice(0, -1) })],
    [
      'an empty body',
      400,
      'INVALID_REQUEST',
      () => ({ body: '', type: 'application/json', headers: { 'content-type': 'application/json' } }),
    ],
    ['a duplicate key', 400, 'INVALID_REQUEST', () => ({ body: `${body.slice(0, -1)},"action":"invoke"}` })],
    ['a `__proto__` key', 400, 'INVALID_REQUEST', () => ({ body: `${body.slice(0, -1)},"__proto__":{}}` })],
    ['a body that is a list', 400, 'INVALID_REQUEST', () => ({ body: [ALLOWED] })],
    [
      'an unsafe integer',
      400,
      'INVALID_REQUEST',
      () => ({ body: { ...ALLOWED, input: { tokens: 2 ** 53 } } }),
    ],
    ['a fraction', 400, 'INVALID_REQUEST', () => ({ body: { ...ALLOWED, input: { tokens: 1.5 } } })],
    [
      'an undeclared context key',
      400,
      'INVALID_REQUEST',
      () => ({ body: { ...ALLOWED, context: { mood: 'good' } } }),
    ],
    [
      'an extension smuggled into the context',
      400,
      'INVALID_REQUEST',
      () => ({ body: { ...ALLOWED, context: { ip: { __extn: { fn: 'ip', arg: '10.0.0.1' } } } } }),
    ],
    [
      'an entity smuggled into the context',
      400,
      'INVALID_REQUEST',
      () => ({
        body: { ...ALLOWED, context: { region: { __entity: { type: 'AI::User', id: 'acme/alice' } } } },
      }),
    ],
    [
      'an id with a control character',
      400,
      'INVALID_REQUEST',
      () => ({ body: { ...ALLOWED, principal: { type: 'User', id: 'acme/al\nice' } } }),
    ],
    [
      'an id with a quote',
      400,
      'INVALID_REQUEST',
      () => ({ body: { ...ALLOWED, principal: { type: 'User', id: 'a"b' } } }),
    ],
    ['a body beyond the limit', 413, 'PAYLOAD_TOO_LARGE', () => ({ body: ' '.repeat(1_048_577) })],
    ['another content type', 415, 'UNSUPPORTED_MEDIA_TYPE', () => ({ body, type: 'text/plain' })],
    ['a form', 415, 'UNSUPPORTED_MEDIA_TYPE', () => ({ body, type: 'application/x-www-form-urlencoded' })],
    [
      'another charset',
      415,
      'UNSUPPORTED_MEDIA_TYPE',
      () => ({ body, type: 'application/json; charset=latin1' }),
    ],
    [
      'a compressed body',
      415,
      'UNSUPPORTED_MEDIA_TYPE',
      () => ({ body, headers: { 'content-encoding': 'gzip' } }),
    ],
    ['a query string', 400, 'INVALID_REQUEST', () => ({ body, path: '/decide?explain=full' })],
  ];
  test.each(cases)('%s: %d %s', async (_name, status, code, options) => {
    const { path = '/decide', ...given } = options();
    const reply = await service.call('POST', path, { key: pep, ...given });
    expect(reply.status).toBe(status);
    expect(reply.headers.get('content-type')).toBe('application/problem+json');
    const problem = problemOf(reply);
    expect(problem).toMatchObject({ status, code });
    expect(reply.headers.get('x-request-id')).toBe(problem.requestId);
    expect(reply.text).not.toContain('node_modules');
  });

  test('401 names the scheme that is expected', async () => {
    const reply = await service.call('POST', '/decide', { key: undefined, body });
    expect(reply.headers.get('www-authenticate')).toBe('Bearer realm="duramen"');
    expect(problemOf(reply).detail).toContain('Authorization: Bearer dmn_');
  });

  test('a typo is answered with the key that was meant', async () => {
    const { principal, ...rest } = ALLOWED;
    const { errors } = problemOf(await decide({ ...rest, principle: principal }));
    expect(errors[0]).toEqual({
      pointer: '/principle',
      message: 'unknown key `principle`',
      hint: 'did you mean `principal`?',
    });
    expect(errors.map(({ pointer }) => pointer)).toContain('/principal');
  });

  test('409 for a request id that was used with another body', async () => {
    await decide({ ...ALLOWED, requestId: 'once' });
    const turned = await decide(
      Object.fromEntries(Object.entries({ ...ALLOWED, requestId: 'once' }).toReversed()),
    );
    expect(turned.status).toBe(200);
    const reply = await decide({ ...ALLOWED, requestId: 'once', action: 'invoke' });
    expect(reply.status).toBe(409);
    expect(problemOf(reply).code).toBe('REQUEST_ID_CONFLICT');
  });

  test('request ids belong to their credential', async () => {
    await decide({ ...ALLOWED, requestId: 'shared' });
    const reply = await service.call('POST', '/decide', {
      key: ADMIN_KEY,
      body: { ...ALLOWED, requestId: 'shared', action: 'invoke' },
    });
    expect(reply.status).toBe(200);
  });
});

describe('batch', () => {
  const batchAnswer = z.object({ decisions: z.array(z.record(z.string(), z.unknown())) });

  test('answers in order, and a bad item spoils nothing', async () => {
    const requests = [ALLOWED, { ...ALLOWED, acton: 'x' }, { ...ALLOWED, action: 'levitate' }, 7, ALLOWED];
    const reply = await service.call('POST', '/decide/batch', { key: pep, body: { requests } });
    expect(reply.status).toBe(200);
    const { decisions } = batchAnswer.parse(reply.json);
    expect(decisions.map(item => item['decision'] ?? 'error')).toEqual([
      'allow',
      'error',
      'deny',
      'error',
      'allow',
    ]);
    expect(decisions[1]).toMatchObject({
      error: { status: 400, code: 'INVALID_REQUEST', errors: [{ hint: 'did you mean `action`?' }] },
    });
  });

  test.each([
    ['no item', []],
    ['more than 100 items', Array.from({ length: 101 }, () => ALLOWED)],
  ])('%s is refused as a whole', async (_name, requests) => {
    const reply = await service.call('POST', '/decide/batch', { key: pep, body: { requests } });
    expect(reply.status).toBe(400);
  });
});

test('a refused request is no decision: the log has as many as were answered', async () => {
  const sizeOf = async () => {
    const { items } = z
      .object({ items: z.array(z.unknown()) })
      .parse((await service.call('GET', '/v1/decisions?limit=1000')).json);
    return items.length;
  };
  const before = await sizeOf();
  await decide({ ...ALLOWED, context: { mood: 'good' } });
  await decide('{');
  await decide(ALLOWED);
  expect(await sizeOf()).toBe(before + 1);
});
