/**
 * What keeps persons out of leaves: how an entry's principals are named, which of its values are committed to
 * instead of shown, and what stands for its input. Invariant: everything here is synchronous and in memory, since
 * a leaf is written on the path of a decision.
 */

/** A principal as the log knows it. */
export interface Subject {
  /** `p:` and 22 base64url characters: 128 random bits. */
  readonly pseudonym: string;
  /** Key of its openings, 32 bytes; lost with the subject when it is erased. */
  readonly key: Uint8Array;
}

/** The names and keys that leaves need. Each call takes well below a microsecond, `unregistered` aside. */
export interface LeafPrivacy {
  /** @param entity `AI::User::"acme/alice"` @returns undefined when it was never registered, or was erased */
  subject(entity: string): Subject | undefined;
  /**
   * The pseudonym of a principal that was never registered: `u:` and 22 base64url characters of an HMAC with a key
   * of that month. @param time milliseconds since the epoch
   */
  unregistered(entity: string, time: number): string;
  /**
   * Digest of an input for a leaf: HMAC-SHA-256 under the key of the tenant and month, domain-separated, over the
   * hash that the PEP gave; as a rule still to be made. @param time milliseconds since the epoch
   */
  inputDigest(input: InputReference, time: number): InputDigest | DueDigest;
  /** Names of context keys whose values are committed to; asked once per decision. */
  readonly personalKeys: ReadonlySet<string>;
}

export interface InputReference {
  readonly tenant: string;
  /** Entity key of the resource. */
  readonly resource: string;
  /** The hash as the PEP gave it: `sha256:…`. */
  readonly hash: string;
}

/** What stands in a leaf for an input. */
export interface InputDigest {
  readonly kid: string;
  /** 32 bytes, base64url. */
  readonly mac: string;
}

/** An HMAC-SHA-256 that is still to be made. */
export interface DueMac {
  /** 32 bytes. */
  readonly key: Uint8Array;
  readonly message: string;
}

/** What will stand in a leaf for an input. */
export interface DueDigest {
  readonly kid: string;
  readonly due: DueMac;
}

/** The personal values of an entry on their way into the log: plain here, sealed before they are stored. */
export interface PlainOpening {
  readonly subject: Subject;
  /** RFC 9901 disclosures, joined by `~`. */
  readonly disclosures: string;
  /** Authenticated with the ciphertext: the id of the decision. */
  readonly decisionId: string;
}
