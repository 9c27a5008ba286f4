/** Routes of callers' keys. Invariant: the text of a key is in the answer that made it and nowhere else. */
import { z } from 'zod';
import {
  callerKeyLimitsShape,
  type CallerKeyUse,
  ownerSchema,
  REVOCATION_CAUSES,
} from '../../domain/caller-key.ts';
import { timestamp } from '../../domain/clock.ts';
import { AppError } from '../../domain/errors.ts';
import { type EntityRef, entityRefSchema, idSchema } from '../../domain/ids.ts';
import { keylessText } from '../../domain/keyless-text.ts';
import { parseNetwork } from '../../domain/network-address.ts';
import { KEY_STATES } from '../../identity/caller-keys/key-filter.ts';
import type { ListedCallerKey } from '../../identity/caller-keys/key-listing.ts';
import type { MadeCallerKey } from '../../identity/caller-keys/key-service.ts';
import { type Answer, type Route, route } from '../http/route.ts';
import { invalidRequest } from '../http/validation.ts';
import { requireKnownActions, requireNewKey, requireOneKey } from './caller-key-guard.ts';
import { cursorSchema, limitSchema, pageOf } from './paging.ts';

const MINUTE_MS = 60_000;
/** Longest description and reason. */
const MAX_TEXT = 256;
/** Longest overlap that a request may name, in seconds; the service has a limit of its own. */
const MAX_OVERLAP_SECONDS = 90 * 86_400;

const time = z.iso.datetime({ offset: true });
const { networks, ...limits } = callerKeyLimitsShape;

const requestSchema = z
  .strictObject({
    owner: ownerSchema.meta({ description: 'the principal as whom decisions with the key are made' }),
    description: keylessText(MAX_TEXT).default(''),
    ...limits,
    networks: networks.refine(
      given => given.every(network => parseNetwork(network) !== undefined),
      'must be addresses or networks such as `10.0.0.0/8`',
    ),
    notBefore: time.optional(),
    expiresAt: time.meta({ description: 'at most as far away as the tenant of the owner allows' }),
  })
  .meta({ id: 'CallerKeyRequest' });

export const rotationShape = {
  overlapSeconds: z
    .int()
    .min(0)
    .max(MAX_OVERLAP_SECONDS)
    .optional()
    .meta({ description: 'how long the old key goes on working; absent: a day' }),
  expiresAt: time
    .optional()
    .meta({ description: 'of the new key; absent: a life as long as the old one had' }),
};

export const callerKeySchema = z
  .strictObject({
    id: z.string(),
    owner: entityRefSchema,
    tenant: z.string().optional(),
    description: z.string(),
    ...callerKeyLimitsShape,
    createdAt: z.string(),
    createdBy: z.string(),
    notBefore: z.string().optional(),
    expiresAt: z.string(),
    replaces: z.string().optional().meta({ description: 'the key that it follows' }),
    supersededBy: z.string().optional().meta({ description: 'the key that follows it' }),
    supersededAt: z.string().optional(),
    revoked: z
      .strictObject({ at: z.string(), by: z.string(), cause: z.enum(REVOCATION_CAUSES), reason: z.string() })
      .optional(),
    leakedAt: z.string().optional().meta({ description: 'when it was reported to have leaked' }),
    lastUse: z
      .strictObject({ at: z.string(), network: z.string().optional() })
      .optional()
      .meta({ description: 'to the minute, from a /24 or /48; absent: never, as far as is known' }),
  })
  .meta({ id: 'CallerKey' });

export const madeCallerKeySchema = callerKeySchema
  .extend({
    key: z.string().optional().meta({
      description: 'the key itself; absent in the repetition of a request by its `Idempotency-Key`',
    }),
  })
  .meta({ id: 'MadeCallerKey' });

