/**
 * Routes of the directory: entities of every type of the schema; tenants, principals and models are views of
 * them. Invariant: a write answers the revision that it made, as `ETag` and in the body.
 */
import { z } from 'zod';
import { countMembers } from '../../directory/listing.ts';
import { parseEntityTags, entityTag, type Preconditions } from '../../directory/preconditions.ts';
import { missing, ownerByName } from '../../directory/tenancy.ts';
import {
  type EntityRecord,
  entityBodySchema,
  entityPatchSchema,
  entityStatusSchema,
} from '../../domain/entity.ts';
import { AppError } from '../../domain/errors.ts';
import { type EntityRef, entityRefSchema, entityTypeSchema, idSchema } from '../../domain/ids.ts';
import {
  type Answer,
  type Exchange,
  type Method,
  type Route,
  route,
  type RouteDefinition,
} from '../http/route.ts';
import { nearest } from '../../domain/spelling.ts';
import { invalidRequest, parseWith } from '../http/validation.ts';
import { cursorSchema, limitSchema, pageOf } from './paging.ts';

/** Types that can call (api.md, Names). */
const PRINCIPAL_TYPES = ['User', 'Service', 'Agent'];
const READ = ['directory', 'auditor'] as const;
const WRITE = ['directory'] as const;
const MEMBERS_HEADER = 'X-Duramen-Members';

const attributes = z.record(z.string(), z.json());
const entitySchema = z
  .strictObject({
    type: entityTypeSchema,
    id: idSchema,
    attributes,
    parents: z.array(entityRefSchema),
    tags: attributes,
    status: entityStatusSchema,
    revision: z.int().meta({ description: 'directory revision that wrote it' }),
    updatedAt: z.string(),
  })
  .meta({ id: 'Entity' });

/** Where entities are addressed: by type and id, or by id under a fixed type. */
interface View {
  /** `/v1/models` */
  readonly base: string;
  /** What follows it for one entity. */
  readonly item: string;
  /** `Model` */
  readonly noun: string;
  readonly types: readonly string[] | undefined;
}

const VIEWS: readonly View[] = [
  { base: '/v1/tenants', item: '/{id}', noun: 'Tenant', types: ['Tenant'] },
  { base: '/v1/principals', item: '/{type}/{id}', noun: 'Principal', types: PRINCIPAL_TYPES },
  { base: '/v1/models', item: '/{id}', noun: 'Model', types: ['Model'] },
  { base: '/v1/entities', item: '/{type}/{id}', noun: 'Entity', types: undefined },
];

export function directoryRoutes(): readonly Route[] {
  return VIEWS.flatMap(view => [
    listEntities(view),
    getEntity(view),
    putEntity(view),
    patchEntity(view),
    deleteEntity(view),
  ]);
}

const listQuery = z.strictObject({
  type: entityTypeSchema.optional(),
  tenant: idSchema.optional(),
  parent: z
    .string()
    .max(512)
    .optional()
    .meta({ description: 'direct parent as `Type/id`, such as `Role/acme/data-scientist`' }),
  prefix: z.string().max(256).optional().meta({ description: 'start of the id' }),
  limit: limitSchema,
  cursor: cursorSchema,
});

function listEntities(view: View): Route {
  return route({
    method: 'GET',
    path: view.base,
    operation: `list${plural(view.noun)}`,
    tag: 'directory',
    summary: `${plural(view.noun)} by type, tenant, parent and start of the id, in the order of their ids`,
    access: READ,
    query: listQuery,
    answers: { 200: { description: 'a page of entities', schema: pageOf(entitySchema) } },
    failures: ['NOT_READY'],
    handle({ services, credential, query }) {
      const { type, tenant, parent, prefix, limit, cursor } = query;
      const types = type === undefined ? view.types : typesOf(view, type);
      const group = parent === undefined ? undefined : parseParent(parent);
      if (type !== undefined) services.directory.requireType(type);
      if (group !== undefined) services.directory.requireType(group.type, '?parent');
      const page = services.directory.list(
        {
          limit,
          ...(types === undefined ? {} : { types }),
          ...(tenant === undefined ? {} : { tenant }),
          ...(group === undefined ? {} : { parent: group }),
          ...(prefix === undefined ? {} : { prefix }),
          ...(cursor === undefined ? {} : { cursor }),
        },
        credential,
      );
      const revision = services.directory.graph.revision;
      return {
        status: 200,
        headers: { etag: entityTag(revision) },
        json: { items: page.items.map(viewOf), nextCursor: page.nextCursor },
      };
    },
  });
}

function getEntity(view: View): Route {
  return route({
    ...itemRoute(view, 'GET', 'get', 'One entity'),
    access: READ,
    answers: {
      200: { description: 'the entity; `ETag` is its revision', schema: entitySchema },
    },
    failures: ['NOT_FOUND'],
    handle(exchange) {
      const { services, credential } = exchange;
      const ref = refOf(view, exchange);
      requireEntity(exchange, `get${view.noun}`, ref);
      return written(services.directory.get(ref, credential), 200);
    },
  });
}

function putEntity(view: View): Route {
  return route({
    ...itemRoute(view, 'PUT', 'put', 'Create or replace an entity'),
    access: WRITE,
    body: { kind: 'json', schema: entityBodySchema },
    answers: {
      200: { description: 'replaced', schema: entitySchema },
      201: { description: 'created', schema: entitySchema },
    },
    failures: [
      'ENTITY_INVALID',
      'PRECONDITION_FAILED',
      'TENANT_NOT_ALLOWED',
      'STORE_UNAVAILABLE',
      'NOT_READY',
    ],
    async handle(exchange) {
      const { services, credential, body } = exchange;
      const ref = refOf(view, exchange);
      const conditions = conditionsOf(exchange);
      const object = { kind: 'entity', ref, tenant: ownerByName(ref) } as const;
      services.control.require({ credential, operation: `put${view.noun}`, object });
      const { record, created } = await services.directory.put(ref, body, credential, conditions);
      return written(record, created ? 201 : 200);
    },
  });
}

