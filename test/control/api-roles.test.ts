/**
 * The shipped policies say what the roles of the API say: every route, with every set of roles, with and without a
 * limit to tenants, decided by the rule that stands in the route table and by the control plane, which must agree.
 */
import { describe, expect, test } from 'vitest';
import type { ControlObject } from '../../src/control/question.ts';
import { ROLES, type Role } from '../../src/domain/credential.ts';
import { AppError } from '../../src/domain/errors.ts';
import type { Access } from '../../src/edge/http/route.ts';
import { makeRoutes } from '../../src/edge/http/routes.ts';
import { requireAccess } from '../../src/edge/http/authentication.ts';
import { declaredOperations, gateOf, keyWith, shippedPlane } from './shipped-control.ts';

/** Every set of roles but the empty one: 511. */
const ROLE_SETS: readonly (readonly Role[])[] = Array.from({ length: 2 ** ROLES.length - 1 }, (_, at) =>
  ROLES.filter((_role, bit) => ((at + 1) & (1 << bit)) !== 0),
);
const LIMITS: readonly (readonly string[] | undefined)[] = [undefined, ['acme'], ['acme', 'globex']];

/** Routes that answer for the log as a whole, and so for every tenant. */
const WHOLE_LOG = [
  'getLogTile',
  'getLogEntries',
  'listLogShards',
  'listLogExports',
  'getLogExport',
  'putLogExport',
  'deleteLogExport',
];

/** Routes about what concerns every tenant. */
const WHOLE_SERVICE = ['listPepProfiles', 'getPepProfile', 'putPepProfile', 'deletePepProfile', 'metrics'];

const routes = makeRoutes('test').filter(({ access }) => access !== 'public');
const managed = routes.filter(({ access }) => access !== 'pep');
const plane = shippedPlane();
const declared = declaredOperations();
const { gate } = gateOf(plane);

function holds(roles: readonly Role[], role: Role): boolean {
  return roles.includes(role) || roles.includes('admin');
}

/** What a credential without these policies would have been answered: undefined, or the code of the problem. */
function oldRule(
  operation: string,
  access: Access,
  roles: readonly Role[],
  limit: readonly string[] | undefined,
) {
  const needed = access === 'pep' ? [access] : access;
  if (typeof needed !== 'string' && !needed.some(role => holds(roles, role))) return 'ROLE_REQUIRED';
  const isWhole = WHOLE_LOG.includes(operation) || WHOLE_SERVICE.includes(operation);
  return limit !== undefined && isWhole ? 'TENANT_NOT_ALLOWED' : undefined;
}

function codeOf(call: () => void): string | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    if (error instanceof AppError) return error.code;
    throw error;
  }
}

describe('before its body is read', () => {
  test.each(routes.map(route => [route.operation, route] as const))(
    '%s is for the keys that it was for',
    (operation, route) => {
      for (const roles of ROLE_SETS) {
        for (const tenants of LIMITS) {
          const credential = keyWith(roles, tenants === undefined ? {} : { tenants });
          const asked = codeOf(() => requireAccess(gate, credential, route));
          const expected = oldRule(operation, route.access, roles, tenants);
          expect(asked, `${roles.join('+')} of ${tenants?.join('+') ?? 'all'}`).toBe(expected);
        }
      }
    },
  );

  test('the schema has an action for each route, and none beside them', () => {
    expect(managed.length).toBeGreaterThan(45);
    const lookedUp = routes.filter(({ access }) => access === 'pep').map(({ path }) => path);
    // decisions and what becomes of them, and the caller's own keys
    const ofGateways = /^\/(?:decide|v1\/self|v1\/decisions\/\{decisionId\}\/(?:outcome|extend))(?:\/|$)/;
    expect(lookedUp.filter(path => !ofGateways.test(path))).toEqual([]);
    expect([...declared.keys()].toSorted()).toEqual(managed.map(({ operation }) => operation).toSorted());
  });
});

const CALLER_KEY = {
  owner: { type: 'User', id: 'alice' },
  oauthScopes: ['payments:refund'],
  isNarrowed: false,
  expiresAt: '2026-12-01T00:00:00Z',
} as const;

