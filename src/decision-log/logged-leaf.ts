/** Leaves as readers get them: the text is exact, and parsed only for those who look into it. */
import type { JsonObject } from '../domain/json.ts';
import type { LoggedLeaf } from './ports.ts';

/** @param leafHash hex */
export function loggedLeaf(index: number, leafHash: string, json: string): LoggedLeaf {
  let content: JsonObject | undefined;
  return {
    index,
    leafHash,
    json,
    get content() {
      content ??= parseLeaf(json);
      return content;
    },
  };
}

/** @throws Error when the text is not a JSON object: the log is damaged */
export function parseLeaf(json: string): JsonObject {
  const parsed: unknown = JSON.parse(json);
  if (!isObject(parsed)) throw new Error('a leaf of the decision log is not a JSON object');
  return parsed;
}

/** Of what JSON.parse returned, which holds nothing but JSON. */
function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
