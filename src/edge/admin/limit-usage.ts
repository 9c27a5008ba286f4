/** Routes that show where limits stand for somebody, and forget what one of them has counted. */
import { z } from 'zod';
import { MAX_ACTION_LENGTH } from '../../domain/decision-request.ts';
import { entityRefSchema, idSchema } from '../../domain/ids.ts';
import { limitKindSchema, limitUnitSchema } from '../../domain/limit.ts';
import { limitResultSchema } from '../../domain/limit-answer.ts';
import { keylessText } from '../../domain/keyless-text.ts';
import { parseAddress } from '../../domain/network-address.ts';
import { LimitResults } from '../../limits/limit-results.ts';
import {
  DEFAULT_ACTION,
  type KnownUsage,
  type LimitUsage,
  type UnknownUsage,
  type UsageQuestion,
} from '../../pdp/limit-usage.ts';
import { type Route, route } from '../http/route.ts';

const TAG = 'limits';
/** Longest reason, and longest name of a limit: a layer and an id. */
const MAX_TEXT = 512;
/** Most sets in a question. */
const MAX_SETS = 64;

/** `User:acme/alice`. An id that begins with a colon would be half of `User::acme/alice`, which Cedar's texts look like. */
export const principalText = z
  .string()
  .max(400)
  .regex(
    /^[A-Za-z_][A-Za-z0-9_]{0,63}:(?!:)[\x21\x23-\x5b\x5d-\x7e]{1,256}$/,
    'must be such as `User:acme/alice`, with one colon between type and id',
  )
  .transform(text => {
    const colon = text.indexOf(':');
    return { type: text.slice(0, colon), id: text.slice(colon + 1) };
  });

const setsText = z
  .string()
  .max(4096)
  .transform(text => text.split(',').filter(name => name !== ''))
  .refine(names => names.length <= MAX_SETS, `must name at most ${MAX_SETS} sets`);

/** An address that cannot be read would be counted with all that are not known, which nobody means to ask about. */
export const addressText = z
  .string()
  .refine(text => parseAddress(text) !== undefined, 'must be an IP address, such as `192.0.2.1`');
const action = z.string().min(1).max(MAX_ACTION_LENGTH);

const querySchema = z.strictObject({
  principal: principalText.optional().meta({ description: 'such as `User:acme/alice`' }),
  model: idSchema.optional(),
  action: action.optional().meta({
    description: `absent: \`${DEFAULT_ACTION}\` where principal and model are told, else not known`,
  }),
  tenant: idSchema
    .optional()
    .meta({ description: 'whose data is used; absent: the tenant of the principal' }),
  ip: addressText.optional(),
  key: idSchema.optional().meta({ description: 'what limits call the credential of the caller' }),
  pep: idSchema.optional().meta({ description: 'id of the key of the gateway' }),
  limitSets: setsText.optional().meta({
    description: 'sets that a permit names, as `platform/gold` or `tenant:acme/trial`, separated by commas',
  }),
});

const resetSchema = z
  .strictObject({
    limit: z.string().min(1).max(MAX_TEXT).meta({ description: '`<layer>/<id>`' }),
    principal: entityRefSchema,
    model: idSchema,
    action: action.default(DEFAULT_ACTION),
    tenant: idSchema.optional(),
    ip: addressText.optional(),
    key: idSchema.optional(),
    pep: idSchema.optional(),
    limitSets: z.array(z.string().max(MAX_TEXT)).max(MAX_SETS).default([]),
    reason: keylessText(MAX_TEXT).min(1).meta({ description: 'stays in the log; must not name a person' }),
  })
  .meta({ id: 'LimitReset', description: 'what `limit` has counted for such a call is forgotten' });

const parts = z.array(z.string());

const standingSchema = z
  .strictObject({
    ...limitResultSchema.shape,
    varies: parts.meta({ description: 'what was not told and would change the number' }),
    dependsOn: parts.meta({
      description: 'what was not told and decides whether the limit is for a call at all',
    }),
    sets: parts.optional().meta({
      description: 'present: it holds only where a permit names it, or one of these, in `@limits`',
    }),
  })
  .meta({ id: 'LimitStanding' });