/** Objects with the tenants that they concern; undefined: all, or nobody's. */
const OBJECTS: readonly (readonly [
  name: string,
  object: ControlObject,
  tenants: readonly string[] | undefined,
])[] = [
  ['platform', { kind: 'layer', layer: 'platform' }, undefined],
  ['layer of acme', { kind: 'layer', layer: 'tenant:acme' }, ['acme']],
  ['layer of initech', { kind: 'layer', layer: 'tenant:initech' }, ['initech']],
  ['model of acme', { kind: 'entity', ref: { type: 'Model', id: 'acme/m' }, tenant: 'acme' }, ['acme']],
  [
    'model of initech',
    { kind: 'entity', ref: { type: 'Model', id: 'initech/m' }, tenant: 'initech' },
    ['initech'],
  ],
  ["nobody's role", { kind: 'entity', ref: { type: 'Role', id: 'staff' }, tenant: undefined }, undefined],
  ['key of acme', { kind: 'key', key: { roles: ['pep'], tenants: ['acme'], mayAssert: false } }, ['acme']],
  [
    'key of two tenants',
    { kind: 'key', key: { roles: ['pep'], tenants: ['acme', 'initech'], mayAssert: false } },
    ['acme', 'initech'],
  ],
  ['key of a caller of acme', { kind: 'callerKey', key: { ...CALLER_KEY, tenant: 'acme' } }, ['acme']],
  [
    'key of a caller of initech',
    { kind: 'callerKey', key: { ...CALLER_KEY, tenant: 'initech' } },
    ['initech'],
  ],
  [
    'key of a caller of no tenant',
    { kind: 'callerKey', key: { ...CALLER_KEY, tenant: undefined } },
    undefined,
  ],
  ['key of all', { kind: 'key', key: { roles: ['pep'], mayAssert: false } }, undefined],
];

/** Routes that name what they are about in the body. */
const NAMED_IN_BODIES = [
  'pushBundle',
  'erasePrincipal',
  'createKey',
  'createCallerKey',
  'importDirectory',
  'liftPenalty',
  'reportLoad',
];

describe('once it is known what a call is about', () => {
  const types = {
    service: 'Service',
    layer: 'Layer',
    entity: 'DirectoryEntity',
    key: 'Key',
    callerKey: 'CallerKey',
    profile: 'PepProfile',
  };
  const about = (kind: ControlObject['kind']) =>
    managed.filter(({ operation }) => declared.get(operation)?.has(`Duramen::${types[kind]}`) === true);

  test('every route that names a layer, an entity or a key is asked about it', () => {
    const byPath = /^\/v1\/.*\{(?:layer|digest|id)\}/;
    const named = managed.filter(({ path }) => byPath.test(path)).map(({ operation }) => operation);
    const asked = (['layer', 'entity', 'key', 'callerKey'] as const)
      .flatMap(about)
      .map(({ operation }) => operation);
    expect(asked.toSorted()).toEqual([...named, ...NAMED_IN_BODIES].toSorted());
  });

  /** The rule that services applied: role, tenants, and no key with a role that its maker does not hold. */
  function wasFor(
    { operation, access }: (typeof managed)[number],
    roles: readonly Role[],
    limit: readonly string[] | undefined,
    owners: readonly string[] | undefined,
  ): boolean {
    const isWithin = limit === undefined || owners?.every(owner => limit.includes(owner)) === true;
    const isWider = ['createKey', 'revokeKey'].includes(operation) && !holds(roles, 'pep');
    return oldRule(operation, access, roles, undefined) === undefined && isWithin && !isWider;
  }

  test.each(OBJECTS)('%s is for the keys that it was for', (_name, object, owners) => {
    const asked = about(object.kind).flatMap(route =>
      ROLE_SETS.flatMap(roles =>
        LIMITS.map(limit => ({ route, roles, limit, was: wasFor(route, roles, limit, owners) })),
      ),
    );
    const wrong = asked.filter(({ route: { operation }, roles, limit, was }) => {
      const credential = keyWith(roles, limit === undefined ? {} : { tenants: limit });
      return plane.decide({ credential, operation, object }).allowed !== was;
    });
    expect(wrong).toEqual([]);
    expect(new Set(asked.map(({ was }) => was)).size).toBe(2);
  });
});
