/** The route that shows which limits hold for a principal, a model or a tenant, with where each number comes from. */
import { z } from 'zod';
import { timestamp } from '../../domain/clock.ts';
import { MAX_ACTION_LENGTH } from '../../domain/decision-request.ts';
import { idSchema, layerNameSchema } from '../../domain/ids.ts';
import { limitKindSchema, limitUnitSchema, STORE_FAILURE_MODES } from '../../domain/limit.ts';
import { limitMatchSchema } from '../../domain/limit-definition.ts';
import { priceSchema } from '../../domain/price-list.ts';
import type { EffectiveLimit } from '../../limits/planning.ts';
import { type Route, route } from '../http/route.ts';
import { addressText, principalText } from './limit-usage.ts';

const SECOND_MS = 1_000;

const querySchema = z.strictObject({
  principal: principalText.optional().meta({ description: 'such as `User:acme/alice`' }),
  model: idSchema.optional(),
  action: z.string().min(1).max(MAX_ACTION_LENGTH).optional(),
  tenant: idSchema
    .optional()
    .meta({ description: 'whose data is used; absent: the tenant of the principal' }),
  ip: addressText.optional(),
  key: idSchema.optional().meta({ description: 'what limits call the credential of the caller' }),
  pep: idSchema.optional().meta({ description: 'id of the key of the gateway' }),
});

const effectiveLimitSchema = z
  .strictObject({
    name: z.string().meta({ description: '`<layer>/<id>`' }),
    description: z.string(),
    kind: limitKindSchema,
    unit: limitUnitSchema,
    mode: z.enum(['enforce', 'shadow']),
    limit: z.int(),
    source: z.string().meta({ description: 'where the number comes from' }),
    varies: z.array(z.string()).meta({
      description: 'what was not told and would change the number: `principal`, `tenant`, `model`',
    }),
    scope: z.array(z.string()).meta({ description: 'what is counted apart; empty: everything together' }),
    seconds: z.number().optional().meta({ description: 'of a window, a rate, a rolling quota or a lease' }),
    period: z.string().optional().meta({ description: 'of the calendar, in UTC' }),
    burst: z.int().optional(),
    sets: z.array(z.string()).optional().meta({
      description: 'present: it holds only where a permit names it, or one of these, in `@limits`',
    }),
    match: limitMatchSchema.optional().meta({
      description:
        'which requests it is for; of limits of the platform only to keys of all tenants, as it may name others',
    }),
    onStoreFailure: z.enum(STORE_FAILURE_MODES),
    alertAtPercent: z.array(z.int()),
  })
  .meta({ id: 'EffectiveLimit' });

const answerSchema = z
  .strictObject({
    items: z.array(effectiveLimitSchema),
    prices: z.array(z.strictObject({ list: z.string(), ...priceSchema.shape })).meta({
      description: 'what each list says of the model; the dearest for a call is what it costs',
    }),
    layers: z
      .array(z.strictObject({ layer: layerNameSchema, digest: z.string() }))
      .meta({ description: 'the bundles that declare them' }),
    evaluatedAt: z.string(),
  })
  .meta({ id: 'EffectiveLimits' });

export function limitRoutes(): readonly Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/limits',
      operation: 'getLimits',
      tag: 'limits',
      summary: 'Which limits hold for a principal, a model or a tenant, with where each number comes from',
      access: ['limits', 'auditor'],
      query: querySchema,
      answers: { 200: { description: 'the limits that hold or may hold', schema: answerSchema } },
      failures: ['NOT_FOUND', 'NOT_READY'],
      handle({ services, credential, query }) {
        const { principal, model, action, tenant, ip: address, key, pep } = query;
        const question = { principal, model, action, tenant, address, key, pep };
        const { limits, prices, layers, now } = services.effectiveLimits.find(question, credential);
        const items = limits.map(limit => wire(limit, credential.tenants !== undefined));
        const json = { items, prices, layers, evaluatedAt: timestamp(now) };
        return { status: 200, json };
      },
    }),
  ];
}

/** @param isPartial whether who asks may see some tenants alone */
function wire({ rule, definition, varies }: EffectiveLimit, isPartial: boolean) {
  const { name, kind, unit, mode, limit, source, scope, onStoreFailure, alertAtPercent } = rule;
  return {
    name,
    description: definition.description,
    kind,
    unit,
    mode,
    limit,
    source,
    varies,
    scope,
    ...lengthOf(rule),
    ...(definition.sets === undefined ? {} : { sets: definition.sets }),
    ...(isPartial && name.startsWith('platform/') ? {} : { match: definition.match }),
    onStoreFailure,
    alertAtPercent,
  };
}

function lengthOf(rule: EffectiveLimit['rule']) {
  if (rule.kind === 'window') return { seconds: rule.windowMs / SECOND_MS };
  if (rule.kind === 'rate') return { seconds: rule.periodMs / SECOND_MS, burst: rule.burst };
  if (rule.kind === 'concurrency') return { seconds: rule.leaseMs / SECOND_MS };
  return typeof rule.period === 'string'
    ? { period: rule.period }
    : { seconds: rule.period.rollingMs / SECOND_MS };
}