const filterSchema = z.strictObject({
  owner: z.string().max(322).optional().meta({ description: 'such as `User:acme/alice`' }),
  tenant: idSchema.optional(),
  state: z.enum(KEY_STATES).optional(),
  unusedSince: time.optional().meta({ description: 'active keys, made before, that were not used since' }),
  expiresBefore: time.optional().meta({ description: 'active keys that end before' }),
  limit: limitSchema,
  cursor: cursorSchema,
});

const bulkSchema = z
  .strictObject({
    owner: ownerSchema.optional(),
    tenant: idSchema.optional(),
    reason: keylessText(MAX_TEXT),
  })
  .meta({ id: 'BulkRevocation', description: 'exactly one of `owner` and `tenant`' });

const reasonSchema = z.strictObject({ reason: keylessText(MAX_TEXT).default('') });

export function callerKeyRoutes(): readonly Route[] {
  return [
    createCallerKey(),
    listCallerKeys(),
    getCallerKey(),
    rotateCallerKey(),
    revokeCallerKey(),
    revokeMany(),
  ];
}

function createCallerKey(): Route {
  return route({
    method: 'POST',
    path: '/v1/caller-keys',
    operation: 'createCallerKey',
    tag: 'caller keys',
    summary: "Make a key for a caller. It is shown in this answer only, and only narrows its owner's rights.",
    access: ['keys'],
    body: { kind: 'json', schema: requestSchema },
    answers: { 201: { description: 'the new key', schema: madeCallerKeySchema } },
    failures: ['IDEMPOTENCY_CONFLICT', 'STORE_UNAVAILABLE', 'NOT_READY'],
    async handle({ services, credential, body }) {
      requireNewKey(services, credential, body);
      requireKnownActions(services, body.scopes);
      return madeAnswer(await services.callerKeys.create(body, credential));
    },
  });
}

function listCallerKeys(): Route {
  return route({
    method: 'GET',
    path: '/v1/caller-keys',
    operation: 'listCallerKeys',
    tag: 'caller keys',
    summary: 'Keys of callers, newest first: unused ones, ending ones, those of an owner or a tenant',
    access: ['keys'],
    query: filterSchema,
    answers: { 200: { description: 'a page of keys', schema: pageOf(callerKeySchema) } },
    handle({ services, credential, query: { owner, limit, cursor, ...filter } }) {
      const wanted = { ...filter, owner: owner === undefined ? undefined : readOwner(owner) };
      const after = cursor === undefined ? undefined : decodeCursor(cursor);
      const { items, next } = services.callerKeys.list(wanted, credential, limit, after);
      const nextCursor = next === null ? null : Buffer.from(next, 'utf8').toString('base64url');
      return { status: 200, json: { items: items.map(wire), nextCursor } };
    },
  });
}

function getCallerKey(): Route {
  return route({
    method: 'GET',
    path: '/v1/caller-keys/{id}',
    operation: 'getCallerKey',
    tag: 'caller keys',
    summary: 'One key of a caller, without its secret',
    access: ['keys'],
    answers: { 200: { description: 'the key', schema: callerKeySchema } },
    failures: ['NOT_FOUND'],
    handle({ services, credential, param }) {
      return { status: 200, json: wire(requireOneKey(services, credential, 'getCallerKey', param('id'))) };
    },
  });
}

function rotateCallerKey(): Route {
  return route({
    method: 'POST',
    path: '/v1/caller-keys/{id}/rotate',
    operation: 'rotateCallerKey',
    tag: 'caller keys',
    summary: 'Make a successor that may do the same; the key itself works on for a while',
    access: ['keys'],
    body: { kind: 'json', schema: z.strictObject(rotationShape).meta({ id: 'Rotation' }) },
    answers: { 201: { description: 'the new key', schema: madeCallerKeySchema } },
    failures: ['NOT_FOUND', 'ALREADY_EXISTS', 'IDEMPOTENCY_CONFLICT', 'STORE_UNAVAILABLE'],
    async handle({ services, credential, body, param }) {
      requireOneKey(services, credential, 'rotateCallerKey', param('id'));
      return madeAnswer(await services.callerKeys.rotate(param('id'), body, credential));
    },
  });
}

