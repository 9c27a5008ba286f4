/**
 * Directory records: entities of the active schema as they are stored and sent. Invariant: `attributes`,
 * `tags` and `parents` have passed the schema of the revision in which they were written.
 */
import { z } from 'zod';
import { type EntityRef, entityRefSchema } from './ids.ts';
import type { JsonObject } from './json.ts';

/** Most parents of one entity. */
export const MAX_PARENTS = 256;
/** Longest entity as JSON, in characters. */
export const MAX_ENTITY_JSON = 65_536;

export const entityStatusSchema = z.enum(['active', 'disabled']).meta({ id: 'EntityStatus' });
export type EntityStatus = z.infer<typeof entityStatusSchema>;

const jsonObject = z
  .record(z.string(), z.json())
  .meta({ type: 'object', description: 'attributes as the Cedar schema declares them' });

/** The body of PUT /v1/entities/{Type}/{id}. */
export const entityBodySchema = z
  .strictObject({
    attributes: jsonObject.default({}),
    parents: z.array(entityRefSchema).max(MAX_PARENTS).default([]),
    tags: jsonObject.default({}),
    status: entityStatusSchema.default('active'),
  })
  .meta({ id: 'EntityBody' });
/** What `entityBodySchema` parses, read-only. */
export interface EntityBody {
  readonly attributes: JsonObject;
  readonly parents: readonly EntityRef[];
  readonly tags: JsonObject;
  readonly status: EntityStatus;
}

/**
 * The body of PATCH /v1/entities/{Type}/{id}: `attributes` and `tags` are RFC 7396 merge patches, `parents`
 * and `status` are replaced as a whole.
 */
export const entityPatchSchema = z
  .strictObject({
    attributes: jsonObject.optional(),
    parents: z.array(entityRefSchema).max(MAX_PARENTS).optional(),
    tags: jsonObject.optional(),
    status: entityStatusSchema.optional(),
  })
  .meta({ id: 'EntityPatch' });
/** What `entityPatchSchema` parses, read-only. */
export interface EntityPatch {
  readonly attributes?: JsonObject | undefined;
  readonly parents?: readonly EntityRef[] | undefined;
  readonly tags?: JsonObject | undefined;
  readonly status?: EntityStatus | undefined;
}

/** One line of POST /v1/directory/import: the body of PUT with its type and id. */
export const entityLineSchema = z
  .strictObject({ ...entityRefSchema.shape, ...entityBodySchema.shape })
  .meta({ id: 'EntityLine' });
/** What `entityLineSchema` parses, read-only. */
export type EntityLine = EntityRef & EntityBody;

/** One live entity. */
export interface EntityRecord {
  readonly ref: EntityRef;
  readonly attributes: JsonObject;
  readonly parents: readonly EntityRef[];
  readonly tags: JsonObject;
  readonly status: EntityStatus;
  /** Directory revision that wrote it: the ETag. */
  readonly revision: number;
  /** RFC 3339 UTC with milliseconds. */
  readonly updatedAt: string;
}
