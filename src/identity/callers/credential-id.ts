/**
 * What limits call the credential of a caller. Invariants: it stays the same when a token or a certificate is renewed,
 * no credential can be told from it, and no two kinds of it, nor those of two issuers, can be equal.
 */
import type { CallerCredential } from '../../domain/caller-authentication.ts';
import type { ClientCertificate } from '../../domain/client-certificate.ts';
import { ID_PATTERN } from '../../domain/ids.ts';
import { sha256 } from '../jwt/digest.ts';
import { parseSpiffeId } from '../certificates/spiffe-id.ts';

/** What of a verified token tells its holder from others. */
export interface TokenHolder {
  /** Name of the issuer in the configuration: it holds no colon. */
  readonly issuer: string;
  /** The client that the token was made for; undefined: it does not say. */
  readonly client: string | undefined;
  readonly subject: string;
}

/** The client of a token, which its users share unless it is one itself; without one its subject. */
export function tokenCredential({ issuer, client, subject }: TokenHolder): CallerCredential {
  return client === undefined
    ? { id: named(issuer, 'subject', subject), isShared: false }
    : { id: named(issuer, 'client', client), isShared: client !== subject };
}

/** The workload of a certificate, which is renewed every hour; the certificate itself where it names none. */
export function certificateCredential({
  subject,
  thumbprint,
}: Pick<ClientCertificate, 'subject' | 'thumbprint'>): CallerCredential {
  const isWorkload = subject !== undefined && parseSpiffeId(subject) !== undefined;
  return { id: isWorkload ? subject : thumbprint, isShared: false };
}

/** What cannot stand in an id, or is too long for one, stands there as its digest. */
function named(issuer: string, kind: 'client' | 'subject', name: string): string {
  const id = `${issuer}:${kind}:${name}`;
  return ID_PATTERN.test(id) ? id : `${issuer}:${kind}-sha256:${sha256(name)}`;
}
