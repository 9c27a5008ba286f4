/** The control plane of a running service: replaced policies, denials in the log, two persons, the way out of a lock-out. */
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import canonicalize from 'canonicalize';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { AppError } from '../../src/domain/errors.ts';
import { startService } from '../../src/main.ts';
import { PERMIT_ALL } from '../control/shipped-control.ts';
import { manualClock } from '../identity/clock.ts';
import {
  ADMIN_KEY,
  configFor,
  problemOf,
  shippedBundle,
  startTestService,
  temporaryFolder,
  type TestService,
} from './service.ts';

const ADMIN =
  '@id("admin") @reason("admins may") permit (principal in Duramen::Role::"admin", action, resource);\n';

/** It stands still, so that no minute ends within a test. */
const clock = manualClock();

let folder: string;
let services: TestService[];
beforeEach(() => {
  folder = temporaryFolder();
  services = [];
});
afterEach(async () => {
  for (const service of services) await service.stop();
  rmSync(folder, { recursive: true });
});

/** A service over the folder of the test, with these policies in place of the shipped ones. */
async function start(policies?: string, env: Readonly<Record<string, string>> = {}): Promise<TestService> {
  const replaced: Record<string, string> =
    policies === undefined ? {} : { DURAMEN_CONTROL_POLICIES: write(policies) };
  const service = await startTestService({ folder, clock, env: { ...replaced, ...env } });
  services.push(service);
  return service;
}

function write(policies: string): string {
  const own = join(folder, 'own-policies');
  mkdirSync(join(own, 'more'), { recursive: true });
  writeFileSync(join(own, 'more', 'own.cedar'), policies);
  writeFileSync(join(own, 'README.md'), 'not a policy');
  return own;
}

async function stop(service: TestService): Promise<void> {
  services = services.filter(one => one !== service);
  await service.stop();
}

