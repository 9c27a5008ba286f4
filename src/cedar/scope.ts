/**
 * The scope of a policy: which principals, actions and resources it speaks of. Invariant: matching is total,
 * so a policy whose scope does not match is neither satisfied nor erring, whatever its conditions are.
 */
import type { EntityUid } from '../domain/value.ts';
import { type ActionConstraint, type Scope, type ScopeConstraint, unreachable } from './ast.ts';
import { type ActionGroups, isMember } from './operators.ts';
import type { EvaluationRequest } from './types.ts';

type Matcher = (request: EvaluationRequest, uid: EntityUid) => boolean;

/** Compiles a scope to one predicate. */
export function compileScope(scope: Scope, actions: ActionGroups): (request: EvaluationRequest) => boolean {
  const principal = compileConstraint(scope.principal, actions);
  const action = compileAction(scope.action, actions);
  const resource = compileConstraint(scope.resource, actions);
  return request =>
    principal(request, request.principal) &&
    action(request, request.action) &&
    resource(request, request.resource);
}

function compileConstraint(constraint: ScopeConstraint, actions: ActionGroups): Matcher {
  switch (constraint.kind) {
    case 'any':
      return () => true;
    case 'equal': {
      const { key } = constraint.uid;
      return (_request, uid) => uid.key === key;
    }
    case 'in': {
      const { key } = constraint.uid;
      return (request, uid) => isMember(request, actions, uid, key);
    }
    case 'is': {
      const { entityType } = constraint;
      return (_request, uid) => uid.type === entityType;
    }
    case 'isIn': {
      const { entityType } = constraint;
      const { key } = constraint.uid;
      return (request, uid) => uid.type === entityType && isMember(request, actions, uid, key);
    }
    default:
      return unreachable(constraint);
  }
}

function compileAction(constraint: ActionConstraint, actions: ActionGroups): Matcher {
  if (constraint.kind !== 'in') return compileConstraint(constraint, actions);
  const [first, ...others] = constraint.uids;
  if (first !== undefined && others.length === 0) {
    return compileConstraint({ kind: 'in', uid: first }, actions);
  }
  const keys = constraint.uids.map(uid => uid.key);
  return (request, uid) => {
    for (const key of keys) if (isMember(request, actions, uid, key)) return true;
    return false;
  };
}
