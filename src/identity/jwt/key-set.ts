/**
 * The verification keys of one issuer at one time. Invariants: only public, asymmetric signature keys of safe
 * size get in; a key verifies exactly the algorithms that it is for; `kid` is compared as a whole and means nothing.
 */
import { calculateJwkThumbprint, type CryptoKey, importJWK, type JWK } from 'jose';
import type { JsonObject, JsonValue } from '../../domain/json.ts';
import { isJsonObject } from './strict-json.ts';

/** Most keys of one document. */
const MAX_KEYS = 100;
/** Most keys that are tried for a token without `kid`: each try is a signature verification. */
export const MAX_CANDIDATES = 5;
/** Longest RSA modulus and exponent in base64url characters: 8192 and 32 bits. The cost of verifying follows both. */
const MAX_MODULUS = 1366;
const MAX_EXPONENT = 6;
const MAX_TEXT = 256;

const CURVE_ALGORITHMS: Readonly<Record<string, string>> = {
  'P-256': 'ES256',
  'P-384': 'ES384',
  'P-521': 'ES512',
  Ed25519: 'EdDSA',
};
const RSA_ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const;
/** Members of private and secret keys (RFC 7518 §6, RFC 8037 §2). */
const SECRET_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'];

/** One key for one algorithm. */
export interface VerificationKey {
  readonly kid: string | undefined;
  readonly alg: string;
  readonly key: CryptoKey;
  /** RFC 7638 thumbprint: the same key in a later document is the same to who remembers it. */
  readonly thumbprint: string;
}

/** A document of keys as it was read. */
export class KeySet {
  readonly #keys: readonly VerificationKey[];
  readonly #marks: ReadonlySet<string>;

  private constructor(keys: readonly VerificationKey[]) {
    this.#keys = keys;
    this.#marks = new Set(keys.map(markOf));
  }

  /**
   * Reads a JWK Set. Keys that are not for verifying with `algorithms` are left out.
   * @returns undefined when the document is no key set, has too many keys or not one that can be used.
   */
  static async read(document: JsonObject, algorithms: ReadonlySet<string>): Promise<KeySet | undefined> {
    const { keys } = document;
    if (!isList(keys) || keys.length > MAX_KEYS) return undefined;
    const usable: VerificationKey[] = [];
    for (const item of keys) {
      if (!isJsonObject(item)) return undefined;
      for (const alg of algorithmsOf(item)) {
        if (!algorithms.has(alg)) continue;
        const key = await importKey(item, alg);
        if (key !== undefined) usable.push(key);
      }
    }
    return usable.length === 0 ? undefined : new KeySet(usable);
  }

  /** Keys that may have signed, a few at most: those of this `kid`, or all of the algorithm when there is none. */
  candidates(alg: string, kid: string | undefined): readonly VerificationKey[] {
    return this.#keys
      .filter(key => key.alg === alg && (kid === undefined || key.kid === kid))
      .slice(0, MAX_CANDIDATES);
  }

  /** Whether this very key is among them, under the same `kid` and for the same algorithm. */
  has(key: VerificationKey): boolean {
    return this.#marks.has(markOf(key));
  }
}

/** The algorithms that a JWK can verify with; none when it is not a public signature key that says so. */
export function algorithmsOf(jwk: JsonObject): readonly string[] {
  const { kty, crv, alg, use, key_ops: operations } = jwk;
  if (SECRET_MEMBERS.some(name => Object.hasOwn(jwk, name))) return [];
  if (use !== undefined && use !== 'sig') return [];
  if (operations !== undefined && !(isList(operations) && operations.includes('verify'))) return [];
  const fitting = kty === 'RSA' ? (hasSafeSize(jwk) ? RSA_ALGORITHMS : []) : ofCurve(kty, crv);
  return alg === undefined
    ? fitting
    : fitting.filter(one => one === alg || (alg === 'Ed25519' && one === 'EdDSA'));
}

/** Imports a public key. Its members beyond the key itself are dropped. */
export async function importKey(jwk: JsonObject, alg: string): Promise<VerificationKey | undefined> {
  const bare = bareKey(jwk);
  if (bare === undefined) return undefined;
  try {
    const key = await importJWK(bare, alg);
    if (key instanceof Uint8Array || key.type !== 'public') return undefined;
    if (alg.startsWith('RS') || alg.startsWith('PS')) {
      // jose refuses small moduli only when it verifies; such a key should not be listed at all
      if (modulusBits(bare.n) < 2048) return undefined;
    }
    const kid = typeof jwk['kid'] === 'string' ? jwk['kid'] : undefined;
    return { kid, alg, key, thumbprint: await calculateJwkThumbprint(bare) };
  } catch {
    return undefined;
  }
}

function ofCurve(kty: JsonValue | undefined, crv: JsonValue | undefined): readonly string[] {
  if (typeof crv !== 'string' || !Object.hasOwn(CURVE_ALGORITHMS, crv)) return [];
  const alg = CURVE_ALGORITHMS[crv];
  return alg !== undefined && kty === (crv === 'Ed25519' ? 'OKP' : 'EC') ? [alg] : [];
}

function hasSafeSize({ n, e }: JsonObject): boolean {
  return (
    typeof n === 'string' && n.length <= MAX_MODULUS && typeof e === 'string' && e.length <= MAX_EXPONENT
  );
}

function modulusBits(n: string | undefined): number {
  return n === undefined ? 0 : Buffer.from(n, 'base64url').length * 8;
}

function bareKey(jwk: JsonObject): JWK | undefined {
  const { kty, crv, n, e } = jwk;
  const [x, y] = [jwk['x'], jwk['y']];
  if (kty === 'RSA' && typeof n === 'string' && typeof e === 'string') return { kty, n, e };
  if (typeof crv !== 'string' || typeof x !== 'string' || x.length > MAX_TEXT) return undefined;
  if (kty === 'OKP') return { kty, crv, x };
  if (kty === 'EC' && typeof y === 'string' && y.length <= MAX_TEXT) return { kty, crv, x, y };
  return undefined;
}

function markOf({ kid, alg, thumbprint }: VerificationKey): string {
  return JSON.stringify([kid ?? null, alg, thumbprint]);
}

function isList(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value);
}
