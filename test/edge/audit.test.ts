/** Forgetting a principal and verifying an input, over a real service and its files. */
import { cpSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { EXIT } from '../../src/cli/exit-code.ts';
import { runCli } from '../../src/cli/run.ts';
import { recordingTerminal } from '../cli/recording-terminal.ts';
import { manualClock } from '../identity/clock.ts';
import {
  ADMIN_KEY,
  problemOf,
  type Reply,
  startTestService,
  temporaryFolder,
  type TestService,
} from './service.ts';

const MARY = { type: 'User', id: 'acme/mary.quite-contrary' } as const;
const MARY_PATH = `/v1/principals/User/${encodeURIComponent(MARY.id)}`;
const ORG = 'acme/silver-bells';
const IP = '203.0.113.77';
/** Personal by configuration, while the schema marks `ip`. */
const REGION = 'contrary-garden-7';
const HASH = `sha256:${'0a'.repeat(32)}`;
const MODEL = { type: 'Model', id: 'acme/support-llm' } as const;
const REASON = 'ticket 4711';

const decided = z.object({ decisionId: z.string(), log: z.object({ index: z.number() }) });
const page = z.object({
  items: z.array(
    z.looseObject({
      decisionId: z.string(),
      request: z.looseObject({
        principal: z.object({ type: z.string(), id: z.string() }),
        context: z.record(z.string(), z.unknown()),
      }),
    }),
  ),
});
const events = z.object({
  items: z.array(z.looseObject({ subject: z.string(), details: z.record(z.string(), z.unknown()) })),
});
const erased = z.object({
  pseudonym: z.string().optional(),
  entityDeleted: z.boolean(),
  erased: z.object({ revisions: z.number(), answers: z.number() }),
  stillNamedBy: z.object({
    entities: z.number(),
    bundles: z.number(),
    clearEntries: z.boolean().nullable(),
  }),
});

/** Every file below a folder that holds one of the texts. */
function filesWith(folder: string, texts: readonly string[]): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(name => {
    const file = join(folder, name);
    // a draft of a running service has its final name a moment later
    if (statSync(file, { throwIfNoEntry: false })?.isFile() !== true) return false;
    const content = readFileSync(file);
    return texts.some(text => content.includes(text));
  });
}

function withMary(org: string) {
  return { attributes: { actsFor: [], org, tier: 'standard', clearance: 1 }, parents: [] };
}

async function decide(service: TestService, more: object = {}): Promise<z.output<typeof decided>> {
  const request = {
    principal: MARY,
    action: 'generate',
    resource: MODEL,
    context: { ip: IP, region: REGION },
    ...more,
  };
  const reply = await service.call('POST', '/decide', { body: request });
  expect(reply.status).toBe(200);
  return decided.parse(reply.json);
}

function erase(service: TestService, more: object = {}, key: string = ADMIN_KEY): Promise<Reply> {
  return service.call('POST', '/v1/audit/erase', {
    body: { principal: MARY, reason: REASON, ...more },
    key,
  });
}

async function byPrincipal(service: TestService, principal: string) {
  const reply = await service.call('GET', `/v1/decisions?principal=${encodeURIComponent(principal)}`);
  return page.parse(reply.json).items;
}

