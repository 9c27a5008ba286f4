/**
 * Routes of access: what one principal may do on which models, and who may use one model. Invariant: what is listed
 * as allowed is what /decide allows for the same request; the answer says what it does not know.
 */
import { z } from 'zod';
import { missing } from '../../directory/tenancy.ts';
import { timestamp } from '../../domain/clock.ts';
import { revisionSchema } from '../../domain/decision.ts';
import { decisionRequestSchema } from '../../domain/decision-request.ts';
import { AppError } from '../../domain/errors.ts';
import { type EntityRef, entityRefSchema, idSchema } from '../../domain/ids.ts';
import type { JsonValue } from '../../domain/json.ts';
import { levelSchema, reasonCodeSchema } from '../../domain/reason.ts';
import type { AccessItem, AccessPage, IncompleteCode } from '../../pdp/access/access-page.ts';
import { parseJson } from '../http/json-body.ts';
import { type Answer, type Exchange, type Route, route } from '../http/route.ts';
import { parseWith } from '../http/validation.ts';
import { cursorSchema, limitSchema } from './paging.ts';

/** Types that can call (api.md, Names). */
const PRINCIPAL_TYPES = ['User', 'Service', 'Agent'];
const READ = ['directory', 'auditor'] as const;
/** Most operations in one query: a schema has some twenty. */
const MAX_OPERATIONS = 64;
/** Longest JSON in a parameter, in characters. */
const MAX_JSON_PARAMETER = 8_192;

/** Parameters whose values are JSON. */
const JSON_PARAMETERS = ['partitions', 'auth', 'input', 'params', 'context'] as const;

const factsSchema = decisionRequestSchema.pick({
  tenant: true,
  onBehalfOf: true,
  partitions: true,
  auth: true,
  input: true,
  params: true,
  context: true,
});

function jsonText(description: string) {
  return z.string().min(1).max(MAX_JSON_PARAMETER).optional().meta({ description });
}

const querySchema = z.strictObject({
  operations: z
    .string()
    .min(1)
    .max(4_096)
    .optional()
    .meta({ description: 'actions on models, with commas between them; absent: every operation' }),
  tenant: idSchema.optional().meta({ description: "whose data is used; absent: the principal's own" }),
  onBehalfOf: idSchema.optional().meta({ description: 'as in /decide' }),
  partitions: jsonText('as in /decide, as JSON: `[{"id": "acme/payments", "access": "read"}]`'),
  auth: jsonText('as in /decide, as JSON: `{"method": "jwt", "assurance": 2, "scopes": ["model:invoke"]}`'),
  input: jsonText('as in /decide, as JSON'),
  params: jsonText('as in /decide, as JSON'),
  context: jsonText('as in /decide, as JSON: `{"region": "eu"}`; what is not in it is open'),
  limit: limitSchema,
  cursor: cursorSchema,
});

const allowedSchema = z
  .strictObject({
    action: z.string(),
    policies: z.array(z.string()).meta({ description: 'as in `reason.policies` of /decide' }),
    obligations: z.array(z.string()),
    unless: z
      .array(z.string())
      .meta({ description: 'policies that could deny it in another context: see `conditions`' }),
  })
  .meta({ id: 'AllowedOperation' });

const conditionalSchema = z
  .strictObject({
    action: z.string(),
    level: levelSchema.meta({ description: 'the first that denies it now' }),
    code: reasonCodeSchema,
    policies: z
      .array(z.string())
      .meta({ description: 'policies of which another context might make an allow: see `conditions`' }),
    needs: z.enum(['context', 'partitions']).meta({
      description:
        '`partitions`: the data of the tenant as a whole is refused, and a request that names some may be allowed',
    }),
  })
  .meta({ id: 'ConditionalOperation', description: 'denied now, and perhaps allowed in another context' });

const incompleteSchema = z
  .strictObject({
    code: z.enum(['context', 'partitions', 'tenants', 'evaluation', 'page']),
    message: z.string(),
  })
  .meta({ id: 'AccessGap' });

/** @param side the name of the other side's entity in an item */
function answerSchema(about: 'principal' | 'model', side: 'principal' | 'model', id: string) {
  return z
    .strictObject({
      [about]: entityRefSchema,
      standing: z
        .strictObject({ code: reasonCodeSchema, message: z.string() })
        .nullable()
        .meta({ description: 'why the principal is denied everything; null: policies decide' }),
      request: factsSchema.meta({ description: 'what every request that was decided has in common' }),
      operations: z.array(z.string()),
      items: z.array(
        z.strictObject({
          [side]: entityRefSchema,
          allowed: z.array(allowedSchema),
          conditional: z.array(conditionalSchema),
        }),
      ),
      conditions: z.record(
        z.string(),
        z.strictObject({
          effect: z.enum(['permit', 'forbid']),
          reason: z.string(),
          clauses: z.array(z.string()).meta({ description: 'the clauses that read what is open' }),
        }),
      ),
      complete: z.boolean().meta({
        description: 'whether the items of all pages until this one are all the access that there is',
      }),
      incomplete: z.array(incompleteSchema),
      revision: revisionSchema,
      evaluatedAt: z.string(),
      nextCursor: z.string().nullable().meta({ description: 'null on the last page' }),
    })
    .meta({ id });
}

