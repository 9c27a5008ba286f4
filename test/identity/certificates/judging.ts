/** Judges forged certificates as the service does, with one authority of the trust domain `acme.example`. */
import { type Certificate, readCertificate } from '../../../src/identity/certificates/certificate.ts';
import type { DenyList } from '../../../src/identity/certificates/deny-list.ts';
import { readPemFile } from '../../../src/identity/certificates/pem.ts';
import { readRevocationList } from '../../../src/identity/certificates/revocation-list.ts';
import { CertificateTrust, makeBundle, type TrustResult } from '../../../src/identity/certificates/trust.ts';
import type { Issued } from './forge.ts';

export const NOBODY_DENIED: DenyList = { serials: new Set(), keys: new Set(), ids: new Set() };

export interface Judging {
  readonly roots: readonly Issued[];
  readonly trustDomain?: string | undefined;
  /** PEM. */
  readonly lists?: readonly string[];
  readonly denied?: DenyList;
  readonly now?: number;
}

export function trustOf({ roots, lists, denied = NOBODY_DENIED, ...rest }: Judging): CertificateTrust {
  const trustDomain = 'trustDomain' in rest ? rest.trustDomain : 'acme.example';
  return new CertificateTrust({
    authorities: [
      { name: 'mesh', trustDomain, bundle: makeBundle(roots.map(({ der }) => readCertificate(der))) },
    ],
    lists: lists?.flatMap(text => readPemFile(text, 'X509 CRL').map(readRevocationList)),
    denied,
  });
}

export function judge(judging: Judging, leaf: Issued, ...extra: readonly Issued[]): TrustResult {
  const chain: readonly Certificate[] = extra.map(({ der }) => readCertificate(der));
  return trustOf(judging).judge(readCertificate(leaf.der), chain, undefined, judging.now ?? Date.now());
}
