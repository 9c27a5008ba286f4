/**
 * Certificates of clients in the headers of proxies. Invariants: the proxy's word is the certificate alone, and that
 * is verified here like any other; what the proxy says beside it must agree; a header that is not quite right is
 * refused, never repaired.
 */
import type { ForwardingFormat } from '../../domain/certificate-settings.ts';
import { type Certificate, readCertificate, sameBytes } from './certificate.ts';
import type { CertificateCause } from './certificate-cause.ts';
import { CertificateError } from './certificate-error.ts';
import { MAX_INTERMEDIATES } from './path.ts';
import { readBase64, readPemChain } from './pem.ts';
import { parseXfcc, type XfccElement } from './xfcc.ts';

/** Longest value of a header with a certificate, in characters. */
const MAX_VALUE_LENGTH = 72 * 1024;

const XFCC = 'x-forwarded-client-cert';
const VERIFY = 'x-ssl-client-verify';
const CERT = 'x-ssl-client-cert';
const TRAEFIK = 'x-forwarded-tls-client-cert';

/** Headers of each format. The first decides whether there is a certificate. */
const HEADERS: Readonly<Record<ForwardingFormat, readonly string[]>> = {
  xfcc: [XFCC],
  nginx: [CERT, VERIFY],
  haproxy: [CERT, VERIFY],
  traefik: [TRAEFIK],
};

/** Every header that could carry a certificate. */
export const FORWARDING_HEADERS: readonly string[] = [XFCC, CERT, VERIFY, TRAEFIK];

/** The headers of one format. */
export function forwardingHeaders(format: ForwardingFormat): readonly string[] {
  return HEADERS[format];
}

/** A certificate that a proxy forwarded, and what came along. */
export interface ForwardedChain {
  readonly cause?: undefined;
  readonly leaf: Certificate;
  readonly extra: readonly Certificate[];
}

export type ForwardedResult = ForwardedChain | { readonly cause: CertificateCause };

/** All values of a header, in order, one to a line of the request. */
export type HeaderValues = (name: string) => readonly string[];

/**
 * Reads what a proxy forwards.
 * @param hops trusted proxies that add to the header; only for `xfcc`.
 * @returns undefined when its client had no certificate.
 */
export function readForwarded(
  format: ForwardingFormat,
  hops: number,
  values: HeaderValues,
): ForwardedResult | undefined {
  const own = HEADERS[format];
  const foreign = FORWARDING_HEADERS.some(name => !own.includes(name) && values(name).length > 0);
  if (foreign) return { cause: 'forwarded_foreign' };
  if (own.some(name => values(name).length > 1)) return { cause: 'forwarded_duplicate' };
  const [value = ''] = values(own[0] ?? '');
  const [verdict] = values(VERIFY);
  if (value.length > MAX_VALUE_LENGTH) return { cause: 'forwarded_malformed' };
  try {
    if (format === 'xfcc') return value === '' ? undefined : readXfcc(value, hops);
    if (format === 'traefik') return value === '' ? undefined : chainOf(readTraefik(value));
    return readSslHeaders(format, value, verdict);
  } catch (error) {
    if (error instanceof CertificateError) return { cause: 'forwarded_malformed' };
    throw error;
  }
}

/** A PEM chain that a gateway hands on in the body of a request. */
export function readForwardedPem(text: string): ForwardedResult {
  if (text.length > MAX_VALUE_LENGTH) return { cause: 'forwarded_malformed' };
  try {
    return chainOf(readPemChain(text));
  } catch (error) {
    if (error instanceof CertificateError) return { cause: 'forwarded_malformed' };
    throw error;
  }
}

/** nginx: `SUCCESS`, `NONE` or `FAILED:…`, and percent-encoded PEM. HAProxy: the number of an error, and base64 DER. */
function readSslHeaders(
  format: 'nginx' | 'haproxy',
  value: string,
  verdict: string | undefined,
): ForwardedResult | undefined {
  const isNginx = format === 'nginx';
  // HAProxy says 0 of clients without a certificate, too
  if (value === '' && (verdict === undefined || verdict === (isNginx ? 'NONE' : '0'))) return undefined;
  if (verdict === undefined) return { cause: 'forwarded_incomplete' };
  if (verdict !== (isNginx ? 'SUCCESS' : '0')) return { cause: 'forwarded_unverified' };
  if (value === '') return { cause: 'forwarded_incomplete' };
  return chainOf(isNginx ? readPemChain(percentDecoded(value)) : [readBase64(value)]);
}

/** Base64 without the lines of PEM, percent-encoded or not, one certificate after the other between commas. */
function readTraefik(value: string): readonly Uint8Array[] {
  return percentDecoded(value).split(',').map(readBase64);
}

function readXfcc(value: string, hops: number): ForwardedResult | undefined {
  const elements = parseXfcc(value);
  // each trusted proxy added one at the end; what stands before is the client's own word
  const element = elements.at(-hops);
  if (element === undefined) return { cause: 'forwarded_incomplete' };
  const [cert = ''] = element.get('cert') ?? [];
  const [chain] = element.get('chain') ?? [];
  if (cert === '') return { cause: 'forwarded_incomplete' };
  const [leaf, ...more] = readPemChain(percentDecoded(cert));
  const sent = chain === undefined ? [] : readPemChain(percentDecoded(chain));
  const [first] = sent;
  if (leaf === undefined || more.length > 0) return { cause: 'forwarded_malformed' };
  if (first !== undefined && !sameBytes(first, leaf)) return { cause: 'forwarded_mismatch' };
  const result = chainOf(first === undefined ? [leaf] : sent);
  return result.cause === undefined && !agrees(element, result.leaf)
    ? { cause: 'forwarded_mismatch' }
    : result;
}

/** Whether what Envoy says of the certificate is what it says itself. */
function agrees(element: XfccElement, { thumbprint, names }: Certificate): boolean {
  const [hash] = element.get('hash') ?? [];
  const uris = element.get('uri') ?? [];
  if (hash !== undefined && Buffer.from(thumbprint, 'base64url').toString('hex') !== hash.toLowerCase())
    return false;
  // Envoy writes an empty `URI=` for a certificate without one
  return uris.every(uri => uri === '' || names.uris.includes(uri));
}

function chainOf(chain: readonly Uint8Array[]): ForwardedResult {
  const [first, ...others] = chain;
  if (first === undefined || others.length > MAX_INTERMEDIATES + 1) return { cause: 'forwarded_malformed' };
  return { leaf: readCertificate(first), extra: others.map(readCertificate) };
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new CertificateError('the percent-encoding is malformed');
  }
}
