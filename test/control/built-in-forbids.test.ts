/** What no policy can permit: each forbid against an operator who permits everything to everybody. */
import { describe, expect, test } from 'vitest';
import { actionUid } from '../../src/control/cedar-world.ts';
import type { ControlObject, KeyFacts } from '../../src/control/question.ts';
import type { Credential, Role } from '../../src/domain/credential.ts';
import {
  controlSchema,
  declaredOperations,
  keyWith,
  NOW,
  PERMIT_ALL,
  replacedPlane,
} from './shipped-control.ts';

const SERVICE: ControlObject = { kind: 'service' };
const HOUR = 3_600_000;
const plane = replacedPlane(PERMIT_ALL);
const twoPersons = replacedPlane(PERMIT_ALL, true);

function ask(credential: Credential, operation: string, object: ControlObject = SERVICE) {
  const verdict = plane.decide({ credential, operation, object });
  return verdict.allowed ? 'allowed' : `${verdict.cause}: ${verdict.policies.join(' ')}`;
}

const layer = (name: 'platform' | 'tenant:acme' | 'tenant:globex'): ControlObject => ({
  kind: 'layer',
  layer: name,
});
const model = (tenant: string | undefined): ControlObject => ({
  kind: 'entity',
  ref: { type: 'Model', id: `${tenant ?? 'x'}/m` },
  tenant,
});
const key = (facts: Partial<KeyFacts>): ControlObject => ({
  kind: 'key',
  key: { roles: ['pep'], mayAssert: false, ...facts },
});

test('everything else is permitted: even a pep may push', () => {
  expect(ask(keyWith(['pep']), 'pushBundle', layer('platform'))).toBe('allowed');
});

describe('a key that is limited to tenants', () => {
  const acme = keyWith(['pep'], { tenants: ['acme'] });

  test.each([
    ['its own layer', 'pushBundle', layer('tenant:acme')],
    ['its own model', 'putModel', model('acme')],
    ['its own key', 'getKey', key({ tenants: ['acme'] })],
    ['what it is told apart later', 'listKeys', SERVICE],
  ])('reaches %s', (_, operation, object) => expect(ask(acme, operation, object)).toBe('allowed'));

  test.each([
    ['the platform layer', 'pushBundle', layer('platform')],
    ['a foreign layer', 'activateBundle', layer('tenant:globex')],
    ['a foreign model', 'getModel', model('globex')],
    ["nobody's entity", 'getEntity', model(undefined)],
    ['a key of every tenant', 'revokeKey', key({})],
    ['a key of a foreign tenant too', 'createKey', key({ tenants: ['acme', 'globex'] })],
    ['a key of no tenant', 'createKey', key({ tenants: [] })],
    ['the erasure of a foreign person', 'erasePrincipal', model('globex')],
  ])('does not reach %s', (_, operation, object) =>
    expect(ask(acme, operation, object)).toBe('tenant: builtin/tenant-limit'),
  );

  const tenant = (id: string): ControlObject => ({
    kind: 'entity',
    ref: { type: 'Tenant', id },
    tenant: id,
  });

  test.each([
    'putTenant',
    'patchTenant',
    'deleteTenant',
    'putEntity',
    'patchEntity',
    'deleteEntity',
    'importDirectory',
  ])('reads its tenant and does not %s it, which would raise its plan or lift its suspension', operation => {
    expect(ask(acme, 'getTenant', tenant('acme'))).toBe('allowed');
    expect(ask(acme, operation, tenant('acme'))).toBe('policy: builtin/tenant-itself');
    expect(ask(acme, operation, tenant('globex'))).toBe('tenant: builtin/tenant-limit');
    expect(ask(acme, operation, model('acme'))).toBe('allowed');
    expect(ask(keyWith(['pep']), operation, tenant('acme'))).toBe('allowed');
  });

  test.each([
    'getLogTile',
    'getLogEntries',
    'listLogShards',
    'listLogExports',
    'putLogExport',
    'deleteLogExport',
  ])('does not %s, which is for the whole log', operation =>
    expect(ask(acme, operation)).toBe('tenant: builtin/whole-log'),
  );
});

