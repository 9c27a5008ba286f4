/** The client certificate that a gateway saw, as Envoy hands it on. Invariant: what is no certificate has no digest. */
import { createHash } from 'node:crypto';

/** Longest certificate that is read, percent-encoded, in characters. */
const MAX_LENGTH = 65_536;
const PEM = /^-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+?)\s+-----END CERTIFICATE-----/;

/**
 * SHA-256 of the DER form, in hex (RFC 8705 calls it the thumbprint); undefined when there is no certificate.
 * @param certificate percent-encoded PEM; of a chain the first one counts.
 */
export function certificateDigest(certificate: string): string | undefined {
  if (certificate === '' || certificate.length > MAX_LENGTH) return undefined;
  let pem: string;
  try {
    pem = decodeURIComponent(certificate);
  } catch {
    return undefined;
  }
  const base64 = PEM.exec(pem.trimStart())?.[1];
  if (base64 === undefined) return undefined;
  return createHash('sha256').update(Buffer.from(base64, 'base64')).digest('hex');
}
