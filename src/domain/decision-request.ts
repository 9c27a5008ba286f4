/**
 * The request of POST /decide, parsed strictly: unknown keys fail, numbers are safe integers, every list and
 * string has a limit. `context` stays untyped here; the active Cedar schema parses it (cedar/data.ts).
 */
import { z } from 'zod';
import { entityRefSchema, idSchema } from './ids.ts';
import type { JsonObject } from './json.ts';
import { levelSchema } from './reason.ts';

/** Most partitions, tools or outputs in one request: each is one Cedar check. */
export const MAX_CHECKED_ITEMS = 32;
/** Most strings in a set (scopes, classes, agents in a chain). */
export const MAX_SET_ELEMENTS = 64;
/** Most requests in one batch. */
export const MAX_BATCH = 100;

/** Longest short text (method, scope, class, modality) in UTF-16 code units. */
export const MAX_SHORT_TEXT = 256;
/** Longest name of an action in UTF-16 code units. */
export const MAX_ACTION_LENGTH = 64;
/** Longest path of an output in UTF-16 code units. */
export const MAX_OUTPUT_PATH = 1024;
/** The strongest assurance, hardware-bound; 0 is the weakest. */
export const MAX_ASSURANCE = 3;
/** What is done with a partition. */
export const ACCESS = ['read', 'write', 'export'] as const;
/** How much of the near misses is explained. */
export const EXPLANATIONS = ['none', 'summary', 'full'] as const;
/** Most levels in a request: there are no more. */
export const MAX_LEVELS = 3;
/** What a hash of the input may hold: printable ASCII. */
export const HASH_PATTERN = /^[\x21-\x7e]*$/;

const shortText = z.string().max(MAX_SHORT_TEXT);
const count = z.int().min(0);
const strings = z.array(shortText).max(MAX_SET_ELEMENTS);

export const viaSchema = z
  .strictObject({
    agent: idSchema,
    chain: z.array(idSchema).max(MAX_SET_ELEMENTS),
    depth: count,
    scopes: strings,
    expires: z.iso.datetime({ offset: true }),
    humanApproved: z.boolean(),
  })
  .meta({ id: 'Via', description: 'the RFC 8693 `act` chain when agents act for the principal' });

export const authSchema = z
  .strictObject({
    method: shortText,
    assurance: z.int().min(0).max(MAX_ASSURANCE),
    scopes: strings,
    keyId: shortText.optional(),
    issuer: shortText.optional(),
    mode: z
      .literal('verify')
      .optional()
      .meta({ description: 'set by the service where it verified a credential; no gateway may assert it' }),
  })
  .meta({ id: 'AssertedAuth', description: 'how the gateway authenticated the principal' });

export const decisionRequestSchema = z
  .strictObject({
    requestId: idSchema.optional(),
    principal: entityRefSchema,
    action: z.string().min(1).max(MAX_ACTION_LENGTH),
    resource: entityRefSchema,
    tenant: idSchema.optional(),
    partitions: z
      .array(z.strictObject({ id: idSchema, access: z.enum(ACCESS).default('read') }))
      .max(MAX_CHECKED_ITEMS)
      .optional(),
    onBehalfOf: idSchema.optional(),
    via: viaSchema.optional(),
    tools: z
      .array(z.strictObject({ id: idSchema, amountCents: z.int().optional() }))
      .max(MAX_CHECKED_ITEMS)
      .optional(),
    outputs: z
      .array(z.strictObject({ id: idSchema, path: z.string().max(MAX_OUTPUT_PATH), classification: z.int() }))
      .max(MAX_CHECKED_ITEMS)
      .optional(),
    input: z
      .strictObject({
        classes: strings.optional(),
        modality: shortText.optional(),
        tokens: count.optional(),
        hash: shortText.regex(HASH_PATTERN, 'must be printable ASCII').optional(),
      })
      .optional(),
    params: z
      .strictObject({
        maxOutputTokens: count.optional(),
        stream: z.boolean().optional(),
        outputs: count.optional().meta({
          description: 'how many outputs the request asks for: candidates, lines of a batch; 1 when absent',
        }),
        totalOutputTokens: count.optional().meta({
          description:
            'most tokens of all outputs together, which limits hold; with more than one and without it each counts as all that the model gives',
        }),
      })
      .optional(),
    context: z.custom<JsonObject>(isJsonObject, 'must be an object').optional().meta({
      type: 'object',
      description: 'env, ip, region, and further keys that the schema declares for the action',
    }),
    auth: authSchema.optional(),
    levels: z.array(levelSchema).min(1).max(MAX_LEVELS).optional(),
    consume: z.boolean().optional().meta({
      description: '`false`: says what would be decided, and charges no limit',
    }),
    explain: z.enum(EXPLANATIONS).default('summary'),
  })
  .meta({ id: 'DecisionRequest' });

export type DecisionRequest = z.infer<typeof decisionRequestSchema>;
export type DecisionRequestInput = z.input<typeof decisionRequestSchema>;

/** The body of POST /decide/batch; items are parsed one by one, so that one bad item spoils nothing. */
export const batchRequestSchema = z
  .strictObject({ requests: z.array(z.unknown()).min(1).max(MAX_BATCH) })
  .meta({ id: 'BatchRequest' });

/** Whether a value is an object as JSON knows it. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
