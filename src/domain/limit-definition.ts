/**
 * Limits as a bundle declares them in limits.json. Invariant: what is parsed has its times in milliseconds, its
 * percentages and amounts as integers, and no member that its kind does not read.
 */
import { z } from 'zod';
import { guardMembers } from './guard-rules.ts';
import { type EntityRef, entityRefSchema, idSchema } from './ids.ts';
import { CALENDAR_PERIODS, EXPIRY_MODES, limitUnitSchema, STORE_FAILURE_MODES } from './limit.ts';
import { priceListSchema } from './price-list.ts';
import { MAX_SPAN_MS, spanSchema } from './limit-duration.ts';

/** Most limits of one layer: all of them are looked at when one is explained. */
const MAX_LIMITS = 1_000;
/** Most overrides of one limit, and most names in all of them; who needs more has a tier. */
const MAX_OVERRIDES = 1_000;
const MAX_OVERRIDE_NAMES = 2_000;
/** Most tightenings of one tenant. */
const MAX_TIGHTENINGS = 100;
/** Most names in one list of a match. */
const MAX_MATCH_NAMES = 256;
/** Most tiers, plans or classes that one limit tells apart. */
const MAX_FACTORS = 64;
/** Most of anything that is counted: with a factor and a hundred million charges it stays a safe integer. */
export const MAX_LIMIT = 1_000_000_000_000;
/** Largest factor in per cent. */
const MAX_PERCENT = 100_000;
/** Shortest window: what is shorter is concurrency. Milliseconds. */
const MIN_WINDOW_MS = 100;
const MIN_LEASE_MS = 1_000;
const DAY_MS = 86_400_000;
/** Tokens of an answer, or milliseconds of work, that are expected while nothing is known. */
const DEFAULT_EXPECTED = 1_024;

/** Lower case, so that names of limits read the same in headers, metrics and JSON. */
const LIMIT_ID = /^[a-z0-9][a-z0-9_.-]{0,63}$/;
export const limitIdSchema = z
  .string()
  .regex(LIMIT_ID, 'must be 1 to 64 lower-case letters, digits, `_`, `.` and `-`')
  .meta({ id: 'LimitId' });

/** What a limit tells apart when it counts; none of them: everything together. */
export const LIMIT_DIMENSIONS = [
  'principal',
  'key',
  'tenant',
  'model',
  'model_group',
  'operation',
  'address',
  'pep',
] as const;
export const limitDimensionSchema = z.enum(LIMIT_DIMENSIONS).meta({ id: 'LimitDimension' });
export type LimitDimension = z.infer<typeof limitDimensionSchema>;

const word = z.string().min(1).max(64);
const ids = z.array(idSchema).min(1).max(MAX_MATCH_NAMES);
const words = z.array(word).min(1).max(MAX_MATCH_NAMES);
const percent = z.int().min(0).max(MAX_PERCENT);
const amount = z.int().min(0).max(MAX_LIMIT);
const percents = z
  .record(word, percent)
  .refine(factors => Object.keys(factors).length <= MAX_FACTORS, `must have at most ${MAX_FACTORS} members`);

/** Which requests a limit is for: every member that is given has to hold. */
export const limitMatchSchema = z
  .strictObject({
    operations: words.optional().meta({ description: 'actions, or groups of them such as `Inference`' }),
    models: ids.optional().meta({ description: 'with their versions' }),
    modelGroups: ids.optional(),
    classes: words.optional().meta({ description: 'classes of models, as `modelClasses` declares them' }),
    tenants: ids.optional(),
    plans: words.optional(),
    tiers: words.optional(),
    principals: z.array(entityRefSchema).min(1).max(MAX_MATCH_NAMES).optional(),
    principalTypes: z.array(z.string().max(64)).min(1).max(16).optional(),
    principalGroups: z
      .array(entityRefSchema)
      .min(1)
      .max(MAX_MATCH_NAMES)
      .optional()
      .meta({ description: 'teams, roles and tenants that the principal is in' }),
    networks: z
      .array(z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], 'must be an address or a CIDR network'))
      .min(1)
      .max(MAX_MATCH_NAMES)
      .optional(),
    keys: ids.optional().meta({
      description: 'credentials of callers: ids of keys, `sso:client:app`, `sso:subject:4711`, SPIFFE ids',
    }),
    peps: ids.optional().meta({ description: 'ids of keys of gateways' }),
  })
  .meta({ id: 'LimitMatch' });
