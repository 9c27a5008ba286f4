/** Routes of bundles and layers. Invariant: a push answers with the digest under which the bundle is found. */
import { z } from 'zod';
import { type ActiveConditions, bundleTag, parseBundleTags } from '../../bundles/active-conditions.ts';
import { type ActivationResult, type Digest, digestSchema } from '../../domain/bundle.ts';
import type { BundleView } from '../../bundles/service.ts';
import type { Credential } from '../../domain/credential.ts';
import { AppError } from '../../domain/errors.ts';
import { type LayerName, layerNameSchema } from '../../domain/ids.ts';
import { mayActOnLayer } from '../../identity/authority.ts';
import { requireType } from '../http/request-body.ts';
import { type Answer, type Exchange, type Route, route } from '../http/route.ts';
import type { Services } from '../http/services.ts';
import { parseWith } from '../http/validation.ts';
import {
  activateSchema,
  activationResultSchema,
  activationSchema,
  bundleSchema,
  pushResultSchema,
  reasonBodySchema,
  rollbackSchema,
} from './bundle-schemas.ts';
import { cursorSchema, decodeCursor, flagSchema, limitSchema, pageFrom, pageOf } from './paging.ts';

const GZIP = 'application/gzip';
const JSON_TYPE = 'application/json';
const READ = ['author', 'approver', 'auditor'] as const;
/** Keys in cursors: the name of a layer, the sequence of an activation. */
const LAYER = /^(platform|tenant:[!-~]{1,256})$/;
const SEQUENCE = /^\d{1,15}$/;
const ACTIVATED = {
  description: 'the activation; `ETag` is the digest of what is active now',
  schema: activationResultSchema,
};
/** What the conditional headers of a change of the active bundle say. */
const CONDITIONS = {
  ifMatch:
    'only if the bundle with this digest, in double quotes, is active on the layer now; `*`: if any is',
  ifNoneMatch: '`*`: only if no bundle is active on the layer',
};

export function bundleRoutes(): readonly Route[] {
  return [
    pushBundle(),
    listBundles(),
    getBundle(),
    getArchive(),
    activateBundle(),
    rollbackLayer(),
    listLayers(),
    layerHistory(),
    restoreEngine(),
  ];
}

function pushBundle(): Route {
  return route({
    method: 'POST',
    path: '/v1/bundles',
    operation: 'pushBundle',
    tag: 'bundles',
    summary: 'Validate, test and stage a bundle, and activate it with `activate=true`',
    access: ['author'],
    query: z.strictObject({ dryRun: flagSchema, activate: flagSchema }),
    body: {
      kind: 'bytes',
      types: [GZIP, JSON_TYPE],
      description: 'a gzipped tar archive, or `{"manifest": {…}, "files": {"policies/a.cedar": "…"}}`',
    },
    maxBytes: ({ limits }) => limits.maxBundleBytes,
    answers: {
      200: { description: 'the same content was pushed before, or a dry run', schema: pushResultSchema },
      201: { description: 'staged, or active', schema: pushResultSchema },
    },
    failures: [
      'BUNDLE_INVALID',
      'BUNDLE_TESTS_FAILED',
      'SCHEMA_BREAKS_ACTIVE',
      'TENANT_NOT_ALLOWED',
      'STORE_UNAVAILABLE',
      'IDEMPOTENCY_CONFLICT',
    ],
    async handle({ services, credential, incoming, query, bytes }) {
      const form = requireType(incoming, [GZIP, JSON_TYPE]) === GZIP ? 'tar' : 'json';
      try {
        const { isNew, ...result } = await services.bundles.push({ form, body: bytes, ...query }, credential);
        const status = isNew && !query.dryRun ? 201 : 200;
        const headers = { etag: bundleTag(result.digest), location: `/v1/bundles/${result.digest}` };
        return { status, headers, json: result };
      } catch (error) {
        if (error instanceof AppError) services.metrics.activationFailed(stageOf(error));
        throw error;
      }
    },
  });
}

/** The step that refused a bundle, for the metric: a closed set. */
function stageOf({ code }: AppError): string {
  if (code === 'BUNDLE_TESTS_FAILED') return 'test';
  if (code === 'BUNDLE_INVALID') return 'validate';
  if (code === 'SCHEMA_BREAKS_ACTIVE' || code === 'ACTIVATION_CONFLICT') return 'activate';
  return 'other';
}

