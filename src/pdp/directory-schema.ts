/** The active Cedar schema as the directory sees it: defaults, conformance and what a type allows. */
import { applyEntityDefaults, type EntityInput, parseEntityData, unknownType } from '../cedar/entity-data.ts';
import type { CedarSchema, EntityTypeDefinition } from '../cedar/schema.ts';
import type { EntityParser, EntityTraits, ParsedEntity } from '../directory/ports.ts';
import type { EntityBody } from '../domain/entity.ts';
import type { EntityRef } from '../domain/ids.ts';
import { NAMESPACE } from '../domain/names.ts';
import { EntityUid } from '../domain/value.ts';

/** A parser of directory entities for one schema. */
export function entityParser(schema: CedarSchema): EntityParser {
  const requestable = new Set<string>();
  for (const { principalTypes, resourceTypes } of schema.actions.values()) {
    for (const name of principalTypes) requestable.add(name);
    for (const name of resourceTypes) requestable.add(name);
  }
  const traits = new Map<string, EntityTraits>();
  for (const [name, definition] of schema.entityTypes) {
    const mustExist = hasRequiredAttribute(definition);
    traits.set(name, { requestable: requestable.has(name), mustExist });
  }
  return {
    traits: type => traits.get(`${NAMESPACE}::${type}`),
    unknownType: type => {
      const name = `${NAMESPACE}::${type}`;
      return traits.has(name) ? undefined : unknownType(schema, name);
    },
    parse: (ref, body) => parse(schema, ref, body),
  };
}

function parse(schema: CedarSchema, ref: EntityRef, body: EntityBody): ParsedEntity {
  const { attributes, parents, tags } = body;
  const input: EntityInput = { type: `${NAMESPACE}::${ref.type}`, id: ref.id, attributes, parents, tags };
  const completed = applyEntityDefaults(schema, input);
  const result = parseEntityData(schema, completed);
  if (!result.ok) return result;
  const { data } = result;
  const owner = data.attributes.entries.get('tenant');
  // the isolation guard compares owners: a tenant that named another would share everything asked of it
  if (ref.type === 'Tenant' && owner instanceof EntityUid && owner.id !== ref.id) {
    const message = `a tenant belongs to itself, not to \`${owner.id}\``;
    return { ok: false, problems: [{ pointer: '/attributes/tenant', message, hint: 'leave `tenant` out' }] };
  }
  return {
    ok: true,
    attributes: data.attributes,
    tags: data.tags,
    body: { ...body, attributes: completed.attributes },
  };
}

function hasRequiredAttribute(definition: EntityTypeDefinition): boolean {
  for (const { required } of definition.shape.attributes.values()) if (required) return true;
  return false;
}
