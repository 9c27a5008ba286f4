/**
 * Identifiers. Invariant: an id is compared byte for byte and is safe in a URL path, a log line and a
 * Cedar string without escaping.
 */
import { z } from 'zod';

/** Longest id in characters: long enough for a SPIFFE id, short enough for every index. */
export const MAX_ID_LENGTH = 256;

/** What `idSchema` accepts, for the decision path, where a schema costs more than the rest of the parsing. */
export const ID_PATTERN = /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/;

/** 1–256 printable ASCII characters without space, double quote and backslash (api.md, first paragraph). */
export const idSchema = z
  .string()
  .regex(ID_PATTERN, 'must be 1 to 256 printable ASCII characters without space, double quote and backslash')
  .meta({ id: 'Id' });

/** What `entityTypeSchema` accepts. */
export const ENTITY_TYPE_PATTERN = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;

/** A Cedar entity type of the `AI` namespace, written without the namespace. */
export const entityTypeSchema = z
  .string()
  .regex(ENTITY_TYPE_PATTERN, 'must be a Cedar type name without its namespace')
  .meta({ id: 'EntityType' });

/** A reference to an entity as it stands on the wire: `{"type": "User", "id": "acme/alice"}`. */
export const entityRefSchema = z
  .strictObject({ type: entityTypeSchema, id: idSchema })
  .meta({ id: 'EntityRef' });
export type EntityRef = Readonly<z.infer<typeof entityRefSchema>>;

/** `platform`, or `tenant:<id>`: the unit of policy that is activated as one. */
export type LayerName = 'platform' | `tenant:${string}`;
export const layerNameSchema = z
  .string()
  .max(MAX_ID_LENGTH + 7)
  .refine(
    (name): name is LayerName =>
      name === 'platform' || (name.startsWith('tenant:') && idSchema.safeParse(name.slice(7)).success),
    'must be `platform` or `tenant:<id>`',
  )
  .meta({ id: 'LayerName' });

/** The layer that holds the policies of one tenant. */
export function tenantLayer(tenantId: string): LayerName {
  return `tenant:${tenantId}`;
}