export type LimitMatch = Readonly<z.output<typeof limitMatchSchema>>;

/** Another number for some, until a day. Exactly one of `limit` and `percent`. */
export const limitOverrideSchema = z
  .strictObject({
    principals: z.array(entityRefSchema).min(1).max(MAX_MATCH_NAMES).optional(),
    tenants: ids.optional(),
    models: ids.optional(),
    limit: amount.optional(),
    percent: percent.optional().meta({ description: 'of what would hold without the override' }),
    until: z.iso.datetime({ offset: true }).transform(text => Date.parse(text)),
    reason: z.string().min(1).max(256),
    by: z.string().max(256).default('').meta({ description: 'who granted it' }),
  })
  .refine(
    ({ limit, percent: factor }) => (limit === undefined) !== (factor === undefined),
    'must have either `limit` or `percent`',
  )
  .refine(
    ({ principals, tenants, models }) => (principals ?? tenants ?? models) !== undefined,
    'must say for which `principals`, `tenants` or `models`',
  )
  .meta({ id: 'LimitOverride' });
export type LimitOverride = Readonly<z.output<typeof limitOverrideSchema>>;

/** How many names an override has. */
function namesOf({ principals, tenants, models }: LimitOverride): number {
  return (principals?.length ?? 0) + (tenants?.length ?? 0) + (models?.length ?? 0);
}

/**
 * How much a call is thought to use before it is known. `maximum`: the input and all the output that may come;
 * `expected`: what such calls used before; `capped`: the maximum, and never more than `at`.
 */
export const estimateSchema = z
  .discriminatedUnion('policy', [
    z.strictObject({ policy: z.literal('maximum') }),
    z.strictObject({
      policy: z.literal('expected'),
      initial: amount.default(DEFAULT_EXPECTED).meta({
        description: 'output tokens, or milliseconds of a limit in compute_ms, while no such call is known',
      }),
    }),
    z.strictObject({
      policy: z.literal('capped'),
      at: amount.meta({ description: 'output tokens, or milliseconds of a limit in compute_ms' }),
    }),
  ])
  .meta({ id: 'LimitEstimate' });
export type LimitEstimate = Readonly<z.output<typeof estimateSchema>>;

const common = {
  id: limitIdSchema,
  description: z.string().max(256).default(''),
  mode: z.enum(['enforce', 'shadow', 'off']).default('enforce'),
  limit: amount,
  key: z
    .array(limitDimensionSchema)
    .max(LIMIT_DIMENSIONS.length)
    .refine(dimensions => new Set(dimensions).size === dimensions.length, 'must name each dimension once')
    .meta({ description: 'what is counted apart; empty: everything together' }),
  match: limitMatchSchema.default({}),
  sets: z.array(limitIdSchema).max(16).optional().meta({
    description:
      'sets that it belongs to: then it holds only where a permit names a set, or this limit, in @limits',
  }),
  byTier: percents.default({}).meta({ description: 'per cent of `limit` by tier of the principal' }),
  byPlan: percents.default({}).meta({ description: 'per cent by plan of the tenant' }),
  byClass: percents.default({}).meta({ description: 'per cent by class of the model; the lowest one holds' }),
  overrides: z
    .array(limitOverrideSchema)
    .max(MAX_OVERRIDES)
    .refine(
      overrides => overrides.reduce((sum, one) => sum + namesOf(one), 0) <= MAX_OVERRIDE_NAMES,
      `must name at most ${MAX_OVERRIDE_NAMES} principals, tenants and models together`,
    )
    .default([]),
  prefix: z
    .strictObject({
      ipv4: z.int().min(8).max(32).default(32),
      ipv6: z.int().min(16).max(64).default(64),
    })
    .prefault({})
    .meta({ description: 'how many bits of an address are told apart' }),
  onStoreFailure: z.enum(STORE_FAILURE_MODES).optional(),
  alertAt: z.array(z.int().min(1).max(100)).max(8).default([80, 100]),
};

