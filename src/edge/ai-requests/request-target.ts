/**
 * Path and query of a request target, read so that no upstream could read another path. Invariant: a target
 * that two readers could normalise differently is refused, never normalised.
 */
import { refuse } from './ai-request.ts';

/** Longest target in characters: as long as common servers take. */
const MAX_TARGET_LENGTH = 8192;
/** Most query parameters. */
const MAX_PARAMETERS = 64;
/** Unreserved and sub-delimiter characters of RFC 3986 §3.3, without `;`, which some servers cut paths at. */
const SEGMENT = /^(?:[A-Za-z0-9\-._~!$&'()*+,=:@]|%[0-9A-Fa-f]{2})+$/;
const QUERY = /^(?:[A-Za-z0-9\-._~!$'()*+,:@/?[\]=&]|%[0-9A-Fa-f]{2})*$/;
/** Percent-encoded characters that need no encoding: readers disagree on whether they are equal to themselves. */
const NEEDLESS = /%(?:4[1-9A-Fa-f]|5[0-9Aa]|6[1-9A-Fa-f]|7[0-9Aa]|3[0-9]|2[DdEe]|5[Ff]|7[Ee])/;
const CONTROL = /%(?:[01][0-9A-Fa-f]|7[Ff]|5[Cc]|25)/;

/** A target taken apart. Segments are still percent-encoded. */
export interface RequestTarget {
  /** `['v1', 'chat', 'completions']`; the root is `['']`. */
  readonly segments: readonly string[];
  /** Names and values decoded, in order. */
  readonly parameters: readonly (readonly [name: string, value: string])[];
}

/** @param mayEndInSlash whether the operator wrote the path with a slash at its end. @throws RequestRefused INPUT_REJECTED */
export function parseTarget(target: string, mayEndInSlash = false): RequestTarget {
  if (target.length > MAX_TARGET_LENGTH) reject(`is longer than ${MAX_TARGET_LENGTH} characters`);
  if (!target.startsWith('/')) reject('is no absolute path');
  const mark = target.indexOf('?');
  const path = mark === -1 ? target : target.slice(0, mark);
  const segments = path.slice(1, mayEndInSlash && path.length > 1 ? -1 : undefined).split('/');
  if (segments.length > 1 || segments[0] !== '') segments.forEach(checkSegment);
  return { segments, parameters: mark === -1 ? [] : parseQuery(target.slice(mark + 1)) };
}

/** One decoded path segment, which may hold slashes and colons in encoded form. @throws RequestRefused */
export function decodeSegment(segment: string): string {
  if (!segment.includes('%')) return segment;
  const decoded = decode(segment);
  if (decoded.split('/').some(part => part === '' || part === '.' || part === '..')) {
    reject('holds an encoded slash beside nothing or a dot');
  }
  return decoded;
}

function checkSegment(segment: string): void {
  if (segment === '') reject('holds an empty segment');
  if (!SEGMENT.test(segment)) reject('holds a character that a path may not hold, or `;`');
  if (segment === '.' || segment === '..') reject('holds a dot segment');
  if (!segment.includes('%')) return;
  if (NEEDLESS.test(segment)) reject('percent-encodes a character that needs no encoding');
  if (CONTROL.test(segment)) reject('percent-encodes a control character, a backslash or a percent sign');
}

function parseQuery(query: string): (readonly [string, string])[] {
  if (!QUERY.test(query)) reject('has a query with a character that a query may not hold, or `;` or `#`');
  if (query === '') return [];
  const parts = query.split('&');
  if (parts.length > MAX_PARAMETERS) reject(`has more than ${MAX_PARAMETERS} query parameters`);
  return parts.map(part => {
    const equals = part.indexOf('=');
    const name = equals === -1 ? part : part.slice(0, equals);
    const value = equals === -1 ? '' : part.slice(equals + 1);
    return [decode(name.replaceAll('+', ' ')), decode(value.replaceAll('+', ' '))];
  });
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return reject('is percent-encoded, but not as UTF-8');
  }
}

function reject(what: string): never {
  refuse('INPUT_REJECTED', `the request target ${what}`);
}