function listBundles(): Route {
  return route({
    method: 'GET',
    path: '/v1/bundles',
    operation: 'listBundles',
    tag: 'bundles',
    summary: 'Bundles, newest first',
    access: READ,
    query: z.strictObject({ layer: layerNameSchema.optional(), limit: limitSchema, cursor: cursorSchema }),
    answers: { 200: { description: 'a page of bundles', schema: pageOf(bundleSchema) } },
    async handle({ services, credential, query }) {
      const { layer, limit, cursor } = query;
      const page = await services.bundles.list(
        { limit, ...(layer === undefined ? {} : { layer }), ...(cursor === undefined ? {} : { cursor }) },
        credential,
      );
      return { status: 200, json: { items: page.items.map(viewOf), nextCursor: page.nextCursor } };
    },
  });
}

function getBundle(): Route {
  return route({
    method: 'GET',
    path: '/v1/bundles/{digest}',
    operation: 'getBundle',
    tag: 'bundles',
    summary: 'One bundle: report, author and times',
    access: READ,
    answers: { 200: { description: 'the bundle', schema: bundleSchema } },
    failures: ['NOT_FOUND'],
    async handle({ services, credential, param }) {
      const bundle = await services.bundles.get(digestOf(param('digest')), credential);
      requireLayer(services, credential, 'getBundle', bundle.manifest.layer);
      return { status: 200, headers: { etag: bundleTag(bundle.digest) }, json: viewOf(bundle) };
    },
  });
}

function getArchive(): Route {
  return route({
    method: 'GET',
    path: '/v1/bundles/{digest}/archive',
    operation: 'getBundleArchive',
    tag: 'bundles',
    summary: 'The archive, byte for byte as it was pushed',
    access: READ,
    answers: { 200: { description: 'the gzipped tar archive', type: GZIP } },
    failures: ['NOT_FOUND'],
    async handle({ services, credential, param }) {
      const bundle = await services.bundles.get(digestOf(param('digest')), credential);
      requireLayer(services, credential, 'getBundleArchive', bundle.manifest.layer);
      const { digest, archive } = bundle;
      const name = digest.slice('sha256:'.length, 'sha256:'.length + 12);
      return {
        status: 200,
        headers: {
          etag: bundleTag(digest),
          'content-type': GZIP,
          'content-disposition': `attachment; filename="bundle-${name}.tar.gz"`,
        },
        bytes: new Uint8Array(archive),
      };
    },
  });
}

function activateBundle(): Route {
  return route({
    method: 'POST',
    path: '/v1/bundles/{digest}/activate',
    operation: 'activateBundle',
    tag: 'bundles',
    summary: 'Make a staged bundle the one that decides',
    access: ['approver'],
    body: { kind: 'json', schema: activateSchema },
    conditions: CONDITIONS,
    answers: { 200: ACTIVATED },
    failures: [
      'NOT_FOUND',
      'ACTIVATION_CONFLICT',
      'PRECONDITION_FAILED',
      'BUNDLE_INVALID',
      'BUNDLE_TESTS_FAILED',
      'SCHEMA_BREAKS_ACTIVE',
      'STORE_UNAVAILABLE',
      'IDEMPOTENCY_CONFLICT',
    ],
    async handle(exchange) {
      const { services, credential, body, param } = exchange;
      const digest = digestOf(param('digest'));
      const request = { ...body, ...conditionsOf(exchange) };
      try {
        return activated(await services.bundles.activate(digest, request, credential));
      } catch (error) {
        if (error instanceof AppError && error.code !== 'NOT_FOUND')
          services.metrics.activationFailed('activate');
        throw error;
      }
    },
  });
}

function rollbackLayer(): Route {
  return route({
    method: 'POST',
    path: '/v1/layers/{layer}/rollback',
    operation: 'rollbackLayer',
    tag: 'bundles',
    summary: 'Activate the bundle that was active before',
    access: ['approver'],
    body: { kind: 'json', schema: rollbackSchema },
    conditions: CONDITIONS,
    answers: { 200: ACTIVATED },
    failures: [
      'NOT_FOUND',
      'ACTIVATION_CONFLICT',
      'PRECONDITION_FAILED',
      'NOTHING_TO_ROLL_BACK',
      'SCHEMA_BREAKS_ACTIVE',
      'STORE_UNAVAILABLE',
      'IDEMPOTENCY_CONFLICT',
    ],
    async handle(exchange) {
      const { services, credential, body, param } = exchange;
      const { expectedActive, reason } = body;
      const layer = layerOf(param('layer'));
      const conditions = { expectedActive, ...conditionsOf(exchange) };
      return activated(await services.bundles.rollback(layer, reason, credential, conditions));
    },
  });
}