describe('auditors', () => {
  const writes = [...controlSchema().actions.values()]
    .filter(
      ({ principalTypes, ancestors }) => principalTypes.size > 0 && ancestors.has(actionUid('Change').key),
    )
    .map(({ uid }) => uid.id);

  test.each(writes)('never %s', operation => {
    expect(ask(keyWith(['auditor']), operation)).toBe('policy: builtin/auditors-never-write');
    expect(ask(keyWith(['auditor', 'pep']), operation)).toBe('policy: builtin/auditors-never-write');
  });

  test('are kept from everything that is not reading, verifying or their own copies of the log', () => {
    const isRead =
      /^(?:get|list|status|metrics|openApi|layerHistory|verifyInput|putLogExport|deleteLogExport)/;
    const others = [...declaredOperations().keys()].filter(operation => !isRead.test(operation));
    expect(others.toSorted()).toEqual(writes.toSorted());
    expect(others).toContain('pushBundle');
  });

  test.each(['author', 'approver', 'directory', 'keys', 'limits', 'load', 'admin'] as const)(
    'that have the role %s too are more than auditors',
    role => expect(ask(keyWith(['auditor', role]), 'putModel', model('acme'))).toBe('allowed'),
  );
});

describe('no key is wider than its maker', () => {
  const keys = keyWith(['keys', 'pep'], { mayAssert: false });
  const rules = [{ mode: 'verify' }] as const;
  const held = keyWith(['keys', 'pep'], { callers: rules });
  const iso = (time: number): string => new Date(time).toISOString();
  const shortLived = keyWith(['admin'], { expiresAt: NOW + HOUR });

  test.each<[string, Credential, Partial<KeyFacts>]>([
    ['the same roles', keys, { roles: ['keys', 'pep'] }],
    ['any role from an admin', keyWith(['admin']), { roles: ['admin', 'auditor', 'keys'] }],
    ['the same rules for callers', held, { callers: rules }],
    ['no rules without a role that decides', held, { roles: ['keys'] }],
    ['the same end', shortLived, { expiresAt: iso(NOW + HOUR) }],
    ['a break-glass key that makes a lasting one', { ...shortLived, breakGlass: true }, { roles: ['admin'] }],
  ])('%s is allowed', (_, maker, facts) => expect(ask(maker, 'createKey', key(facts))).toBe('allowed'));

  test.each<[string, Credential, Partial<KeyFacts>, string]>([
    ['another role', keys, { roles: ['author'] }, 'no-wider-roles'],
    ['the role admin', keys, { roles: ['pep', 'admin'] }, 'no-wider-roles'],
    ['an assertion', keys, { mayAssert: true }, 'no-wider-assertion'],
    ['no rules for callers', held, {}, 'no-wider-callers'],
    ['other rules for callers', held, { callers: [{ mode: 'assert' }] }, 'no-wider-callers'],
    ['no end', shortLived, {}, 'no-longer-life'],
    ['a later end', shortLived, { expiresAt: iso(NOW + HOUR + 1) }, 'no-longer-life'],
    ['break-glass', keyWith(['admin']), { breakGlass: true }, 'no-made-break-glass'],
  ])('%s is not', (_, maker, facts, policy) =>
    expect(ask(maker, 'createKey', key(facts))).toBe(`policy: builtin/${policy}`),
  );

  test('nor is one revoked by somebody with less, whose own end does not matter', () => {
    expect(ask(keys, 'revokeKey', key({ roles: ['admin'] }))).toBe('policy: builtin/no-wider-roles');
    expect(ask(keys, 'revokeKey', key({ mayAssert: true }))).toBe('policy: builtin/no-wider-assertion');
    expect(ask(shortLived, 'revokeKey', key({}))).toBe('allowed');
  });
});

describe('with two persons to an activation', () => {
  const about = (
    keyId: string,
    pushedBy: string | undefined,
    operation = 'activateBundle',
    roles: readonly Role[] = ['admin'],
  ) =>
    twoPersons.decide({
      credential: keyWith(roles, { keyId }),
      operation,
      object: layer('platform'),
      pushedBy,
    });

  test.each(['activateBundle', 'rollbackLayer'])(
    '%s takes another key than the one that pushed',
    operation => {
      expect(about('one', 'one', operation)).toMatchObject({
        allowed: false,
        cause: 'policy',
        policies: ['builtin/two-persons'],
        reason: 'who pushed a bundle does not activate it: another key has to',
      });
      expect(about('two', 'one', operation).allowed).toBe(true);
    },
  );

  test('pushing alone takes one', () => expect(about('one', undefined, 'pushBundle').allowed).toBe(true));

  test('without them one key does both', () => {
    const question = {
      credential: keyWith(['admin'], { keyId: 'one' }),
      object: layer('platform'),
      pushedBy: 'one',
    };
    expect(plane.decide({ ...question, operation: 'activateBundle' }).allowed).toBe(true);
  });
});
