/**
 * Which signatures and keys count. Invariant: a closed list; nothing with SHA-1 or MD5, no RSA key below 2048 bits,
 * no curve beside those of NIST and Edwards.
 */
import { constants, type KeyObject, verify } from 'node:crypto';

interface Algorithm {
  readonly keyTypes: readonly string[];
  /** null: the algorithm has its own. */
  readonly hash: string | null;
}

const RSA = ['rsa'];
const EC = ['ec'];

/** Signature algorithms by object identifier (RFC 5758, RFC 8017, RFC 8410). */
const ALGORITHMS: Readonly<Record<string, Algorithm>> = {
  '1.2.840.10045.4.3.2': { keyTypes: EC, hash: 'sha256' },
  '1.2.840.10045.4.3.3': { keyTypes: EC, hash: 'sha384' },
  '1.2.840.10045.4.3.4': { keyTypes: EC, hash: 'sha512' },
  '1.2.840.113549.1.1.11': { keyTypes: RSA, hash: 'sha256' },
  '1.2.840.113549.1.1.12': { keyTypes: RSA, hash: 'sha384' },
  '1.2.840.113549.1.1.13': { keyTypes: RSA, hash: 'sha512' },
  '1.3.101.112': { keyTypes: ['ed25519'], hash: null },
  '1.3.101.113': { keyTypes: ['ed448'], hash: null },
};
const CURVES: readonly (string | undefined)[] = ['prime256v1', 'secp384r1', 'secp521r1'];
/** Fewest bits of an RSA modulus. */
const MIN_RSA_BITS = 2048;

/** Whether certificates and revocation lists may be signed so. */
export function isStrongAlgorithm(id: string): boolean {
  return Object.hasOwn(ALGORITHMS, id);
}

/** Whether a key is strong enough for a peer or a CA. */
export function isStrongKey({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): boolean {
  if (asymmetricKeyType === 'rsa') return (asymmetricKeyDetails?.modulusLength ?? 0) >= MIN_RSA_BITS;
  if (asymmetricKeyType === 'ec') return CURVES.includes(asymmetricKeyDetails?.namedCurve);
  return asymmetricKeyType === 'ed25519' || asymmetricKeyType === 'ed448';
}

/** Whether `key` signed the data with the algorithm of this object identifier. */
export function isSignedBy(data: Uint8Array, signature: Uint8Array, id: string, key: KeyObject): boolean {
  const algorithm = Object.hasOwn(ALGORITHMS, id) ? ALGORITHMS[id] : undefined;
  if (algorithm === undefined || !isStrongKey(key)) return false;
  if (!algorithm.keyTypes.includes(key.asymmetricKeyType ?? '')) return false;
  const padding = key.asymmetricKeyType === 'rsa' ? { padding: constants.RSA_PKCS1_PADDING } : {};
  try {
    return verify(algorithm.hash, data, { key, ...padding }, signature);
  } catch {
    return false;
  }
}