function revokeCallerKey(): Route {
  return route({
    method: 'DELETE',
    path: '/v1/caller-keys/{id}',
    operation: 'revokeCallerKey',
    tag: 'caller keys',
    summary: 'Revoke a key at once, and the keys that it made for itself',
    access: ['keys'],
    query: reasonSchema,
    answers: { 204: { description: 'the key is revoked' } },
    failures: ['NOT_FOUND', 'STORE_UNAVAILABLE'],
    async handle({ services, credential, query, param }) {
      requireOneKey(services, credential, 'revokeCallerKey', param('id'));
      await services.callerKeys.revoke(param('id'), query.reason, credential);
      return { status: 204 };
    },
  });
}

function revokeMany(): Route {
  return route({
    method: 'POST',
    path: '/v1/caller-keys/revoke',
    operation: 'revokeCallerKeys',
    tag: 'caller keys',
    summary: 'Revoke every key of an owner or of a tenant at once',
    access: ['keys'],
    body: { kind: 'json', schema: bulkSchema },
    answers: {
      200: {
        description: 'how many worked until now',
        schema: z.strictObject({ revoked: z.int() }).meta({ id: 'BulkRevoked' }),
      },
    },
    failures: ['TENANT_NOT_ALLOWED', 'IDEMPOTENCY_CONFLICT', 'STORE_UNAVAILABLE'],
    async handle({ services, credential, body: { owner, tenant, reason } }) {
      if ((owner === undefined) === (tenant === undefined)) {
        throw invalidRequest([
          {
            pointer: '/owner',
            message: 'name an owner or a tenant, and not both',
            hint: 'send `owner` or `tenant`',
          },
        ]);
      }
      const target = owner === undefined ? { tenant: tenant ?? '' } : { owner };
      return {
        status: 200,
        json: { revoked: await services.callerKeys.revokeMany(target, reason, credential) },
      };
    },
  });
}

/** The answer that shows a key, and its repetition, which does not. */
export function madeAnswer(made: MadeCallerKey): Answer {
  const json = wire(made);
  return {
    status: 201,
    headers: { location: `/v1/caller-keys/${made.record.id}` },
    json: { ...json, key: made.token },
    replayJson: json,
  };
}

/** A key as it is shown. */
export function wire({ record, lastUse }: ListedCallerKey): z.input<typeof callerKeySchema> {
  const { scopes, networks, oauthScopes, ...rest } = record;
  return {
    ...rest,
    scopes: scopes.map(scope => ({ ...scope })),
    networks: [...networks],
    oauthScopes: [...oauthScopes],
    ...(lastUse === undefined ? {} : { lastUse: shownUse(lastUse) }),
  };
}

function shownUse({ minute, network }: CallerKeyUse): { at: string; network?: string } {
  const at = timestamp(minute * MINUTE_MS);
  return { at, ...(network === undefined ? {} : { network }) };
}

function readOwner(text: string): EntityRef {
  const colon = text.indexOf(':');
  const parsed = ownerSchema.safeParse({ type: text.slice(0, colon), id: text.slice(colon + 1) });
  if (colon > 0 && parsed.success) return parsed.data;
  throw invalidRequest([{ pointer: '?owner', message: 'must be a principal such as `User:acme/alice`' }]);
}

function decodeCursor(cursor: string): string {
  const id = Buffer.from(cursor, 'base64url').toString('utf8');
  if (/^[0-9A-Za-z]{1,64}$/.test(id)) return id;
  throw new AppError('INVALID_REQUEST', 'the cursor is not one that this service gave', {
    problems: [{ pointer: '?cursor', message: 'unknown cursor', hint: 'start again without a cursor' }],
  });
}
