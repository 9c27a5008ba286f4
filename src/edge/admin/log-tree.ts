/**
 * Routes of the log as evidence: key, checkpoint, tiles (c2sp.org/tlog-tiles) and consistency proofs. Invariants: a
 * resource of the tree has exactly one path and never changes under it; leaves of every tenant go to those alone
 * who may see every tenant.
 */
import { z } from 'zod';
import {
  formatTilePath,
  parseTilePath,
  TILE_WIDTH,
  type TilePath,
  tileWidth,
} from '../../decision-log/tiles.ts';
import { timestamp } from '../../domain/clock.ts';
import type { Credential } from '../../domain/credential.ts';
import { AppError } from '../../domain/errors.ts';
import { type Answer, type Exchange, type Route, route } from '../http/route.ts';
import type { Services } from '../http/services.ts';

/** What the routes answer that others must be able to keep: everyone who takes part may hold a view of the log. */
const WITNESSES = ['auditor', 'pep'] as const;
export const TEXT_TYPE = 'text/plain; charset=utf-8';
const BYTES_TYPE = 'application/octet-stream';
/** Shared caches stay out: what is behind a credential is not theirs to keep. */
const IMMUTABLE = 'private, max-age=31536000, immutable';
const PREFIX = '/v1/log/';

const sizeSchema = z
  .string()
  .regex(/^(?:0|[1-9]\d{0,15})$/, 'must be a number of leaves: digits without leading zeros')
  .transform(Number)
  .refine(Number.isSafeInteger, 'is larger than any log');

const headSchema = z.strictObject({
  size: z.int(),
  root: z.string().meta({ description: 'RFC 6962 tree head, base64' }),
});

const consistencySchema = z
  .strictObject({
    origin: z.string(),
    from: headSchema,
    to: headSchema,
    proof: z.array(z.string()).meta({ description: 'hashes of RFC 6962 §2.1.2, base64' }),
    checkpoint: z
      .string()
      .optional()
      .meta({ description: 'signed note over `to`, when `to` was not given: the newest' }),
  })
  .meta({ id: 'ConsistencyProof' });

const shardSchema = z
  .strictObject({
    name: z.string(),
    first: z.int().meta({ description: 'index of its first entry' }),
    entries: z.int(),
    sealed: z.boolean(),
    kept: z.boolean().meta({ description: 'false: retention removed its entries; its tiles stay' }),
    from: z.string().optional(),
    to: z.string().optional(),
    bytes: z.int(),
  })
  .meta({ id: 'LogShard' });

export function logTreeRoutes(): readonly Route[] {
  return [verifierKey(), checkpoint(), entryBundle(), hashTile(), consistency(), shards()];
}

function verifierKey(): Route {
  return route({
    method: 'GET',
    path: '/v1/log/key',
    operation: 'getLogKey',
    tag: 'log',
    summary: 'The key that verifies checkpoints, as c2sp.org/signed-note writes it',
    access: WITNESSES,
    answers: { 200: { description: '`<origin>+<key id>+<key>`', type: TEXT_TYPE } },
    handle: ({ services }) => text(`${services.evidence.verifierKey}\n`),
  });
}

function checkpoint(): Route {
  return route({
    method: 'GET',
    path: '/v1/log/checkpoint',
    operation: 'getLogCheckpoint',
    tag: 'log',
    summary: 'The newest checkpoint, a signed note of c2sp.org/tlog-checkpoint',
    access: WITNESSES,
    query: z.strictObject({
      cosigned: z.enum(['true', 'false']).optional().meta({
        description:
          '`true`: the newest that witnesses have cosigned, with their signatures; it may be a minute old',
      }),
    }),
    answers: { 200: { description: 'origin, size, root and signatures', type: TEXT_TYPE } },
    failures: ['NOT_FOUND', 'LOG_UNAVAILABLE'],
    async handle({ services: { evidence }, query }) {
      if (query.cosigned !== 'true') return text((await evidence.signCheckpoint()).note);
      const cosigned = evidence.cosigned();
      if (cosigned !== undefined) return text(cosigned.note);
      throw new AppError(
        'NOT_FOUND',
        'no witness has cosigned a checkpoint of this log yet: see `anchor.witnesses` and /readyz?verbose',
      );
    },
  });
}

function hashTile(): Route {
  return route({
    method: 'GET',
    path: '/v1/log/tile/{level}/{path*}',
    operation: 'getLogTile',
    tag: 'log',
    summary: 'Hashes of the tree: tile `<level>/<n>[.p/<width>]` of c2sp.org/tlog-tiles',
    access: ['auditor'],
    answers: { 200: { description: '32 bytes per hash, up to 256', type: BYTES_TYPE } },
    failures: ['NOT_FOUND', 'TENANT_NOT_ALLOWED', 'LOG_UNAVAILABLE'],
    async handle(exchange) {
      const { level, n, width } = existingTile(exchange);
      if (level === 'entries') throw new Error('the route of entry bundles comes first');
      const { tree } = exchange.services.evidence;
      return immutable(exchange.services, { level, n, width }, await tree.hashTile(level, n, width));
    },
  });
}

