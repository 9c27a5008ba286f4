/**
 * Canonical JSON: RFC 8785 narrowed to integers within ±(2^53 − 1) and well-formed strings, so that equal values
 * have equal bytes and different values different ones, whatever library reads them.
 */
import { AppError } from '../domain/errors.ts';

/** What can be encoded. Properties that are undefined are absent. */
export type Encodable = null | boolean | number | string | readonly Encodable[] | EncodableObject;
interface EncodableObject {
  readonly [key: string]: Encodable | undefined;
}

/** Deepest nesting: far above what a request can hold, far below what a stack can. */
export const MAX_DEPTH = 64;

/** Characters that JSON escapes, and halves of surrogate pairs, which may stand alone. */
const SPECIAL = /[^ !#-[\]-\ud7ff\ue000-\uffff]/;

/**
 * The canonical text of a value: keys in the order of their UTF-16 code units, no white space.
 * @throws AppError INVALID_REQUEST when a number is not a safe integer, a string is not well-formed, or the
 * nesting is deeper than MAX_DEPTH; it says where
 */
export function canonicalJson(value: Encodable): string {
  const text = encode(value, 0);
  if (text === undefined) throw refusal(value);
  return text;
}

/**
 * The canonical text of an object with one more member, whose text is given: the object has none of that name.
 * @throws as `canonicalJson`
 */
export function canonicalWith(object: EncodableObject, name: string, memberText: string): string {
  const member = `${canonicalString(name)}:${memberText}`;
  let text = '';
  let isPlaced = false;
  for (const key of sortedKeys(object)) {
    const value = object[key];
    if (value === undefined) continue;
    const encoded = encode(value, 1);
    const keyText = encodeString(key);
    if (encoded === undefined || keyText === undefined) throw refusal(object);
    if (!isPlaced && name < key) {
      text += `${text === '' ? '{' : ','}${member}`;
      isPlaced = true;
    }
    text += `${text === '' ? '{' : ','}${keyText}:${encoded}`;
  }
  if (isPlaced) return `${text}}`;
  return `${text === '' ? '{' : `${text},`}${member}}`;
}

/** The canonical text of a string alone. @throws as `canonicalJson` */
export function canonicalString(text: string): string {
  return encodeString(text) ?? canonicalJson(text);
}

/** The canonical text of a number alone. @throws as `canonicalJson` */
export function canonicalNumber(value: number): string {
  return isCanonicalNumber(value) ? `${value}` : canonicalJson(value);
}

/** Whether canonical JSON can hold the number. */
function isCanonicalNumber(value: number): boolean {
  return Number.isSafeInteger(value);
}

/** Undefined where there is no canonical form: the search for the place is left to `refusal`, off the fast path. */
function encode(value: Encodable, depth: number): string | undefined {
  switch (typeof value) {
    case 'string':
      return encodeString(value);
    case 'number':
      return isCanonicalNumber(value) ? `${value}` : undefined;
    case 'boolean':
      return value ? 'true' : 'false';
    default:
      if (value === null) return 'null';
      if (depth >= MAX_DEPTH) return undefined;
      return isList(value) ? encodeList(value, depth) : encodeObject(value, depth);
  }
}

function encodeString(text: string): string | undefined {
  if (!SPECIAL.test(text)) return `"${text}"`;
  // On well-formed text, the escapes of ECMAScript are those of RFC 8785 §3.2.2.2.
  return text.isWellFormed() ? JSON.stringify(text) : undefined;
}

function encodeList(list: readonly Encodable[], depth: number): string | undefined {
  let text = '';
  for (const element of list) {
    const encoded = encode(element, depth + 1);
    if (encoded === undefined) return undefined;
    text += text === '' ? `[${encoded}` : `,${encoded}`;
  }
  return text === '' ? '[]' : `${text}]`;
}

function encodeObject(object: EncodableObject, depth: number): string | undefined {
  let text = '';
  for (const key of sortedKeys(object)) {
    const value = object[key];
    if (value === undefined) continue;
    const name = encodeString(key);
    const encoded = encode(value, depth + 1);
    if (name === undefined || encoded === undefined) return undefined;
    text += `${text === '' ? '{' : ','}${name}:${encoded}`;
  }
  return text === '' ? '{}' : `${text}}`;
}

/** Sorting is skipped for keys that are in order already. */
function sortedKeys(object: object): string[] {
  const keys = Object.keys(object);
  let previous = '';
  for (const key of keys) {
    if (key < previous) return keys.sort();
    previous = key;
  }
  return keys;
}

function isList(value: object): value is readonly Encodable[] {
  return Array.isArray(value);
}

/** Finds what `encode` gave up on. */
function refusal(root: Encodable): AppError {
  const search = (value: Encodable, pointer: string, depth: number): AppError | undefined => {
    if (typeof value === 'string')
      return encodeString(value) === undefined ? loneSurrogate(pointer) : undefined;
    if (typeof value === 'number') return isCanonicalNumber(value) ? undefined : oddNumber(pointer, value);
    if (typeof value !== 'object' || value === null) return undefined;
    if (depth >= MAX_DEPTH) return tooDeep(pointer);
    for (const [key, below] of Object.entries(value)) {
      if (encodeString(key) === undefined) return loneSurrogate(pointer);
      const found = below === undefined ? undefined : search(below, `${pointer}/${key}`, depth + 1);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return search(root, '', 0) ?? unrepresentable('', 'it has no canonical form', 'report this as a defect');
}

function loneSurrogate(pointer: string): AppError {
  return unrepresentable(
    pointer,
    'a string has half of a surrogate pair',
    'send well-formed Unicode: a character beyond U+FFFF is two \\u escapes, high then low',
  );
}

function oddNumber(pointer: string, value: number): AppError {
  return unrepresentable(
    pointer,
    `\`${value}\` is not an integer within ±(2^53 − 1)`,
    'send a string, or an integer in a smaller unit',
  );
}

function tooDeep(pointer: string): AppError {
  return unrepresentable(pointer, `nested deeper than ${MAX_DEPTH} levels`, 'send a flatter value');
}

function unrepresentable(pointer: string, message: string, hint: string): AppError {
  return new AppError('INVALID_REQUEST', `the decision log cannot hold the entry: ${message}`, {
    problems: [{ pointer, message, hint }],
  });
}
