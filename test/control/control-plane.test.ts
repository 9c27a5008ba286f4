/** The decision itself: what permits, what errs, and that whatever fails denies. */
import { describe, expect, test } from 'vitest';
import type { PolicyIndex } from '../../src/cedar/types.ts';
import { ControlPlane } from '../../src/control/control-plane.ts';
import { SERVICE } from '../../src/control/question.ts';
import { controlSchema, keyWith, NOW, PERMIT_ALL, replacedPlane } from './shipped-control.ts';

const OVERFLOW = '9007199254740991 * (if principal.mayAssert then 2048 else 1) < 0';
const question = { credential: keyWith(['author']), operation: 'pushBundle', object: SERVICE };

describe('a policy of the operator', () => {
  test('permits what it names, and nothing else is permitted', () => {
    const plane = replacedPlane(
      `@id("ci") @reason("ci pushes") permit (principal == Duramen::Credential::"ci", action == Duramen::Action::"pushBundle", resource);`,
    );
    const ask = (keyId: string, operation: string) =>
      plane.decide({ credential: keyWith(['admin'], { keyId }), operation, object: SERVICE });
    expect(ask('ci', 'pushBundle')).toEqual({ allowed: true, policies: ['control/ci'] });
    expect(ask('other', 'pushBundle')).toMatchObject({ allowed: false, cause: 'no-permit', policies: [] });
    expect(ask('ci', 'status')).toMatchObject({ allowed: false, cause: 'no-permit', policies: [] });
  });

  test('can look at the object and at the time', () => {
    const plane = replacedPlane(
      `${PERMIT_ALL}
       @id("freeze") @reason("the platform is frozen until February")
       forbid (principal, action == Duramen::Action::"activateBundle", resource == Duramen::Layer::"platform")
       when { context.now < datetime("2026-02-01") };`,
    );
    const ask = (layer: 'platform' | 'tenant:acme') =>
      plane.decide({ ...question, operation: 'activateBundle', object: { kind: 'layer', layer } });
    expect(ask('platform')).toEqual({
      allowed: false,
      cause: 'policy',
      policies: ['control/freeze'],
      reason: 'the platform is frozen until February',
    });
    expect(ask('tenant:acme').allowed).toBe(true);
  });

  test('that forbids and errs denies', () => {
    const plane = replacedPlane(
      `${PERMIT_ALL}@id("errs") @reason("r") forbid (principal, action, resource) when { ${OVERFLOW} };`,
    );
    expect(plane.decide(question)).toMatchObject({
      allowed: false,
      cause: 'failure',
      policies: ['control/errs'],
    });
    const spared = keyWith(['author'], { mayAssert: false });
    expect(plane.decide({ ...question, credential: spared }).allowed).toBe(true);
  });

  test('that permits and errs permits nothing', () => {
    const plane = replacedPlane(
      `@id("errs") @reason("r") permit (principal, action, resource) when { ${OVERFLOW} };`,
    );
    expect(plane.decide(question)).toMatchObject({ allowed: false, cause: 'no-permit' });
  });
});

describe('whatever fails denies', () => {
  test.each(['unknown', 'decide', 'Read', 'Change', ''])(
    'an operation `%s` is nobody’s to call',
    operation => {
      const verdict = replacedPlane(PERMIT_ALL).decide({
        ...question,
        credential: keyWith(['admin']),
        operation,
      });
      expect(verdict).toMatchObject({ allowed: false, cause: 'failure' });
    },
  );

  test('an evaluation that throws is reported', () => {
    const failures: unknown[] = [];
    const broken: PolicyIndex = {
      size: 0,
      policies: [],
      candidates: () => {
        throw new Error('a bug');
      },
    };
    const plane = new ControlPlane({ schema: controlSchema(), sets: [broken] }, { now: () => NOW }, error =>
      failures.push(error),
    );
    expect(plane.decide(question)).toEqual({
      allowed: false,
      cause: 'failure',
      policies: [],
      reason: 'the policies of the control plane could not be evaluated',
    });
    expect(failures).toEqual([new Error('a bug')]);
  });
});
