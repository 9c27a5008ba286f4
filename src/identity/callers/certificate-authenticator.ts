/**
 * Authenticates end callers by their certificates: that of whoever asks, or one that a gateway forwards. Invariants: a
 * certificate is no secret, so only gateways that proved themselves by a certificate, and that a rule lets forward,
 * are believed about the certificates of others; what they forward is verified here like any other.
 */
import type { ClientCertificate } from '../../domain/client-certificate.ts';
import type { PresentedCertificate } from '../../domain/presented-credential.ts';
import type { CallerCause, CallerFacts, CallerOutcome } from '../caller.ts';
import { type CertificateCause, certificateCode } from '../certificates/certificate-cause.ts';
import type { ClientCertificates } from '../client-certificate.ts';
import { codeOf } from '../jwt/token-cause.ts';
import { refusedCaller } from './caller-refusal.ts';
import { certificateCredential } from './credential-id.ts';
import type { PrincipalRegistry } from './enrolment.ts';
import { objectToCaller } from './gateway-rules.ts';

export interface CertificateAuthenticatorOptions {
  readonly certificates: ClientCertificates;
  readonly registry: Pick<PrincipalRegistry, 'find'>;
  /** Hears of every refusal, for metrics. Must not throw. */
  readonly refused: (cause: CallerCause) => void;
}

export class CertificateAuthenticator {
  readonly #options: CertificateAuthenticatorOptions;

  constructor(options: CertificateAuthenticatorOptions) {
    this.#options = options;
  }

  authenticate({ certificate: text }: PresentedCertificate, facts: CallerFacts): CallerOutcome {
    const own = facts.pep.certificate;
    const shown = text === undefined ? (own ?? 'certificate_missing') : this.#forwarded(text, own);
    if (typeof shown === 'string') return this.#refuse(shown);
    const { principal, thumbprint, authority } = shown;
    if (principal === undefined) return this.#refuse('certificate_unmapped');
    const { entity, tenant, assurance, scopes } = principal;
    const known = this.#options.registry.find(entity);
    // whoever moved the principal to another tenant took it from the certificate
    const isElsewhere = known !== undefined && known.tenant !== tenant;
    const objection = objectToCaller(entity, tenant, facts) ?? (isElsewhere ? 'tenant' : undefined);
    if (objection !== undefined) {
      this.#options.refused(objection);
      return refusedCaller(codeOf(objection), objection);
    }
    const auth = { method: 'mtls', assurance, scopes, issuer: authority, keyId: thumbprint } as const;
    const credential = certificateCredential(shown);
    return { caller: { principal: entity, tenant, auth, binding: 'certificate', credential } };
  }

  #forwarded(text: string, own: ClientCertificate | undefined): ClientCertificate | CertificateCause {
    if (own === undefined || own.mayForward.length === 0) return 'forwarding_not_allowed';
    const { certificates } = this.#options;
    const outcome = certificates.identifyPem(text, new Set(own.mayForward), own.rule ?? own.authority);
    return outcome.cause ?? outcome.identity.certificate;
  }

  #refuse(cause: CertificateCause): CallerOutcome {
    this.#options.refused(cause);
    return refusedCaller(certificateCode(cause), cause);
  }
}