describe('erasing a principal', () => {
  let service: TestService;
  let copy: string;
  let decisionId: string;
  let pseudonym: string;

  beforeAll(async () => {
    service = await startTestService({
      filled: true,
      env: { DURAMEN_PRIVACY_PERSONAL_CONTEXT_KEYS: 'region' },
    });
    copy = temporaryFolder();
    // Before it was registered, while it is, and changed: every way into the log and the state.
    await decide(service);
    for (const org of ['acme', ORG]) {
      const reply = await service.call('PUT', MARY_PATH, { body: withMary(org) });
      if (reply.status >= 300) throw new Error(reply.text);
    }
    ({ decisionId } = await decide(service, { requestId: 'r1' }));
    await decide(service, { via: viaOf(), principal: { type: 'User', id: 'acme/alice' } });
  });

  afterAll(async () => {
    await service.stop();
    rmSync(copy, { recursive: true });
  });

  test('it is logged by pseudonym alone, and shown by name to an auditor', async () => {
    const [newest, first, ...more] = await byPrincipal(service, MARY.id);
    expect(more).toEqual([]);
    expect(newest?.decisionId).toBe(decisionId);
    expect(newest?.request.principal).toEqual(MARY);
    expect(newest?.request.context).toMatchObject({ ip: IP, region: REGION });
    expect(first?.request.principal.id).toMatch(/^u:/);
    const log = readdirSync(join(service.folder, 'log')).map(name => join('log', name));
    expect(log.length).toBeGreaterThan(0);
    expect(filesWith(service.folder, [MARY.id]).filter(name => log.includes(name))).toEqual([]);
    expect(filesWith(service.folder, [IP, REGION])).toEqual([]);
  });

  test('a living principal is not erased, and the answer says what to do', async () => {
    const problem = problemOf(await erase(service));
    expect(problem).toMatchObject({ status: 409, code: 'PRINCIPAL_EXISTS' });
    expect(problem.errors[0]?.hint).toContain('deleteEntity');
    expect(await byPrincipal(service, MARY.id)).toHaveLength(2);
  });

  test('a reason that names the principal is refused, whole or in part', async () => {
    for (const reason of [`forget ${MARY.id}`, 'Mary.Quite-Contrary asked']) {
      const problem = problemOf(await erase(service, { reason, deleteEntity: true }));
      expect(problem).toMatchObject({ status: 400, errors: [{ pointer: '/reason' }] });
    }
  });

  test('it takes the role admin, and the tenant', async () => {
    const auditor = await service.makeKey(['auditor', 'directory', 'keys', 'pep']);
    expect((await erase(service, {}, auditor)).status).toBe(403);
    const foreign = await service.makeKey(['admin'], ['globex']);
    expect(problemOf(await erase(service, {}, foreign)).code).toBe('TENANT_NOT_ALLOWED');
  });

  test('afterwards no file holds its name or values, and no query finds it', async () => {
    // without drafts, which have their final names a moment later
    cpSync(service.folder, copy, { recursive: true, filter: file => !file.endsWith('.new') });
    const reply = await service.call('POST', '/v1/audit/erase', {
      body: { principal: MARY, reason: REASON, legalBasis: 'GDPR Art. 17(1)(b)', deleteEntity: true },
      headers: { 'idempotency-key': 'once' },
    });
    expect(reply.status).toBe(200);
    const answer = erased.parse(reply.json);
    expect(answer).toMatchObject({
      entityDeleted: true,
      erased: { revisions: 3, answers: 0 },
      stillNamedBy: { entities: 0, bundles: 0, clearEntries: false },
    });
    expect(answer.pseudonym).toMatch(/^p:[A-Za-z0-9_-]{22}$/);
    pseudonym = answer.pseudonym ?? '';
    expect(filesWith(service.folder, [MARY.id, ORG, IP, REGION])).toEqual([]);
    expect(await byPrincipal(service, MARY.id)).toEqual([]);
    expect(await byPrincipal(service, `User::${MARY.id}`)).toEqual([]);
    expect((await service.call('GET', MARY_PATH)).status).toBe(404);
  });

  test('the former entries show the pseudonym, and nothing personal', async () => {
    const [entry] = await byPrincipal(service, pseudonym);
    expect(entry?.decisionId).toBe(decisionId);
    expect(entry?.request.principal).toEqual({ type: 'User', id: pseudonym });
    expect(entry?.request.context).not.toHaveProperty('ip');
    expect(JSON.stringify(entry)).not.toContain(IP);
    expect(JSON.stringify(entry)).not.toContain(REGION);
  });

  test('the log says that, who and why, and not whom', async () => {
    const reply = await service.call('GET', '/v1/events?kind=audit.erase');
    expect(events.parse(reply.json).items).toMatchObject([
      {
        subject: pseudonym,
        tenant: 'acme',
        details: {
          reason: REASON,
          legalBasis: 'GDPR Art. 17(1)(b)',
          entityDeleted: true,
          erased: { revisions: 3, answers: 0 },
        },
      },
    ]);
    expect(reply.text).not.toContain(MARY.id);
  });

  test('it can be repeated, and of somebody unknown it changes nothing', async () => {
    const again = erased.parse((await erase(service)).json);
    expect(again).toMatchObject({ entityDeleted: false, erased: { revisions: 0, answers: 0 } });
    expect(again.pseudonym).toBeUndefined();
  });

  test('a copy of the log from before opens nothing with the store of today', () => {
    expect(filesWith(join(copy, 'log'), [MARY.id, ORG, IP, REGION])).toEqual([]);
    expect(filesWith(copy, [MARY.id]).join()).toContain('subjects.db');
  });

  test.each([
    ['the log of the service', () => service.folder],
    ['a copy of it from before', () => copy],
  ])('%s still verifies', async (_what, folder) => {
    const terminal = recordingTerminal();
    const code = await runCli(['log', 'verify', '--data', folder(), '-o', 'json'], terminal, '0');
    expect(JSON.parse(terminal.stdout())).toMatchObject({ verified: true });
    expect(code).toBe(EXIT.ok);
  });

  test('the same name later is somebody else', async () => {
    await service.call('PUT', MARY_PATH, { body: withMary('acme') });
    const later = await decide(service);
    const found = await byPrincipal(service, MARY.id);
    expect(found.map(entry => entry.decisionId)).toEqual([later.decisionId]);
  });
});

