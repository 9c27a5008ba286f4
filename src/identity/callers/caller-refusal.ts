/** How a refused credential is answered. Invariant: what proves nothing, or no longer, is answered with one sentence. */
import type { CallerCause, CallerOutcome } from '../caller.ts';
import type { RefusalCode } from '../jwt/token-cause.ts';

const NOT_ACCEPTED = 'the credential of the caller is not accepted';
const TOO_NARROW = 'the credential of the caller does not reach this far';

export function refusedCaller(code: RefusalCode, cause: CallerCause): CallerOutcome {
  return { refusal: { code, cause, message: code === 'CREDENTIAL_SCOPE' ? TOO_NARROW : NOT_ACCEPTED } };
}
