/**
 * Lists of revoked certificates (CRL, RFC 5280 §5). Invariants: a list says something only about certificates of the
 * CA whose key signed it, between `thisUpdate` and `nextUpdate`; lists that cover a part alone, or that build on
 * others, are refused when they are read.
 */
import { type Certificate, hasUsage, sameBytes } from './certificate.ts';
import { CertificateError } from './certificate-error.ts';
import {
  constructedTag,
  type DerReader,
  readBitBytes,
  readBoolean,
  readObjectId,
  readSerial,
  readSmallInteger,
  readTime,
  readWhole,
  TAG,
} from './der.ts';
import { isSignedBy, isStrongAlgorithm } from './signature.ts';

/** Largest list in bytes: some 400,000 revoked certificates, read in about a second. */
export const MAX_LIST_BYTES = 16 * 1024 * 1024;

export interface RevocationList {
  /** DER form. */
  readonly issuer: Uint8Array;
  /** Milliseconds since the epoch. */
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  /** Serial numbers, hex, upper case. */
  readonly serials: ReadonlySet<string>;
  /** Whether this CA signed the list. */
  isFrom(authority: Certificate): boolean;
}

/** @throws CertificateError for bytes that are no list, and for lists that cannot be taken alone. */
export function readRevocationList(der: Uint8Array): RevocationList {
  if (der.length > MAX_LIST_BYTES) throw new CertificateError('the list of revocations is too large');
  const outer = readWhole(der, TAG.sequence);
  const signed = outer.next(TAG.sequence);
  const algorithm = readObjectId(outer.inside(TAG.sequence).next(TAG.objectId).content);
  const signature = readBitBytes(outer.next(TAG.bitString).content);
  outer.end();
  if (!isStrongAlgorithm(algorithm))
    throw new CertificateError('the list is signed with an algorithm that does not count');
  const body = readWhole(signed.bytes, TAG.sequence);
  const version = body.optional(TAG.integer);
  if (version !== undefined && readSmallInteger(version.content) !== 1) {
    throw new CertificateError('the list has an unknown version');
  }
  if (readObjectId(body.inside(TAG.sequence).next(TAG.objectId).content) !== algorithm) {
    throw new CertificateError('the list names two signature algorithms');
  }
  const issuer = body.next(TAG.sequence).bytes;
  const thisUpdate = readTime(body.next());
  if (body.tag !== TAG.utcTime && body.tag !== TAG.generalizedTime) {
    throw new CertificateError('the list does not say when the next one comes');
  }
  const nextUpdate = readTime(body.next());
  const serials = readSerials(body);
  if (!body.isAtEnd) refuseCritical(readWhole(body.next(constructedTag(0)).content, TAG.sequence));
  body.end();
  const verdicts = new Map<string, boolean>();
  return {
    issuer,
    thisUpdate,
    nextUpdate,
    serials,
    isFrom(authority) {
      if (!sameBytes(authority.subject, issuer)) return false;
      let verdict = verdicts.get(authority.thumbprint);
      if (verdict === undefined) {
        // RFC 5280 §6.3.3 (f): a CA with a key usage must be allowed to sign lists
        const may = authority.keyUsage === undefined || hasUsage(authority, 'crlSign');
        verdict = may && isSignedBy(signed.bytes, signature, algorithm, authority.x509.publicKey);
        verdicts.set(authority.thumbprint, verdict);
      }
      return verdict;
    },
  };
}

function readSerials(body: DerReader): ReadonlySet<string> {
  const serials = new Set<string>();
  const list = body.optional(TAG.sequence);
  if (list === undefined) return serials;
  const entries = readWhole(list.bytes, TAG.sequence);
  while (!entries.isAtEnd) {
    const entry = entries.inside(TAG.sequence);
    serials.add(readSerial(entry.next(TAG.integer).content));
    readTime(entry.next());
    if (!entry.isAtEnd) refuseCritical(entry.inside(TAG.sequence));
    entry.end();
  }
  return serials;
}

/** What is critical changes what the list means: partial, indirect and delta lists are marked so (RFC 5280 §5.2). */
function refuseCritical(extensions: DerReader): void {
  while (!extensions.isAtEnd) {
    const extension = extensions.inside(TAG.sequence);
    const id = readObjectId(extension.next(TAG.objectId).content);
    const critical = extension.optional(TAG.boolean);
    extension.next(TAG.octetString);
    extension.end();
    if (critical !== undefined && readBoolean(critical.content)) {
      throw new CertificateError(
        `the list has the critical extension ${id}: only full lists of one CA are taken`,
      );
    }
  }
}