async function refusal(policies: string): Promise<AppError> {
  try {
    const config = configFor(folder, { DURAMEN_CONTROL_POLICIES: write(policies) });
    const service = await startService(config, { writeLog: () => undefined });
    await service.close();
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error('the service started');
}

const events = z.object({
  items: z.array(
    z.looseObject({ actor: z.string(), subject: z.string(), details: z.record(z.string(), z.unknown()) }),
  ),
});

async function eventsOf(service: TestService, kind: string, key = ADMIN_KEY) {
  const reply = await service.call('GET', `/v1/events?kind=${kind}&order=asc`, { key });
  return events.parse(reply.json).items;
}

describe('replaced policies', () => {
  test('decide instead of the roles, and the problem says which of them denied', async () => {
    const service = await start(
      `${ADMIN}@id("pep.lists") @reason("gateways list keys") permit (principal in Duramen::Role::"pep", action == Duramen::Action::"listKeys", resource);
       @id("no-push") @reason("pushes come through the pipeline") forbid (principal, action == Duramen::Action::"pushBundle", resource);`,
    );
    const pep = await service.makeKey(['pep']);
    expect((await service.call('GET', '/v1/keys', { key: pep })).status).toBe(200);
    const author = await service.makeKey(['author']);
    const denied = problemOf(await service.call('GET', '/v1/bundles', { key: author }));
    expect([denied.status, denied.code, denied.detail]).toEqual([
      403,
      'ROLE_REQUIRED',
      'no policy of the control plane permits `listBundles` to this key',
    ]);
    const forbidden = problemOf(await service.call('POST', '/v1/bundles', { body: {} }));
    expect([forbidden.status, forbidden.errors[0]?.message]).toEqual([
      403,
      '`pushBundle` is denied by `control/no-push`: pushes come through the pipeline',
    ]);
  });

  test('about single entities hold for the lines of imports too', async () => {
    const service = await start(
      `${ADMIN}@id("no-tenants") @reason("tenants come from the registry") forbid (principal, action in Duramen::Action::"ChangeDirectory", resource is Duramen::DirectoryEntity) when { resource.entityType == "Tenant" };`,
    );
    await service.call('POST', '/v1/bundles?activate=true', { body: await shippedBundle('platform') });
    const body = '{"type":"Role","id":"acme/x"}\n{"type":"Tenant","id":"acme","attributes":{"plan":"free"}}';
    const reply = await service.call('POST', '/v1/directory/import', { body, type: 'application/x-ndjson' });
    expect(reply.status).toBe(422);
    expect(reply.json).toMatchObject({
      errors: [
        {
          line: 2,
          message: '`importDirectory` is denied by `control/no-tenants`: tenants come from the registry',
        },
      ],
    });
    const [denied] = await eventsOf(service, 'control.denied');
    expect(denied?.details).toMatchObject({ operation: 'importDirectory' });
  });

  test('that permit everything permit neither foreign tenants, nor wider keys, nor writing auditors', async () => {
    const service = await start(PERMIT_ALL);
    const acme = await service.makeKey(['pep'], ['acme']);
    const auditor = await service.makeKey(['auditor']);
    const call = async (key: string, method: string, path: string, body?: unknown) =>
      problemOf(await service.call(method, path, { key, ...(body === undefined ? {} : { body }) }));
    expect((await call(acme, 'GET', '/v1/models/globex%2Fx')).code).toBe('NOT_FOUND');
    expect((await call(acme, 'PUT', '/v1/models/globex%2Fx', { attributes: {} })).code).toBe(
      'TENANT_NOT_ALLOWED',
    );
    expect((await call(acme, 'GET', '/v1/log/shards')).code).toBe('TENANT_NOT_ALLOWED');
    expect((await call(acme, 'POST', '/v1/bundles', await shippedBundle('platform'))).code).toBe(
      'TENANT_NOT_ALLOWED',
    );
    expect((await call(acme, 'POST', '/v1/keys', { roles: ['pep'] })).code).toBe('ROLE_REQUIRED');
    expect((await call(acme, 'POST', '/v1/keys', { roles: ['admin'], tenants: ['acme'] })).code).toBe(
      'ROLE_REQUIRED',
    );
    const wrote = await call(auditor, 'PUT', '/v1/tenants/acme', { attributes: {} });
    expect(wrote.errors[0]?.message).toContain('builtin/auditors-never-write');
  });

  test('with a mistake stop the start, with file, line and column', async () => {
    const { code, problems } = await refusal(
      `${ADMIN}permit (principal, action, resource) when { principal.rank };`,
    );
    expect(code).toBe('BUNDLE_INVALID');
    expect(problems.map(({ file, line }) => [file, line])).toEqual([
      [join(folder, 'own-policies', 'more', 'own.cedar'), 2],
      [join(folder, 'own-policies', 'more', 'own.cedar'), 2],
      [join(folder, 'own-policies', 'more', 'own.cedar'), 2],
    ]);
    expect(problems.find(({ message }) => message.includes('rank'))?.column).toBe(45);
  });

  test.each([
    ['of a folder without policies', '// none\n', 'are none'],
    [
      'that lock everybody out',
      '@id("p") @reason("r") permit (principal, action in Duramen::Action::"Read", resource);',
      'lock everybody out',
    ],
  ])('%s stop the start', async (_, policies, message) => {
    const { code, message: said } = await refusal(policies);
    expect([code, said.endsWith(message)]).toEqual(['BUNDLE_INVALID', true]);
  });

  test('of a folder that is not there stop the start', async () => {
    const config = configFor(folder, { DURAMEN_CONTROL_POLICIES: join(folder, 'nowhere') });
    await expect(startService(config, { writeLog: () => undefined })).rejects.toThrow('cannot be read');
  });

  test('keep the last key that they let administer', async () => {
    const service = await start(
      `@id("one") @reason("the first key may") permit (principal == Duramen::Credential::"bootstrap", action, resource);
       @id("two") @reason("others revoke") permit (principal in Duramen::Role::"admin", action in [Duramen::Action::"ReadKeys", Duramen::Action::"revokeKey"], resource);`,
    );
    const other = await service.makeKey(['admin']);
    const refused = problemOf(await service.call('DELETE', '/v1/keys/bootstrap', { key: other }));
    expect([refused.status, refused.code]).toEqual([409, 'LAST_ADMIN_KEY']);
  });
});

describe('denials', () => {
  test('are entries with the key, the operation and the policy, and are counted in a metric', async () => {
    const service = await start();
    const acme = await service.makeKey(['author'], ['acme']);
    for (let at = 0; at < 3; at += 1) await service.call('GET', '/v1/decisions', { key: acme });
    const metrics = await service.call('GET', '/metrics');
    expect(metrics.text).toContain('duramen_control_denied_total{operation="listDecisions"} 3');
    // the first of a minute is on its way when its call is answered
    const first = await vi.waitFor(async () => {
      const [found] = await eventsOf(service, 'control.denied');
      if (found === undefined) throw new Error('it is not indexed yet');
      return found;
    }, 30_000);
    expect(first).toMatchObject({
      actor: acme.split('_')[1],
      subject: acme.split('_')[1],
      tenant: 'acme',
      details: { operation: 'listDecisions', cause: 'no-permit', policies: [], count: 1, summary: false },
    });
    await stop(service);
    const again = await start();
    const details = (await eventsOf(again, 'control.denied')).map(event => event.details);
    expect(details).toMatchObject([
      { count: 1, summary: false },
      { count: 2, summary: true },
    ]);
  });
});

describe('two persons', () => {
  test('push and activate, whichever way, also back', async () => {
    const service = await start(undefined, { DURAMEN_CONTROL_TWO_PERSON_ACTIVATION: 'on' });
    const [pusher, approver] = [
      await service.makeKey(['author', 'approver']),
      await service.makeKey(['approver', 'author']),
    ];
    const platform = await shippedBundle('platform');
    const next = { ...platform, files: { ...platform.files, 'policies/none.cedar': '' } };
    const digest = z.looseObject({ digest: z.string() });
    const push = async (key: string, body: unknown, query = '') =>
      await service.call('POST', `/v1/bundles${query}`, { key, body });
    const activate = async (key: string, of: string) =>
      (await service.call('POST', `/v1/bundles/${of}/activate`, { key, body: { reason: 'r' } })).status;

    const alone = problemOf(await push(pusher, platform, '?activate=true'));
    expect([alone.status, alone.errors[0]?.message]).toEqual([
      403,
      '`activateBundle` is denied by `builtin/two-persons`: who pushed a bundle does not activate it: another key has to',
    ]);
    expect((await service.call('GET', '/v1/bundles')).json).toMatchObject({ items: [] });

    const first = digest.parse((await push(pusher, platform)).json).digest;
    expect(await activate(pusher, first)).toBe(403);
    expect(await activate(approver, first)).toBe(200);
    const second = digest.parse((await push(approver, next)).json).digest;
    expect(await activate(pusher, second)).toBe(200);
    const rollback = async (key: string) =>
      (await service.call('POST', '/v1/layers/platform/rollback', { key, body: { reason: 'r' } })).status;
    expect(await rollback(pusher)).toBe(403);
    expect(await rollback(approver)).toBe(200);
    expect((await eventsOf(service, 'bundle.rollback'))[0]?.details['digests']).toEqual({
      before: second,
      after: first,
    });
  });
});

describe('management events', () => {
  const digest = (value: Record<string, unknown>, ...without: readonly string[]): string => {
    const rest = Object.entries(value).filter(([name]) => !without.includes(name));
    const text = canonicalize(Object.fromEntries(rest)) ?? '';
    return `sha256:${createHash('sha256').update(text).digest('hex')}`;
  };
  const object = z.record(z.string(), z.unknown());

  test('name an entity before and after by digests of what the API answers; of principals they do not', async () => {
    const service = await start();
    const entity = async (method: string, path: string, body?: unknown) => {
      const reply = await service.call(method, path, body === undefined ? {} : { body });
      if (reply.status >= 300) throw new Error(reply.text);
      return digest(object.parse(reply.json), 'revision', 'updatedAt');
    };
    const tenant = { attributes: { plan: 'pro' } };
    await entity('PUT', '/v1/tenants/acme', tenant);
    const person = { attributes: { actsFor: [], org: 'acme', tier: 'gold', clearance: 1 } };
    await entity('PUT', '/v1/principals/User/acme%2Falice', person);
    const before = await entity('GET', '/v1/tenants/acme');
    const after = await entity('PATCH', '/v1/tenants/acme', { attributes: { plan: 'free' } });
    await service.call('DELETE', '/v1/tenants/acme');
    const puts = (await eventsOf(service, 'entity.put')).map(({ details }) => details['digests']);
    expect(puts).toEqual([{ before: null, after: before }, undefined, { before, after }]);
    const [removed] = await eventsOf(service, 'entity.delete');
    expect(removed?.details['digests']).toEqual({ before: after, after: null });
  });

  test('name a key before and after by digests of what the API answers', async () => {
    const service = await start();
    const { id } = z
      .looseObject({ id: z.string() })
      .parse((await service.call('POST', '/v1/keys', { body: { roles: ['pep'] } })).json);
    const shown = async () => digest(object.parse((await service.call('GET', `/v1/keys/${id}`)).json));
    const made = await shown();
    await service.call('DELETE', `/v1/keys/${id}`);
    const [created] = await eventsOf(service, 'key.create');
    const [revoked] = await eventsOf(service, 'key.revoke');
    expect(created?.details['digests']).toEqual({ before: null, after: made });
    expect(revoked?.details['digests']).toEqual({ before: made, after: await shown() });
  });
});
