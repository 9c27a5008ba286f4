/**
 * What Duramen asks of a policy beyond Cedar's own type checker. Invariant: a policy that passes can be named
 * in a log, explained to a caller, evaluated within small bounds, and cannot reach into another tenant.
 */
import type { Problem } from '../domain/errors.ts';
import type { LayerName } from '../domain/ids.ts';
import { NAMESPACE, tenantPrefix } from '../domain/names.ts';
import { nearest } from '../domain/spelling.ts';
import type { EntityUid } from '../domain/value.ts';
import { childrenOf, type Expression, type PolicyAst, type ScopeConstraint } from './ast.ts';
import type { TemplateAst } from './est.ts';
import { quote } from './data.ts';
import { dereferenceLevel } from './policy-metrics.ts';

/** Longest `@id` in characters. */
const MAX_POLICY_ID = 128;
/** Longest `@reason` in UTF-16 code units: one sentence for the caller. */
const MAX_REASON = 512;
/** Deepest chain of entity dereferences: the oracle is sent every entity within it. */
export const MAX_LEVEL = 3;
/** Most obligations of one policy. */
const MAX_OBLIGATIONS = 16;

/** Most limit sets of one policy: all of them are looked up when it permits. */
const MAX_LIMIT_SETS = 16;

/** Printable ASCII without space, double quote, backslash, and slash, which ends the layer in a full id. */
const POLICY_ID = /^[\x21\x23-\x2e\x30-\x5b\x5d-\x7e]{1,128}$/;
const OBLIGATION = /^[a-z][a-z0-9_]{0,63}$/;
/** A limit or a set of the own layer, or of the platform. */
const LIMIT_SET = /^(?:platform\/)?[a-z0-9][a-z0-9_.-]{0,63}$/;
/** Characters that make a text look different from what it says (Unicode TR 36). */
const BIDIRECTIONAL_CONTROL = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
const KNOWN_ANNOTATIONS = ['id', 'reason', 'obligation', 'limits', 'severity', 'owner', 'ticket', 'doc'];

/** What a policy belongs to: a layer, or one of the two sets that decide about Duramen itself (src/control). */
export type PolicyOrigin = LayerName | 'control' | 'builtin';

/** A problem of a policy whose place the caller adds. */
export type PolicyProblem = Pick<Problem, 'message' | 'hint'>;

/** Everything about the annotations: the id, the reason and the obligations. */
export function checkAnnotations(annotations: ReadonlyMap<string, string>): PolicyProblem[] {
  return [...checkId(annotations), ...checkReason(annotations), ...checkObligations(annotations)];
}

function checkId(annotations: ReadonlyMap<string, string>): PolicyProblem[] {
  const id = annotations.get('id');
  if (id === undefined || id === '') {
    return [
      {
        message: 'the policy has no `@id`',
        hint: `${misspelt(annotations, 'id')}add @id("…"), unique in its layer: the log and callers see it`,
      },
    ];
  }
  if (POLICY_ID.test(id)) return [];
  return [
    {
      message: `the policy id ${quote(id)} is malformed`,
      hint: `use 1 to ${MAX_POLICY_ID} printable ASCII characters without space, quote, backslash and slash`,
    },
  ];
}

function checkReason(annotations: ReadonlyMap<string, string>): PolicyProblem[] {
  const reason = annotations.get('reason')?.trim() ?? '';
  if (reason === '') {
    return [
      {
        message: 'the policy has no `@reason`',
        hint: `${misspelt(annotations, 'reason')}add @reason("…"), one sentence that may be shown to the caller`,
      },
    ];
  }
  if (reason.length > MAX_REASON) {
    return [{ message: `the reason has ${reason.length} characters, the most is ${MAX_REASON}` }];
  }
  if (/\p{Cc}/u.test(reason)) {
    return [{ message: 'the reason holds a control character', hint: 'write it on one line' }];
  }
  return [];
}

function checkObligations(annotations: ReadonlyMap<string, string>): PolicyProblem[] {
  const list = annotations.get('obligation');
  if (list === undefined) return [];
  const names = list.split(',').map(name => name.trim());
  if (names.length > MAX_OBLIGATIONS) {
    return [{ message: `the policy has ${names.length} obligations, the most is ${MAX_OBLIGATIONS}` }];
  }
  return names
    .filter(name => !OBLIGATION.test(name))
    .map(name => ({
      message: `the obligation ${quote(name)} is malformed`,
      hint: 'use lower-case names of letters, digits and `_`, separated by commas',
    }));
}

