/**
 * Revoked tokens in memory: by id, by subject and by client of an issuer. Invariant: what was put in counts from
 * the next look on, also for tokens whose verification is remembered.
 */
import type { Revocation } from '../ports.ts';

/** What a revocation can hit. */
export interface RevocableToken {
  readonly issuer: string;
  readonly tokenId: string | undefined;
  readonly subject: string;
  readonly client: string | undefined;
  /** Seconds since the epoch. */
  readonly issuedAt: number;
}

export class RevocationList {
  /** `kind issuer value` to the revocation that reaches furthest. */
  readonly #byTarget = new Map<string, Revocation>();

  get size(): number {
    return this.#byTarget.size;
  }

  /** All of them, in the order in which they were put in. */
  get all(): readonly Revocation[] {
    return [...this.#byTarget.values()];
  }

  put(revocation: Revocation): void {
    const name = nameOf(revocation.kind, revocation.issuer, revocation.value);
    const known = this.#byTarget.get(name);
    if (known !== undefined && known.at >= revocation.at) return;
    this.#byTarget.delete(name);
    this.#byTarget.set(name, revocation);
  }

  /** Forgets those whose tokens have all expired. @param now RFC 3339 UTC. */
  forget(now: string): void {
    for (const [name, { forgetAt }] of this.#byTarget) if (forgetAt <= now) this.#byTarget.delete(name);
  }

  isRevoked({ issuer, tokenId, subject, client, issuedAt }: RevocableToken): boolean {
    if (this.#byTarget.size === 0) return false;
    if (tokenId !== undefined && this.#byTarget.has(nameOf('token', issuer, tokenId))) return true;
    return (
      this.#isBefore(issuedAt, nameOf('subject', issuer, subject)) ||
      (client !== undefined && this.#isBefore(issuedAt, nameOf('client', issuer, client)))
    );
  }

  /** A token of the same second may be of before or after: it is refused, and the next one is not. */
  #isBefore(issuedAt: number, name: string): boolean {
    const revocation = this.#byTarget.get(name);
    return revocation !== undefined && Math.floor(issuedAt) <= Math.floor(Date.parse(revocation.at) / 1000);
  }
}

/** JSON keeps the parts apart, whatever they hold. */
function nameOf(kind: Revocation['kind'], issuer: string, value: string): string {
  return JSON.stringify([kind, issuer, value]);
}
