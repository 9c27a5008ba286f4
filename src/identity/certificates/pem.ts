/**
 * PEM blocks (RFC 7468), strictly. Invariant: in a file there may be text around blocks, since tools write it there;
 * what a peer sends holds blocks and nothing else.
 */
import { CertificateError } from './certificate-error.ts';

/** Longest text that is read, in characters. */
export const MAX_PEM_LENGTH = 16 * 1024 * 1024;

const BLOCK = /-----BEGIN ([A-Z0-9 ]{1,40})-----\s*([A-Za-z0-9+/=\s]*?)\s*-----END \1-----/g;

/** The DER bytes of every block with this label; blocks with other labels are an error. @throws CertificateError */
export function readPemFile(text: string, label: string): readonly Uint8Array[] {
  if (text.length > MAX_PEM_LENGTH) throw new CertificateError('the text is too long');
  const blocks = [...text.matchAll(BLOCK)];
  const begun = text.match(/-----BEGIN /g)?.length ?? 0;
  if (begun !== blocks.length) throw new CertificateError('a PEM block is malformed');
  return blocks.map(([, found, body = '']) => {
    if (found !== label) throw new CertificateError(`there is a PEM block that is no ${label}`);
    return readBase64(body.replaceAll(/\s/g, ''));
  });
}

/** As `readPemFile`, of a text that holds nothing but certificates. @throws CertificateError */
export function readPemChain(text: string): readonly Uint8Array[] {
  const chain = readPemFile(text, 'CERTIFICATE');
  if (text.replaceAll(BLOCK, '').trim() !== '')
    throw new CertificateError('there is text around the certificates');
  return chain;
}

/** Canonical base64 with padding (RFC 4648 §4). @throws CertificateError */
export function readBase64(text: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64');
  if (text === '' || bytes.toString('base64') !== text) throw new CertificateError('the base64 is malformed');
  return bytes;
}

/** The PEM text of one certificate. */
export function writePem(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
