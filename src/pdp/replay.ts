/**
 * Deciding again: the request of a past decision, rebuilt from its log entry. Invariant: under the snapshot of
 * the entry's revisions the policies say of each level what they said then. What else denied, a block, a load or a
 * limit, is not asked again: the entry's reason and limits tell of it.
 */
import { z } from 'zod';
import { type DecisionRequest, decisionRequestSchema } from '../domain/decision-request.ts';
import type { JsonObject } from '../domain/json.ts';

/** The logged request as far as it is needed; further fields of later versions are ignored. */
const loggedRequestSchema = z.object({
  principal: z.json(),
  action: z.json(),
  resource: z.json(),
  tenant: z.string(),
  partitions: z.json().optional(),
  tools: z.json().optional(),
  outputs: z.json().optional(),
  levels: z.json().optional(),
  inputHash: z.string().optional(),
  context: z.looseObject({
    now: z.iso.datetime(),
    auth: z.json().optional(),
    via: z.json().optional(),
    onBehalfOf: z.json().optional(),
    input: z.record(z.string(), z.json()).optional(),
    params: z.json().optional(),
  }),
});

/** A past decision, ready to be decided again. */
export interface ReplayableDecision {
  readonly request: DecisionRequest;
  /** `context.now` of then, in milliseconds. */
  readonly now: number;
}

/**
 * @param logged the `request` of a decision entry.
 * @throws ZodError when it is not one, which for an entry of this log means that it was altered.
 */
export function rebuildRequest(logged: JsonObject): ReplayableDecision {
  const { context, inputHash, ...rest } = loggedRequestSchema.parse(logged);
  const { now, auth, via, onBehalfOf, input, params, ...declared } = context;
  const hash = inputHash === undefined ? {} : { hash: inputHash };
  const request = decisionRequestSchema.parse({
    ...rest,
    tenant: rest.tenant === '' ? undefined : rest.tenant,
    auth,
    via,
    onBehalfOf,
    input: input === undefined ? undefined : { ...input, ...hash },
    params,
    context: declared,
  });
  return { request, now: Date.parse(now) };
}
