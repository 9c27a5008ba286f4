/** Routes that show where limits stand for somebody, and forget what one of them has counted. */
import { z } from 'zod';
import { MAX_ACTION_LENGTH } from '../../domain/decision-request.ts';
import { entityRefSchema, idSchema } from '../../domain/ids.ts';
import { limitResultSchema } from '../../domain/limit-answer.ts';
import { LimitResults } from '../../limits/limit-results.ts';
import type { LimitUsage, UsageQuestion } from '../../pdp/limit-usage.ts';
import { type Route, route } from '../http/route.ts';

const TAG = 'limits';
/** Longest reason, and longest name of a limit: a layer and an id. */
const MAX_TEXT = 512;
/** Most sets in a question. */
const MAX_SETS = 64;

/** `User:acme/alice` */
export const principalText = z
  .string()
  .max(400)
  .regex(/^[A-Za-z_][A-Za-z0-9_]{0,63}:[\x21\x23-\x5b\x5d-\x7e]{1,256}$/, 'must be such as `User:acme/alice`')
  .transform(text => {
    const colon = text.indexOf(':');
    return { type: text.slice(0, colon), id: text.slice(colon + 1) };
  });

const setsText = z
  .string()
  .max(4096)
  .transform(text => text.split(',').filter(name => name !== ''))
  .refine(names => names.length <= MAX_SETS, `must name at most ${MAX_SETS} sets`);

const address = z.string().min(1).max(64);
const action = z.string().min(1).max(MAX_ACTION_LENGTH);

const querySchema = z.strictObject({
  principal: principalText.meta({ description: 'such as `User:acme/alice`' }),
  model: idSchema,
  action: action.default('generate'),
  tenant: idSchema
    .optional()
    .meta({ description: 'whose data is used; absent: the tenant of the principal' }),
  ip: address.optional(),
  key: idSchema.optional().meta({ description: "id of the caller's key" }),
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
    action: action.default('generate'),
    tenant: idSchema.optional(),
    ip: address.optional(),
    key: idSchema.optional(),
    pep: idSchema.optional(),
    limitSets: z.array(z.string().max(MAX_TEXT)).max(MAX_SETS).default([]),
    reason: z.string().min(1).max(MAX_TEXT).meta({ description: 'stays in the log; must not name a person' }),
  })
  .meta({ id: 'LimitReset', description: 'what `limit` has counted for such a call is forgotten' });

const usageSchema = z
  .strictObject({ items: z.array(limitResultSchema) })
  .meta({ id: 'LimitUsage', description: 'limits that such a call would be charged to, as they stand' });

export function limitUsageRoutes(): readonly Route[] {
  return [getLimitUsage(), resetLimit()];
}

function getLimitUsage(): Route {
  return route({
    method: 'GET',
    path: '/v1/limits/usage',
    operation: 'getLimitUsage',
    tag: TAG,
    summary: 'Where the limits of a principal stand for a model',
    access: ['limits', 'auditor'],
    query: querySchema,
    answers: { 200: { description: 'each limit that would be charged', schema: usageSchema } },
    failures: ['NOT_FOUND', 'NOT_READY'],
    async handle({ services, credential, query }) {
      const usage = await services.limitUsage.usage(questionOf(query), credential);
      return { status: 200, json: { items: wire(usage) } };
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
      const { limit, reason } = body;
      const before = await services.limitUsage.reset(questionOf(body), limit, reason, credential);
      return { status: 200, json: wire([before])[0] };
    },
  });
}

function questionOf(
  asked: Omit<z.output<typeof querySchema>, 'limitSets'> & {
    readonly limitSets?: readonly string[] | undefined;
  },
): UsageQuestion {
  const { principal, model, tenant, ip, key, pep, limitSets = [] } = asked;
  const resource = { type: 'Model', id: model };
  return { principal, action: asked.action, resource, tenant, address: ip, key, pep, limitSets };
}

/** Nothing was asked for, so nothing is violated: a limit without room says so by what remains. */
function wire(usage: readonly LimitUsage[]) {
  return new LimitResults().of(
    usage.map(({ charge, standing }) => ({ charge, standing: { ...standing, violated: false } })),
    false,
  );
}
