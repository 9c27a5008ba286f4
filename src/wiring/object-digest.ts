/** How events name the state of an object: a digest that anybody can make of what the API answers. */
import { createHash } from 'node:crypto';
import { canonicalJson } from '../decision-log/canonical-json.ts';
import type { JsonObject } from '../domain/json.ts';

/** `sha256:…` of the canonical JSON (RFC 8785 with integers alone). @throws AppError INVALID_REQUEST where there is none */
export function objectDigest(value: JsonObject): string {
  return `sha256:${createHash('sha256').update(canonicalJson(value)).digest('hex')}`;
}
