/** JSON as a type: what `JSON.parse` can return. Nothing in here is trusted until a schema has parsed it. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

/** Whether JSON is a list. */
export function isJsonList(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value);
}

/** Whether JSON is an object. */
export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const NO_LIST: readonly JsonValue[] = [];
const NO_OBJECT: JsonObject = {};

/** The text that a value is; empty when it is none. For readers who take what is absent or foreign as nothing. */
export function textOf(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : '';
}

/** The list that a value is; empty when it is none. */
export function listOf(value: JsonValue | undefined): readonly JsonValue[] {
  return isJsonList(value) ? value : NO_LIST;
}

/** The object that a value is; empty when it is none. */
export function objectOf(value: JsonValue | undefined): JsonObject {
  return isJsonObject(value) ? value : NO_OBJECT;
}
