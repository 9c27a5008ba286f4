/**
 * From the body of a decision request to its decision, for every way in that takes such bodies. Invariant: a
 * forwarded credential ends here: neither the engine nor the log ever holds it.
 */
import type { Decision } from '../../domain/decision.ts';
import { type DecisionRequest, decisionRequestSchema, isJsonObject } from '../../domain/decision-request.ts';
import { type EntityRef, entityRefSchema } from '../../domain/ids.ts';
import { plainRequest } from '../../domain/plain-request.ts';
import type { JsonObject, JsonValue } from '../../domain/json.ts';
import {
  MAX_CREDENTIAL_TEXT,
  type PresentedCredential,
  presentedCredentialSchema,
} from '../../domain/presented-credential.ts';
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

async function decideVerified(
  services: Deciding,
  body: JsonObject,
  caller: DecisionCaller,
): Promise<Decision> {
  const { credential, claimed, request } = plainBody(body) ?? parsedBody(body);
  const intake = await verifyCaller(services, credential, claimed, request, caller.credential);
  return conclude(services, intake, caller);
}

function conclude({ engine }: Deciding, intake: Intake, caller: DecisionCaller): Promise<Decision> {
  const { request, authentication, refusal } = intake;
  const known = { ...caller, authentication };
  return refusal === undefined ? engine.decide(request, known) : engine.refuse(request, refusal, known);
}

/** A body taken apart. */
interface CredentialBody {
  readonly credential: PresentedCredential;
  /** Whom the gateway takes the caller for. */
  readonly claimed: EntityRef | undefined;
  /** Its principal is what verification replaces, where the gateway names none. */
  readonly request: DecisionRequest;
}

/** Stands where a request has to have a principal until verification says whom. */
const UNKNOWN: EntityRef = { type: 'User', id: 'unknown' };

/** What the schema would make of a body, where a quick look suffices to tell (domain/plain-request.ts). */
function plainBody({ credential, principal, ...rest }: JsonObject): CredentialBody | undefined {
  if (!isPlainCredential(credential)) return undefined;
  const request = plainRequest({ ...rest, principal: principal ?? UNKNOWN });
  if (request === undefined || principal === null) return undefined;
  return { credential, request, claimed: principal === undefined ? undefined : request.principal };
}

function parsedBody(body: JsonObject): CredentialBody {
  const { credential, principal, ...rest } = parseWith(decideBodySchema, body);
  if (credential === undefined) throw new Error('a credential was lost while it was read');
  return { credential, claimed: principal, request: { ...rest, principal: principal ?? UNKNOWN } };
}

/** A credential of the usual form: a key, or a token that no proof comes with. */
function isPlainCredential(
  value: JsonValue | undefined,
): value is { kind: 'jwt'; token: string } | { kind: 'api_key'; key: string } {
  if (!isJsonObject(value) || Object.keys(value).length !== 2) return false;
  const { kind } = value;
  const text = kind === 'jwt' ? value['token'] : kind === 'api_key' ? value['key'] : undefined;
  return typeof text === 'string' && text.length > 0 && text.length <= MAX_CREDENTIAL_TEXT;
}
