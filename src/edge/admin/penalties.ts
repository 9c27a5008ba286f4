/**
 * Routes of blocks. Invariant: neither a principal nor an address stands in a URL, where others would keep it: both are
 * named in bodies alone.
 */
import { z } from 'zod';
import { entityKey, entityRef } from '../../decision-log/subject-name.ts';
import { timestamp } from '../../domain/clock.ts';
import { AppError } from '../../domain/errors.ts';
import { type EntityRef, entityRefSchema } from '../../domain/ids.ts';
import { keylessText } from '../../domain/keyless-text.ts';
import { type Penalty, PENALTY_KINDS } from '../../limits/guards/penalties.ts';
import { listedAddress } from '../../limits/guards/penalty-address.ts';
import type { PenaltyPosition } from '../../limits/guards/penalty-service.ts';
import { type Route, route } from '../http/route.ts';
import type { Services } from '../http/services.ts';
import { cursorSchema, limitSchema, pageOf } from './paging.ts';

const TAG = 'limits';

const penaltySchema = z
  .strictObject({
    kind: z.enum(PENALTY_KINDS),
    principal: entityRefSchema.optional(),
    address: z.string().optional().meta({ description: 'an IPv4 address, or the /64 of an IPv6 address' }),
    since: z.string(),
    until: z.string(),
    level: z
      .int()
      .meta({ description: 'how many blocks, less those that are forgotten, including this one' }),
    limit: z.string().meta({ description: 'the limit whose violation began it' }),
  })
  .meta({ id: 'Penalty' });

const liftSchema = z
  .strictObject({
    principal: entityRefSchema.optional(),
    address: z.string().min(1).max(64).optional(),
    reason: keylessText(256).min(1),
  })
  .refine(
    ({ principal, address }) => (principal === undefined) !== (address === undefined),
    'must have either `principal` or `address`',
  )
  .meta({ id: 'PenaltyLift' });

export function penaltyRoutes(): readonly Route[] {
  return [listPenalties(), liftPenalty()];
}

function listPenalties(): Route {
  return route({
    method: 'GET',
    path: '/v1/penalties',
    operation: 'listPenalties',
    tag: TAG,
    summary: 'Who is blocked after violations of limits, those that end first in front',
    access: ['limits', 'auditor'],
    query: z.strictObject({ limit: limitSchema, cursor: cursorSchema }),
    answers: { 200: { description: 'a page of blocks', schema: pageOf(penaltySchema) } },
    handle({ services, credential, query }) {
      const after = query.cursor === undefined ? undefined : decodeCursor(query.cursor);
      const { items, next } = services.penalties.page(credential, query.limit, after);
      const nextCursor = next === undefined ? null : encodeCursor(next);
      return { status: 200, json: { items: items.map(wire), nextCursor } };
    },
  });
}

function liftPenalty(): Route {
  return route({
    method: 'POST',
    path: '/v1/penalties/lift',
    operation: 'liftPenalty',
    tag: TAG,
    summary: 'End a block, and forget the blocks before it',
    access: ['limits'],
    body: { kind: 'json', schema: liftSchema },
    keepsNothing: true,
    answers: { 200: { description: 'the block that was ended', schema: penaltySchema } },
    failures: ['NOT_FOUND', 'STORE_UNAVAILABLE'],
    async handle({ services, credential, body: { principal, address, reason } }) {
      const blocked =
        principal === undefined ? blockedAddress(address ?? '') : blockedPrincipal(services, principal);
      const { object, kind, id } = blocked;
      services.control.require({ credential, operation: 'liftPenalty', object }, { foreign: missing });
      return {
        status: 200,
        json: wire(await services.penalties.lift({ kind, id }, reason, credential.keyId)),
      };
    },
  });
}

function blockedPrincipal({ directory }: Pick<Services, 'directory'>, ref: EntityRef) {
  return {
    kind: 'principal',
    id: entityKey(ref),
    object: { kind: 'entity', ref, tenant: directory.ownerOf(ref) },
  } as const;
}

/** Addresses belong to no tenant. */
function blockedAddress(text: string) {
  const address = listedAddress(text);
  if (address === undefined) {
    throw new AppError('INVALID_REQUEST', 'this is no address', {
      problems: [{ pointer: '/address', message: 'must be an address, or a network as it is listed' }],
    });
  }
  const ref = { type: 'Address', id: address };
  return { kind: 'address', id: address, object: { kind: 'entity', ref, tenant: undefined } } as const;
}

function missing(): AppError {
  return new AppError('NOT_FOUND', 'there is no such block');
}

function encodeCursor({ until, passed }: PenaltyPosition): string {
  return Buffer.from(`${until}.${passed}`, 'utf8').toString('base64url');
}

function decodeCursor(cursor: string): PenaltyPosition {
  const [, until, passed] = /^(\d{1,16})\.(\d{1,8})$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? [];
  if (until !== undefined && passed !== undefined) return { until: Number(until), passed: Number(passed) };
  throw new AppError('INVALID_REQUEST', 'the cursor is not one that this service gave', {
    problems: [{ pointer: '?cursor', message: 'unknown cursor', hint: 'start again without a cursor' }],
  });
}

function wire({ kind, id, since, until, level, limit }: Penalty): z.output<typeof penaltySchema> {
  return {
    kind,
    ...(kind === 'principal' ? { principal: entityRef(id) } : { address: id }),
    since: timestamp(since),
    until: timestamp(until),
    level,
    limit,
  };
}
