/**
 * A certificate (RFC 5280), read from its DER form. Invariants: two parsers, this one and OpenSSL's, read the same
 * serial number, names and dates, or it is no certificate; an extension that is critical and unknown here is told.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { CertificateError } from './certificate-error.ts';
import {
  constructedTag,
  DerReader,
  primitiveTag,
  readBits,
  readBoolean,
  readObjectId,
  readSerial,
  readSmallInteger,
  readTime,
  readWhole,
  TAG,
} from './der.ts';
import { distinguishedName } from './distinguished-name.ts';

/** Largest certificate that is read, in bytes: some have hundreds of names. */
export const MAX_CERTIFICATE_BYTES = 32 * 1024;
/** Most names that are read of one certificate. */
const MAX_NAMES = 512;

/** Bits of the key usage (RFC 5280 §4.2.1.3). */
const KEY_USAGE = { digitalSignature: 0, keyCertSign: 5, crlSign: 6 } as const;
type KeyUsage = keyof typeof KEY_USAGE;

export const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

/** Alternative names of the subject, each as its bytes in Latin-1: nothing is decoded or repaired. */
export interface AlternativeNames {
  readonly uris: readonly string[];
  readonly dns: readonly string[];
}

/** What a certificate says, and its bytes. */
export interface Certificate {
  readonly der: Uint8Array;
  /** OpenSSL's view, which verifies signatures. */
  readonly x509: X509Certificate;
  /** SHA-256 of `der`, base64url: `x5t#S256` (RFC 8705 §3.1). */
  readonly thumbprint: string;
  /** SHA-256 of the public key as SubjectPublicKeyInfo, base64url. */
  readonly keyHash: string;
  /** Hex, upper case. */
  readonly serial: string;
  /** DER form. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  /** RFC 4514; undefined when the name cannot be written so. */
  readonly subjectText: string | undefined;
  /** Milliseconds since the epoch, both inclusive. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly signatureAlgorithm: string;
  readonly isCa: boolean;
  /** Most CA certificates below; undefined: any number. */
  readonly pathLength: number | undefined;
  /** undefined: the certificate does not say. */
  readonly keyUsage: ReadonlySet<KeyUsage> | undefined;
  readonly extendedKeyUsage: ReadonlySet<string> | undefined;
  readonly names: AlternativeNames;
  /** Whether names below are constrained (RFC 5280 §4.2.1.10), which is not evaluated here. */
  readonly hasNameConstraints: boolean;
  /** Object identifiers of critical extensions that are not understood here. */
  readonly unknownCritical: readonly string[];
}

/** The parts that extensions give. */
interface Extensions {
  isCa: boolean;
  pathLength: number | undefined;
  keyUsage: ReadonlySet<KeyUsage> | undefined;
  extendedKeyUsage: ReadonlySet<string> | undefined;
  names: AlternativeNames;
  hasNameConstraints: boolean;
  unknownCritical: string[];
}

/** @throws CertificateError when the bytes are no certificate in DER, or the two parsers disagree. */
export function readCertificate(der: Uint8Array): Certificate {
  if (der.length > MAX_CERTIFICATE_BYTES) throw new CertificateError('the certificate is too large');
  const outer = readWhole(der, TAG.sequence);
  const body = outer.inside(TAG.sequence);
  const signatureAlgorithm = algorithmOf(outer.inside(TAG.sequence));
  outer.next(TAG.bitString);
  outer.end();
  const version = body.inside(constructedTag(0)).next(TAG.integer).content;
  if (readSmallInteger(version) !== 2) throw new CertificateError('the certificate is not of version 3');
  const serial = readSerial(body.next(TAG.integer).content);
  if (algorithmOf(body.inside(TAG.sequence)) !== signatureAlgorithm) {
    throw new CertificateError('the certificate names two signature algorithms');
  }
  const issuer = body.next(TAG.sequence).bytes;
  const validity = body.inside(TAG.sequence);
  const [notBefore, notAfter] = [readTime(validity.next()), readTime(validity.next())];
  validity.end();
  const subject = body.next(TAG.sequence).bytes;
  const publicKey = body.next(TAG.sequence).bytes;
  body.optional(primitiveTag(1));
  body.optional(primitiveTag(2));
  const extensions = readExtensions(body);
  body.end();
  const certificate = {
    der,
    x509: openSslView(der),
    thumbprint: sha256(der),
    keyHash: sha256(publicKey),
    serial,
    issuer,
    subject,
    subjectText: distinguishedName(subject),
    notBefore,
    notAfter,
    signatureAlgorithm,
    ...extensions,
  };
  requireAgreement(certificate);
  return certificate;
}