/** A permit may name limit sets; a forbid allows nothing that could be limited. */
export function checkLimitSets(
  annotations: ReadonlyMap<string, string>,
  effect: 'permit' | 'forbid',
): PolicyProblem[] {
  const list = annotations.get('limits');
  if (list === undefined) return [];
  if (effect === 'forbid') {
    return [
      { message: 'a forbid has `@limits`', hint: 'it allows nothing that could be limited: remove it' },
    ];
  }
  const names = list.split(',').map(name => name.trim());
  if (names.length > MAX_LIMIT_SETS) {
    return [{ message: `the policy names ${names.length} limit sets, the most is ${MAX_LIMIT_SETS}` }];
  }
  return names
    .filter(name => !LIMIT_SET.test(name))
    .map(name => ({
      message: `the limit set ${quote(name)} is malformed`,
      hint: 'name sets or limits of limits.json, separated by commas; those of the platform as `platform/name`',
    }));
}

function misspelt(annotations: ReadonlyMap<string, string>, wanted: string): string {
  const unknown = [...annotations.keys()].filter(name => !KNOWN_ANNOTATIONS.includes(name));
  const near = nearest(wanted, unknown);
  return near === undefined ? '' : `\`@${near}\` is not \`@${wanted}\`; `;
}

/** Refuses chains of dereferences that the oracle is not sent the entities of. */
export function checkLevel(policy: Omit<PolicyAst, 'scope'>): PolicyProblem[] {
  const anywhere: PolicyAst['scope'] = {
    principal: { kind: 'any' },
    action: { kind: 'any' },
    resource: { kind: 'any' },
  };
  const level = dereferenceLevel({ ...policy, scope: anywhere });
  if (level <= MAX_LEVEL) return [];
  return [
    {
      message: `the policy follows ${level} references one after the other, the most is ${MAX_LEVEL}`,
      hint: 'copy the attribute to a nearer entity, or use a parent and `in`',
    },
  ];
}

/**
 * Refuses reading through an entity that the policy itself names, such as `AI::Tenant::"acme".plan`: the
 * oracle is sent the entities around the request, and what no request leads to is not among them.
 */
export function checkLiterals(policy: Omit<PolicyAst, 'scope'>): PolicyProblem[] {
  const named = new Set<string>();
  const visit = (expression: Expression): void => {
    const target = dereferencedBy(expression);
    if (target !== undefined) for (const uid of literalsOf(target)) named.add(`${uid.type}::"${uid.id}"`);
    for (const part of childrenOf(expression)) visit(part);
  };
  for (const { body } of policy.conditions) visit(body);
  return [...named].map(uid => ({
    message: `the policy reads the data of ${quote(uid)}, which is not part of every request`,
    hint: 'compare with the entity, or read the same attribute through principal, resource or context',
  }));
}

/** The operand whose entity an expression reads, if it reads one. */
function dereferencedBy(expression: Expression): Expression | undefined {
  switch (expression.kind) {
    case 'attribute':
    case 'has':
      return expression.target;
    case 'is':
      return expression.group === undefined ? undefined : expression.target;
    case 'binary':
      return ['in', 'getTag', 'hasTag'].includes(expression.operator) ? expression.left : undefined;
    default:
      return undefined;
  }
}

/** Entities that the policy names and that the expression's value may be. Actions are known without being sent. */
function literalsOf(expression: Expression): readonly EntityUid[] {
  switch (expression.kind) {
    case 'entity':
      return isActionType(expression.uid.type) ? [] : [expression.uid];
    case 'if':
      return [...literalsOf(expression.consequent), ...literalsOf(expression.alternative)];
    case 'attribute':
      return literalsOf(expression.target);
    case 'record':
      return expression.fields.flatMap(({ value }) => literalsOf(value));
    default:
      return [];
  }
}

/** Whether entities of a type are actions, which the schema defines. */
export function isActionType(type: string): boolean {
  return type === 'Action' || type.endsWith('::Action');
}

/**
 * Refuses a tenant's policy whose scope names a resource of somebody else: that tenant's layer is never asked
 * about it, so the policy could not apply. Principals of other tenants may be named: so models are shared.
 */
export function checkOwnership(scope: TemplateAst['scope'], layer: PolicyOrigin): PolicyProblem[] {
  if (!layer.startsWith('tenant:')) return [];
  const tenant = layer.slice('tenant:'.length);
  const uid = namedResource(scope.resource);
  if (uid === undefined || ownerOf(uid) === tenant) return [];
  return [
    {
      message: `the scope names the resource ${quote(`${uid.type}::"${uid.id}"`)}, which is not of tenant \`${tenant}\``,
      hint: `a tenant's policies decide about its own resources: name one whose id begins with \`${tenant}/\``,
    },
  ];
}

function namedResource(constraint: ScopeConstraint | { readonly kind: string }): EntityUid | undefined {
  return 'uid' in constraint ? constraint.uid : undefined;
}

function ownerOf(uid: EntityUid): string | undefined {
  return uid.type === `${NAMESPACE}::Tenant` ? uid.id : tenantPrefix(uid.id);
}

/** The offset of a character that hides what a file says, if there is one. */
export function findDeceptiveCharacter(text: string): number | undefined {
  const at = text.search(BIDIRECTIONAL_CONTROL);
  return at < 0 ? undefined : at;
}
