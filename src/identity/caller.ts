/**
 * Who the end caller is, as authentication tells the decision. Invariant: an outcome holds nothing of the
 * credential itself, so it can be logged as it is.
 */
import type { CallerCredential } from '../domain/caller-authentication.ts';
import type { CallerNarrowing } from '../domain/caller-key.ts';
import type { Credential } from '../domain/credential.ts';
import type { EntityRef } from '../domain/ids.ts';
import type { PresentedCredential } from '../domain/presented-credential.ts';
import type { KeyCause } from './caller-keys/key-cause.ts';
import type { CertificateCause } from './certificates/certificate-cause.ts';
import type { Binding } from './jwt/proof.ts';
import type { RefusalCode, TokenCause } from './jwt/token-cause.ts';

/** What is known beside the credential. */
export interface CallerFacts {
  /** The gateway that forwards it. */
  readonly pep: Credential;
  /** Whom the gateway takes the caller for, when it says so. */
  readonly claimed: EntityRef | undefined;
  /** Address of the caller, as the gateway says; undefined: it does not. */
  readonly address?: string | undefined;
}

/** Why a credential was refused, in the words of the log. */
export type CallerCause = TokenCause | KeyCause | CertificateCause;

/**
 * Turns a forwarded credential into a caller, or into a refusal. Rejects with AppError TOO_MANY_FAILED_AUTHENTICATIONS
 * alone, when too many were refused.
 */
export interface CallerAuthenticator {
  authenticate(credential: PresentedCredential, facts: CallerFacts): Promise<CallerOutcome>;
}

export type CallerOutcome =
  | { readonly caller: VerifiedCaller; readonly refusal?: undefined }
  | { readonly caller?: undefined; readonly refusal: CallerRefusal };

/** A caller whose credential was verified here. */
export interface VerifiedCaller {
  readonly principal: EntityRef;
  /** The tenant of the principal; undefined: it has none. */
  readonly tenant: string | undefined;
  /** `context.auth`. */
  readonly auth: {
    readonly method: 'jwt' | 'opaque' | 'api_key' | 'mtls';
    readonly assurance: number;
    readonly scopes: readonly string[];
    /** Of a token; name of the authority of a certificate. */
    readonly issuer?: string;
    /** `kid` of the key that signed a token; id of a key; SHA-256 of a certificate. */
    readonly keyId?: string;
  };
  /** `context.via` when agents act for the principal. */
  readonly via?: {
    readonly agent: string;
    readonly chain: readonly string[];
    readonly depth: number;
    readonly scopes: readonly string[];
    readonly expires: string;
    readonly humanApproved: boolean;
  };
  readonly binding: Binding;
  /** What limits count by. */
  readonly credential: CallerCredential;
  /** What the credential limits decisions to; absent: nothing. */
  readonly narrowing?: CallerNarrowing;
}

/** Why a credential was refused. */
export interface CallerRefusal {
  readonly code: RefusalCode;
  /** For the log and the metrics, not for the caller. */
  readonly cause: CallerCause;
  /** For the caller: the same for unknown, expired and revoked credentials. */
  readonly message: string;
}
