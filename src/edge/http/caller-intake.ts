/**
 * The end caller of a request: named by a gateway that may, or verified here. Invariants: a verified principal comes
 * from the credential alone; what a gateway may assert has the limits of its key; a refusal is a decision like any
 * other; the assert path of a key without rules does nothing.
 */
import { type CallerRules, ruleFor } from '../../domain/caller-rules.ts';
import type { CallerAuthentication } from '../../domain/caller-authentication.ts';
import type { Credential } from '../../domain/credential.ts';
import type { DecisionRequest } from '../../domain/decision-request.ts';
import { AppError, type Problem } from '../../domain/errors.ts';
import type { EntityRef } from '../../domain/ids.ts';
import { NAMESPACE, tenantPrefix } from '../../domain/names.ts';
import type { PresentedCredential } from '../../domain/presented-credential.ts';
import { EntityUid } from '../../domain/value.ts';
import type { CallerRefusal, VerifiedCaller } from '../../identity/caller.ts';
import type { Services } from './services.ts';
import { invalidRequest } from './validation.ts';

/** What the engine is to be asked, or what it is to record. */
export type Intake =
  | {
      readonly request: DecisionRequest;
      readonly authentication: CallerAuthentication;
      readonly refusal?: undefined;
    }
  | {
      readonly request: DecisionRequest;
      readonly authentication: CallerAuthentication;
      readonly refusal: Pick<CallerRefusal, 'code' | 'message'>;
    };

/** Who stands in the log where nobody was proven and nobody named. */
const NOBODY: EntityRef = { type: '?', id: '?' };
const MUST_VERIFY = {
  code: 'UNAUTHENTICATED',
  message: 'the callers of this tenant are verified: send their credential in `credential`',
} as const;

/**
 * Verifies a forwarded credential.
 * @param claimed whom the gateway takes the caller for; undefined: it does not say.
 * @param request everything else; its principal is replaced.
 * @throws AppError INVALID_REQUEST, ASSERTION_NOT_ALLOWED when the request asserts what the credential has to say.
 */
export async function verifyCaller(
  { callers }: Pick<Services, 'callers'>,
  credential: PresentedCredential,
  claimed: EntityRef | undefined,
  request: DecisionRequest,
  pep: Credential,
): Promise<Intake> {
  if (request.auth !== undefined) throw misplaced('auth', 'leave it out: how the caller was authenticated');
  const address = request.context?.['ip'];
  const { caller, refusal } = await callers.authenticate(credential, {
    pep,
    claimed,
    address: typeof address === 'string' ? address : undefined,
  });
  const { kind } = credential;
  if (refusal !== undefined) return refused(request, claimed, pep, kind, refusal);
  const via = viaOf(request, caller, pep);
  if (via === 'too wide') {
    const tooWide = { code: 'CREDENTIAL_SCOPE', cause: 'scope', message: SCOPES_TOO_WIDE } as const;
    return refused(request, caller.principal, pep, kind, tooWide);
  }
  const { method, assurance, scopes, issuer, keyId } = caller.auth;
  const { binding, narrowing, credential: known } = caller;
  const tenant = request.tenant ?? caller.tenant;
  return {
    request: {
      ...request,
      principal: caller.principal,
      ...(tenant === undefined ? {} : { tenant }),
      auth: {
        method,
        assurance,
        scopes: [...scopes],
        ...(issuer === undefined ? {} : { issuer }),
        ...(keyId === undefined ? {} : { keyId }),
        mode: 'verify',
      },
      ...(via === undefined ? {} : { via }),
    },
    authentication: {
      mode: 'verify',
      method,
      binding,
      ...(narrowing === undefined ? {} : { narrowing }),
      credential: known,
    },
  };
}

const SCOPES_TOO_WIDE = 'the agent would have more scopes than the credential of the caller';

/**
 * Holds a gateway to the rules of its key for a principal that it names itself.
 * @returns the refusal when the callers of the tenant have to be verified; undefined when the request may go on.
 * @throws AppError ASSERTION_NOT_ALLOWED beyond the limits of the rule.
 */
export function checkAssertion(
  { directory }: Pick<Services, 'directory'>,
  request: DecisionRequest,
  rules: CallerRules,
): Intake | undefined {
  const { type, id } = request.principal;
  const entity = directory.graph.get(new EntityUid(`${NAMESPACE}::${type}`, id).key);
  const tenant = entity?.tenant ?? tenantPrefix(id) ?? '';
  const rule = ruleFor(rules, tenant);
  if (rule === undefined) throw notAllowed('/principal', `callers of tenant \`${tenant}\``);
  if (rule.principalTypes !== undefined && !rule.principalTypes.includes(type)) {
    throw notAllowed('/principal/type', `principals of type \`${type}\``);
  }
  if (rule.mode === 'verify') {
    const authentication = { mode: 'verify', method: 'none', cause: 'missing' } as const;
    return { request, authentication, refusal: MUST_VERIFY };
  }
  const assurance = request.auth?.assurance ?? 0;
  if (rule.maxAssurance !== undefined && assurance > rule.maxAssurance) {
    throw notAllowed('/auth/assurance', `an assurance above ${rule.maxAssurance}`);
  }
  return undefined;
}

/**
 * Who acts for the caller. The credential decides where it names actors; otherwise the gateway may name one, which
 * can only narrow what the credential allows.
 */
function viaOf(
  { via }: DecisionRequest,
  { via: actors, auth }: VerifiedCaller,
  pep: Credential,
): DecisionRequest['via'] | 'too wide' {
  if (actors !== undefined) {
    if (via !== undefined) throw misplaced('via', 'leave it out: who acts for the caller');
    return { ...actors, chain: [...actors.chain], scopes: [...actors.scopes] };
  }
  if (via === undefined) return undefined;
  if (via.humanApproved && !pep.mayAssert) throw notAllowed('/via/humanApproved', 'that a person approved');
  return via.scopes.every(scope => auth.scopes.includes(scope)) ? via : 'too wide';
}

function refused(
  request: DecisionRequest,
  principal: EntityRef | undefined,
  { tenants }: Credential,
  method: PresentedCredential['kind'],
  { code, cause, message }: CallerRefusal,
): Intake {
  // a gateway of one tenant asks for that tenant, whose auditors are to see the entry
  const [only] = tenants?.size === 1 ? tenants : [];
  const tenant = request.tenant ?? only;
  return {
    request: {
      ...request,
      principal: principal ?? NOBODY,
      ...(tenant === undefined ? {} : { tenant }),
    },
    authentication: { mode: 'verify', method, cause },
    refusal: { code, message },
  };
}

function misplaced(field: string, hint: string): AppError {
  const problem: Problem = {
    pointer: `/${field}`,
    message: `\`${field}\` is not taken beside \`credential\``,
    hint: `${hint} is in the credential`,
  };
  return invalidRequest([problem]);
}

function notAllowed(pointer: string, what: string): AppError {
  return new AppError('ASSERTION_NOT_ALLOWED', `this key may not assert ${what}`, {
    problems: [
      {
        pointer,
        message: `this key may not assert ${what}`,
        hint: 'forward the credential of the caller in `credential`, or use a key whose `callers` allow it',
      },
    ],
  });
}
