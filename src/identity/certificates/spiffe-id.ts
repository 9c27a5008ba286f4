/**
 * SPIFFE ids (SPIFFE-ID §2), strictly. Invariant: what is accepted is compared byte for byte with nothing normalised,
 * so one workload has one spelling.
 */

/** Longest id in bytes (SPIFFE-ID §2.3). */
const MAX_LENGTH = 2048;
/** `spiffe://`, a trust domain of at most 255 bytes, and a path of segments that are not empty, `.` or `..`. */
const SPIFFE_ID = /^spiffe:\/\/([a-z0-9._-]{1,255})((?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._-]+)+)$/;

export interface SpiffeId {
  readonly text: string;
  readonly trustDomain: string;
  /** `/ns/gateway/sa/envoy`; never empty: an id without a path is that of a CA (X.509-SVID §4.1). */
  readonly path: string;
}

/** The id of a workload; undefined for everything that the grammar does not allow. */
export function parseSpiffeId(text: string): SpiffeId | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  const [, trustDomain, path] = SPIFFE_ID.exec(text) ?? [];
  return trustDomain === undefined || path === undefined ? undefined : { text, trustDomain, path };
}

/** Whether a URI means to be a SPIFFE id, however it is written: then it must be one. */
export function claimsSpiffe(uri: string): boolean {
  return /^\s*spiffe:/i.test(uri);
}
