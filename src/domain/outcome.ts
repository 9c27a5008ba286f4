/**
 * How a call ended, as the gateway reports it after an allow. Invariant: a report names results and amounts, never
 * content: what was generated is known by a digest alone.
 */
import { z } from 'zod';
import { HASH_PATTERN, MAX_SHORT_TEXT } from './decision-request.ts';

/**
 * `completed`: the client has it all; `partial`: a part, and the rest will not come; `failed`: the model or the way to it
 * failed; `cancelled`: the client did not wait. `withdrawn` is written by the service: the call was never made.
 */
export const OUTCOME_STATUSES = ['completed', 'partial', 'failed', 'cancelled'] as const;

/** Most that one report may name of anything: what is larger is a mistake. */
const MAX_AMOUNT = 1_000_000_000_000;
/** Most guardrails of one call. */
const MAX_GUARDRAILS = 32;
/** Longest time by which an extension may lengthen a hold, in seconds. */
const MAX_EXTENSION_SECONDS = 3_600;

/** Names of guardrails and versions: nothing that could be content. */
const word = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.:/@-]{0,127}$/, 'must be 1 to 128 letters, digits and `_.:/@-`');
const amount = z.int().min(0).max(MAX_AMOUNT);

export const outcomeSchema = z
  .strictObject({
    status: z.enum(OUTCOME_STATUSES),
    modelVersion: word.optional().meta({ description: 'the version that answered; it decides the price' }),
    usage: z
      .strictObject({
        inputTokens: amount.optional(),
        outputTokens: amount.optional(),
        computeMs: amount.optional().meta({ description: 'absent: the duration' }),
        costMicroUsd: amount.optional().meta({ description: 'absent: by the price list' }),
      })
      .default({}),
    durationMs: amount.optional(),
    output: z
      .strictObject({
        hash: z.string().min(1).max(MAX_SHORT_TEXT).regex(HASH_PATTERN, 'must be printable ASCII'),
      })
      .optional()
      .meta({ description: 'what was generated; the log keeps a keyed digest of the hash' }),
    validation: z.enum(['passed', 'failed', 'skipped']).optional(),
    guardrails: z
      .array(z.strictObject({ name: word, result: z.enum(['passed', 'flagged', 'blocked', 'error']) }))
      .max(MAX_GUARDRAILS)
      .optional(),
  })
  .meta({ id: 'Outcome' });
export type Outcome = Readonly<z.output<typeof outcomeSchema>>;

export const settledChargeSchema = z
  .strictObject({
    name: z.string().meta({ description: 'the limit' }),
    reserved: z.int(),
    charged: z.int(),
    overdraft: z.int().meta({ description: 'what went over the limit with it' }),
  })
  .meta({ id: 'SettledCharge' });
export type SettledLimit = Readonly<z.output<typeof settledChargeSchema>>;

export const settledOutcomeSchema = z
  .strictObject({
    decisionId: z.string(),
    state: z.enum(['settled', 'repeated', 'recorded', 'deferred']).meta({
      description:
        '`settled`: what was held was replaced by what was used; `repeated`: an earlier report counts, and this is its ' +
        'result; `recorded`: nothing was held any more; `deferred`: the shared store learns of it when it answers',
    }),
    status: z.enum([...OUTCOME_STATUSES, 'withdrawn']).meta({ description: 'of the report that counts' }),
    charges: z.array(settledChargeSchema),
    log: z.strictObject({ origin: z.string(), index: z.int() }),
  })
  .meta({ id: 'SettledOutcome' });
export type SettledOutcome = Readonly<z.output<typeof settledOutcomeSchema>>;

export const extensionSchema = z
  .strictObject({
    seconds: z.int().min(1).max(MAX_EXTENSION_SECONDS).optional().meta({
      description: 'how long it goes on from now; absent: as long as a hold lasts at first',
    }),
  })
  .meta({ id: 'Extension' });

export const extendedSchema = z
  .strictObject({ decisionId: z.string(), expiresAt: z.string() })
  .meta({ id: 'Extended' });
export type Extended = Readonly<z.output<typeof extendedSchema>>;
