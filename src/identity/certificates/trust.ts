/**
 * Everything that client certificates are judged by, at one moment. Invariant: it never changes; a reload makes a new
 * one, so that whoever holds a verdict can tell by identity whether it is of the current one.
 */
import type { ClientCertificate } from '../../domain/client-certificate.ts';
import { type Certificate, sameBytes } from './certificate.ts';
import type { CertificateCause } from './certificate-cause.ts';
import { CertificateError } from './certificate-error.ts';
import { type DenyList, isDenied } from './deny-list.ts';
import { type PathResult, type TrustBundle, verifyPath } from './path.ts';
import type { RevocationList } from './revocation-list.ts';
import { isStrongKey } from './signature.ts';
import { claimsSpiffe, parseSpiffeId } from './spiffe-id.ts';

/** Who issues client certificates. */
export interface Authority {
  readonly name: string;
  /** Certificates of this SPIFFE trust domain alone; undefined: certificates without SPIFFE ids. */
  readonly trustDomain: string | undefined;
  readonly bundle: TrustBundle;
}

/** A certificate that an authority vouches for. */
export interface TrustedCertificate {
  readonly cause?: undefined;
  readonly certificate: Certificate;
  readonly authority: Authority;
  /** The SPIFFE id; undefined for certificates of authorities without a trust domain. */
  readonly spiffeId: string | undefined;
  /** Milliseconds since the epoch: from then on it has to be verified again. */
  readonly validUntil: number;
}

export type TrustResult = TrustedCertificate | { readonly cause: CertificateCause };

export interface TrustParts {
  readonly authorities: readonly Authority[];
  /** undefined: revocation lists are not used. */
  readonly lists: readonly RevocationList[] | undefined;
  readonly denied: DenyList;
}

export class CertificateTrust {
  readonly #parts: TrustParts;

  constructor(parts: TrustParts) {
    this.#parts = parts;
  }

  /**
   * @param extra certificates that were sent along.
   * @param allowed names of the authorities that may vouch for it; undefined: all.
   */
  judge(
    certificate: Certificate,
    extra: readonly Certificate[],
    allowed: ReadonlySet<string> | undefined,
    now: number,
  ): TrustResult {
    const spiffe = spiffeOf(certificate);
    if (spiffe === 'refused') return { cause: 'certificate_identity' };
    const candidates = this.#parts.authorities.filter(
      ({ name, trustDomain }) => trustDomain === spiffe?.trustDomain && allowed?.has(name) !== false,
    );
    let refusal: PathResult = { cause: 'certificate_untrusted' };
    for (const authority of candidates) {
      const result = verifyPath(certificate, extra, authority.bundle, this.#parts.lists, now);
      if (result.cause === undefined) {
        if (isDenied(this.#parts.denied, result.path)) return { cause: 'certificate_revoked' };
        const { validUntil } = result;
        return { certificate, authority, spiffeId: spiffe?.text, validUntil };
      }
      // what the authority that knows the certificate says is worth more than that others do not know it
      if (result.cause !== 'certificate_untrusted') refusal = result;
    }
    return refusal;
  }

  /** Certificates of CAs for a handshake. @param allowed as in `judge`. */
  handshakeAuthorities(allowed: ReadonlySet<string> | undefined): readonly Certificate[] {
    return this.#parts.authorities
      .filter(({ name }) => allowed?.has(name) !== false)
      .flatMap(({ bundle }) => [...bundle.anchors, ...bundle.intermediates]);
  }

  /** When each list ends, soonest first: milliseconds since the epoch. */
  get listEnds(): readonly number[] {
    return (this.#parts.lists ?? [])
      .map(({ nextUpdate }) => nextUpdate)
      .toSorted((left, right) => left - right);
  }
}

/** Sorts the certificates of an authority's files. @throws CertificateError when none can be trusted. */
export function makeBundle(certificates: readonly Certificate[]): TrustBundle {
  const anchors = certificates.filter(isSelfSigned);
  const [bad] = certificates.filter(one => !one.isCa || !isStrongKey(one.x509.publicKey));
  if (bad !== undefined) {
    throw new CertificateError(
      `the certificate with the serial number ${bad.serial} is no CA with a strong key`,
    );
  }
  if (anchors.length === 0)
    throw new CertificateError('there is no self-signed CA: add the root to the file');
  return { anchors, intermediates: certificates.filter(one => !anchors.includes(one)) };
}

function isSelfSigned(certificate: Certificate): boolean {
  const { subject, issuer, x509 } = certificate;
  return sameBytes(subject, issuer) && x509.verify(x509.publicKey);
}

/** The SPIFFE id of a certificate that has one; undefined when it does not claim any. */
function spiffeOf({ names }: Certificate): ReturnType<typeof parseSpiffeId> | 'refused' {
  if (!names.uris.some(claimsSpiffe)) return undefined;
  // X.509-SVID §2: exactly one URI, whatever the others are
  const [uri = '', ...more] = names.uris;
  return more.length > 0 ? 'refused' : (parseSpiffeId(uri) ?? 'refused');
}

/** What of a certificate's names may be shown to its holder and written to a log. */
export function shownName({
  certificate,
  spiffeId,
}: Pick<TrustedCertificate, 'certificate' | 'spiffeId'>): ClientCertificate['subject'] {
  const { names, subjectText } = certificate;
  const name = spiffeId ?? names.uris[0] ?? names.dns[0] ?? subjectText;
  return name !== undefined && /^[\x20\x21\x23-\x5b\x5d-\x5f\x61-\x7e]{1,256}$/.test(name) ? name : undefined;
}
