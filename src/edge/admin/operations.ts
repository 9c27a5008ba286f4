/** Routes for operators: probes, metrics, status, problem pages and the OpenAPI document. */
import { z } from 'zod';
import { AppError, ERROR_CODES } from '../../domain/errors.ts';
import { layersInReach, mayActOnLayer } from '../../identity/authority.ts';
import { problemCode, problemSlug } from '../http/problem.ts';
import { PROBLEM_PAGES } from '../http/problem-pages.ts';
import { type Route, route } from '../http/route.ts';

const checkSchema = z.strictObject({
  name: z.string(),
  ok: z.boolean(),
  detail: z.string(),
  advisory: z.boolean().optional().meta({ description: 'reported, but no reason to stop sending traffic' }),
});
const readinessSchema = z
  .strictObject({ status: z.enum(['ready', 'not ready']), checks: z.array(checkSchema).optional() })
  .meta({ id: 'Readiness' });

const problemPageSchema = z
  .strictObject({
    type: z.string(),
    code: z.string(),
    status: z.int(),
    title: z.string(),
    meaning: z.string(),
    remedy: z.string(),
  })
  .meta({ id: 'ProblemPage' });

const statusSchema = z
  .strictObject({
    version: z.string(),
    ready: z.boolean(),
    startedAt: z.string(),
    uptimeSeconds: z.int(),
    layers: z.record(z.string(), z.strictObject({ digest: z.string(), activatedAt: z.string() })),
    directory: z.strictObject({ revision: z.int(), entities: z.int() }),
    schema: z.string().nullable(),
    engine: z.strictObject({
      evaluator: z.string(),
      crossCheck: z.string(),
      layersOnWasm: z.array(z.string()),
    }),
    log: z.strictObject({
      origin: z.string(),
      size: z.int(),
      lag: z.int().meta({ description: 'entries not yet in the query index' }),
    }),
  })
  .meta({ id: 'Status' });

/** @param document gives the OpenAPI document as JSON text; it is asked on each request. */
export function operationRoutes(document: () => string): readonly Route[] {
  return [livez(), readyz(), metrics(), status(), problemPage(), problemPages(), openApi(document)];
}

function livez(): Route {
  return route({
    method: 'GET',
    path: '/livez',
    operation: 'live',
    tag: 'operations',
    summary: 'Whether the process answers at all',
    access: 'public',
    answers: { 200: { description: 'alive', schema: z.strictObject({ status: z.literal('alive') }) } },
    handle: () => ({ status: 200, json: { status: 'alive' } }),
  });
}

function readyz(): Route {
  return route({
    method: 'GET',
    path: '/readyz',
    operation: 'ready',
    tag: 'operations',
    summary: 'Whether traffic should be sent here; `?verbose` lists the checks',
    access: 'public',
    query: z.strictObject({
      verbose: z
        .enum(['', 'true', 'false'])
        .optional()
        .meta({ description: 'list the checks', allowEmptyValue: true }),
    }),
    answers: {
      200: { description: 'ready', schema: readinessSchema },
      503: { description: 'not ready', schema: readinessSchema },
    },
    handle({ services, query }) {
      const { ready, checks } = services.health.report();
      const verbose = query.verbose !== undefined && query.verbose !== 'false';
      const state = { status: ready ? 'ready' : 'not ready' };
      return {
        status: ready ? 200 : 503,
        ...(ready ? {} : { headers: { 'retry-after': '1' } }),
        json: verbose ? { ...state, checks } : state,
      };
    },
  });
}

function metrics(): Route {
  return route({
    method: 'GET',
    path: '/metrics',
    operation: 'metrics',
    tag: 'operations',
    summary: 'Metrics for Prometheus',
    access: 'any',
    answers: { 200: { description: 'text exposition format', type: 'text/plain' } },
    async handle({ services }) {
      const { contentType } = services.metrics;
      return { status: 200, headers: { 'content-type': contentType }, text: await services.metrics.render() };
    },
  });
}

function status(): Route {
  return route({
    method: 'GET',
    path: '/v1/status',
    operation: 'status',
    tag: 'operations',
    summary: 'Active layers, revisions, size and lag of the log',
    access: 'any',
    answers: { 200: { description: 'how things stand', schema: statusSchema } },
    async handle({ services, credential }) {
      const { status: source, health, clock, startedAt, version } = services;
      const engine = source.engine();
      const visible = source.layers().filter(({ layer }) => mayActOnLayer(credential, layer));
      return {
        status: 200,
        json: {
          version,
          ready: health.report().ready,
          startedAt,
          uptimeSeconds: Math.floor((clock.now() - Date.parse(startedAt)) / 1000),
          layers: Object.fromEntries(
            visible.map(({ layer, digest, activatedAt }) => [layer, { digest, activatedAt }]),
          ),
          directory: source.directory(),
          schema: source.schemaDigest(),
          engine: { ...engine, layersOnWasm: [...layersInReach(credential, engine.layersOnWasm)] },
          log: { origin: services.logOrigin, size: source.logSize(), lag: await services.log.lag() },
        },
      };
    },
  });
}

function problemPage(): Route {
  return route({
    method: 'GET',
    path: '/problems/{code}',
    operation: 'problemPage',
    tag: 'operations',
    summary: 'What a problem means and what to do',
    access: 'public',
    answers: { 200: { description: 'the page', schema: problemPageSchema } },
    failures: ['NOT_FOUND'],
    handle({ param }) {
      const code = problemCode(param('code'));
      if (code === undefined) throw new AppError('NOT_FOUND', 'there is no such problem: see /problems');
      const { status: httpStatus, title } = ERROR_CODES[code];
      const json = {
        type: `/problems/${problemSlug(code)}`,
        code,
        status: httpStatus,
        title,
        ...PROBLEM_PAGES[code],
      };
      return { status: 200, headers: { 'cache-control': 'public, max-age=3600' }, json };
    },
  });
}

function problemPages(): Route {
  return route({
    method: 'GET',
    path: '/problems',
    operation: 'problemPages',
    tag: 'operations',
    summary: 'Every problem',
    access: 'public',
    answers: {
      200: {
        description: 'types and titles',
        schema: z.strictObject({ items: z.array(z.strictObject({ type: z.string(), title: z.string() })) }),
      },
    },
    handle() {
      const items = Object.entries(ERROR_CODES).map(([code, { title }]) => ({
        type: `/problems/${code.toLowerCase().replaceAll('_', '-')}`,
        title,
      }));
      return { status: 200, json: { items } };
    },
  });
}

function openApi(document: () => string): Route {
  return route({
    method: 'GET',
    path: '/openapi.json',
    operation: 'openApi',
    tag: 'operations',
    summary: 'This API as an OpenAPI 3.1 document',
    access: 'any',
    answers: { 200: { description: 'the document', schema: z.record(z.string(), z.unknown()) } },
    handle: () => ({ status: 200, headers: { 'content-type': 'application/json' }, text: document() }),
  });
}
