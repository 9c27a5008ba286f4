/** Random policy sets: static policies and linked templates, with every form of scope. */
import type { CedarSchema } from '../../src/cedar/schema.ts';
import type { EntityUid } from '../../src/domain/value.ts';
import { applicableActions, generateUid } from './data-generator.ts';
import { type Environment, ExpressionGenerator, quoted } from './expression-generator.ts';
import type { Random } from './random.ts';

/** A static policy, or a template with the values of one link. */
export interface GeneratedPolicy {
  readonly id: string;
  readonly text: string;
  /** Present for templates; a slot that the template lacks is absent. */
  readonly link?: { readonly principal?: EntityUid; readonly resource?: EntityUid };
}

export function generatePolicies(random: Random, schema: CedarSchema): readonly GeneratedPolicy[] {
  const count = random.chance(60) ? random.between(1, 4) : random.between(5, 12);
  return Array.from({ length: count }, (_, i) => generatePolicy(random, schema, `p${i}`));
}

function generatePolicy(random: Random, schema: CedarSchema, id: string): GeneratedPolicy {
  const action = random.pick(applicableActions(schema));
  const environment: Environment = {
    schema,
    principal: random.pick([...action.principalTypes]),
    resource: random.pick([...action.resourceTypes]),
    context: action.context,
  };
  const slots = random.chance(15);
  const principal = scope(random, schema, 'principal', environment.principal, slots && random.chance(60));
  const resource = scope(random, schema, 'resource', environment.resource, slots && random.chance(60));
  const effect = random.chance(65) ? 'permit' : 'forbid';
  const head = `${effect} (${principal.text}, ${actionScope(random, schema, action.uid)}, ${resource.text})`;
  const generator = new ExpressionGenerator(random, environment);
  const conditions = random
    .list(
      random.chance(10) ? 0 : 1,
      2,
      () => `${random.chance(75) ? 'when' : 'unless'} { ${generator.boolean(random.between(1, 4))} }`,
    )
    .join('\n');
  const text = `${head}\n${conditions};`;
  if (principal.slot === undefined && resource.slot === undefined) return { id, text };
  return {
    id,
    text,
    link: {
      ...(principal.slot !== undefined && { principal: principal.slot }),
      ...(resource.slot !== undefined && { resource: resource.slot }),
    },
  };
}

function actionScope(random: Random, schema: CedarSchema, action: EntityUid): string {
  const other = (): EntityUid => (random.chance(50) ? action : random.pick([...schema.actions.values()]).uid);
  switch (random.below(8)) {
    case 0:
      return `action in [${random.list(0, 3, () => literal(other())).join(', ')}]`;
    case 1:
      return `action == ${literal(other())}`;
    case 2:
    case 3:
      return `action in ${literal(other())}`;
    default:
      return 'action';
  }
}

function scope(
  random: Random,
  schema: CedarSchema,
  variable: 'principal' | 'resource',
  likelyType: string,
  wantsSlot: boolean,
): { readonly text: string; readonly slot?: EntityUid } {
  const type = random.chance(90) ? likelyType : random.pick([...schema.entityTypes.keys()]);
  const groups = [...(schema.entityTypes.get(type)?.memberOf ?? []), type];
  const same = uidOf(random, schema, type);
  const group = uidOf(random, schema, random.pick(groups));
  const slot = `?${variable}`;
  switch (random.below(wantsSlot ? 3 : 10)) {
    case 0:
      return wantsSlot
        ? { text: `${variable} == ${slot}`, slot: same }
        : { text: `${variable} == ${literal(same)}` };
    case 1:
      return wantsSlot
        ? { text: `${variable} in ${slot}`, slot: group }
        : { text: `${variable} in ${literal(group)}` };
    case 2:
      return wantsSlot
        ? { text: `${variable} is ${type} in ${slot}`, slot: group }
        : { text: `${variable} is ${type} in ${literal(group)}` };
    case 3:
      return { text: `${variable} is ${type}` };
    default:
      return { text: variable };
  }
}

function uidOf(random: Random, schema: CedarSchema, type: string): EntityUid {
  return generateUid(random, type, schema.entityTypes.get(type)?.enumeration);
}

function literal(uid: EntityUid): string {
  return `${uid.type}::${quoted(uid.id)}`;
}
