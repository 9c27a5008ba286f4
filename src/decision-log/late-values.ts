/**
 * What a leaf gets from whoever stores it, off the path of the decision: the digests of its personal values and of its
 * input. Until then blanks stand in their places. Invariant: no leaf is stored that has a blank, or had more or fewer than
 * there are values for.
 */
import { type Claim, commit, DIGEST_LENGTH } from './commitment.ts';
import { HmacKey } from './hmac.ts';
import type { DueMac, Subject } from './leaf-privacy.ts';
import { OpeningSealer } from './opening.ts';

/** A control character, which canonical JSON escapes: nothing else in a leaf looks like a blank. */
const BLANK_CODE = 1;
/** Stands for one digest. */
export const BLANK = String.fromCharCode(BLANK_CODE).repeat(DIGEST_LENGTH);

/** What is to be put into the blanks of a leaf: digests of the claims, sorted, then the MAC. */
export interface LateValues {
  readonly decisionId: string;
  /** Whose personal values they are; undefined: nobody's who could ever have them erased, so nothing opens them. */
  readonly subject: Subject | undefined;
  readonly claims: readonly Claim[];
  readonly mac: DueMac | undefined;
}

/** Random bytes are drawn in blocks: one system call for a few hundred salts. */
const POOL_BYTES = 4_096;
/** Room for claims that need no buffer of their own, in bytes. */
const SHORT_BYTES = 1_024;
/** Bytes of a salt: 128 bits (RFC 9901 §4.2.1). */
const SALT_BYTES = 16;

/** Completes leaves one after the other, on buffers that it keeps. */
export class LeafCompleter {
  readonly #random: (size: number) => Uint8Array;
  readonly #sealer = new OpeningSealer();
  readonly #keyed = new HmacKey(new Uint8Array(0));
  readonly #room = Buffer.alloc(SHORT_BYTES);
  #pool = Buffer.alloc(0);
  #used = 0;

  /** @param random as many bytes of a cryptographically secure source as asked for */
  constructor(random: (size: number) => Uint8Array) {
    this.#random = random;
  }

  /**
   * Fills the blanks of a leaf in place.
   * @returns what opens its personal values, sealed; undefined when nothing may
   * @throws Error when the blanks are not those of the values: a bug, and the leaf must not be stored
   */
  complete(leaf: Buffer, { decisionId, subject, claims, mac }: LateValues): Uint8Array | undefined {
    let disclosures = '';
    const digests: string[] = [];
    for (const claim of claims) {
      const { digest, disclosure } = commit(this.#salt(), claim, this.#room);
      digests.push(digest);
      disclosures += disclosures === '' ? disclosure : `~${disclosure}`;
    }
    let at = 0;
    for (const digest of digests.sort()) at = fillBlank(leaf, at, digest);
    if (mac !== undefined) {
      this.#keyed.rekey(mac.key);
      fillBlank(leaf, at, this.#keyed.mac(mac.message, 'base64url'));
    }
    requireComplete(leaf);
    if (subject === undefined || claims.length === 0) return undefined;
    return this.#sealer.seal({ subject, disclosures, decisionId });
  }

  #salt(): string {
    if (this.#used + SALT_BYTES > this.#pool.length) {
      this.#pool = Buffer.from(this.#random(POOL_BYTES));
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += SALT_BYTES;
    return this.#pool.toString('base64url', start, this.#used);
  }
}

/** Fills the first blank from an index on. @returns the index behind it */
function fillBlank(leaf: Buffer, from: number, digest: string): number {
  const at = leaf.indexOf(BLANK_CODE, from);
  if (at < 0 || !isBlank(leaf, at)) throw new Error('a leaf has too few blanks');
  return at + leaf.write(digest, at, DIGEST_LENGTH, 'latin1');
}

function isBlank(leaf: Buffer, start: number): boolean {
  for (let at = start; at < start + DIGEST_LENGTH; at += 1) if (leaf[at] !== BLANK_CODE) return false;
  return true;
}

/** @throws Error when a leaf still has a blank */
export function requireComplete(leaf: Uint8Array): void {
  if (leaf.includes(BLANK_CODE)) throw new Error('a leaf has a blank that nothing fills');
}
