/** What a caller is told: which policy denied and why, and under the shipped policies which role is missing. */
import { describe, expect, test } from 'vitest';
import { SERVICE } from '../../src/control/question.ts';
import type { Credential } from '../../src/domain/credential.ts';
import { AppError } from '../../src/domain/errors.ts';
import { gateOf, keyWith, PERMIT_ALL, replacedPlane, shippedPlane } from './shipped-control.ts';

const shipped = shippedPlane();
const replaced = replacedPlane(
  `${PERMIT_ALL}@id("no-pushes") @reason("bundles are pushed elsewhere")
   forbid (principal, action == Duramen::Action::"pushBundle", resource);`,
);

function refusal(call: () => void): AppError {
  try {
    call();
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error('it was let through');
}

describe('a denial', () => {
  test('of the shipped policies names the missing role, and is reported once', () => {
    const { gate, denials } = gateOf(shipped);
    const question = { credential: keyWith(['pep']), operation: 'pushBundle', object: SERVICE };
    const error = refusal(() => gate.require(question, { roles: ['author', 'approver'] }));
    expect(error.code).toBe('ROLE_REQUIRED');
    expect(error.message).toBe('this needs a credential with the role `author` or `approver`');
    expect(error.problems[0]?.message).toBe(
      '`pushBundle` is denied: no policy of the control plane permits this to the key',
    );
    expect(denials).toEqual([[question, expect.objectContaining({ cause: 'no-permit', policies: [] })]]);
  });

  test('of replaced policies does not speak of roles', () => {
    const { gate } = gateOf(
      replacedPlane(
        '@id("p") @reason("r") permit (principal == Duramen::Credential::"x", action, resource);',
      ),
      false,
    );
    const question = { credential: keyWith(['admin']), operation: 'pushBundle', object: SERVICE };
    const error = refusal(() => gate.require(question, { roles: ['author'] }));
    expect([error.code, error.message]).toEqual([
      'ROLE_REQUIRED',
      'no policy of the control plane permits `pushBundle` to this key',
    ]);
  });

  test('by a forbid of the operator names it with its reason', () => {
    const { gate } = gateOf(replaced, false);
    const question = { credential: keyWith(['admin']), operation: 'pushBundle', object: SERVICE };
    const error = refusal(() => gate.require(question));
    expect([error.code, error.message, error.problems[0]?.message]).toEqual([
      'ROLE_REQUIRED',
      'bundles are pushed elsewhere',
      '`pushBundle` is denied by `control/no-pushes`: bundles are pushed elsewhere',
    ]);
  });

  test('by tenants alone is answered as the caller of the gate says, and is reported all the same', () => {
    const { gate, denials } = gateOf(shipped);
    const object = { kind: 'layer', layer: 'tenant:globex' } as const;
    const question = {
      credential: keyWith(['author'], { tenants: ['acme'] }),
      operation: 'getBundle',
      object,
    };
    expect(refusal(() => gate.require(question)).code).toBe('TENANT_NOT_ALLOWED');
    const missing = new AppError('NOT_FOUND', 'there is no such bundle');
    expect(refusal(() => gate.require(question, { foreign: () => missing }))).toBe(missing);
    const noRole = { ...question, credential: keyWith(['pep'], { tenants: ['acme'] }) };
    expect(refusal(() => gate.require(noRole, { foreign: () => missing })).code).toBe('ROLE_REQUIRED');
    expect(denials.map(([, { cause }]) => cause)).toEqual(['tenant', 'tenant', 'no-permit']);
  });

  test('what is allowed is not reported', () => {
    const { gate, denials } = gateOf(shipped);
    gate.require({ credential: keyWith(['author']), operation: 'pushBundle', object: SERVICE });
    expect(denials).toEqual([]);
  });
});

describe('keys are administrable', () => {
  const asKey = (credential: Credential) => ({
    credential,
    key: {
      id: credential.keyId,
      roles: [...credential.roles],
      description: '',
      mayAssert: credential.mayAssert,
      createdAt: '',
      createdBy: '',
    },
  });
  const isAdministrable = (plane: typeof shipped, ...credentials: readonly Credential[]) =>
    gateOf(plane).gate.isAdministrable(credentials.map(asKey));

  test('when one of them could make an admin key', () => {
    expect(isAdministrable(shipped, keyWith(['pep']), keyWith(['admin']))).toBe(true);
    expect(isAdministrable(shipped, keyWith(['admin'], { mayAssert: false }))).toBe(true);
  });

  test('not when none is an admin of every tenant', () => {
    expect(isAdministrable(shipped)).toBe(false);
    expect(isAdministrable(shipped, keyWith(['keys']), keyWith(['admin'], { tenants: ['acme'] }))).toBe(
      false,
    );
  });

  test.each([
    ['permit (principal, action, resource is Duramen::Service);', 'no key'],
    ['permit (principal, action, resource is Duramen::Key);', 'the call'],
    ['permit (principal == Duramen::Credential::"gone", action, resource);', 'another key'],
    ['permit (principal, action in Duramen::Action::"Read", resource);', 'reading alone'],
  ])('not when the policies permit %s', policy => {
    expect(isAdministrable(replacedPlane(`@id("p") @reason("r") ${policy}`), keyWith(['admin']))).toBe(false);
  });
});
