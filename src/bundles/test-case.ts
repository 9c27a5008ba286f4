/**
 * The tests that a bundle brings along, as they stand in tests/**\/*.json. Invariant: a test is hermetic: it
 * sees the entities that its file and its case name, and neither the live directory nor the wall clock.
 */
import { z } from 'zod';
import { decisionRequestSchema } from '../domain/decision-request.ts';
import { entityBodySchema } from '../domain/entity.ts';
import { entityRefSchema, MAX_ID_LENGTH } from '../domain/ids.ts';
import { reasonCodeSchema } from '../domain/reason.ts';
import type { Position } from './json-source.ts';

/** Most cases of one bundle: each is a decision by two evaluators, one of which takes milliseconds. */
export const MAX_CASES = 5_000;
/** Most entities of one file or one case. */
const MAX_TEST_ENTITIES = 1_000;
/** The clock of a case that gives no `now`: any fixed instant, so that a test never depends on the day. */
export const DEFAULT_TEST_NOW = '2026-01-01T12:00:00.000Z';

/** An entity as a test writes it: the body of PUT /v1/entities with its type and id. */
export const testEntitySchema = z.strictObject({ ...entityRefSchema.shape, ...entityBodySchema.shape });
export type TestEntity = z.output<typeof testEntitySchema>;

const entities = z.array(testEntitySchema).max(MAX_TEST_ENTITIES);

const expectationSchema = z.strictObject({
  decision: z.enum(['allow', 'deny']),
  code: reasonCodeSchema.optional(),
  /** Full ids, `<layer>/<@id>`, of `reason.policies`, in any order. */
  policies: z
    .array(z.string().max(2 * MAX_ID_LENGTH))
    .max(64)
    .optional(),
  /** Numbers of limits by full name, `<layer>/<id>`; null: the request is not charged to it. Others are not compared. */
  limits: z
    .record(z.string().max(2 * MAX_ID_LENGTH), z.int().min(0).nullable())
    .refine(limits => Object.keys(limits).length <= 64, 'must have at most 64 members')
    .optional(),
});
type Expectation = z.output<typeof expectationSchema>;

const testCaseSchema = z.strictObject({
  name: z.string().min(1).max(256),
  /** Entities to add to those of the file, or to replace them by. */
  directory: entities.default([]),
  request: decisionRequestSchema,
  now: z.iso.datetime({ offset: true }).default(DEFAULT_TEST_NOW),
  expect: expectationSchema,
});

export const testFileSchema = z.strictObject({
  /** Entities that all cases of the file share. */
  directory: entities.default([]),
  cases: z.array(testCaseSchema).min(1).max(MAX_CASES),
});

/** One case, ready to run. */
export interface TestCase extends Position {
  readonly file: string;
  readonly name: string;
  /** Those of the file, replaced and extended by those of the case. */
  readonly directory: readonly TestEntity[];
  readonly request: z.output<typeof decisionRequestSchema>;
  readonly now: string;
  readonly expect: Expectation;
}

/** Keys of a test file at any depth, for "did you mean". */
export const TEST_KEYS: readonly string[] = [
  'cases',
  ...Object.keys(testCaseSchema.shape),
  ...Object.keys(testEntitySchema.shape),
  ...Object.keys(expectationSchema.shape),
  ...Object.keys(decisionRequestSchema.shape),
];

/** The entities of a file with those of a case laid over them. */
export function overlay(shared: readonly TestEntity[], own: readonly TestEntity[]): readonly TestEntity[] {
  if (own.length === 0) return shared;
  const merged = new Map<string, TestEntity>();
  for (const entity of [...shared, ...own]) merged.set(`${entity.type} ${entity.id}`, entity);
  return [...merged.values()];
}