describe('a store from before an erasure', () => {
  const before = temporaryFolder();
  const after = temporaryFolder();
  const STATE = ['state.db', 'subjects.db'];

  afterAll(() => {
    for (const folder of [before, after]) rmSync(folder, { recursive: true });
  });

  async function running(work: (service: TestService) => Promise<void>): Promise<TestService> {
    const service = await startTestService({ folder: after });
    try {
      await work(service);
    } finally {
      await service.stop();
    }
    return service;
  }

  test('is refused; beside a new log it forgets again at the start whom it brings back', async () => {
    const service = await startTestService({ folder: after, filled: true });
    await service.call('PUT', MARY_PATH, { body: withMary(ORG) });
    await decide(service);
    await service.call('DELETE', MARY_PATH);
    await service.stop();
    cpSync(after, before, { recursive: true });
    await running(async one => expect((await erase(one)).status).toBe(200));
    expect(filesWith(after, [MARY.id])).toEqual([]);
    for (const name of STATE) cpSync(join(before, name), join(after, name));
    expect(filesWith(after, [MARY.id])).toEqual(STATE);
    await expect(startTestService({ folder: after })).rejects.toThrow('is older than the decision log');
    const args = ['log', 'open-new', '--data', after, '--reason', 'backup restored'];
    expect(await runCli(args, recordingTerminal(), '0')).toBe(EXIT.ok);
    await running(async one => {
      expect(filesWith(after, [MARY.id, ORG])).toEqual([]);
      expect(await byPrincipal(one, MARY.id)).toEqual([]);
      const { items } = events.parse((await one.call('GET', '/v1/events?kind=audit.erase&order=asc')).json);
      expect(items).toHaveLength(1);
      expect(items[0]).toMatchObject({ actor: 'system', details: { erased: { revisions: 2 } } });
    });
  });
});

function viaOf() {
  return {
    agent: 'acme/copilot',
    chain: ['acme/copilot'],
    depth: 1,
    scopes: [],
    expires: '2099-01-01T00:00:00Z',
    humanApproved: false,
  };
}