function listLayers(): Route {
  return route({
    method: 'GET',
    path: '/v1/layers',
    operation: 'listLayers',
    tag: 'bundles',
    summary: 'Layers with an active bundle',
    access: READ,
    query: z.strictObject({ limit: limitSchema, cursor: cursorSchema }),
    answers: {
      200: {
        description: 'a page of layers, by name',
        schema: pageOf(
          z.strictObject({ layer: layerNameSchema, active: activationSchema }).meta({ id: 'Layer' }),
        ),
      },
    },
    handle({ services, credential, query }) {
      const after = decodeCursor(query.cursor, LAYER) ?? '';
      const rest = services.bundles.layers(credential).filter(({ layer }) => layer > after);
      return { status: 200, json: pageFrom(rest, query.limit, ({ layer }) => layer) };
    },
  });
}

function layerHistory(): Route {
  return route({
    method: 'GET',
    path: '/v1/layers/{layer}/history',
    operation: 'layerHistory',
    tag: 'bundles',
    summary: 'Activations of a layer, newest first',
    access: READ,
    query: z.strictObject({ limit: limitSchema, cursor: cursorSchema }),
    answers: { 200: { description: 'a page of activations', schema: pageOf(activationSchema) } },
    failures: ['NOT_FOUND'],
    async handle({ services, credential, query, param }) {
      const layer = layerOf(param('layer'));
      const after = decodeCursor(query.cursor, SEQUENCE);
      const below = after === undefined ? undefined : Number(after);
      const found = await services.bundles.history(layer, query.limit + 1, credential, below);
      requireLayer(services, credential, 'layerHistory', layer);
      return { status: 200, json: pageFrom(found, query.limit, ({ sequence }) => String(sequence)) };
    },
  });
}

function restoreEngine(): Route {
  return route({
    method: 'POST',
    path: '/v1/layers/{layer}/engine/restore',
    operation: 'restoreEngine',
    tag: 'bundles',
    summary: 'Let the compiled evaluator decide a layer again after a disagreement with cedar-wasm',
    access: ['approver'],
    body: { kind: 'json', schema: reasonBodySchema },
    answers: { 204: { description: 'the compiled evaluator decides the layer again' } },
    failures: ['NOT_FOUND', 'LOG_UNAVAILABLE', 'LOG_BACKPRESSURE'],
    async handle({ services, credential, body, param }) {
      const layer = layerOf(param('layer'));
      if (!mayActOnLayer(credential, layer)) {
        throw new AppError('NOT_FOUND', `layer \`${layer}\` is not decided by cedar-wasm`);
      }
      requireLayer(services, credential, 'restoreEngine', layer);
      await services.trust.restore(layer, body.reason, credential);
      return { status: 204 };
    },
  });
}

/** @throws AppError when the control plane denies it for this layer */
function requireLayer(
  { control }: Services,
  credential: Credential,
  operation: string,
  layer: LayerName,
): void {
  control.require({ credential, operation, object: { kind: 'layer', layer } });
}

function conditionsOf({ incoming }: Pick<Exchange<unknown, unknown>, 'incoming'>): ActiveConditions {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = incoming.headers;
  return {
    ...(ifMatch === undefined ? {} : { ifMatch: parseBundleTags(ifMatch, 'If-Match') }),
    ...(ifNoneMatch === undefined ? {} : { ifNoneMatch: parseBundleTags(ifNoneMatch, 'If-None-Match') }),
  };
}

/** An activation, with the tag by which the next one can be made conditional. */
function activated(activation: ActivationResult): Answer {
  return { status: 200, headers: { etag: bundleTag(activation.digest) }, json: activation };
}

function digestOf(text: string): Digest {
  return parseWith(z.strictObject({ digest: digestSchema }), { digest: text }).digest;
}

function layerOf(text: string): LayerName {
  return parseWith(z.strictObject({ layer: layerNameSchema }), { layer: text }).layer;
}

function viewOf(bundle: BundleView) {
  const { digest, manifest, state, report, pushedBy, pushedAt } = bundle;
  return { digest, layer: manifest.layer, manifest, state, report, pushedBy, pushedAt };
}
