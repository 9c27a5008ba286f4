/**
 * From a certificate to a CA that is trusted (RFC 5280 §6), for certificates that no handshake verified, and again for
 * those that one did. Invariants: every step can only refuse; the work is bounded whatever is presented; what is not
 * evaluated here, such as constraints of names, refuses instead of being passed over.
 */
import { type Certificate, CLIENT_AUTH, hasUsage, sameBytes } from './certificate.ts';
import type { CertificateCause } from './certificate-cause.ts';
import type { RevocationList } from './revocation-list.ts';
import { isStrongAlgorithm, isStrongKey } from './signature.ts';

/** Most certificates between the leaf and the CA. */
export const MAX_INTERMEDIATES = 4;
/** Most signatures that are checked for one certificate. */
const MAX_CHECKS = 24;

/** One set of CAs, and what is known of their chains. */
export interface TrustBundle {
  /** Self-signed. */
  readonly anchors: readonly Certificate[];
  readonly intermediates: readonly Certificate[];
}

/** A path that holds. */
export interface VerifiedPath {
  readonly cause?: undefined;
  /** From the leaf to the CA that is trusted. */
  readonly path: readonly Certificate[];
  /** Until when it holds unless revocations change: milliseconds since the epoch. */
  readonly validUntil: number;
}

export type PathResult = VerifiedPath | { readonly cause: CertificateCause };

/**
 * @param extra certificates that the peer sent along: they help to find a path, and are trusted for nothing.
 * @param lists undefined: revocation lists are not used; else every CA on the path needs a current one.
 */
export function verifyPath(
  leaf: Certificate,
  extra: readonly Certificate[],
  bundle: TrustBundle,
  lists: readonly RevocationList[] | undefined,
  now: number,
): PathResult {
  const path = findPath(leaf, [...bundle.intermediates, ...extra], bundle.anchors);
  if (path === undefined) return { cause: 'certificate_untrusted' };
  const cause = checkPath(path, now);
  if (cause !== undefined) return { cause };
  const ends = path.map(({ notAfter }) => notAfter);
  if (lists === undefined) return { path, validUntil: Math.min(...ends) };
  for (const [at, certificate] of path.slice(0, -1).entries()) {
    const authority = path[at + 1];
    const list = authority === undefined ? undefined : currentList(lists, authority, now);
    if (list === undefined) return { cause: 'certificate_revocation_unknown' };
    if (list.serials.has(certificate.serial)) return { cause: 'certificate_revoked' };
    ends.push(list.nextUpdate);
  }
  return { path, validUntil: Math.min(...ends) };
}

/** The newest list that this CA signed and that is current. */
function currentList(
  lists: readonly RevocationList[],
  authority: Certificate,
  now: number,
): RevocationList | undefined {
  return lists
    .filter(list => list.isFrom(authority) && list.thisUpdate <= now && now < list.nextUpdate)
    .toSorted((left, right) => right.thisUpdate - left.thisUpdate)[0];
}

/** The shortest path by names and signatures. */
function findPath(
  leaf: Certificate,
  intermediates: readonly Certificate[],
  anchors: readonly Certificate[],
): readonly Certificate[] | undefined {
  let checks = 0;
  const isIssuer = (issuer: Certificate, subject: Certificate): boolean => {
    if (!sameBytes(issuer.subject, subject.issuer) || checks >= MAX_CHECKS) return false;
    checks += 1;
    return issuedBy(subject, issuer);
  };
  let paths: (readonly Certificate[])[] = [[leaf]];
  for (let depth = 0; depth <= MAX_INTERMEDIATES; depth += 1) {
    const longer: (readonly Certificate[])[] = [];
    for (const path of paths) {
      const last = path.at(-1) ?? leaf;
      const anchor = anchors.find(one => isIssuer(one, last));
      if (anchor !== undefined) return [...path, anchor];
      for (const one of intermediates) {
        if (!path.some(({ thumbprint }) => thumbprint === one.thumbprint) && isIssuer(one, last)) {
          longer.push([...path, one]);
        }
      }
    }
    paths = longer;
  }
  return undefined;
}

function issuedBy(subject: Certificate, issuer: Certificate): boolean {
  try {
    return subject.x509.checkIssued(issuer.x509) && subject.x509.verify(issuer.x509.publicKey);
  } catch {
    return false;
  }
}

function checkPath(path: readonly Certificate[], now: number): CertificateCause | undefined {
  const [leaf, ...authorities] = path;
  if (leaf === undefined) return 'certificate_untrusted';
  const anchor = authorities.at(-1);
  for (const one of path) {
    if (one.unknownCritical.length > 0 || one.hasNameConstraints) return 'certificate_constraints';
    // the signature of the CA that is trusted says nothing: it is trusted as it is
    const isSigned = one === anchor || isStrongAlgorithm(one.signatureAlgorithm);
    if (!isSigned || !isStrongKey(one.x509.publicKey)) return 'certificate_weak';
  }
  for (const [below, one] of authorities.entries()) {
    if (!one.isCa || (one.keyUsage !== undefined && !hasUsage(one, 'keyCertSign')))
      return 'certificate_constraints';
    if (one.pathLength !== undefined && below > one.pathLength) return 'certificate_constraints';
    if (one.extendedKeyUsage !== undefined && !one.extendedKeyUsage.has(CLIENT_AUTH))
      return 'certificate_usage';
  }
  if (path.some(({ notBefore }) => now < notBefore)) return 'certificate_not_yet_valid';
  if (path.some(({ notAfter }) => now > notAfter)) return 'certificate_expired';
  return checkLeaf(leaf);
}

/** A certificate of a client, and of nothing that could sign others (X.509-SVID §4 and §5 ask for the same). */
function checkLeaf(leaf: Certificate): CertificateCause | undefined {
  const signs = hasUsage(leaf, 'keyCertSign') || hasUsage(leaf, 'crlSign');
  if (leaf.isCa || signs || !hasUsage(leaf, 'digitalSignature')) return 'certificate_usage';
  return leaf.extendedKeyUsage?.has(CLIENT_AUTH) === true ? undefined : 'certificate_usage';
}
