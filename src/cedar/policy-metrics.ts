/** Sizes of a policy that limits are set on: nesting, expressions and chains of entity dereferences. */
import { childrenOf, type Expression, type PolicyAst, type ScopeConstraint } from './ast.ts';

export interface PolicySize {
  /** Deepest nesting of expressions; 0 without conditions. */
  readonly depth: number;
  readonly nodes: number;
}

export function measurePolicy(policy: PolicyAst): PolicySize {
  let [depth, nodes] = [0, 0];
  const visit = (expression: Expression, at: number): void => {
    depth = Math.max(depth, at);
    nodes++;
    for (const child of childrenOf(expression)) visit(child, at + 1);
  };
  for (const condition of policy.conditions) visit(condition.body, 1);
  return { depth, nodes };
}

/**
 * The longest chain of entities that evaluation may read one after the other (level validation, RFC 76 of
 * the language): `principal.tenant.plan` is 2, `principal in Group::"g"` is 1. Types are not known here, so
 * an attribute of a record counts like one of an entity: the level is an upper bound, and entities
 * within that many steps of the request are all that the policy can read.
 */
export function dereferenceLevel(policy: PolicyAst): number {
  let level = Math.max(levelOfScope(policy.scope.principal), levelOfScope(policy.scope.resource));
  /** Records a read of the entities behind `target` and returns the level of what was read. */
  const read = (target: Expression, steps: number): number => {
    // `context` is a record of the request: reading its attributes reads no entity.
    const free = target.kind === 'variable' && target.name === 'context' ? 1 : 0;
    const reached = visit(target) + steps - free;
    level = Math.max(level, reached);
    return reached;
  };
  /** The level at which the entities in the value of `expression` stand. */
  const visit = (expression: Expression): number => {
    switch (expression.kind) {
      case 'attribute':
        return read(expression.target, 1);
      case 'has':
        read(expression.target, expression.path.length);
        return 0;
      case 'is':
        if (expression.group === undefined) visit(expression.target);
        else {
          read(expression.target, 1);
          visit(expression.group);
        }
        return 0;
      case 'binary': {
        const derefs = ['in', 'getTag', 'hasTag'].includes(expression.operator);
        const left = derefs ? read(expression.left, 1) : visit(expression.left);
        visit(expression.right);
        return expression.operator === 'getTag' ? left : 0;
      }
      default:
        return Math.max(0, ...childrenOf(expression).map(visit));
    }
  };
  for (const condition of policy.conditions) visit(condition.body);
  return level;
}

function levelOfScope(constraint: ScopeConstraint): number {
  return constraint.kind === 'in' || constraint.kind === 'isIn' ? 1 : 0;
}
