/**
 * JSON bodies, strictly: one value, UTF-8, bounded depth and keys, no duplicate keys, no half surrogates.
 * Invariants: linear time; a text that merely ends too early is told from a text that is wrong; two readers
 * of an accepted text see the same members.
 */
import { isAscii, isUtf8 } from 'node:buffer';
import type { JsonValue } from '../../domain/json.ts';
import { refuse } from './ai-request.ts';
import { findBodyFault, isTreacherousKey } from './json-scan.ts';

/** Deepest nesting: JSON schemas of tools nest deepest, and rarely beyond 20. */
export const MAX_BODY_DEPTH = 64;
/** Most members of all objects together: a request of 1 MiB with many messages has some ten thousand. */
export const MAX_BODY_MEMBERS = 100_000;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const LETTER_U = 0x75;
const LETTER_D = 0x64;
/** The bit in which `[` and `{` differ, and `]` and `}`. */
const LOWER = 0x20;
const OPEN = 0x7b;
const CLOSE = 0x7d;

/**
 * @param isModelKey whether a key names models: of two such keys, neither can be preferred.
 * @throws RequestRefused BODY_INCOMPLETE, BODY_UNREADABLE or MODEL_AMBIGUOUS
 */
export function parseBodyJson(bytes: Uint8Array, isModelKey: (key: string) => boolean): JsonValue {
  if (!isUtf8(bytes)) refuse('BODY_UNREADABLE', 'the body is not UTF-8');
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(
    isAscii(bytes) ? 'latin1' : 'utf8',
  );
  const { members, isSuspicious } = scan(bytes);
  if (members > MAX_BODY_MEMBERS) {
    refuse('BODY_UNREADABLE', `the body has more than ${MAX_BODY_MEMBERS} members`);
  }
  if (isSuspicious) refuseFault(text, isModelKey);
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

/**
 * Colons outside of strings, which is the number of members that the text writes, and whether the slow look
 * must follow: for too deep nesting and for escapes that may be half surrogates.
 */
function scan(bytes: Uint8Array): { members: number; isSuspicious: boolean } {
  const { length } = bytes;
  let members = 0;
  let depth = 0;
  let isSuspicious = false;
  for (let at = 0; at < length; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte === QUOTE) {
      for (at += 1; at < length; at += 1) {
        const inside = bytes[at];
        if (inside === QUOTE) break;
        if (inside === BACKSLASH) {
          at += 1;
          if (bytes[at] === LETTER_U && ((bytes[at + 1] ?? 0) | LOWER) === LETTER_D) isSuspicious = true;
        }
      }
    } else if (byte === COLON) members += 1;
    else if ((byte | LOWER) === OPEN) {
      depth += 1;
      if (depth > MAX_BODY_DEPTH) return { members, isSuspicious: true };
    } else if ((byte | LOWER) === CLOSE) depth -= 1;
  }
  return { members, isSuspicious };
}

/** Members of a parsed value; NaN, which equals nothing, when a key is one that readers treat differently. */
function countMembers(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  let members = 0;
  if (Array.isArray(value)) {
    for (const item of value) members += countMembers(item);
    return members;
  }
  for (const [key, item] of Object.entries(value)) {
    if (isTreacherousKey(key)) return Number.NaN;
    members += 1 + countMembers(item);
  }
  return members;
}

/** What `JSON.parse` returns is JSON: this only tells the compiler. */
function isJson(value: unknown): value is JsonValue {
  return value !== undefined;
}
