/**
 * Deciding again: the request of a past decision, rebuilt from its log entry. Invariant: under the snapshot of
 * the entry's revisions the policies say of each level what they said then. What else denied, a block, a load or a
 * limit, is not asked again: the entry's reason and limits tell of it. Nor does an entry tell `explain`, of which `none` ends
 * the checks at the first deny. What was erased makes a failure, never another decision.
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

/** A pseudonym that leads to nobody any more. */
const PSEUDONYM = /^p:[A-Za-z0-9_-]{22}$/;
/** Where digests of personal values stand that nothing opens any more. */
const DIGESTS = '_sd';

/** A decision that nobody can decide again, and why. */
export class NotReplayable extends Error {
  constructor(why: string) {
    super(`the decision cannot be decided again: ${why}`);
    this.name = 'NotReplayable';
  }
}

/** A past decision, ready to be decided again. */
export interface ReplayableDecision {
  readonly request: DecisionRequest;
  /** `context.now` of then, in milliseconds. */
  readonly now: number;
}

/**
 * @param logged the `request` of a decision entry, with names and personal values as far as they are known.
 * @throws NotReplayable when somebody or something in it was erased
 * @throws ZodError when it is not one, which for an entry of this log means that it was altered.
 */
export function rebuildRequest(logged: JsonObject): ReplayableDecision {
  const { context, inputHash, ...rest } = loggedRequestSchema.parse(logged);
  const { now, auth, via, onBehalfOf, input, params, ...declared } = context;
  if (Object.hasOwn(declared, DIGESTS)) throw new NotReplayable('personal values of its context were erased');
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
  const named = [
    request.principal.id,
    request.resource.id,
    request.via?.agent,
    ...(request.via?.chain ?? []),
  ];
  if (named.some(id => id !== undefined && PSEUDONYM.test(id))) {
    throw new NotReplayable('it names somebody who was erased, by the pseudonym alone');
  }
  return { request, now: Date.parse(now) };
}
