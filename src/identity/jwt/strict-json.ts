/**
 * JSON inside tokens and key documents, strictly. Invariant: a text in which two readers could see different
 * values (duplicate keys, `__proto__`, half surrogates, infinite numbers) is refused; depth and size are bounded.
 */
import type { JsonObject, JsonValue } from '../../domain/json.ts';

/** Deepest nesting: tokens need 4, chains of actors 7. */
const MAX_DEPTH = 12;
/** Most members and items in one text. */
const MAX_NODES = 4096;

/** The object that the text stands for; undefined when it is no JSON object that every reader reads alike. */
export function parseStrictObject(text: string): JsonObject | undefined {
  const members = countMembers(text);
  if (members === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const census = { members: 0, nodes: 0 };
  // a duplicate key leaves fewer members in the value than colons in the text
  if (!isSound(value, census) || census.members !== members) return undefined;
  return isJsonObject(value) ? value : undefined;
}

/** Whether a JSON value is an object. */
export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Colons outside strings; undefined when the nesting is too deep, or a key is written with an escape: no issuer needs
 * one, and a parser was seen to read such a key as another. Faults of the syntax are left to the parser.
 */
function countMembers(text: string): number | undefined {
  let members = 0;
  let depth = 0;
  let inString = false;
  let isEscaped = false;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (inString) {
      if (character === '\\') {
        isEscaped = true;
        at += 1;
      } else if (character === '"') inString = false;
    } else if (character === '"') {
      inString = true;
      isEscaped = false;
    } else if (character === ':') {
      if (isEscaped) return undefined;
      members += 1;
    } else if (character === '{' || character === '[') {
      depth += 1;
      if (depth > MAX_DEPTH) return undefined;
    } else if (character === '}' || character === ']') depth -= 1;
  }
  return members;
}

function isSound(value: unknown, census: { members: number; nodes: number }): value is JsonValue {
  census.nodes += 1;
  if (census.nodes > MAX_NODES) return false;
  if (typeof value === 'string') return value.isWellFormed();
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || value === null) return true;
  if (Array.isArray(value)) return value.every(item => isSound(item, census));
  return Object.entries(value).every(([key, item]) => {
    census.members += 1;
    return key !== '__proto__' && key.isWellFormed() && isSound(item, census);
  });
}
