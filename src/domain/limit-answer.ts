/**
 * What an answer says of limits: where each stands, what was reserved, and what a gateway may copy to its client.
 * Invariant: every number is rounded so that whoever believes it is never denied too early by a limit that stands
 * still: remaining amounts down, waiting times up.
 */
import { z } from 'zod';
import { CALENDAR_PERIODS, limitKindSchema, limitUnitSchema } from './limit.ts';

/** One limit that matched a request. */
export const limitResultSchema = z
  .strictObject({
    name: z.string().meta({ description: '`<layer>/<id>`' }),
    kind: limitKindSchema,
    unit: limitUnitSchema,
    scope: z.array(z.string()).meta({ description: 'what is counted together: `["tenant", "principal"]`' }),
    mode: z
      .enum(['enforce', 'shadow'])
      .meta({ description: 'a shadow counts and reports and denies nothing' }),
    limit: z.int(),
    windowSeconds: z
      .number()
      .optional()
      .meta({ description: 'length of a window, of the period of a rate, or of a rolling quota' }),
    period: z.enum(CALENDAR_PERIODS).optional().meta({ description: 'calendar period of a quota, in UTC' }),
    used: z.int().meta({ description: 'committed and held together, this request included' }),
    remaining: z.int(),
    resetSeconds: z.int().meta({ description: 'until all that is counted now has left, rounded up' }),
    reserved: z
      .int()
      .meta({ description: 'what this request charges, or would; 0 when it was not admitted' }),
    source: z.string().meta({ description: 'where the number comes from' }),
    violated: z.literal(true).optional().meta({ description: 'it denied, or, a shadow, would have' }),
    retryAfterMs: z.int().nullable().optional().meta({
      description: 'when violated: until the same request passes this limit; null: never, it is too large',
    }),
    degraded: z.literal(true).optional().meta({
      description: 'decided by `onStoreFailure`, because the shared store did not answer',
    }),
  })
  .meta({ id: 'LimitResult' });
export type LimitResult = Readonly<z.infer<typeof limitResultSchema>>;

/** What an allow holds until the gateway says what was used. */
export const reservationSchema = z
  .strictObject({
    expiresAt: z.string().meta({ description: 'without an outcome or an extension it ends by itself' }),
    outcome: z.string().meta({ description: 'where to report what was used' }),
    extend: z.string().meta({ description: 'where to say that the call goes on' }),
  })
  .meta({ id: 'Reservation' });
export type Reservation = Readonly<z.infer<typeof reservationSchema>>;

/** A problem (RFC 9457) for the client of the gateway, of draft-ietf-httpapi-ratelimit-headers where it has a type. */
export const limitProblemSchema = z
  .strictObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    'violated-policies': z.array(z.string()).optional(),
  })
  .meta({ id: 'LimitProblem' });
export type LimitProblem = Readonly<z.infer<typeof limitProblemSchema>>;

/** The members that limits add to a decision; all are absent where no limit matched. */
export const limitMembers = {
  limits: z.array(limitResultSchema).optional(),
  reservation: reservationSchema.optional(),
  headers: z.record(z.string(), z.string()).optional().meta({
    description: 'for the client of the gateway, to be copied into its response',
  }),
  problem: limitProblemSchema.optional().meta({
    description: 'for the client of the gateway, with the status of its response',
  }),
} as const;

/** The members that limits add to a decision, as values. */
export interface LimitMembers {
  limits?: LimitResult[];
  reservation?: Reservation;
  headers?: Record<string, string>;
  problem?: LimitProblem;
}
