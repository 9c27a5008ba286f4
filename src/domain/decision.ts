/**
 * A decision and its parts, as they leave /decide. Invariant: `decision` is `allow` only when every check
 * allowed, and every allowing check names at least one determining permit; limits only ever turn an allow into a deny.
 */
import { z } from 'zod';
import { callerAuthSchema } from './caller-authentication.ts';
import { layerNameSchema } from './ids.ts';
import { limitMembers } from './limit-answer.ts';
import { levelSchema, reasonCodeSchema } from './reason.ts';

export const verdictSchema = z.enum(['allow', 'deny']).meta({ id: 'Verdict' });
export type Verdict = z.infer<typeof verdictSchema>;

/** One top-level condition of a policy and how it came out. */
export const clauseSchema = z
  .strictObject({
    kind: z.enum(['when', 'unless']),
    text: z.string(),
    result: z.enum(['true', 'false', 'error', 'not evaluated']),
    /** Values of the attribute paths in the clause, in Cedar syntax; only with `explain: "full"`. */
    observed: z.record(z.string(), z.string()).optional(),
  })
  .meta({ id: 'Clause' });
export type Clause = Readonly<z.infer<typeof clauseSchema>>;

/** A permit whose scope matched and whose conditions did not: what was missing. */
export const nearMissSchema = z
  .strictObject({
    policy: z.string(),
    reason: z.string(),
    /** One line: the first clause that failed. */
    missing: z.string(),
    /** All clauses; only with `explain: "full"`. */
    clauses: z.array(clauseSchema).optional(),
  })
  .meta({ id: 'NearMiss' });
export type NearMiss = Readonly<z.infer<typeof nearMissSchema>>;

export const checkResultSchema = z
  .strictObject({
    action: z.string(),
    /** Cedar syntax: `AI::Model::"acme/support-llm"`. */
    resource: z.string(),
    decision: verdictSchema,
    code: reasonCodeSchema,
    message: z.string(),
    /** Determining policies, `<layer>/<@id>`, sorted. */
    policies: z.array(z.string()),
    /** Policies that failed to evaluate, sorted; absent when none did. */
    errors: z.array(z.string()).optional(),
    /** What Cedar itself would have said; absent when it agrees with `decision`. */
    cedarDecision: verdictSchema.optional(),
    nearMisses: z.array(nearMissSchema),
  })
  .meta({ id: 'CheckResult' });
export type CheckResult = Readonly<z.infer<typeof checkResultSchema>>;

export const levelResultSchema = z
  .strictObject({ decision: verdictSchema, checks: z.array(checkResultSchema) })
  .meta({ id: 'LevelResult' });
export type LevelResult = Readonly<z.infer<typeof levelResultSchema>>;

export const obligationSchema = z
  .strictObject({ type: z.string(), policy: z.string() })
  .meta({ id: 'Obligation' });
export type Obligation = Readonly<z.infer<typeof obligationSchema>>;

export const reasonSchema = z
  .strictObject({
    code: reasonCodeSchema,
    level: levelSchema,
    message: z.string(),
    policies: z.array(z.string()),
  })
  .meta({ id: 'Reason' });
export type Reason = Readonly<z.infer<typeof reasonSchema>>;

export const revisionSchema = z
  .strictObject({
    layers: z.partialRecord(layerNameSchema, z.string()),
    directory: z.int(),
    schema: z.string(),
  })
  .meta({ id: 'Revision' });
/** Everything a decision depended on beside the request: content digests and the directory revision. */
export type Revision = Readonly<z.infer<typeof revisionSchema>>;

export const decisionSchema = z
  .strictObject({
    decisionId: z.string(),
    decision: verdictSchema,
    reason: reasonSchema,
    levels: z.partialRecord(levelSchema, levelResultSchema),
    obligations: z.array(obligationSchema),
    auth: callerAuthSchema,
    revision: revisionSchema,
    log: z.strictObject({
      origin: z.string(),
      index: z.int(),
      size: z.int().meta({ description: 'leaves of a tree that includes the entry' }),
    }),
    evaluatedAt: z.string(),
    requestId: z.string().optional(),
    ...limitMembers,
  })
  .meta({ id: 'Decision' });
export type Decision = Readonly<z.infer<typeof decisionSchema>>;
