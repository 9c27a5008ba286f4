/** Routes of API keys. Invariant: the text of a key is in the answer that made it and nowhere else. */
import { z } from 'zod';
import { callerRulesSchema } from '../../domain/caller-rules.ts';
import { keyRequestSchema, roleSchema } from '../../domain/credential.ts';
import { type Route, route } from '../http/route.ts';
import { cursorSchema, decodeCursor, encodeCursor, limitSchema, pageOf } from './paging.ts';

const keySchema = z
  .strictObject({
    id: z.string(),
    roles: z.array(roleSchema),
    tenants: z.array(z.string()).optional().meta({ description: 'absent: every tenant' }),
    description: z.string(),
    mayAssert: z.boolean(),
    callers: callerRulesSchema.optional().meta({ description: 'absent: as the service is configured' }),
    createdAt: z.string(),
    createdBy: z.string(),
    expiresAt: z.string().optional(),
    revokedAt: z.string().optional(),
    breakGlass: z.literal(true).optional().meta({ description: 'made by `duramen break-glass`' }),
  })
  .meta({ id: 'Key' });

const createdKeySchema = keySchema
  .extend({
    key: z.string().optional().meta({
      description: 'the key itself; absent in the repetition of a request by its `Idempotency-Key`',
    }),
  })
  .meta({ id: 'CreatedKey' });

export function keyRoutes(): readonly Route[] {
  return [createKey(), listKeys(), getKey(), revokeKey()];
}

function createKey(): Route {
  return route({
    method: 'POST',
    path: '/v1/keys',
    operation: 'createKey',
    tag: 'keys',
    summary: 'Make a key. It is shown in this answer only.',
    access: ['keys'],
    body: { kind: 'json', schema: keyRequestSchema },
    answers: { 201: { description: 'the new key', schema: createdKeySchema } },
    failures: ['IDEMPOTENCY_CONFLICT'],
    async handle({ services, credential, body }) {
      const { record, token } = await services.keys.create(body, credential);
      return {
        status: 201,
        headers: { location: `/v1/keys/${record.id}` },
        json: { ...record, key: token },
        replayJson: record,
      };
    },
  });
}

function listKeys(): Route {
  return route({
    method: 'GET',
    path: '/v1/keys',
    operation: 'listKeys',
    tag: 'keys',
    summary: 'Keys, newest first, revoked ones too',
    access: ['keys'],
    query: z.strictObject({ limit: limitSchema, cursor: cursorSchema }),
    answers: { 200: { description: 'a page of keys', schema: pageOf(keySchema) } },
    handle({ services, credential, query }) {
      const after = decodeCursor(query.cursor, /^[0-9A-Za-z]{1,64}$/);
      const { items, next } = services.keys.list(credential, query.limit, after);
      return { status: 200, json: { items, nextCursor: next === null ? null : encodeCursor(next) } };
    },
  });
}

function getKey(): Route {
  return route({
    method: 'GET',
    path: '/v1/keys/{id}',
    operation: 'getKey',
    tag: 'keys',
    summary: 'One key, without its secret',
    access: ['keys'],
    answers: { 200: { description: 'the key', schema: keySchema } },
    failures: ['NOT_FOUND'],
    handle({ services, credential, param }) {
      const key = services.keys.get(param('id'), credential);
      services.control.require({ credential, operation: 'getKey', object: { kind: 'key', key } });
      return { status: 200, json: key };
    },
  });
}

function revokeKey(): Route {
  return route({
    method: 'DELETE',
    path: '/v1/keys/{id}',
    operation: 'revokeKey',
    tag: 'keys',
    summary: 'Revoke a key at once',
    access: ['keys'],
    answers: { 204: { description: 'the key is revoked' } },
    failures: ['NOT_FOUND', 'LAST_ADMIN_KEY'],
    async handle({ services, credential, param }) {
      await services.keys.revoke(param('id'), credential);
      return { status: 204 };
    },
  });
}
