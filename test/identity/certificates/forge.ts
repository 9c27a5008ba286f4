/** A certificate authority for tests: certificates and revocation lists with whatever is asked for, right or wrong. */
import { generateKeyPairSync, type KeyObject, randomBytes, sign, X509Certificate } from 'node:crypto';
import {
  bitBytes,
  element,
  integer,
  name,
  namedBits,
  objectId,
  octets,
  sequence,
  time,
  yes,
} from './der-writer.ts';

export const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
export const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const DAY_MS = 86_400_000;

/** A key usage by its bits. */
export const USAGE = { digitalSignature: 0, keyEncipherment: 2, keyCertSign: 5, crlSign: 6 } as const;

export interface Extra {
  readonly id: string;
  readonly critical: boolean;
  readonly value: Uint8Array;
}

export interface CertificateWish {
  readonly subject?: string;
  readonly uris?: readonly string[];
  readonly dns?: readonly string[];
  readonly ca?: boolean;
  readonly pathLength?: number;
  /** undefined: none of it. */
  readonly keyUsage?: readonly number[] | undefined;
  readonly extendedKeyUsage?: readonly string[] | undefined;
  readonly notBefore?: number;
  readonly notAfter?: number;
  readonly serial?: bigint;
  readonly extra?: readonly Extra[];
  readonly keys?: Keys;
  /** Changes the signed part, for instance to break it. */
  readonly mangle?: (body: Buffer) => Buffer;
}

export interface Keys {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

/** A certificate with its key. */
export interface Issued {
  readonly der: Buffer;
  readonly pem: string;
  readonly key: string;
  readonly x509: X509Certificate;
  readonly serial: bigint;
}

export interface ForgedAuthority extends Issued {
  issue(wish?: CertificateWish): Issued;
  issueAuthority(wish?: CertificateWish): ForgedAuthority;
  /** A revocation list, PEM. */
  revoke(serials: readonly bigint[], wish?: ListWish): string;
}

export interface ListWish {
  readonly thisUpdate?: number;
  readonly nextUpdate?: number | undefined;
  readonly extra?: readonly Extra[];
  readonly entryExtra?: readonly Extra[];
}

export function makeKeys(): Keys {
  return generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
}

/** A self-signed CA. */
export function makeAuthority(wish: CertificateWish = {}): ForgedAuthority {
  const keys = wish.keys ?? makeKeys();
  const subject = wish.subject ?? 'CN=test ca';
  return authorityOf(make({ ...caWish(wish), subject, keys }, subject, keys.privateKey), subject, keys);
}

function caWish(wish: CertificateWish): CertificateWish {
  return { ca: true, keyUsage: [USAGE.keyCertSign, USAGE.crlSign], extendedKeyUsage: undefined, ...wish };
}

function authorityOf(own: Issued, subject: string, keys: Keys): ForgedAuthority {
  return {
    ...own,
    issue: (wish = {}) => make(wish, subject, keys.privateKey),
    issueAuthority(wish = {}) {
      const below = { subject: 'CN=intermediate', keys: makeKeys(), ...wish };
      return authorityOf(make({ ...caWish(below) }, subject, keys.privateKey), below.subject, below.keys);
    },
    revoke: (serials, wish = {}) => makeList(serials, subject, keys.privateKey, wish),
  };
}

/** A client certificate unless the wish says otherwise. */
function make(wish: CertificateWish, issuer: string, signer: KeyObject): Issued {
  const keys = wish.keys ?? makeKeys();
  const serial = wish.serial ?? BigInt(`0x4${randomBytes(12).toString('hex')}`);
  const now = Date.now();
  const body = sequence(
    element(0xa0, integer(2)),
    integer(serial),
    algorithmOf(signer),
    name(issuer),
    sequence(time(wish.notBefore ?? now - DAY_MS), time(wish.notAfter ?? now + 30 * DAY_MS)),
    name(wish.subject ?? 'CN=client'),
    keys.publicKey.export({ type: 'spki', format: 'der' }),
    element(0xa3, sequence(...extensionsOf(wish).map(writeExtension))),
  );
  const signed = wish.mangle?.(body) ?? body;
  const der = sequence(signed, algorithmOf(signer), bitBytes(signatureOf(signed, signer)));
  return {
    der,
    pem: pemOf(der, 'CERTIFICATE'),
    key: String(keys.privateKey.export({ type: 'pkcs8', format: 'pem' })),
    get x509() {
      return new X509Certificate(der);
    },
    serial,
  };
}

function extensionsOf(wish: CertificateWish): readonly Extra[] {
  const keyUsage = 'keyUsage' in wish ? wish.keyUsage : [USAGE.digitalSignature];
  const purposes = 'extendedKeyUsage' in wish ? wish.extendedKeyUsage : [CLIENT_AUTH];
  const names = [
    ...(wish.uris ?? []).map(uri => element(0x86, Buffer.from(uri, 'utf8'))),
    ...(wish.dns ?? []).map(host => element(0x82, Buffer.from(host, 'utf8'))),
  ];
  const constraints = [
    ...(wish.ca === true ? [yes()] : []),
    ...(wish.pathLength === undefined ? [] : [integer(wish.pathLength)]),
  ];
  return [
    { id: '2.5.29.19', critical: true, value: sequence(...constraints) },
    ...(keyUsage === undefined ? [] : [{ id: '2.5.29.15', critical: true, value: namedBits(keyUsage) }]),
    ...(purposes === undefined
      ? []
      : [{ id: '2.5.29.37', critical: false, value: sequence(...purposes.map(objectId)) }]),
    ...(names.length === 0 ? [] : [{ id: '2.5.29.17', critical: false, value: sequence(...names) }]),
    ...(wish.extra ?? []),
  ];
}

function writeExtension({ id, critical, value }: Extra): Buffer {
  return sequence(objectId(id), ...(critical ? [yes()] : []), octets(value));
}

function makeList(serials: readonly bigint[], issuer: string, signer: KeyObject, wish: ListWish): string {
  const now = Date.now();
  const entries = serials.map(serial =>
    sequence(
      integer(serial),
      time(now - DAY_MS),
      ...(wish.entryExtra === undefined ? [] : [sequence(...wish.entryExtra.map(writeExtension))]),
    ),
  );
  const nextUpdate = 'nextUpdate' in wish ? wish.nextUpdate : now + DAY_MS;
  const body = sequence(
    integer(1),
    algorithmOf(signer),
    name(issuer),
    time(wish.thisUpdate ?? now - 60_000),
    ...(nextUpdate === undefined ? [] : [time(nextUpdate)]),
    ...(entries.length === 0 ? [] : [sequence(...entries)]),
    ...(wish.extra === undefined ? [] : [element(0xa0, sequence(...wish.extra.map(writeExtension)))]),
  );
  return pemOf(sequence(body, algorithmOf(signer), bitBytes(signatureOf(body, signer))), 'X509 CRL');
}

function algorithmOf({ asymmetricKeyType }: KeyObject): Buffer {
  if (asymmetricKeyType === 'rsa') return sequence(objectId('1.2.840.113549.1.1.11'), element(0x05));
  return sequence(objectId('1.2.840.10045.4.3.2'));
}

function signatureOf(data: Buffer, key: KeyObject): Buffer {
  return sign('sha256', data, key);
}

export function pemOf(der: Uint8Array, label: string): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
