/** What the routes of bundles take and answer, as schemas. */
import { z } from 'zod';
import { digestSchema, manifestSchema } from '../../domain/bundle.ts';
import { layerNameSchema } from '../../domain/ids.ts';
import { keylessText } from '../../domain/keyless-text.ts';

const problemSchema = z
  .strictObject({
    pointer: z.string().optional(),
    file: z.string().optional(),
    line: z.int().optional(),
    column: z.int().optional(),
    message: z.string(),
    hint: z.string().optional(),
  })
  .meta({ id: 'Problem' });

const reportSchema = z
  .strictObject({
    policies: z.int(),
    tests: z.strictObject({ passed: z.int(), failed: z.int() }),
    warnings: z.array(problemSchema),
    schema: digestSchema.optional().meta({ description: 'schema by which the bundle was checked' }),
  })
  .meta({ id: 'BundleReport' });

export const pushResultSchema = z
  .strictObject({
    digest: digestSchema,
    layer: layerNameSchema,
    state: z.enum(['checked', 'staged', 'active']),
    report: reportSchema,
  })
  .meta({ id: 'PushResult' });

export const bundleSchema = z
  .strictObject({
    digest: digestSchema,
    layer: layerNameSchema,
    manifest: manifestSchema,
    state: z.enum(['staged', 'active']),
    report: reportSchema,
    pushedBy: z.string(),
    pushedAt: z.string(),
  })
  .meta({ id: 'Bundle' });

export const activationSchema = z
  .strictObject({
    layer: layerNameSchema,
    sequence: z.int(),
    digest: digestSchema,
    previous: digestSchema.nullable(),
    actor: z.string(),
    reason: z.string(),
    kind: z.enum(['activate', 'rollback']),
    at: z.string(),
  })
  .meta({ id: 'Activation' });

export const activationResultSchema = activationSchema
  .extend({
    warnings: z.array(problemSchema).meta({
      description: 'what active layers rely on and is not there any more; a rollback is not held up by that',
    }),
  })
  .meta({ id: 'ActivationResult' });

const reasonText = keylessText(1024).default('');
export const activateSchema = z
  .strictObject({
    expectedActive: digestSchema.nullable().optional().meta({
      description: 'digest that must be active now; null: none; absent: any',
    }),
    reason: reasonText,
  })
  .meta({ id: 'ActivateRequest' });
export const rollbackSchema = z
  .strictObject({
    expectedActive: digestSchema.optional().meta({
      description: 'digest that must be active now, from which to go back; absent: any',
    }),
    reason: reasonText,
  })
  .meta({ id: 'RollbackRequest' });
export const reasonBodySchema = z.strictObject({ reason: reasonText }).meta({ id: 'ReasonBody' });
