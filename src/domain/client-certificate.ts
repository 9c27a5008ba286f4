/**
 * A client certificate that was verified for the request at hand: facts for authentication, limits and the log.
 * Invariant: it holds what the certificate proves and what a configured rule makes of it, never the certificate.
 */
import type { EntityRef } from './ids.ts';

export interface ClientCertificate {
  /** SHA-256 of the certificate, base64url: `x5t#S256` (RFC 8705 §3.1). */
  readonly thumbprint: string;
  /** Name of the configured authority that vouches for it. */
  readonly authority: string;
  /** `spiffe://acme.example/gateway`, or the name that a rule matched; undefined: no name that could be shown. */
  readonly subject: string | undefined;
  /** Name of the rule that matched; undefined: none. */
  readonly rule: string | undefined;
  /** Name of the rule of the proxy that forwarded it; undefined: it was shown on the connection itself. */
  readonly forwardedBy: string | undefined;
  /** Whom it stands for as a caller; undefined: nobody. */
  readonly principal: CertificatePrincipal | undefined;
  /** Names of the authorities whose certificates its holder may forward for callers. */
  readonly mayForward: readonly string[];
}

/** A principal that a certificate proves. */
export interface CertificatePrincipal {
  readonly entity: EntityRef;
  readonly tenant: string;
  readonly assurance: number;
  readonly scopes: readonly string[];
}
