/**
 * Decodes the JSON form of a policy (what cedar-wasm's `policyToJson` returns) into a `PolicyAst`.
 * Invariant: whatever is not recognised key by key is refused, so nothing is evaluated by guess.
 */
import { EntityUid } from '../domain/value.ts';
import type { ActionConstraint, Condition, PolicyAst, ScopeConstraint } from './ast.ts';
import { decodeExpression, type NodeBudget } from './est-expression.ts';
import { exactKeys, keyPresent, listAt, objectOf, refuse, textAt, textOf } from './est-shape.ts';

/** How large one policy may be. */
export interface PolicyLimits {
  /** Deepest nesting of expressions. A chain `a && b && c` nests once per operator. */
  readonly depth: number;
  /** Most expressions. */
  readonly nodes: number;
}

/**
 * Deeper than 64 is unreadable, and cedar-wasm traps at about 120 levels of JSON and at some thousand
 * operators; our evaluator and the oracle must both be far from their ends.
 */
const POLICY_LIMITS: PolicyLimits = { depth: 64, nodes: 500 };

/** A scope position of a template: filled by `linkTemplate`. */
type SlotConstraint =
  | { readonly kind: 'slotEqual' }
  | { readonly kind: 'slotIn' }
  | { readonly kind: 'slotIsIn'; readonly entityType: string };

export interface TemplateAst extends Omit<PolicyAst, 'scope'> {
  readonly scope: {
    readonly principal: ScopeConstraint | SlotConstraint;
    readonly action: ActionConstraint;
    readonly resource: ScopeConstraint | SlotConstraint;
  };
}

/** The values of a template link; a slot that the template lacks must be absent. */
export interface SlotValues {
  readonly principal?: EntityUid | undefined;
  readonly resource?: EntityUid | undefined;
}

/**
 * Decodes a static policy.
 * @throws UnsupportedPolicyError for slots, unknown keys, `unknown`, integers that JSON cannot hold exactly,
 * and whatever exceeds the limits.
 */
export function decodePolicy(est: unknown, limits: PolicyLimits = POLICY_LIMITS): PolicyAst {
  return linkTemplate(decodeTemplate(est, limits), {});
}

/** Decodes a template (or a static policy, which is a template without slots). @throws like `decodePolicy` */
export function decodeTemplate(est: unknown, limits: PolicyLimits = POLICY_LIMITS): TemplateAst {
  const policy = objectOf(est, 'policy');
  exactKeys(policy, ['effect', 'principal', 'action', 'resource', 'conditions'], ['annotations'], 'policy');
  const effect = textAt(policy, 'effect');
  if (effect !== 'permit' && effect !== 'forbid') return refuse(`unknown effect \`${effect}\``);
  const budget: NodeBudget = { maxDepth: limits.depth, nodesLeft: limits.nodes };
  return {
    effect,
    annotations: decodeAnnotations(policy['annotations']),
    scope: {
      principal: decodeScope(policy['principal'], '?principal'),
      action: decodeAction(policy['action']),
      resource: decodeScope(policy['resource'], '?resource'),
    },
    conditions: listAt(policy, 'conditions').map(condition => decodeCondition(condition, budget)),
  };
}

/** Fills the slots of a template. @throws UnsupportedPolicyError unless values and slots match exactly. */
export function linkTemplate(template: TemplateAst, values: SlotValues): PolicyAst {
  const { principal, action, resource } = template.scope;
  return {
    ...template,
    scope: {
      principal: fillSlot(principal, values.principal, '?principal'),
      action,
      resource: fillSlot(resource, values.resource, '?resource'),
    },
  };
}

function fillSlot(
  constraint: ScopeConstraint | SlotConstraint,
  uid: EntityUid | undefined,
  slot: string,
): ScopeConstraint {
  switch (constraint.kind) {
    case 'slotEqual':
      return { kind: 'equal', uid: uid ?? refuse(`no value for the slot \`${slot}\``) };
    case 'slotIn':
      return { kind: 'in', uid: uid ?? refuse(`no value for the slot \`${slot}\``) };
    case 'slotIsIn':
      return {
        kind: 'isIn',
        entityType: constraint.entityType,
        uid: uid ?? refuse(`no value for the slot \`${slot}\``),
      };
    default:
      return uid === undefined ? constraint : refuse(`the policy has no slot \`${slot}\``);
  }
}

