/**
 * Files with certificates, keys, CAs and revocation lists, each read and checked as a whole. Invariant: what cannot be
 * used is refused with the name of its file, before anything relies on it.
 */
import { createPrivateKey } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { ConfigError } from '../config.ts';
import type { Config } from '../config/settings.ts';
import type { Clock } from '../domain/clock.ts';
import { messageOf } from '../domain/errors.ts';
import type { KeyPair } from '../edge/http/tls-listener.ts';
import { type Certificate, readCertificate } from '../identity/certificates/certificate.ts';
import { CertificateError } from '../identity/certificates/certificate-error.ts';
import { type DenyList, readDenyList } from '../identity/certificates/deny-list.ts';
import { readPemFile } from '../identity/certificates/pem.ts';
import { readRevocationList, type RevocationList } from '../identity/certificates/revocation-list.ts';
import { type Authority, CertificateTrust, makeBundle } from '../identity/certificates/trust.ts';
import { FileError, ReloadedPart } from './reloaded-part.ts';

/** Purpose of a server's certificate (RFC 5280 §4.2.1.12). */
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';

/** The certificate of a listener, checked. */
export interface ServerCertificate extends KeyPair {
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
}

/** What client certificates are judged by; its members change, each by itself. */
export interface TrustFiles {
  readonly authorities: ReloadedPart<readonly Authority[]>;
  readonly lists: ReloadedPart<readonly RevocationList[] | undefined>;
  readonly denied: ReloadedPart<DenyList>;
}

/** @throws ConfigError when a file cannot be used. */
export function openTrust({ identity }: Pick<Config, 'identity'>): TrustFiles {
  const { authorities, revocationLists, certificateDenyList } = identity;
  return {
    authorities: open(
      'client authorities',
      authorities.flatMap(({ ca }) => ca),
      contents => {
        let at = 0;
        const made = authorities.map(({ name, ca, trustDomain }): Authority => {
          const own = ca.flatMap((file, index) => atFile(file, () => readCas(contents[at + index])));
          at += ca.length;
          return { name, trustDomain, bundle: atFile(ca[0] ?? '', () => makeBundle(own)) };
        });
        refuseShared(made);
        return made;
      },
    ),
    lists: open('revocation lists', revocationLists, contents =>
      contents.length === 0
        ? undefined
        : contents.flatMap((content, at) => atFile(revocationLists[at] ?? '', () => readLists(content))),
    ),
    denied: open(
      'certificate deny list',
      certificateDenyList === undefined ? [] : [certificateDenyList],
      contents => atFile(certificateDenyList ?? '', () => readDenyList(contents[0]?.toString('utf8') ?? '')),
    ),
  };
}

/** What the files say together, now. */
export function trustOf({ authorities, lists, denied }: TrustFiles): CertificateTrust {
  return new CertificateTrust({
    authorities: authorities.current,
    lists: lists.current,
    denied: denied.current,
  });
}

/** @throws ConfigError when the files cannot be used. */
export function openKeyPair(
  name: string,
  certificate: string,
  key: string,
  clock: Clock,
): ReloadedPart<ServerCertificate> {
  return open(`${name} certificate`, [certificate, key], ([first, second]) =>
    atFile(certificate, () =>
      readKeyPair(first?.toString('utf8') ?? '', second?.toString('utf8') ?? '', clock),
    ),
  );
}

/** @throws Error when the two do not belong together, or could not serve. */
function readKeyPair(certificate: string, key: string, clock: Clock): ServerCertificate {
  const [first] = readPemFile(certificate, 'CERTIFICATE').map(readCertificate);
  if (first === undefined) throw new CertificateError('there is no certificate in the file');
  const privateKey = createPrivateKey(key);
  if (!first.x509.checkPrivateKey(privateKey))
    throw new CertificateError('the key is not that of the certificate');
  if (clock.now() > first.notAfter) throw new CertificateError('the certificate has expired');
  if (first.extendedKeyUsage?.has(SERVER_AUTH) === false) {
    throw new CertificateError('the certificate is not for servers: its extended key usage lacks serverAuth');
  }
  createSecureContext({ cert: certificate, key });
  return { certificate, key, notAfter: first.notAfter };
}

function readCas(content: Buffer | undefined): readonly Certificate[] {
  const certificates = readPemFile(content?.toString('utf8') ?? '', 'CERTIFICATE').map(readCertificate);
  if (certificates.length === 0) throw new CertificateError('there is no certificate in the file');
  return certificates;
}

function readLists(content: Buffer): readonly RevocationList[] {
  const isPem = content.subarray(0, 1024).includes('-----BEGIN ');
  const lists = isPem ? readPemFile(content.toString('utf8'), 'X509 CRL') : [content];
  if (lists.length === 0) throw new CertificateError('there is no list in the file');
  return lists.map(readRevocationList);
}

/** A CA that vouches for two authorities would let either speak for the other. @throws CertificateError */
function refuseShared(authorities: readonly Authority[]): void {
  const owners = new Map<string, string>();
  for (const { name, bundle } of authorities) {
    for (const { keyHash } of [...bundle.anchors, ...bundle.intermediates]) {
      const other = owners.get(keyHash);
      if (other !== undefined && other !== name) {
        throw new CertificateError(`the authorities \`${other}\` and \`${name}\` have a CA in common`);
      }
      owners.set(keyHash, name);
    }
  }
}

/** @throws FileError instead of whatever is thrown, so that the log can name the file. */
function atFile<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new FileError(file, messageOf(error));
  }
}

/** @throws ConfigError */
function open<T>(
  name: string,
  files: readonly string[],
  parse: (contents: readonly Buffer[]) => T,
): ReloadedPart<T> {
  try {
    return new ReloadedPart(name, files, parse);
  } catch (error) {
    const file = error instanceof FileError ? `: \`${error.file}\`` : '';
    const hint = 'put a file there that the user of duramen can read and that is what the setting takes';
    throw new ConfigError([{ message: `${name}${file}: ${messageOf(error)}`, hint }]);
  }
}
