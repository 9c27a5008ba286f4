/**
 * The hash of an input as gateways give it: `sha256:` and the hex SHA-256 of its bytes, for JSON those of RFC 8785.
 * Invariant: JSON texts with one meaning have one hash; a text with two meanings never came this far (json-body.ts).
 */
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { JsonValue } from '../../domain/json.ts';

export function hashOfJson(input: JsonValue): string {
  const text = canonicalize(input);
  if (text === undefined) throw new Error('a JSON value has no canonical form');
  return hashOfText(text);
}

/** Of the text's UTF-8 bytes. */
export function hashOfText(text: string): string {
  return `sha256:${createHash('sha256').update(text, 'utf8').digest('hex')}`;
}
