/**
 * Request targets that two readers could take for different paths are refused before anything is routed:
 * dot segments, broken percent encodings, backslashes. Invariant: what passes has one reading, and `%2F` in
 * an id stays inside its path segment.
 */

/** Longest request target in characters: an id of 256 characters, all encoded, fits several times. */
const MAX_TARGET_LENGTH = 8192;
/** Origin form (RFC 9112 §3.2.1): a path of RFC 3986 characters, then perhaps a query. */
const TARGET = /^(?:\/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})*)+(?:\?[\x21-\x7e]*)?$/;
const DOT_SEGMENT = /\/(?:\.|%2e){1,2}(?:\/|$)/i;

/** What is wrong with a request target; undefined when nothing is. */
export function targetProblem(target: string): string | undefined {
  if (target.length > MAX_TARGET_LENGTH)
    return `the request target is longer than ${MAX_TARGET_LENGTH} characters`;
  if (!TARGET.test(target))
    return 'the request target is not a path of RFC 3986: percent-encode other characters';
  const path = target.split('?', 1)[0] ?? '';
  if (DOT_SEGMENT.test(path)) return 'the path holds a dot segment';
  if (!path.includes('%')) return undefined;
  try {
    decodeURIComponent(path);
    return undefined;
  } catch {
    return 'the path is percent-encoded but not as UTF-8';
  }
}