export function hasUsage({ keyUsage }: Pick<Certificate, 'keyUsage'>, usage: KeyUsage): boolean {
  return keyUsage?.has(usage) === true;
}

export function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64url');
}

function openSslView(der: Uint8Array): X509Certificate {
  try {
    return new X509Certificate(der);
  } catch {
    throw new CertificateError('OpenSSL does not read the certificate');
  }
}

/** A difference means that one of the parsers can be fooled: then neither is believed. */
function requireAgreement(
  certificate: Pick<Certificate, 'x509' | 'serial' | 'notBefore' | 'notAfter' | 'der' | 'names'>,
): void {
  const { x509, serial, notBefore, notAfter, der, names } = certificate;
  const uris = x509.subjectAltName?.match(/(?:^|, )URI:/g)?.length ?? 0;
  const agrees =
    BigInt(`0x${x509.serialNumber}`) === BigInt(`0x${serial}`) &&
    Date.parse(x509.validFrom) === notBefore &&
    Date.parse(x509.validTo) === notAfter &&
    sameBytes(x509.raw, der) &&
    uris === names.uris.length;
  if (!agrees) throw new CertificateError('two readings of the certificate differ');
}

function algorithmOf(reader: DerReader): string {
  return readObjectId(reader.next(TAG.objectId).content);
}

function readExtensions(body: DerReader): Extensions {
  const found: Extensions = {
    isCa: false,
    pathLength: undefined,
    keyUsage: undefined,
    extendedKeyUsage: undefined,
    names: { uris: [], dns: [] },
    hasNameConstraints: false,
    unknownCritical: [],
  };
  if (body.isAtEnd) return found;
  const list = readWhole(body.next(constructedTag(3)).content, TAG.sequence);
  const seen = new Set<string>();
  while (!list.isAtEnd) {
    const extension = list.inside(TAG.sequence);
    const id = readObjectId(extension.next(TAG.objectId).content);
    const critical = extension.optional(TAG.boolean);
    if (critical !== undefined && !readBoolean(critical.content)) {
      throw new CertificateError('an extension states a default');
    }
    const value = extension.next(TAG.octetString).content;
    extension.end();
    if (seen.has(id)) throw new CertificateError('an extension stands twice');
    seen.add(id);
    readExtension(id, critical !== undefined, value, found);
  }
  return found;
}

function readExtension(id: string, isCritical: boolean, value: Uint8Array, into: Extensions): void {
  switch (id) {
    case '2.5.29.15':
      into.keyUsage = readKeyUsage(value);
      return;
    case '2.5.29.17':
      into.names = readNames(value);
      return;
    case '2.5.29.19':
      Object.assign(into, readBasicConstraints(value));
      return;
    case '2.5.29.30':
      into.hasNameConstraints = true;
      return;
    case '2.5.29.37':
      into.extendedKeyUsage = readPurposes(value);
      return;
    default:
      if (isCritical) into.unknownCritical.push(id);
  }
}

function readKeyUsage(value: Uint8Array): ReadonlySet<KeyUsage> {
  const reader = new DerReader(value);
  const bits = readBits(reader.next(TAG.bitString).content);
  reader.end();
  const known: readonly KeyUsage[] = ['digitalSignature', 'keyCertSign', 'crlSign'];
  return new Set(known.filter(usage => bits[KEY_USAGE[usage]] === true));
}

function readBasicConstraints(value: Uint8Array): Pick<Extensions, 'isCa' | 'pathLength'> {
  const reader = readWhole(value, TAG.sequence);
  const ca = reader.optional(TAG.boolean);
  const isCa = ca !== undefined && readBoolean(ca.content);
  const length = reader.optional(TAG.integer);
  reader.end();
  return { isCa, pathLength: length === undefined ? undefined : readSmallInteger(length.content) };
}

function readPurposes(value: Uint8Array): ReadonlySet<string> {
  const reader = readWhole(value, TAG.sequence);
  const purposes = new Set<string>();
  while (!reader.isAtEnd) purposes.add(readObjectId(reader.next(TAG.objectId).content));
  return purposes;
}

function readNames(value: Uint8Array): AlternativeNames {
  const reader = readWhole(value, TAG.sequence);
  const uris: string[] = [];
  const dns: string[] = [];
  for (let count = 0; !reader.isAtEnd; count += 1) {
    if (count === MAX_NAMES) throw new CertificateError(`there are more than ${MAX_NAMES} names`);
    const { tag, content } = reader.next();
    const text = Buffer.from(content).toString('latin1');
    if (tag === primitiveTag(6)) uris.push(text);
    else if (tag === primitiveTag(2)) dns.push(text);
  }
  return { uris, dns };
}
