/**
 * Certificates that an operator refuses by hand, whoever issued them: `serial`, `key` or `id`, one to a line.
 * Invariant: a line that is not understood is an error, never a line without effect.
 */
import type { Certificate } from './certificate.ts';
import { CertificateError } from './certificate-error.ts';

/** Most lines of a list. */
const MAX_LINES = 100_000;

export interface DenyList {
  readonly serials: ReadonlySet<string>;
  /** SHA-256 of public keys, base64url. */
  readonly keys: ReadonlySet<string>;
  /** URI names, such as SPIFFE ids. */
  readonly ids: ReadonlySet<string>;
}

/**
 * @param text lines such as `serial 0A1B…` (hex), `key <SHA-256 of the public key, hex or base64>`,
 * `id spiffe://acme.example/gateway`, empty lines and lines that begin with `#`.
 * @throws CertificateError naming the line
 */
export function readDenyList(text: string): DenyList {
  const [serials, keys, ids] = [new Set<string>(), new Set<string>(), new Set<string>()];
  const lines = text.split('\n');
  if (lines.length > MAX_LINES) throw new CertificateError(`there are more than ${MAX_LINES} lines`);
  for (const [at, line] of lines.entries()) {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#')) continue;
    const [kind, value = '', ...more] = trimmed.split(/\s+/);
    const serial = kind === 'serial' ? readHexSerial(value) : undefined;
    const key = kind === 'key' ? readKeyHash(value) : undefined;
    const id = kind === 'id' && /^[a-z][a-z0-9+.-]*:[\x21-\x7e]+$/.test(value) ? value : undefined;
    if (more.length > 0 || (serial ?? key ?? id) === undefined) {
      throw new CertificateError(
        `line ${at + 1} is not understood: write \`serial HEX\`, \`key SHA256\` or \`id URI\``,
      );
    }
    if (serial !== undefined) serials.add(serial);
    if (key !== undefined) keys.add(key);
    if (id !== undefined) ids.add(id);
  }
  return { serials, keys, ids };
}

/** Whether one of the certificates of a path is on the list. */
export function isDenied({ serials, keys, ids }: DenyList, path: readonly Certificate[]): boolean {
  return path.some(
    ({ serial, keyHash, names }) =>
      serials.has(serial) || keys.has(keyHash) || names.uris.some(uri => ids.has(uri)),
  );
}

function readHexSerial(text: string): string | undefined {
  const hex = text.replace(/^0x/i, '').replaceAll(':', '');
  if (!/^[0-9A-Fa-f]{1,64}$/.test(hex)) return undefined;
  const digits = hex.toUpperCase().replace(/^0+(?=.)/, '');
  return digits.length % 2 === 1 && digits !== '0' ? `0${digits}` : digits;
}

function readKeyHash(text: string): string | undefined {
  const hex = text.replaceAll(':', '');
  if (/^[0-9A-Fa-f]{64}$/.test(hex)) return Buffer.from(hex, 'hex').toString('base64url');
  const base64 = text.replace(/=$/, '').replaceAll('+', '-').replaceAll('/', '_');
  return /^[A-Za-z0-9_-]{43}$/.test(base64) ? base64 : undefined;
}