function patchEntity(view: View): Route {
  return route({
    ...itemRoute(
      view,
      'PATCH',
      'patch',
      'Change parts of an entity: attributes and tags are merged (RFC 7396)',
    ),
    access: WRITE,
    body: { kind: 'json', schema: entityPatchSchema },
    answers: { 200: { description: 'changed', schema: entitySchema } },
    failures: ['NOT_FOUND', 'ENTITY_INVALID', 'PRECONDITION_FAILED', 'STORE_UNAVAILABLE', 'NOT_READY'],
    async handle(exchange) {
      const { services, credential, body } = exchange;
      const ref = refOf(view, exchange);
      const conditions = conditionsOf(exchange);
      requireEntity(exchange, `patch${view.noun}`, ref);
      return written(await services.directory.patch(ref, body, credential, conditions), 200);
    },
  });
}

function deleteEntity(view: View): Route {
  return route({
    ...itemRoute(view, 'DELETE', 'delete', 'Remove an entity; its history stays'),
    access: WRITE,
    answers: {
      204: {
        description:
          'removed; `ETag` is the new revision of the directory. Members of a removed group keep it as a parent, and lose what is above it',
        headers: {
          [MEMBERS_HEADER]:
            'how many entities still name it as a parent, as far as the key may see; absent: none',
        },
      },
    },
    failures: ['NOT_FOUND', 'PRECONDITION_FAILED', 'STORE_UNAVAILABLE', 'NOT_READY'],
    async handle(exchange) {
      const { services, credential } = exchange;
      const ref = refOf(view, exchange);
      const conditions = conditionsOf(exchange);
      requireEntity(exchange, `delete${view.noun}`, ref);
      const revision = await services.directory.delete(ref, credential, conditions);
      const members = countMembers(services.directory.graph, ref, credential.tenants);
      return {
        status: 204,
        headers: {
          etag: entityTag(revision),
          ...(members === 0 ? {} : { [MEMBERS_HEADER]: String(members) }),
        },
      };
    },
  });
}

/** @throws AppError when the control plane denies it; NOT_FOUND where only its tenants keep the key from it */
function requireEntity(
  { services, credential }: Pick<Exchange<unknown, unknown>, 'services' | 'credential'>,
  operation: string,
  ref: EntityRef,
): void {
  const object = { kind: 'entity', ref, tenant: services.directory.ownerOf(ref) } as const;
  services.control.require({ credential, operation, object }, { foreign: () => missing(ref) });
}

function itemRoute(view: View, method: Method, verb: string, summary: string) {
  return {
    method,
    path: view.base + view.item,
    operation: verb + view.noun,
    tag: 'directory',
    summary,
  } satisfies Partial<RouteDefinition<z.ZodType, z.ZodType>>;
}

/** `Entity` → `Entities`, `Model` → `Models`. */
function plural(noun: string): string {
  return noun.endsWith('y') ? `${noun.slice(0, -1)}ies` : `${noun}s`;
}

function refOf(view: View, { param }: Pick<Exchange<unknown, unknown>, 'param'>): EntityRef {
  const [only] = view.types ?? [];
  const type = view.item.includes('{type}') ? param('type') : (only ?? '');
  typesOf(view, type);
  return parseWith(entityRefSchema, { type, id: param('id') });
}

/** @throws AppError NOT_FOUND when the view does not hold the type. */
function typesOf(view: View, type: string): readonly string[] {
  if (view.types === undefined || view.types.includes(type)) return [type];
  const near = nearest(type, view.types);
  const elsewhere = `other types are under \`/v1/entities\`: \`/v1/entities?type=${type}\`, \`/v1/entities/${type}/{id}\``;
  const hint = near === undefined ? elsewhere : `did you mean \`${near}\`?`;
  throw new AppError('NOT_FOUND', `\`${view.base}\` holds ${view.types.join(', ')} alone`, {
    problems: [{ message: `no entity of type \`${type}\` is here`, hint }],
  });
}

function parseParent(text: string): EntityRef {
  const slash = text.indexOf('/');
  const parsed = entityRefSchema.safeParse({
    type: text.slice(0, Math.max(slash, 0)),
    id: text.slice(slash + 1),
  });
  if (parsed.success) return parsed.data;
  const message = 'must be `Type/id`, such as `Role/acme/data-scientist`';
  throw invalidRequest([{ pointer: '?parent', message }]);
}

function conditionsOf({ incoming }: Pick<Exchange<unknown, unknown>, 'incoming'>): Preconditions {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = incoming.headers;
  return {
    ...(ifMatch === undefined ? {} : { ifMatch: parseEntityTags(ifMatch, 'If-Match') }),
    ...(ifNoneMatch === undefined ? {} : { ifNoneMatch: parseEntityTags(ifNoneMatch, 'If-None-Match') }),
  };
}

/** An entity with its tag. */
function written(record: EntityRecord, status: 200 | 201): Answer {
  return { status, headers: { etag: entityTag(record.revision) }, json: viewOf(record) };
}

function viewOf({ ref, ...rest }: EntityRecord) {
  return { type: ref.type, id: ref.id, ...rest };
}
