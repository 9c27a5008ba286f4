/** Policies of the control plane about single keys of callers, on a running service. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { problemOf, startTestService, type TestService } from './service.ts';

const SHIPPED = join(import.meta.dirname, '../../policies/control/roles.cedar');
const OWN = `
@id("keys.batch")
@reason("the role keys makes narrowed keys of services")
forbid (principal in Duramen::Role::"keys", action == Duramen::Action::"createCallerKey", resource is Duramen::CallerKey)
unless { resource.ownerType == "Service" && resource.narrowed && !resource.oauthScopes.contains("payments:refund") };

@id("keys.alice")
@reason("the key of alice is looked after by admins")
forbid (
  principal in Duramen::Role::"keys",
  action in
    [Duramen::Action::"getCallerKey", Duramen::Action::"rotateCallerKey", Duramen::Action::"revokeCallerKey"],
  resource is Duramen::CallerKey
)
when { resource.owner == "acme/alice" };
`;
const made = z.looseObject({ id: z.string() });

let folder: string;
let service: TestService;
let keeper: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'duramen-policies-'));
  const policies = join(folder, 'policies');
  mkdirSync(policies);
  writeFileSync(join(policies, 'own.cedar'), readFileSync(SHIPPED, 'utf8') + OWN);
  service = await startTestService({ filled: true, env: { DURAMEN_CONTROL_POLICIES: policies } });
  keeper = await service.makeKey(['keys'], ['acme']);
});
afterAll(async () => {
  await service.stop();
  rmSync(folder, { recursive: true });
});

const expiresAt = new Date(Date.now() + 86_400_000).toISOString();
const narrowed = { scopes: [{ actions: ['embed'] }] };

test.each([
  ['of a service, narrowed', { owner: { type: 'Service', id: 'acme/batch' }, ...narrowed }, 201, ''],
  ['of a service, not narrowed', { owner: { type: 'Service', id: 'acme/batch' } }, 403, 'keys.batch'],
  ['of a user', { owner: { type: 'User', id: 'acme/bob' }, ...narrowed }, 403, 'keys.batch'],
  [
    'with a scope that is kept back',
    { owner: { type: 'Service', id: 'acme/batch' }, ...narrowed, oauthScopes: ['payments:refund'] },
    403,
    'keys.batch',
  ],
  ['of nobody', { owner: { type: 'Service', id: 'acme/nobody' }, ...narrowed }, 400, 'no active principal'],
  [
    'of a foreign tenant',
    { owner: { type: 'User', id: 'globex/erin' }, ...narrowed },
    400,
    'no active principal',
  ],
])('a key %s', async (_name, body, status, told) => {
  const reply = await service.call('POST', '/v1/caller-keys', { key: keeper, body: { ...body, expiresAt } });
  expect(reply.status).toBe(status);
  expect(reply.text).toContain(told);
});

test('a single key is kept from the role, on every way to it, and left to admins', async () => {
  const body = { owner: { type: 'User', id: 'acme/alice' }, expiresAt };
  const { id } = made.parse((await service.call('POST', '/v1/caller-keys', { body })).json);
  for (const [method, path, sent] of [
    ['GET', `/v1/caller-keys/${id}`, undefined],
    ['POST', `/v1/caller-keys/${id}/rotate`, {}],
    ['DELETE', `/v1/caller-keys/${id}`, undefined],
  ] as const) {
    const reply = await service.call(method, path, { key: keeper, body: sent });
    expect(problemOf(reply)).toMatchObject({ status: 403, code: 'ROLE_REQUIRED' });
    expect(reply.text).toContain('control/keys.alice');
  }
  expect((await service.call('DELETE', `/v1/caller-keys/${id}`)).status).toBe(204);
});

test('a key of a foreign tenant is missing, not forbidden', async () => {
  const body = { owner: { type: 'User', id: 'globex/erin' }, expiresAt };
  const { id } = made.parse((await service.call('POST', '/v1/caller-keys', { body })).json);
  const foreign = await service.call('GET', `/v1/caller-keys/${id}`, { key: keeper });
  expect(problemOf(foreign).code).toBe('NOT_FOUND');
});
