/** Routes of revoked tokens. Invariant: a revocation that was answered counts for every later decision. */
import { z } from 'zod';
import { AppError } from '../../domain/errors.ts';
import { keylessText } from '../../domain/keyless-text.ts';
import { REVOCATION_KINDS, type Revocation } from '../../identity/ports.ts';
import { type Route, route } from '../http/route.ts';
import { cursorSchema, limitSchema, pageOf } from './paging.ts';

const kindSchema = z.enum(REVOCATION_KINDS).meta({ id: 'RevocationKind' });

const requestSchema = z
  .strictObject({
    issuer: z.string().min(1).max(64).meta({ description: 'name of the issuer in the configuration' }),
    kind: kindSchema.meta({ description: '`token`: one by its `jti`; else all that were issued until now' }),
    value: keylessText(256).min(1).meta({ description: '`jti`, `sub` or id of the client' }),
    reason: keylessText(256).default(''),
  })
  .meta({ id: 'RevocationRequest' });

const revocationSchema = z
  .strictObject({
    id: z.string(),
    issuer: z.string().meta({ description: '`iss` of the tokens' }),
    kind: kindSchema,
    value: z.string(),
    at: z.string(),
    by: z.string(),
    reason: z.string(),
    forgetAt: z.string().meta({ description: 'by then every token that it hits has expired' }),
  })
  .meta({ id: 'Revocation' });

export function revocationRoutes(): readonly Route[] {
  return [createRevocation(), listRevocations()];
}

function createRevocation(): Route {
  return route({
    method: 'POST',
    path: '/v1/revocations',
    operation: 'createRevocation',
    tag: 'keys',
    summary: 'Revoke a token of an issuer, or all earlier ones of a subject or a client, at once',
    access: ['keys'],
    body: { kind: 'json', schema: requestSchema },
    answers: { 201: { description: 'the revocation', schema: revocationSchema } },
    failures: ['NOT_FOUND', 'IDEMPOTENCY_CONFLICT', 'STORE_UNAVAILABLE'],
    async handle({ services, credential, body }) {
      return { status: 201, json: wire(await services.revocations.revoke(body, credential)) };
    },
  });
}

function listRevocations(): Route {
  return route({
    method: 'GET',
    path: '/v1/revocations',
    operation: 'listRevocations',
    tag: 'keys',
    summary: 'Revocations that still hit a token, newest first',
    access: ['keys'],
    query: z.strictObject({ limit: limitSchema, cursor: cursorSchema }),
    answers: { 200: { description: 'a page of revocations', schema: pageOf(revocationSchema) } },
    handle({ services, credential, query }) {
      const after = query.cursor === undefined ? undefined : decodeCursor(query.cursor);
      const { items, next } = services.revocations.page(credential, query.limit, after);
      const nextCursor = next === null ? null : Buffer.from(next, 'utf8').toString('base64url');
      return { status: 200, json: { items: items.map(wire), nextCursor } };
    },
  });
}

function decodeCursor(cursor: string): string {
  const id = Buffer.from(cursor, 'base64url').toString('utf8');
  if (/^[0-9A-Za-z-]{1,64}$/.test(id)) return id;
  throw new AppError('INVALID_REQUEST', 'the cursor is not one that this service gave', {
    problems: [{ pointer: '?cursor', message: 'unknown cursor', hint: 'start again without a cursor' }],
  });
}

function wire({ id, issuer, kind, value, at, by, reason, forgetAt }: Revocation): Revocation {
  return { id, issuer, kind, value, at, by, reason, forgetAt };
}
