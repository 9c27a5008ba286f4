/**
 * Proofs of possession: DPoP (RFC 9449 §4.3) and certificates (RFC 8705 §3). Invariant: a bound token counts only
 * with the proof that it names, for this request, now, once; a proof that binds nothing is refused too.
 */
import { compactVerify } from 'jose';
import type { Clock } from '../../domain/clock.ts';
import type { JsonValue } from '../../domain/json.ts';
import type { Confirmation } from './claims-check.ts';
import { sha256 } from './digest.ts';
import { algorithmsOf, importKey } from './key-set.ts';
import { ReplayWindow } from './replay-window.ts';
import type { TokenCause } from './token-cause.ts';
import { readToken } from './token-text.ts';

/** Longest proof in characters: an RSA key and signature of 4096 bits fit. */
const MAX_PROOF_LENGTH = 4096;
/** Oldest proof, in seconds: clocks of clients and the way through the gateway. */
export const MAX_PROOF_AGE_SECONDS = 60;
/** How far a client's clock may be ahead, in seconds. */
const MAX_PROOF_LEAD_SECONDS = 10;

/** What it is called that a proof does not count. */
const CAUSES = { replayed: 'proof_replayed', old: 'proof_time', flood: 'proof_flood' } as const;

/** A DPoP proof with the request that the gateway saw. */
export interface PresentedProof {
  readonly proof: string;
  /** `POST` */
  readonly method: string;
  /** The external URL of the request. */
  readonly url: string;
}

export interface PresentedBinding {
  readonly dpop: PresentedProof | undefined;
  /** SHA-256 of the client certificate that the gateway saw: base64url, or hex. */
  readonly certificate: string | undefined;
}

/** How a verified token was bound to its sender. */
export type Binding = 'none' | 'dpop' | 'certificate' | 'dpop+certificate';

export class ProofChecker {
  readonly #clock: Clock;
  readonly #used: ReplayWindow;

  constructor(clock: Clock) {
    this.#clock = clock;
    // one second more than a proof can count, since it still counts at the very end of its time
    this.#used = new ReplayWindow(clock, (MAX_PROOF_AGE_SECONDS + MAX_PROOF_LEAD_SECONDS + 1) * 1000);
  }

  /** Checks what a token's `cnf` asks for against what was presented with it. */
  async check(
    token: string,
    confirmation: Confirmation | undefined,
    { dpop, certificate }: PresentedBinding,
  ): Promise<TokenCause | undefined> {
    const { jkt, certificate: bound } = confirmation ?? {};
    if (bound !== undefined && (certificate === undefined || thumbprint(certificate) !== bound)) {
      return 'certificate';
    }
    if (jkt === undefined) return dpop === undefined ? undefined : 'proof_unbound';
    return dpop === undefined ? 'proof_missing' : this.#checkProof(token, jkt, dpop);
  }

  async #checkProof(token: string, jkt: string, presented: PresentedProof): Promise<TokenCause | undefined> {
    const { token: proof } = readToken(presented.proof, MAX_PROOF_LENGTH);
    if (proof === undefined) return 'proof_malformed';
    const { alg, typ, kid, jwk } = proof.header;
    if (typ !== 'dpop+jwt' || kid !== undefined || jwk === undefined) return 'proof_malformed';
    if (!algorithmsOf(jwk).includes(alg)) return 'proof_key';
    const key = await importKey(jwk, alg);
    if (key === undefined || key.thumbprint !== jkt) return 'proof_key';
    try {
      await compactVerify(presented.proof, key.key, { algorithms: [alg] });
    } catch {
      return 'proof_signature';
    }
    const { jti, htm, htu, iat, ath } = proof.claims;
    if (htm !== presented.method || !sameTarget(htu, presented.url)) return 'proof_request';
    if (ath !== sha256(token)) return 'proof_token';
    if (typeof iat !== 'number' || !this.#isNow(iat)) return 'proof_time';
    if (typeof jti !== 'string' || jti === '' || jti.length > 256) return 'proof_malformed';
    // remembered only now, so that nobody without the key can fill the memory
    const refusal = this.#used.use(jkt, sha256(jti), iat);
    return refusal === undefined ? undefined : CAUSES[refusal];
  }

  #isNow(iat: number): boolean {
    const age = this.#clock.now() / 1000 - iat;
    return age <= MAX_PROOF_AGE_SECONDS && age >= -MAX_PROOF_LEAD_SECONDS;
  }
}

/** How a confirmation that was met binds the token. */
export function bindingOf(confirmation: Confirmation | undefined): Binding {
  if (confirmation?.jkt === undefined)
    return confirmation?.certificate === undefined ? 'none' : 'certificate';
  return confirmation.certificate === undefined ? 'dpop' : 'dpop+certificate';
}

/** RFC 9449 §4.3: query and fragment do not count, the rest is compared after normalisation (RFC 3986 §6.2). */
function sameTarget(htu: JsonValue | undefined, url: string): boolean {
  if (typeof htu !== 'string' || !URL.canParse(htu) || !URL.canParse(url)) return false;
  const [left, right] = [new URL(htu), new URL(url)];
  return left.origin !== 'null' && left.origin === right.origin && left.pathname === right.pathname;
}

/** A SHA-256 thumbprint as base64url, from base64url or from hex with or without colons. */
function thumbprint(text: string): string | undefined {
  if (/^[A-Za-z0-9_-]{43}$/.test(text)) return text;
  const hex = text.replaceAll(':', '');
  return /^[0-9A-Fa-f]{64}$/.test(hex) ? Buffer.from(hex, 'hex').toString('base64url') : undefined;
}
