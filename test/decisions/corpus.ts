/**
 * The golden corpus: decisions over one world, with what each must come to. Invariant: expectations are
 * written by hand from the policies; no test writes them.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { testEntitySchema } from '../../src/bundles/test-case.ts';
import { obligationSchema, verdictSchema } from '../../src/domain/decision.ts';
import { decisionRequestSchema } from '../../src/domain/decision-request.ts';
import { levelSchema, reasonCodeSchema } from '../../src/domain/reason.ts';

const expectationSchema = z.strictObject({
  decision: verdictSchema,
  code: reasonCodeSchema,
  level: levelSchema,
  /** Of `reason`, sorted. */
  policies: z.array(z.string()),
  /** The levels that are answered, each with its verdict. */
  levels: z.partialRecord(levelSchema, verdictSchema),
  /** Of the check that the reason comes from, in any order. */
  nearMisses: z.array(z.string()).optional(),
  /** None when absent. */
  obligations: z.array(obligationSchema).default([]),
  message: z.string().optional(),
  /** Policies that failed in the check that the reason comes from; none when absent. */
  errors: z.array(z.string()).optional(),
  cedarDecision: verdictSchema.optional(),
  /** Layers whose digests the answer names. */
  layers: z.array(z.string()).optional(),
  /** Whether near misses carry their clauses. */
  clauses: z.boolean().default(false),
});
export type Expectation = z.output<typeof expectationSchema>;

const caseSchema = z.strictObject({
  name: z.string(),
  request: decisionRequestSchema,
  now: z.iso.datetime().optional(),
  expect: expectationSchema,
});

export interface CorpusCase {
  /** `<file>: <name>` */
  readonly title: string;
  readonly request: z.output<typeof decisionRequestSchema>;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly expect: Expectation;
}

const worldSchema = z.strictObject({ now: z.iso.datetime(), entities: z.array(testEntitySchema) });
export type World = z.output<typeof worldSchema>;

const ROOT = join(import.meta.dirname);

export function readWorld(): World {
  return worldSchema.parse(readJson('world.json'));
}

/** Every case, by file and in the order of each file. */
export function readCases(): readonly CorpusCase[] {
  const { now } = readWorld();
  const files = readdirSync(join(ROOT, 'cases')).sort();
  return files.flatMap(file => {
    const { cases } = z.strictObject({ cases: z.array(caseSchema) }).parse(readJson(`cases/${file}`));
    return cases.map(({ name, request, expect, now: own }) => ({
      title: `${file.replace('.json', '')}: ${name}`,
      request,
      now: Date.parse(own ?? now),
      expect,
    }));
  });
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(join(ROOT, path), 'utf8'));
}
