/**
 * The text of a compact JWS taken apart. Invariant: one token has one text: every part is canonical base64url
 * of strict UTF-8 JSON, so nothing that was not signed can vary. Nothing here is verified yet.
 */
import type { JsonObject } from '../../domain/json.ts';
import type { TokenCause } from './token-cause.ts';
import { parseStrictObject } from './strict-json.ts';

/** Longest token in characters: what fits into a header of common proxies. */
export const MAX_TOKEN_LENGTH = 8192;
/** Longest `kid` in characters. */
const MAX_KID_LENGTH = 128;

const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;
/** Header parameters that are understood, or that say nothing to a verifier with configured keys. */
const KNOWN_PARAMETERS = new Set(['alg', 'typ', 'kid', 'cty', 'x5t', 'x5t#S256', 'jwk']);

export interface TokenHeader {
  readonly alg: string;
  readonly typ: string | undefined;
  readonly kid: string | undefined;
  /** Only proofs carry their key. */
  readonly jwk: JsonObject | undefined;
}

/** A token that reads well. Its claims are those of an unknown author until its signature is checked. */
export interface TokenText {
  readonly header: TokenHeader;
  readonly claims: JsonObject;
}

export type TokenReading =
  | { readonly token: TokenText; readonly cause?: undefined }
  | { readonly token?: undefined; readonly cause: TokenCause };

/**
 * Reads a token without trusting it.
 * @param maxLength in characters.
 */
export function readToken(text: string, maxLength = MAX_TOKEN_LENGTH): TokenReading {
  if (text.length > maxLength) return { cause: 'too_long' };
  if (!COMPACT.test(text)) return { cause: 'malformed' };
  const [head = '', body = '', signature = ''] = text.split('.');
  const header = decodePart(head);
  const claims = decodePart(body);
  if (header === undefined || claims === undefined || !isCanonical(signature)) return { cause: 'malformed' };
  const { alg, typ, kid, cty, jwk } = header;
  for (const name of Object.keys(header)) {
    // `crit`, `b64`, `jku`, `x5u`, `x5c`, `enc`, `zip` and whatever comes next: nothing that names a key or
    // changes the meaning of the token is taken from the token
    if (!KNOWN_PARAMETERS.has(name)) return { cause: 'header' };
  }
  if (typeof alg !== 'string') return { cause: 'algorithm' };
  if (typ !== undefined && typeof typ !== 'string') return { cause: 'header' };
  // a nested token says so in `cty` (RFC 7519 §5.2)
  if (cty !== undefined) return { cause: 'header' };
  if (kid !== undefined && !isKid(kid)) return { cause: 'header' };
  if (jwk !== undefined && !isObject(jwk)) return { cause: 'header' };
  return { token: { header: { alg, typ, kid, jwk }, claims } };
}

function decodePart(part: string): JsonObject | undefined {
  if (!isCanonical(part)) return undefined;
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(part, 'base64url'));
  } catch {
    return undefined;
  }
  return parseStrictObject(text);
}

/** Whether the text is the only one for its bytes: no stray bits after the last byte. */
function isCanonical(part: string): boolean {
  return Buffer.from(part, 'base64url').toString('base64url') === part;
}

function isKid(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_KID_LENGTH;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