const unknownSchema = z
  .strictObject({
    name: z.string().meta({ description: '`<layer>/<id>`' }),
    kind: limitKindSchema,
    unit: limitUnitSchema,
    mode: z.enum(['enforce', 'shadow']),
    scope: z.array(z.string()),
    needs: parts.meta({
      description: 'what would have to be told: `model`, `key`, …; empty: only that a permit names the limit',
    }),
    sets: parts.optional(),
  })
  .meta({
    id: 'UnknownLimitStanding',
    description: 'may hold, and what was asked does not say where it stands',
  });

const usageSchema = z.strictObject({ items: z.array(standingSchema), others: z.array(unknownSchema) }).meta({
  id: 'LimitUsage',
  description:
    'with principal and model the limits that such a call would be charged to, else those whose counters are known; as they stand',
});

export function limitUsageRoutes(): readonly Route[] {
  return [getLimitUsage(), resetLimit()];
}

function getLimitUsage(): Route {
  return route({
    method: 'GET',
    path: '/v1/limits/usage',
    operation: 'getLimitUsage',
    tag: TAG,
    summary: 'Where the limits of a principal, a model, a tenant or a call stand',
    access: ['limits', 'auditor'],
    query: querySchema,
    answers: { 200: { description: 'each limit that is known to count', schema: usageSchema } },
    failures: ['NOT_FOUND', 'NOT_READY'],
    async handle({ services, credential, query }) {
      const { known, unknown } = await services.limitUsage.usage(questionOf(query), credential);
      return { status: 200, json: { items: wireKnown(known), others: unknown.map(one => wireUnknown(one)) } };
    },
  });
}

function resetLimit(): Route {
  return route({
    method: 'POST',
    path: '/v1/limits/reset',
    operation: 'resetLimit',
    tag: TAG,
    summary: 'Forget what a limit has counted, holds and leases included',
    access: ['limits'],
    body: { kind: 'json', schema: resetSchema },
    keepsNothing: true,
    answers: { 200: { description: 'how the limit stood before', schema: limitResultSchema } },
    failures: ['NOT_FOUND', 'TENANT_NOT_ALLOWED', 'NOT_READY', 'LOG_BACKPRESSURE', 'LOG_UNAVAILABLE'],
    async handle({ services, credential, body }) {
      const { limit, reason, principal, model, action } = body;
      const question = { ...questionOf(body), principal, model, action };
      const before = await services.limitUsage.reset(question, limit, reason, credential);
      return { status: 200, json: wire([before])[0] };
    },
  });
}

type Asked = Omit<z.output<typeof querySchema>, 'limitSets'> & {
  readonly limitSets?: readonly string[] | undefined;
};

function questionOf({
  principal,
  model,
  action,
  tenant,
  ip,
  key,
  pep,
  limitSets = [],
}: Asked): UsageQuestion {
  return { principal, model, action, tenant, address: ip, key, pep, limitSets };
}

function wireKnown(known: readonly KnownUsage[]) {
  const results = wire(known);
  return known.flatMap(({ varies, dependsOn, sets }, at) => {
    const result = results[at];
    if (result === undefined) throw new Error('a limit without a result');
    return [{ ...result, varies, dependsOn, ...(sets === undefined ? {} : { sets }) }];
  });
}

function wireUnknown({ limit: { rule, definition }, needs }: UnknownUsage) {
  const { name, kind, unit, mode, scope } = rule;
  const { sets } = definition;
  return { name, kind, unit, mode, scope, needs, ...(sets === undefined ? {} : { sets }) };
}

/** Nothing was asked for, so nothing is violated: a limit without room says so by what remains. */
function wire(usage: readonly LimitUsage[]) {
  return new LimitResults().of(
    usage.map(({ charge, standing }) => ({ charge, standing: { ...standing, violated: false } })),
    false,
  );
}