function decodeAnnotations(json: unknown): ReadonlyMap<string, string> {
  const annotations = new Map<string, string>();
  if (json === undefined) return annotations;
  for (const [name, value] of Object.entries(objectOf(json, 'annotations'))) {
    // `@name` without a value is `null` in JSON and means the same as `@name("")`.
    annotations.set(name, textOf(value ?? '', `@${name}`));
  }
  return annotations;
}

function decodeScope(json: unknown, slot: string): ScopeConstraint | SlotConstraint {
  const constraint = objectOf(json, 'scope');
  const op = textAt(constraint, 'op');
  switch (op) {
    case 'All':
      exactKeys(constraint, ['op'], [], 'scope');
      return { kind: 'any' };
    case '==':
    case 'in': {
      const uid = decodeUidOrSlot(constraint, ['op'], slot);
      if (uid === 'slot') return { kind: op === '==' ? 'slotEqual' : 'slotIn' };
      return { kind: op === '==' ? 'equal' : 'in', uid };
    }
    case 'is': {
      exactKeys(constraint, ['op', 'entity_type'], ['in'], 'scope');
      const entityType = textAt(constraint, 'entity_type');
      if (!keyPresent(constraint, 'in')) return { kind: 'is', entityType };
      const uid = decodeUidOrSlot(objectOf(constraint['in'], 'scope'), [], slot);
      return uid === 'slot' ? { kind: 'slotIsIn', entityType } : { kind: 'isIn', entityType, uid };
    }
    default:
      return refuse(`unknown scope operator \`${op}\``);
  }
}

/** Reads `{entity}` or `{slot}`, beside the keys already read. */
function decodeUidOrSlot(json: Readonly<Record<string, unknown>>, read: string[], slot: string) {
  if (keyPresent(json, 'slot')) {
    exactKeys(json, [...read, 'slot'], [], 'scope');
    if (textAt(json, 'slot') !== slot) refuse(`only the slot \`${slot}\` may stand here`);
    return 'slot';
  }
  exactKeys(json, [...read, 'entity'], [], 'scope');
  return decodeUid(json['entity']);
}

function decodeAction(json: unknown): ActionConstraint {
  const constraint = objectOf(json, 'action scope');
  const op = textAt(constraint, 'op');
  switch (op) {
    case 'All':
      exactKeys(constraint, ['op'], [], 'action scope');
      return { kind: 'any' };
    case '==':
      exactKeys(constraint, ['op', 'entity'], [], 'action scope');
      return { kind: 'equal', uid: decodeUid(constraint['entity']) };
    case 'in':
      if (keyPresent(constraint, 'entities')) {
        exactKeys(constraint, ['op', 'entities'], [], 'action scope');
        return { kind: 'in', uids: listAt(constraint, 'entities').map(decodeUid) };
      }
      exactKeys(constraint, ['op', 'entity'], [], 'action scope');
      return { kind: 'in', uids: [decodeUid(constraint['entity'])] };
    default:
      return refuse(`unknown action operator \`${op}\``);
  }
}

/** `{type, id}`, as scopes have it. */
function decodeUid(json: unknown): EntityUid {
  const uid = objectOf(json, 'entity');
  exactKeys(uid, ['type', 'id'], [], 'entity');
  return new EntityUid(textAt(uid, 'type'), textAt(uid, 'id'));
}

function decodeCondition(json: unknown, budget: NodeBudget): Condition {
  const condition = objectOf(json, 'condition');
  exactKeys(condition, ['kind', 'body'], [], 'condition');
  const kind = textAt(condition, 'kind');
  if (kind !== 'when' && kind !== 'unless') return refuse(`unknown condition \`${kind}\``);
  return { kind, body: decodeExpression(condition['body'], budget, 1) };
}
