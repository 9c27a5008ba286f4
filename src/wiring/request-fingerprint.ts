/**
 * What requests of one id are compared by. Invariant: the same for the same request however its JSON is written, and another
 * for every other request.
 */
import { createHash } from 'node:crypto';
import { canonicalJson } from '../decision-log/canonical-json.ts';
import type { DecisionRequest } from '../domain/decision-request.ts';
import { AppError } from '../domain/errors.ts';

/** SHA-256 of the canonical JSON (RFC 8785). */
export function requestFingerprint(request: DecisionRequest): string {
  return createHash('sha256').update(textOf(request)).digest('base64url');
}

function textOf(request: DecisionRequest): string {
  try {
    return canonicalJson(request);
  } catch (error) {
    // what has no canonical form is refused later, in the words of whoever refuses it
    if (error instanceof AppError) return JSON.stringify(request);
    throw error;
  }
}
