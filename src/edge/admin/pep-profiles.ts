/**
 * Routes of the profiles of gateways. Invariants: a write answers the revision that it made, as `ETag` and in the
 * body; every fault of a profile is told at once.
 */
import { z } from 'zod';
import {
  checkPreconditions,
  entityTag,
  parseEntityTags,
  type Preconditions,
} from '../../directory/preconditions.ts';
import { AppError } from '../../domain/errors.ts';
import { pepProfileBodySchema, pepProfileSchema, profileNameSchema } from '../../domain/pep-profile.ts';
import type { ListedProfile, ProfileCondition } from '../../identity/pep-profiles/profile-service.ts';
import { type Answer, type Exchange, type Route, route } from '../http/route.ts';
import { cursorSchema, limitSchema, pageOf } from './paging.ts';

const READ = ['auditor'] as const;
const WRITE = ['admin'] as const;
const TAG = 'gateways';
const ITEM = '/v1/pep-profiles/{name}';

const listedSchema = z
  .strictObject({
    profile: pepProfileSchema.meta({ description: 'with every default filled in' }),
    origin: z
      .enum(['configuration', 'api'])
      .meta({ description: 'those of the configuration are read-only' }),
    readOnly: z.boolean(),
    revision: z.int().meta({ description: 'change of the profiles that wrote it; 0: the configuration' }),
    updatedAt: z.string().optional(),
    updatedBy: z.string().optional().meta({ description: 'id of the key' }),
  })
  .meta({ id: 'ListedPepProfile' });

export function pepProfileRoutes(): readonly Route[] {
  return [listProfiles(), getProfile(), putProfile(), deleteProfile()];
}

function listProfiles(): Route {
  return route({
    method: 'GET',
    path: '/v1/pep-profiles',
    operation: 'listPepProfiles',
    tag: TAG,
    summary: 'Profiles of gateways in the order of their names, those of the configuration as well',
    access: READ,
    query: z.strictObject({ limit: limitSchema, cursor: cursorSchema }),
    answers: { 200: { description: 'a page of profiles', schema: pageOf(listedSchema) } },
    handle({ services, query }) {
      const after = query.cursor === undefined ? undefined : decodeCursor(query.cursor);
      const { items, next } = services.profiles.list(query.limit, after);
      const nextCursor = next === null ? null : Buffer.from(next, 'utf8').toString('base64url');
      return { status: 200, json: { items: items.map(wire), nextCursor } };
    },
  });
}

function getProfile(): Route {
  return route({
    method: 'GET',
    path: ITEM,
    operation: 'getPepProfile',
    tag: TAG,
    summary: 'What is believed of one gateway',
    access: READ,
    answers: { 200: { description: 'the profile; `ETag` is its revision', schema: listedSchema } },
    failures: ['NOT_FOUND'],
    handle({ services, credential, param }) {
      return written(services.profiles.get(param('name'), credential), 200);
    },
  });
}

function putProfile(): Route {
  return route({
    method: 'PUT',
    path: ITEM,
    operation: 'putPepProfile',
    tag: TAG,
    summary: 'Create or replace the profile of a gateway; the next question is judged by it',
    access: WRITE,
    body: { kind: 'json', schema: pepProfileBodySchema, refusedAs: 'PROFILE_INVALID' },
    answers: {
      200: { description: 'replaced', schema: listedSchema },
      201: { description: 'created', schema: listedSchema },
    },
    failures: [
      'PROFILE_READ_ONLY',
      'PROFILE_INVALID',
      'PRECONDITION_FAILED',
      'TENANT_NOT_ALLOWED',
      'STORE_UNAVAILABLE',
    ],
    async handle(exchange) {
      const { services, credential, body, param } = exchange;
      const name = nameOf(param('name'));
      const { listed, created } = await services.profiles.put(name, body, credential, conditionOf(exchange));
      return written(listed, created ? 201 : 200);
    },
  });
}

function deleteProfile(): Route {
  return route({
    method: 'DELETE',
    path: ITEM,
    operation: 'deletePepProfile',
    tag: TAG,
    summary: 'Remove the profile of a gateway: its next question is not answered any more',
    access: WRITE,
    answers: { 204: { description: 'removed; `ETag` is the revision of the removal' } },
    failures: [
      'NOT_FOUND',
      'PROFILE_READ_ONLY',
      'PRECONDITION_FAILED',
      'TENANT_NOT_ALLOWED',
      'STORE_UNAVAILABLE',
    ],
    async handle(exchange) {
      const { services, credential, param } = exchange;
      const revision = await services.profiles.remove(param('name'), credential, conditionOf(exchange));
      return { status: 204, headers: { etag: entityTag(revision) } };
    },
  });
}

/** @throws AppError PROFILE_INVALID */
function nameOf(text: string): string {
  const parsed = profileNameSchema.safeParse(text);
  if (parsed.success) return parsed.data;
  const message = parsed.error.issues[0]?.message ?? 'is not valid';
  throw new AppError('PROFILE_INVALID', `the name of the profile ${message}`, {
    problems: [{ pointer: '/name', message }],
  });
}

function conditionOf({ incoming }: Pick<Exchange<unknown, unknown>, 'incoming'>): ProfileCondition {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = incoming.headers;
  const conditions: Preconditions = {
    ...(ifMatch === undefined ? {} : { ifMatch: parseEntityTags(ifMatch, 'If-Match') }),
    ...(ifNoneMatch === undefined ? {} : { ifNoneMatch: parseEntityTags(ifNoneMatch, 'If-None-Match') }),
  };
  return revision => checkPreconditions(revision, conditions, 'profile');
}

function decodeCursor(cursor: string): string {
  const name = profileNameSchema.safeParse(Buffer.from(cursor, 'base64url').toString('utf8'));
  if (name.success) return name.data;
  throw new AppError('INVALID_REQUEST', 'the cursor is not one that this service gave', {
    problems: [{ pointer: '?cursor', message: 'unknown cursor', hint: 'start again without a cursor' }],
  });
}

function written(listed: ListedProfile, status: 200 | 201): Answer {
  return { status, headers: { etag: entityTag(listed.revision) }, json: wire(listed) };
}

function wire(listed: ListedProfile) {
  return { ...listed, readOnly: listed.origin === 'configuration' };
}
