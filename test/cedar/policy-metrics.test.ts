/** Size and dereference level of policies. */
import { describe, expect, it } from 'vitest';
import { dereferenceLevel, measurePolicy } from '../../src/cedar/policy-metrics.ts';
import { parseCondition, parsePolicy } from './small-world.ts';

describe('dereferenceLevel()', () => {
  it.each([
    ['true', 0],
    ['context.a == 1', 0],
    ['context has a', 0],
    ['principal == resource', 0],
    ['principal is User', 0],
    ['principal.a == 1', 1],
    ['principal has a', 1],
    ['resource.getTag("a") == 1', 1],
    ['resource.hasTag("a")', 1],
    ['principal in Group::"g"', 1],
    ['principal is User in Group::"g"', 1],
    // The right operand of `in` is compared, not read.
    ['principal in resource.owners', 1],
    ['principal.a.b == 1', 2],
    ['principal has a.b', 2],
    ['principal.a in Group::"g"', 2],
    ['principal.a is User in Group::"g"', 2],
    ['principal.a.getTag("b").c == 1', 3],
    ['context.a.b == 1', 1],
    ['context has a.b', 1],
    ['context.a in Group::"g"', 1],
    ['context.a.b.c == 1', 2],
    ['User::"a".b == 1', 1],
    ['(if principal.a then principal.b else resource).c == 1', 2],
    ['{a: principal.b}.a.c == 1', 3],
    ['[principal.a.b].contains(resource.c)', 2],
    ['principal.a.b.c.d == 1', 4],
  ])('of %s is %i', (expression, level) => {
    expect(dereferenceLevel(parseCondition(expression))).toBe(level);
  });

  it.each([
    ['permit(principal, action, resource);', 0],
    ['permit(principal == User::"a", action, resource is Photo);', 0],
    ['permit(principal in Group::"g", action, resource);', 1],
    ['permit(principal, action, resource is Photo in Album::"a");', 1],
    // Groups of actions stand in the schema.
    ['permit(principal, action in [Action::"a"], resource);', 0],
  ])('of the scope %s is %i', (policy, level) => {
    expect(dereferenceLevel(parsePolicy(policy))).toBe(level);
  });
});

describe('measurePolicy()', () => {
  it.each([
    ['true', { depth: 1, nodes: 1 }],
    ['!true', { depth: 2, nodes: 2 }],
    ['true && true && true', { depth: 3, nodes: 5 }],
    ['principal.a.b', { depth: 3, nodes: 3 }],
    ['[1, 2, ip("::1")].isEmpty()', { depth: 4, nodes: 6 }],
    ['{a: 1} == {b: if true then 1 else 2}', { depth: 4, nodes: 8 }],
  ])('of %s is %o', (expression, size) => {
    expect(measurePolicy(parseCondition(expression))).toEqual(size);
  });

  it('adds up the conditions', () => {
    const policy = parsePolicy('permit(principal, action, resource) when { !true } unless { false };');
    expect(measurePolicy(policy)).toEqual({ depth: 2, nodes: 3 });
  });
});