const PERIOD_EXPECTED = 'must be `hour`, `day`, `week`, `month`, or a time from `1m` to `366d` such as `30d`';
/** What may be estimated: everything but requests. */
const counted = { unit: limitUnitSchema, estimate: estimateSchema.optional() };

export const limitDefinitionSchema = z
  .discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('window'),
      ...common,
      ...counted,
      per: spanSchema(MIN_WINDOW_MS, MAX_SPAN_MS),
    }),
    z.strictObject({
      kind: z.literal('rate'),
      ...common,
      ...counted,
      per: spanSchema(MIN_WINDOW_MS, DAY_MS),
      burst: amount.min(1).meta({ description: 'most that is admitted at one instant' }),
    }),
    z.strictObject({
      kind: z.literal('quota'),
      ...common,
      ...counted,
      period: z.union([z.enum(CALENDAR_PERIODS), spanSchema(60_000, MAX_SPAN_MS)], PERIOD_EXPECTED).meta({
        description:
          '`hour`, `day`, `week` or `month` of the calendar in UTC, or a time such as `30d`: rolling',
      }),
      onExpiry: z.enum(EXPIRY_MODES).default('charge_input'),
    }),
    z.strictObject({
      kind: z.literal('concurrency'),
      ...common,
      lease: spanSchema(MIN_LEASE_MS, DAY_MS).default(300_000),
      fair: z
        .strictObject({
          weights: z
            .record(idSchema, z.int().min(0).max(1_000_000))
            .refine(weights => Object.keys(weights).length <= 1_000, 'must have at most 1000 members')
            .meta({ description: 'weight of each tenant in the pool' }),
          others: z
            .int()
            .min(0)
            .max(1_000_000)
            .default(0)
            .meta({ description: 'weight of all other tenants together' }),
          highWaterPercent: z
            .int()
            .min(1)
            .max(100)
            .default(90)
            .meta({ description: 'how full the pool may get with leases beyond the guaranteed ones' }),
        })
        .optional(),
    }),
  ])
  .meta({ id: 'LimitDefinition' });
export type LimitDefinition = Readonly<z.output<typeof limitDefinitionSchema>>;

/** A class of models: those that are named, are in a group, have one of the stages, or at least this risk. */
export const modelClassSchema = z
  .strictObject({
    id: limitIdSchema,
    models: ids.optional(),
    modelGroups: ids.optional(),
    stages: words.optional(),
    minRisk: z.int().optional(),
  })
  .refine(
    ({ models, modelGroups, stages, minRisk }) => (models ?? modelGroups ?? stages ?? minRisk) !== undefined,
    'must say which models it has',
  )
  .meta({ id: 'ModelClass', description: 'one of its members has to hold' });
export type ModelClass = Readonly<z.output<typeof modelClassSchema>>;

/** A lower number that a tenant gives a limit of the platform for its own part. */
export const tighteningSchema = z
  .strictObject({
    limit: limitIdSchema.meta({ description: 'id of a limit of the platform layer' }),
    to: amount,
    match: limitMatchSchema.default({}),
  })
  .meta({ id: 'LimitTightening' });
export type LimitTightening = Readonly<z.output<typeof tighteningSchema>>;

/** The file limits.json of a bundle. */
export const limitsFileSchema = z
  .strictObject({
    $schema: z.string().max(256).optional().meta({ description: 'schema/limits.schema.json, for editors' }),
    ...guardMembers,
    limits: z.array(limitDefinitionSchema).max(MAX_LIMITS).default([]),
    modelClasses: z.array(modelClassSchema).max(MAX_FACTORS).default([]),
    prices: priceListSchema.optional(),
    tighten: z
      .array(tighteningSchema)
      .max(MAX_TIGHTENINGS)
      .default([])
      .meta({ description: 'of tenants alone: lower numbers for limits of the platform' }),
  })
  .meta({ id: 'LimitsFile' });
export type LimitsFile = Readonly<z.output<typeof limitsFileSchema>>;
/** The file as it is written. */
export type WrittenLimits = z.input<typeof limitsFileSchema>;

/** Key of the uid of an entity that is named without its namespace. */
export function refKey({ type, id }: EntityRef): string {
  return `AI::${type}::"${id}"`;
}