const WHY: Readonly<Record<IncompleteCode, string>> = {
  context: 'operations under `conditional` may be allowed in another context',
  partitions: 'operations under `conditional` may be allowed to requests that name partitions',
  tenants: 'the key is limited to tenants: what belongs to others was not looked at',
  evaluation: 'some checks could not be evaluated and count as denied',
  page: 'there is another page',
};

const FAILURES = [
  'NOT_FOUND',
  'TENANT_NOT_ALLOWED',
  'CURSOR_EXPIRED',
  'TOO_MANY_ACCESS_QUERIES',
  'LOG_UNAVAILABLE',
  'NOT_READY',
] as const;

export function accessRoutes(): readonly Route[] {
  return [principalAccess(), modelAccess()];
}

function principalAccess(): Route {
  return route({
    method: 'GET',
    path: '/v1/principals/{type}/{id}/access',
    operation: 'getPrincipalAccess',
    tag: 'access',
    summary: 'What one principal may do on which models now. Logged.',
    access: READ,
    query: querySchema,
    answers: {
      200: {
        description: 'a page of models, in the order of their ids, all of one revision',
        schema: answerSchema('principal', 'model', 'PrincipalAccess'),
      },
    },
    failures: FAILURES,
    handle(exchange) {
      const ref = parseWith(entityRefSchema, { type: exchange.param('type'), id: exchange.param('id') });
      if (!PRINCIPAL_TYPES.includes(ref.type)) {
        throw new AppError('NOT_FOUND', `\`/v1/principals\` holds ${PRINCIPAL_TYPES.join(', ')} alone`);
      }
      return answer(exchange, 'principal', ref, 'getPrincipalAccess');
    },
  });
}

function modelAccess(): Route {
  return route({
    method: 'GET',
    path: '/v1/models/{id}/access',
    operation: 'getModelAccess',
    tag: 'access',
    summary: 'Who may do what on one model now. Logged.',
    access: READ,
    query: querySchema,
    answers: {
      200: {
        description: 'a page of principals, in the order of their types and ids, all of one revision',
        schema: answerSchema('model', 'principal', 'ModelAccess'),
      },
    },
    failures: FAILURES,
    handle(exchange) {
      const ref = parseWith(entityRefSchema, { type: 'Model', id: exchange.param('id') });
      return answer(exchange, 'model', ref, 'getModelAccess');
    },
  });
}

async function answer(
  { services, credential, query }: Exchange<z.output<typeof querySchema>, unknown>,
  side: 'principal' | 'model',
  about: EntityRef,
  operation: string,
): Promise<Answer> {
  const object = { kind: 'entity', ref: about, tenant: services.directory.ownerOf(about) } as const;
  services.control.require({ credential, operation, object }, { foreign: () => missing(about) });
  const { limit, cursor, operations, tenant, onBehalfOf } = query;
  const given = JSON_PARAMETERS.flatMap(name => {
    const text = query[name];
    return text === undefined ? [] : [[name, jsonOf(name, text)] as const];
  });
  const facts = parseWith(
    factsSchema,
    {
      ...(tenant === undefined ? {} : { tenant }),
      ...(onBehalfOf === undefined ? {} : { onBehalfOf }),
      ...Object.fromEntries(given),
    },
    '?',
  );
  const named = operations?.split(',').map(name => name.trim());
  if (named !== undefined && named.length > MAX_OPERATIONS) {
    throw new AppError('INVALID_REQUEST', `\`operations\` has more than ${MAX_OPERATIONS} names`);
  }
  const page = await services.access.page({ side, about, facts, operations: named }, credential, {
    limit,
    cursor,
  });
  return { status: 200, json: view(side, about, page) };
}

/** @throws AppError INVALID_REQUEST naming the parameter */
function jsonOf(name: string, text: string): JsonValue {
  try {
    return parseJson(Buffer.from(text, 'utf8'));
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const problems = error.problems.map(({ message, hint }) => ({
      pointer: `?${name}`,
      message,
      ...(hint === undefined ? {} : { hint }),
    }));
    const [fault] = problems;
    throw new AppError(
      'INVALID_REQUEST',
      `\`?${name}\` is not JSON: ${fault?.message ?? 'it cannot be read'}`,
      {
        problems,
      },
    );
  }
}

function view(side: 'principal' | 'model', about: EntityRef, page: AccessPage) {
  const { standing, facts, operations, items, conditions, incomplete, revision, now, nextCursor } = page;
  const other = side === 'principal' ? 'model' : 'principal';
  return {
    [side]: about,
    standing: standing ?? null,
    request: facts,
    operations,
    items: items.map(({ entity, allowed, conditional }: AccessItem) => ({
      [other]: entity,
      allowed,
      conditional,
    })),
    conditions: Object.fromEntries(conditions),
    complete: incomplete.length === 0,
    incomplete: incomplete.map(code => ({ code, message: WHY[code] })),
    revision,
    evaluatedAt: timestamp(now),
    nextCursor,
  };
}
