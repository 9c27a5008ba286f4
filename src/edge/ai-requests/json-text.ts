/**
 * JSON bodies, strictly: one value, UTF-8, bounded depth and keys, no duplicate keys, no half surrogates.
 * Invariants: linear time; a text that merely ends too early is told from a text that is wrong; two readers
 * of an accepted text see the same members.
 */
import { isAscii, isUtf8 } from 'node:buffer';
import type { JsonValue } from '../../domain/json.ts';
import { outlineJson } from '../http/json-members.ts';
import { refuse } from './ai-request.ts';
import { findBodyFault, isTreacherousKey } from './json-scan.ts';

/** Deepest nesting: JSON schemas of tools nest deepest, and rarely beyond 20. */
export const MAX_BODY_DEPTH = 64;
/** Most members of all objects together: a request of 1 MiB with many messages has some ten thousand. */
export const MAX_BODY_MEMBERS = 100_000;

/**
 * @param isModelKey whether a key names models: of two such keys, neither can be preferred.
 * @throws RequestRefused BODY_INCOMPLETE, BODY_UNREADABLE or MODEL_AMBIGUOUS
 */
export function parseBodyJson(bytes: Uint8Array, isModelKey: (key: string) => boolean): JsonValue {
  if (!isUtf8(bytes)) refuse('BODY_UNREADABLE', 'the body is not UTF-8');
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = buffer.toString(isAscii(bytes) ? 'latin1' : 'utf8');
  const { members, isSuspicious, hasEscapedKey } = outlineJson(buffer, MAX_BODY_DEPTH);
  if (members > MAX_BODY_MEMBERS) {
    refuse('BODY_UNREADABLE', `the body has more than ${MAX_BODY_MEMBERS} members`);
  }
  if (isSuspicious || hasEscapedKey) refuseFault(text, isModelKey);
  if (hasEscapedKey)
    refuse('BODY_UNREADABLE', 'a key of the body is written with an escape for an ASCII character');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    refuseFault(text, isModelKey);
    refuse('BODY_UNREADABLE', 'the body is not valid JSON');
  }
  // a duplicate key leaves fewer members than the text writes
  if (countMembers(value) !== members || !isJson(value)) {
    refuseFault(text, isModelKey);
    refuse('BODY_UNREADABLE', 'the body can be read in two ways');
  }
  return value;
}

function refuseFault(text: string, isModelKey: (key: string) => boolean): void {
  const fault = findBodyFault(text, MAX_BODY_DEPTH);
  if (fault === undefined) return;
  if (fault.kind === 'ends') refuse('BODY_INCOMPLETE', 'the body ends in the middle of its JSON');
  if (fault.kind === 'duplicate' && isModelKey(fault.key)) {
    refuse('MODEL_AMBIGUOUS', `the body has the key \`${fault.key}\` twice in one object`);
  }
  refuse('BODY_UNREADABLE', `the body is not JSON that has one reading: ${fault.message}`);
}

/** Members of a parsed value; NaN, which equals nothing, when a key is one that readers treat differently. */
function countMembers(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  let members = 0;
  if (Array.isArray(value)) {
    for (const item of value) if (typeof item === 'object') members += countMembers(item);
    return members;
  }
  for (const [key, item] of Object.entries(value)) {
    if (isTreacherousKey(key)) return Number.NaN;
    members += typeof item === 'object' ? 1 + countMembers(item) : 1;
  }
  return members;
}

/** What `JSON.parse` returns is JSON: this only tells the compiler. */
function isJson(value: unknown): value is JsonValue {
  return value !== undefined;
}