describe('verifying an input', () => {
  let service: TestService;
  const ids = { hash: '', json: '', none: '' };
  const canonical = '{"a":[1,2.5,"é"],"b":null}';

  beforeAll(async () => {
    // on a clock that stands still, so that no minute ends meanwhile
    service = await startTestService({ filled: true, clock: manualClock() });
    const hashed = `sha256:${createHash('sha256').update(canonical).digest('hex')}`;
    ids.hash = (await decide(service, { input: { hash: HASH } })).decisionId;
    ids.json = (await decide(service, { input: { hash: hashed } })).decisionId;
    ids.none = (await decide(service)).decisionId;
  });

  afterAll(() => service.stop());

  function verify(body: unknown, key: string = ADMIN_KEY): Promise<Reply> {
    return service.call('POST', '/v1/audit/verify-input', { body, key });
  }

  test.each([
    ['its hash', () => ({ decisionId: ids.hash, hash: HASH }), true],
    ['another hash', () => ({ decisionId: ids.hash, hash: `${HASH}0` }), false],
    ['the hash of another decision', () => ({ decisionId: ids.json, hash: HASH }), false],
    ['its text', () => ({ decisionId: ids.json, text: canonical }), true],
    [
      'its JSON in another spelling',
      () => ({ decisionId: ids.json, input: { b: null, a: [1, 2.5, 'é'] } }),
      true,
    ],
    ['other JSON', () => ({ decisionId: ids.json, input: { b: null, a: [1, 2.5, 'e'] } }), false],
    ['null', () => ({ decisionId: ids.json, input: null }), false],
  ])('of %s is told', async (_what, body, matches) => {
    const reply = await verify(body());
    expect(reply.status).toBe(200);
    expect(reply.json).toEqual({ matches });
  });

  test.each([
    ['nothing', () => ({ decisionId: ids.hash }), 400],
    ['two things', () => ({ decisionId: ids.hash, hash: HASH, text: '' }), 400],
    ['JSON with a duplicate key', () => `{"decisionId":"${ids.json}","input":{"a":1,"a":1}}`, 400],
    ['an unknown decision', () => ({ decisionId: 'x', hash: HASH }), 404],
    ['a decision without a hash', () => ({ decisionId: ids.none, hash: HASH }), 409],
  ])('of %s is refused', async (_what, body, status) => {
    expect((await verify(body())).status).toBe(status);
  });

  test('takes the role auditor, and a decision that the asker may see', async () => {
    const [pep, foreign, own] = [
      await service.makeKey(['pep']),
      await service.makeKey(['auditor'], ['globex']),
      await service.makeKey(['auditor'], ['acme']),
    ];
    expect((await verify({ decisionId: ids.hash, hash: HASH }, pep)).status).toBe(403);
    expect((await verify({ decisionId: ids.hash, hash: HASH }, foreign)).status).toBe(404);
    expect((await verify({ decisionId: ids.hash, hash: HASH }, own)).json).toEqual({ matches: true });
  });

  test('is logged with its outcome and without its content', async () => {
    const reply = await service.call('GET', '/v1/events?kind=audit.verify_input&limit=1&order=asc');
    expect(events.parse(reply.json).items).toMatchObject([
      { subject: ids.hash, tenant: 'acme', details: { given: 'hash', matches: true } },
    ]);
    const all = await service.call('GET', '/v1/events?kind=audit.verify_input&limit=100');
    // half of the hash: a few letters of it stand in random ids as well
    expect(all.text).not.toContain('0a'.repeat(16));
  });

  test('leaves the hash in no file, neither of the decision nor of the question', () => {
    expect(filesWith(service.folder, [HASH])).toEqual([]);
  });

  test('is limited to 60 per minute and credential', async () => {
    const key = await service.makeKey(['auditor']);
    const other = await service.makeKey(['auditor']);
    const body = { decisionId: ids.hash, hash: HASH };
    for (let count = 0; count < 60; count += 1) expect((await verify(body, key)).status).toBe(200);
    const refused = await verify(body, key);
    expect(problemOf(refused).code).toBe('TOO_MANY_VERIFICATIONS');
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await verify(body, other)).status).toBe(200);
  });
});
