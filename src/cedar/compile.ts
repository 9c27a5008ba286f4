/**
 * A policy tree to a `CompiledPolicy`. Invariant: scope and conditions together are satisfied, unsatisfied
 * or erring exactly when Cedar says so of `principal scope && action scope && resource scope && conditions`.
 */
import type { Condition, PolicyAst } from './ast.ts';
import { compileTest, type Test } from './compile-expression.ts';
import { compileExplanation, type Explain } from './explain.ts';
import type { ActionGroups } from './operators.ts';
import { compileOutlook, type Outlook } from './outlook.ts';
import { dereferenceLevel } from './policy-metrics.ts';
import { limitSetsOf } from './limit-sets.ts';
import { compileScope } from './scope.ts';
import type { CompiledPolicy } from './types.ts';

export interface CompileInput {
  /** Full id, `<layer>/<@id>`. */
  readonly id: string;
  readonly policy: PolicyAst;
  /** The actions of the schema that the policy was validated against: `CedarSchema.actions`. */
  readonly actions: ActionGroups;
}

export function compilePolicy({ id, policy, actions }: CompileInput): CompiledPolicy {
  const { effect, annotations, scope, conditions } = policy;
  // Most policies are never explained, so that half is compiled when it is first asked for.
  let explain: Explain | undefined;
  let outlook: Outlook | undefined;
  return {
    id,
    effect,
    annotations,
    scope,
    reason: annotations.get('reason') ?? '',
    obligations: splitList(annotations.get('obligation') ?? ''),
    limitSets: limitSetsOf(annotations, layerOf(id, annotations)),
    level: dereferenceLevel(policy),
    matchesScope: compileScope(scope, actions),
    evaluateConditions: compileConditions(conditions, actions),
    explain(request, observe) {
      explain ??= compileExplanation(conditions, actions);
      return explain(request, observe);
    },
    get outlook() {
      outlook ??= compileOutlook(conditions, actions);
      return outlook;
    },
  };
}

function compileConditions(conditions: readonly Condition[], actions: ActionGroups): Test {
  const [first, ...others] = conditions.map(({ kind, body }): Test => {
    const holds = compileTest(body, actions);
    return kind === 'when' ? holds : request => !holds(request);
  });
  if (first === undefined) return () => true;
  return others.reduce<Test>((left, right) => request => left(request) && right(request), first);
}

/** The layer of a full id: what stands before the last part, which is its `@id`. */
function layerOf(id: string, annotations: ReadonlyMap<string, string>): string {
  return id.slice(0, id.length - (annotations.get('id') ?? '').length - 1);
}

function splitList(text: string): readonly string[] {
  return text
    .split(',')
    .map(item => item.trim())
    .filter(item => item !== '');
}
