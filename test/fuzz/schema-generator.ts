/** Random schemas in Cedar syntax: entity types with hierarchies, tags and enumerations, action groups, contexts. */
import type { Random } from './random.ts';

const NAMESPACES = ['', 'AI', 'N::M'];
/** Few names, so that policies often hit one; some need quoting, some are prototype members in JavaScript. */
export const ATTRIBUTES = ['a', 'b', 'c', 'd', 'odd key', '__proto__', 'constructor', 'é'];
const ENTITY_TYPES = ['User', 'Group', 'Doc', 'Unit'];
const ENUM_IDS = ['red', 'green', 'b l u e'];

/** A schema that cedar-wasm accepts. */
export function generateSchema(random: Random): string {
  const namespace = random.pick(NAMESPACES);
  const types = ENTITY_TYPES.slice(0, random.between(2, ENTITY_TYPES.length));
  const hasEnum = random.chance(40);
  const all = hasEnum ? [...types, 'Color'] : types;
  const lines = [`type Common = ${recordOf(random, all, 1)};`];
  for (const type of types) {
    const parents = random.some(all, 50);
    const memberOf = parents.length === 0 ? '' : ` in [${parents.join(', ')}]`;
    const tags = random.chance(50) ? ` tags ${typeOf(random, all, 2)}` : '';
    lines.push(`entity ${type}${memberOf} = ${recordOf(random, all, 0)}${tags};`);
  }
  if (hasEnum) lines.push(`entity Color enum [${ENUM_IDS.map(id => JSON.stringify(id)).join(', ')}];`);
  lines.push('action all;', 'action some in [all];', 'action "odd one" in [all];');
  for (const action of ['read', 'write', 'share']) {
    const groups = random.some(['all', 'some', '"odd one"'], 50);
    const memberOf = groups.length === 0 ? '' : ` in [${groups.join(', ')}]`;
    const principals = [random.pick(types), ...random.some(all, 40)];
    const resources = [random.pick(types), ...random.some(all, 40)];
    lines.push(
      `action ${action}${memberOf} appliesTo { principal: [${unique(principals)}], resource: [${unique(resources)}], context: ${recordOf(random, all, 0)} };`,
    );
  }
  return namespace === '' ? lines.join('\n') : `namespace ${namespace} {\n${lines.join('\n')}\n}`;
}

function unique(names: readonly string[]): string {
  return [...new Set(names)].join(', ');
}

function recordOf(random: Random, entityTypes: readonly string[], depth: number): string {
  const attributes = random.some(ATTRIBUTES, 35).map(name => {
    const optional = random.chance(35) ? '?' : '';
    return `${JSON.stringify(name)}${optional}: ${typeOf(random, entityTypes, depth)}`;
  });
  return `{ ${attributes.join(', ')} }`;
}

function typeOf(random: Random, entityTypes: readonly string[], depth: number): string {
  const choice = random.below(depth >= 2 ? 8 : 12);
  switch (choice) {
    case 0:
    case 1:
      return 'Long';
    case 2:
      return 'String';
    case 3:
      return 'Bool';
    case 4:
    case 5:
      return random.pick(['ipaddr', 'decimal', 'datetime', 'duration']);
    case 6:
    case 7:
      return random.pick(entityTypes);
    case 8:
    case 9:
      return `Set<${typeOf(random, entityTypes, depth + 1)}>`;
    case 10:
      return depth === 0 ? 'Common' : recordOf(random, entityTypes, depth + 1);
    default:
      return recordOf(random, entityTypes, depth + 1);
  }
}
