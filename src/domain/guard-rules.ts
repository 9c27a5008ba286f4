/**
 * What the platform declares beside its limits: penalties and shedding. Invariant: times are in milliseconds once they
 * are parsed, and the thresholds of steps are in an order in which they cannot contradict each other.
 */
import { z } from 'zod';
import { spanSchema } from './limit-duration.ts';

const SECOND = 1_000;
const DAY = 86_400_000;
/** Longest block: whoever is to be kept out for longer is disabled in the directory. */
const MAX_BLOCK_MS = 30 * DAY;
/** Most violations before a block: each open tally remembers as many instants. */
const MAX_VIOLATIONS = 256;
/** Most steps of shedding: a decision under load looks at them. */
const MAX_STEPS = 8;
/** Most tiers or operations of one step. */
const MAX_WORDS = 64;

/** When repeated violations of limits block, and for how long. */
export const penaltyRulesSchema = z
  .strictObject({
    violations: z.int().min(2).max(MAX_VIOLATIONS).default(10).meta({
      description: 'denials by limits within `within` that block',
    }),
    within: spanSchema(SECOND, DAY).prefault('60s'),
    block: spanSchema(SECOND, MAX_BLOCK_MS)
      .prefault('60s')
      .meta({ description: 'the first block; each further one lasts twice as long' }),
    maxBlock: spanSchema(SECOND, MAX_BLOCK_MS).prefault('24h'),
    forget: spanSchema(SECOND, 30 * DAY)
      .prefault('1h')
      .meta({ description: 'quiet time after which one doubling is forgotten' }),
  })
  .refine(({ block, maxBlock }) => block <= maxBlock, {
    path: ['maxBlock'],
    message: 'must be at least `block`',
  })
  .meta({ id: 'PenaltyRules' });
export type PenaltyRules = Readonly<z.output<typeof penaltyRulesSchema>>;

/** Whom violations block: principals and addresses each apart; what is absent is never blocked. */
export const penaltiesSchema = z
  .strictObject({
    principal: penaltyRulesSchema
      .optional()
      .meta({ description: 'by limits with `principal` or `key` in their key' }),
    address: penaltyRulesSchema.optional().meta({ description: 'by limits with `address` in their key' }),
  })
  .meta({ id: 'Penalties' });
export type Penalties = Readonly<z.output<typeof penaltiesSchema>>;

const percent = z.int().min(0).max(100);
const words = z.array(z.string().min(1).max(64)).max(MAX_WORDS).default([]);

/** One step of shedding: from which load on which requests are turned away. */
const shedStepSchema = z
  .strictObject({
    enterPercent: percent.meta({ description: 'load at which the step begins' }),
    leavePercent: percent.meta({ description: 'load below which it ends' }),
    tiers: words.meta({ description: 'tiers that are turned away' }),
    operations: words.meta({ description: 'operations that are turned away, in every tier' }),
  })
  .superRefine((step, context) => {
    if (step.leavePercent >= step.enterPercent) {
      const message = 'must be below `enterPercent`, or the step would flap';
      context.addIssue({ code: 'custom', path: ['leavePercent'], message });
    }
    if (step.tiers.length + step.operations.length === 0) {
      context.addIssue({ code: 'custom', path: ['tiers'], message: 'or `operations` must name something' });
    }
  });
export type ShedStep = Readonly<z.output<typeof shedStepSchema>>;

/** Who is turned away first when a model reports load. A step includes those before it. */
export const sheddingRulesSchema = z
  .strictObject({
    queueFull: z.int().min(1).max(1_000_000).default(64).meta({
      description: 'queue depth of one replica that counts as a load of 100 per cent',
    }),
    smooth: spanSchema(0, 3_600 * SECOND)
      .prefault('5s')
      .meta({
        description: 'time in which the load that decides follows two thirds of a change; `0s`: at once',
      }),
    hold: spanSchema(0, 3_600 * SECOND)
      .prefault('10s')
      .meta({ description: 'a step lasts at least this long' }),
    retryAfter: spanSchema(SECOND, 3_600 * SECOND)
      .prefault('5s')
      .meta({ description: 'when to come back; up to twice as long, differently for each caller' }),
    steps: z.array(shedStepSchema).min(1).max(MAX_STEPS),
  })
  .superRefine(({ steps }, context) => {
    for (const [at, step] of steps.entries()) {
      const before = steps[at - 1];
      if (before === undefined) continue;
      for (const field of ['enterPercent', 'leavePercent'] as const) {
        if (step[field] > before[field]) continue;
        const message = 'must be above that of the step before';
        context.addIssue({ code: 'custom', path: ['steps', at, field], message });
      }
    }
  })
  .meta({ id: 'SheddingRules' });
export type SheddingRules = Readonly<z.output<typeof sheddingRulesSchema>>;

/** Members of limits.json of the platform layer; what is absent is not guarded. */
export const guardMembers = {
  penalties: penaltiesSchema.optional().meta({ description: 'of the platform alone' }),
  shedding: sheddingRulesSchema.optional().meta({ description: 'of the platform alone' }),
} as const;

export interface GuardRules {
  readonly penalties?: Penalties | undefined;
  readonly shedding?: SheddingRules | undefined;
}