function entryBundle(): Route {
  return route({
    method: 'GET',
    path: '/v1/log/tile/entries/{path*}',
    operation: 'getLogEntries',
    tag: 'log',
    summary: 'Leaves: entry bundle `<n>[.p/<width>]` of c2sp.org/tlog-tiles',
    access: ['auditor'],
    answers: { 200: { description: 'leaves, each behind its length in two bytes', type: BYTES_TYPE } },
    failures: ['NOT_FOUND', 'TENANT_NOT_ALLOWED', 'LOG_UNAVAILABLE'],
    async handle(exchange) {
      const tile = existingTile(exchange);
      const { tree } = exchange.services.evidence;
      const bundle = await tree.entryBundle(tile.n, tile.width);
      if (bundle !== undefined) return immutable(exchange.services, tile, bundle);
      const first = Math.ceil((await tree.firstKept()) / TILE_WIDTH);
      throw new AppError(
        'NOT_FOUND',
        `retention removed entries of bundle ${tile.n}: the first whole one is ${first}; hash tiles and proofs stay`,
      );
    },
  });
}

function consistency(): Route {
  return route({
    method: 'GET',
    path: '/v1/log/proof/consistency',
    operation: 'getLogConsistency',
    tag: 'log',
    summary: 'Proof that the log of an earlier size is the beginning of the later one',
    access: WITNESSES,
    query: z.strictObject({
      from: sizeSchema.meta({ type: 'integer', minimum: 0, description: 'the earlier size' }),
      to: sizeSchema
        .optional()
        .meta({ type: 'integer', minimum: 0, description: 'the later size; absent: the newest' }),
    }),
    answers: { 200: { description: 'the proof with both heads', schema: consistencySchema } },
    failures: ['NOT_FOUND', 'LOG_UNAVAILABLE'],
    async handle({ services, query: { from, to } }) {
      const { tree, signCheckpoint } = services.evidence;
      const newest = to === undefined ? await signCheckpoint() : undefined;
      const later = newest?.size ?? to ?? 0;
      refuseBeyond(services, Math.max(from, later));
      if (from > later) {
        throw new AppError(
          'INVALID_REQUEST',
          `\`from\` is ${from} and \`to\` ${later}: the earlier size comes first`,
        );
      }
      const [proof, fromRoot, toRoot] = await Promise.all([
        tree.consistencyProof(from, later),
        tree.root(from),
        tree.root(later),
      ]);
      const json = {
        origin: services.logOrigin,
        from: { size: from, root: base64(fromRoot) },
        to: { size: later, root: base64(toRoot) },
        proof: proof.map(base64),
        ...(newest === undefined ? {} : { checkpoint: newest.note }),
      };
      return { status: 200, json };
    },
  });
}

function shards(): Route {
  return route({
    method: 'GET',
    path: '/v1/log/shards',
    operation: 'listLogShards',
    tag: 'log',
    summary: 'The files of the log, the oldest first, those that retention removed included',
    access: ['auditor'],
    answers: { 200: { description: 'shards', schema: z.strictObject({ items: z.array(shardSchema) }) } },
    failures: ['TENANT_NOT_ALLOWED'],
    async handle({ services, credential }) {
      requireWholeLog(credential);
      const found = await services.evidence.tree.shards();
      const items = found.map(({ from, to, ...shard }) =>
        shard.entries === 0 ? shard : { ...shard, from: timestamp(from), to: timestamp(to) },
      );
      return { status: 200, json: { items } };
    },
  });
}

/** Leaves, their number and their files concern every tenant. @throws AppError TENANT_NOT_ALLOWED */
export function requireWholeLog({ tenants }: Credential): void {
  if (tenants === undefined) return;
  throw new AppError(
    'TENANT_NOT_ALLOWED',
    'this shows entries of every tenant, and the key is limited to some: use a key without tenants, or ask for ' +
      'single decisions and their proofs',
  );
}

/** The tile that a request names. @throws AppError INVALID_REQUEST or NOT_FOUND when the tree has none of it */
function existingTile({ services, credential, incoming }: Exchange<unknown, unknown>): TilePath {
  requireWholeLog(credential);
  // As it was sent: percent-encoded, a tile would have a second name.
  const path = (incoming.url ?? '').split('?', 1)[0] ?? '';
  const tile = path.startsWith(PREFIX) ? parseTilePath(path.slice(PREFIX.length)) : undefined;
  if (tile === undefined) {
    throw new AppError('INVALID_REQUEST', 'this is not the path of a tile', {
      problems: [
        {
          message: 'the path does not follow c2sp.org/tlog-tiles',
          hint: 'such as `tile/0/x001/067`, `tile/1/000.p/8`, `tile/entries/000`: groups of three digits, all but the last with `x`',
        },
      ],
    });
  }
  const { level, n, width } = tile;
  const size = services.status.logSize();
  const has = tileWidth(size, level === 'entries' ? 0 : level, n);
  if (width <= has) return tile;
  const instead = has === 0 ? '' : `: it has ${has}, ask for \`${formatTilePath({ ...tile, width: has })}\``;
  throw new AppError(
    'NOT_FOUND',
    `the log has ${size} leaves, and with them no ${width} hashes in tile ${n} of level ${level}${instead}`,
  );
}

/** @throws AppError NOT_FOUND */
function refuseBeyond(services: Services, size: number): void {
  const durable = services.status.logSize();
  if (size <= durable) return;
  throw new AppError(
    'NOT_FOUND',
    `the log has ${durable} leaves and you ask about ${size}: if you hold a signed checkpoint of that size, the log ` +
      'went back in time or is another one',
  );
}

function immutable({ logOrigin }: Services, tile: TilePath, bytes: Uint8Array): Answer {
  const etag = `"${logOrigin}/${formatTilePath(tile)}"`;
  const headers = { 'content-type': BYTES_TYPE, 'cache-control': IMMUTABLE, etag };
  return { status: 200, headers, bytes: new Uint8Array(bytes) };
}

function text(body: string): Answer {
  return { status: 200, headers: { 'content-type': TEXT_TYPE }, text: body };
}

function base64(hash: Uint8Array): string {
  return Buffer.from(hash).toString('base64');
}
