/**
 * From the body of a decision request to its decision, for every way in that takes such bodies. Invariant: a
 * forwarded credential ends here: neither the engine nor the log ever holds it.
 */
import type { z } from 'zod';
import type { Decision } from '../../domain/decision.ts';
import { type DecisionRequest, decisionRequestSchema, isJsonObject } from '../../domain/decision-request.ts';
import { type EntityRef, entityRefSchema } from '../../domain/ids.ts';
import { plainRequest } from '../../domain/plain-request.ts';
import { presentedCredentialSchema } from '../../domain/presented-credential.ts';
import type { DecisionCaller } from '../../pdp/engine.ts';
import { checkAssertion, type Intake, verifyCaller } from './caller-intake.ts';
import type { Services } from './services.ts';
import { parseWith } from './validation.ts';

/** What a body may hold: a request, or one whose principal is proven by a credential. */
export const decideBodySchema = decisionRequestSchema
  .extend({
    principal: entityRefSchema.optional().meta({
      description:
        'may be left out beside `credential`; when it is there, it must be whom the credential proves',
    }),
    credential: presentedCredentialSchema.optional(),
  })
  .meta({ id: 'DecideBody' });

type Deciding = Pick<Services, 'engine' | 'callers' | 'callerRules' | 'directory'>;

/**
 * Decides. Rejects like DecisionEngine.decide.
 * @throws AppError INVALID_REQUEST, ASSERTION_NOT_ALLOWED
 */
export function decideBody(services: Deciding, body: unknown, caller: DecisionCaller): Promise<Decision> {
  if (isJsonObject(body) && body['credential'] !== undefined) return decideVerified(services, body, caller);
  const request = plainRequest(body) ?? parseWith(decisionRequestSchema, body);
  const rules = caller.credential.callers ?? services.callerRules;
  const intake = rules === undefined ? undefined : checkAssertion(services, request, rules);
  return intake === undefined ? services.engine.decide(request, caller) : conclude(services, intake, caller);
}

async function decideVerified(services: Deciding, body: unknown, caller: DecisionCaller): Promise<Decision> {
  const { credential, principal, ...rest } = parseWith(decideBodySchema, body);
  if (credential === undefined) throw new Error('a credential was lost while it was read');
  const request = asRequest(rest, principal);
  const intake = await verifyCaller(services, credential, principal, request, caller.credential);
  return conclude(services, intake, caller);
}

function conclude({ engine }: Deciding, intake: Intake, caller: DecisionCaller): Promise<Decision> {
  const { request, authentication, refusal } = intake;
  const known = { ...caller, authentication };
  return refusal === undefined ? engine.decide(request, known) : engine.refuse(request, refusal, known);
}

/** A request whose principal verification fills in. */
function asRequest(
  rest: Omit<z.output<typeof decideBodySchema>, 'principal' | 'credential'>,
  claimed: EntityRef | undefined,
): DecisionRequest {
  return { ...rest, principal: claimed ?? { type: '?', id: '?' } };
}
