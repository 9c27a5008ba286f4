/**
 * Routes of loads that are reported. Invariants: a reporter speaks for models that exist and that its key reaches, and
 * for its own sources alone; a report without an end does not exist.
 */
import { z } from 'zod';
import { entityKey, entityRef } from '../../decision-log/subject-name.ts';
import { missing } from '../../directory/tenancy.ts';
import { timestamp } from '../../domain/clock.ts';
import { AppError } from '../../domain/errors.ts';
import { type EntityRef, idSchema } from '../../domain/ids.ts';
import { mayActFor } from '../../identity/authority.ts';
import type { LoadStanding } from '../../limits/guards/guard.ts';
import {
  MAX_LOAD_SKEW_MS,
  MAX_LOAD_SOURCES,
  MAX_LOAD_TTL_MS,
  MAX_QUEUE_DEPTH,
} from '../../limits/guards/load-board.ts';
import { type Exchange, type Route, route } from '../http/route.ts';

const TAG = 'limits';
const SECOND_MS = 1000;
const DEFAULT_TTL_SECONDS = 30;

const percent = z.int().min(0).max(100);
const reportSchema = z
  .strictObject({
    model: idSchema.optional(),
    modelGroup: idSchema.optional(),
    source: z.string().max(128).default('').meta({ description: 'which replica, among those of this key' }),
    gpuPercent: percent.optional().meta({ description: 'how busy the processors are' }),
    kvCachePercent: percent.optional().meta({ description: 'how full the cache is' }),
    queueDepth: z.int().min(0).max(MAX_QUEUE_DEPTH).optional().meta({ description: 'calls that wait' }),
    observedAt: z.iso.datetime({ offset: true }).optional().meta({ description: 'absent: now' }),
    ttlSeconds: z
      .int()
      .min(1)
      .max(MAX_LOAD_TTL_MS / SECOND_MS)
      .default(DEFAULT_TTL_SECONDS)
      .meta({ description: 'from `observedAt` on; then the report counts no longer' }),
  })
  .refine(
    ({ model, modelGroup }) => (model === undefined) !== (modelGroup === undefined),
    'must have either `model` or `modelGroup`',
  )
  .refine(
    ({ gpuPercent, kvCachePercent, queueDepth }) =>
      (gpuPercent ?? kvCachePercent ?? queueDepth) !== undefined,
    'must have `gpuPercent`, `kvCachePercent` or `queueDepth`',
  )
  .meta({ id: 'LoadReport' });

const standingSchema = z
  .strictObject({
    model: idSchema.optional(),
    modelGroup: idSchema.optional(),
    sources: z.int().meta({ description: 'replicas whose reports count now' }),
    gpuPercent: percent.nullable().meta({ description: 'mean over the sources' }),
    kvCachePercent: percent.nullable(),
    queueDepth: z.int().nullable().meta({ description: 'of all sources together' }),
    loadPercent: percent
      .nullable()
      .meta({ description: 'smoothed, the worst of them; null: no shedding is declared' }),
    step: z.int().meta({ description: 'steps of shedding in force; 0: nobody is turned away' }),
    observedAt: z.string(),
    expiresAt: z.string(),
  })
  .meta({ id: 'Load' });

const reportedSchema = z
  .strictObject({
    outcome: z.enum(['accepted', 'stale']).meta({
      description: '`stale`: expired already, or a later report of the source is known; nothing changed',
    }),
    load: standingSchema.nullable(),
  })
  .meta({ id: 'LoadReported' });

export function loadRoutes(): readonly Route[] {
  return [reportLoad(), listLoad()];
}

function reportLoad(): Route {
  return route({
    method: 'POST',
    path: '/v1/load',
    operation: 'reportLoad',
    tag: TAG,
    summary: 'Report the load of a replica of a model; it counts until it expires',
    access: ['load'],
    body: { kind: 'json', schema: reportSchema },
    keepsNothing: true,
    answers: { 200: { description: 'what is known of the model now', schema: reportedSchema } },
    failures: ['NOT_FOUND'],
    handle(exchange) {
      const { services, credential, body } = exchange;
      const now = services.clock.now();
      const ref = refOf(body);
      requireModel(exchange, ref);
      const subject = entityKey(ref);
      const { source, gpuPercent, kvCachePercent, queueDepth, observedAt, ttlSeconds } = body;
      const outcome = services.guard.report(
        {
          subject,
          source,
          reporter: credential.keyId,
          gpuPercent,
          kvCachePercent,
          queueDepth,
          observedAt: observedAt === undefined ? now : Date.parse(observedAt),
          ttlMs: ttlSeconds * SECOND_MS,
        },
        now,
      );
      if (outcome === 'early' || outcome === 'full') throw refusal(outcome);
      const [load] = services.guard.loads(now, subject);
      return { status: 200, json: { outcome, load: load === undefined ? null : wire(load) } };
    },
  });
}

function listLoad(): Route {
  return route({
    method: 'GET',
    path: '/v1/load',
    operation: 'listLoad',
    tag: TAG,
    summary: 'Loads that are reported, and who is turned away',
    access: ['limits', 'auditor'],
    answers: {
      200: { description: 'every model', schema: z.strictObject({ items: z.array(standingSchema) }) },
    },
    handle({ services, credential }) {
      const { guard, directory, clock } = services;
      const visible = guard
        .loads(clock.now())
        .filter(({ subject }) => mayActFor(credential, directory.ownerOf(entityRef(subject))));
      return { status: 200, json: { items: visible.map(wire) } };
    },
  });
}

/** @throws AppError NOT_FOUND for a model that does not exist or is out of the reach of the key */
function requireModel(
  { services, credential }: Pick<Exchange<unknown, unknown>, 'services' | 'credential'>,
  ref: EntityRef,
): void {
  const { control, directory } = services;
  const object = { kind: 'entity', ref, tenant: directory.ownerOf(ref) } as const;
  control.require({ credential, operation: 'reportLoad', object }, { foreign: () => missing(ref) });
  directory.get(ref, { keyId: credential.keyId, tenants: undefined });
}

function refusal(outcome: 'early' | 'full'): AppError {
  if (outcome === 'full') {
    return new AppError('INVALID_REQUEST', 'too many loads are reported', {
      problems: [
        {
          pointer: '/source',
          message: `a model has at most ${MAX_LOAD_SOURCES} sources whose reports count`,
          hint: 'let the reports of replicas that are gone expire, or report for a group of models',
        },
      ],
    });
  }
  return new AppError('INVALID_REQUEST', 'the report was observed in the future', {
    problems: [
      {
        pointer: '/observedAt',
        message: `must be at most ${MAX_LOAD_SKEW_MS / SECOND_MS} s ahead of the service`,
        hint: 'set the clock of the reporter, or leave it out',
      },
    ],
  });
}

function refOf({ model, modelGroup }: z.output<typeof reportSchema>): EntityRef {
  return model === undefined ? { type: 'ModelGroup', id: modelGroup ?? '' } : { type: 'Model', id: model };
}

function wire(standing: LoadStanding): z.output<typeof standingSchema> {
  const { subject, sources, gpuPercent, kvCachePercent, queueDepth, loadPercent, step } = standing;
  const { type, id } = entityRef(subject);
  return {
    ...(type === 'Model' ? { model: id } : { modelGroup: id }),
    sources,
    gpuPercent,
    kvCachePercent,
    queueDepth,
    loadPercent: loadPercent ?? null,
    step,
    observedAt: timestamp(standing.observedAt),
    expiresAt: timestamp(standing.expiresAt),
  };
}
