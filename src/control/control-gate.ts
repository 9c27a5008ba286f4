/**
 * Where the control plane is enforced: a call passes or ends in a problem that says what denied it. Invariants: every
 * denial is reported before it is thrown; with the built-in forbids alone nothing passes.
 */
import type { ApiKey, Credential, Role } from '../domain/credential.ts';
import { AppError, type Problem } from '../domain/errors.ts';
import type { ControlPlane } from './control-plane.ts';
import { type ControlQuestion, type ControlVerdict, type KeyFacts, SERVICE } from './question.ts';

type Denial = Extract<ControlVerdict, { allowed: false }>;

export interface GateOptions {
  readonly plane: ControlPlane;
  /** Whether the shipped policies decide: then a missing permit is a missing role. */
  readonly isShipped: boolean;
  /** Hears of every denial: the decision log and the metrics. Must not throw. */
  readonly onDenied: (question: ControlQuestion, denial: Denial) => void;
}

/** How a denial is put into words. */
export interface DenialWords {
  /** Roles that the shipped policies let do this. */
  readonly roles?: readonly Role[] | undefined;
  /** What is wrong with the call, where more is known than the policies say. */
  readonly detail?: string | undefined;
  /** The answer where only its tenants keep the key from it: as if the object did not exist, for one. */
  readonly foreign?: (() => AppError) | undefined;
}

export class ControlGate {
  readonly #options: GateOptions;

  constructor(options: GateOptions) {
    this.#options = options;
  }

  /** @throws AppError ROLE_REQUIRED, TENANT_NOT_ALLOWED, or what `words.foreign` makes */
  require(question: ControlQuestion, words: DenialWords = {}): void {
    const verdict = this.#options.plane.decide(question);
    if (verdict.allowed) return;
    this.#options.onDenied(question, verdict);
    throw this.#refusal(question, verdict, words);
  }

  /** Whether some of these keys could make an admin key as wide as itself, and so hand on the administration. */
  isAdministrable(
    credentials: Iterable<{ readonly key: Omit<ApiKey, 'hash'>; readonly credential: Credential }>,
  ): boolean {
    for (const { key, credential } of credentials) {
      if (this.#canAdminister(key, credential)) return true;
    }
    return false;
  }

  #canAdminister({ mayAssert, callers, expiresAt }: Omit<ApiKey, 'hash'>, credential: Credential): boolean {
    const heir: KeyFacts = { roles: ['admin'], mayAssert, callers, expiresAt };
    const { plane } = this.#options;
    return [SERVICE, { kind: 'key', key: heir } as const].every(
      object => plane.decide({ credential, operation: 'createKey', object }).allowed,
    );
  }

  #refusal(question: ControlQuestion, denial: Denial, words: DenialWords): AppError {
    const { cause, reason } = denial;
    if (cause === 'tenant' && words.foreign !== undefined) return words.foreign();
    const detail = words.detail ?? this.#detail(question, denial, words.roles);
    const problems = [problemOf(question, denial)];
    return new AppError(cause === 'tenant' ? 'TENANT_NOT_ALLOWED' : 'ROLE_REQUIRED', detail ?? reason, {
      problems,
    });
  }

  #detail(
    { operation }: ControlQuestion,
    { cause, reason }: Denial,
    roles: readonly Role[] | undefined,
  ): string {
    if (cause !== 'no-permit') return reason;
    if (!this.#options.isShipped || roles === undefined) {
      return `no policy of the control plane permits \`${operation}\` to this key`;
    }
    const wanted = roles.map(role => `\`${role}\``).join(' or ');
    return `this needs a credential with the role ${wanted}`;
  }
}

/** Which policy denied, and why. */
function problemOf({ operation }: ControlQuestion, { policies, reason }: Denial): Problem {
  if (policies.length === 0) {
    return {
      message: `\`${operation}\` is denied: ${reason}`,
      hint: 'GET /v1/events?kind=control.denied has the record',
    };
  }
  const named = policies.map(id => `\`${id}\``).join(', ');
  return { message: `\`${operation}\` is denied by ${named}: ${reason}` };
}
