/** JSON as a type: what `JSON.parse` can return. Nothing in here is trusted until a schema has parsed it. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: JsonValue;
}
