/** Reading untrusted JSON shapes of the policy decoder. Invariant: own keys only, and none is ignored. */

/** A policy that Duramen does not evaluate. The message is one line and speaks to the author. */
export class UnsupportedPolicyError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UnsupportedPolicyError';
  }
}

/** @throws UnsupportedPolicyError always. */
export function refuse(message: string): never {
  throw new UnsupportedPolicyError(message);
}

type JsonShape = Readonly<Record<string, unknown>>;

export function objectOf(json: unknown, what: string): JsonShape {
  return isShape(json) ? json : refuse(`a ${what} must be a JSON object`);
}

function isShape(json: unknown): json is JsonShape {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

export function listOf(json: unknown, what: string): readonly unknown[] {
  return Array.isArray(json) ? json : refuse(`\`${what}\` must be a JSON array`);
}

export function listAt(json: JsonShape, key: string): readonly unknown[] {
  return listOf(json[key], key);
}

export function textOf(json: unknown, what: string): string {
  return typeof json === 'string' ? json : refuse(`\`${what}\` must be a string`);
}

export function textAt(json: JsonShape, key: string): string {
  return textOf(json[key], key);
}

export function keyPresent(json: JsonShape, key: string): boolean {
  return Object.hasOwn(json, key);
}

/** Refuses a missing key and a key that is neither required nor optional. */
export function exactKeys(json: JsonShape, required: string[], optional: string[], what: string): void {
  for (const key of required) {
    if (!keyPresent(json, key)) refuse(`a ${what} lacks \`${key}\``);
  }
  for (const key of Object.keys(json)) {
    if (!required.includes(key) && !optional.includes(key))
      refuse(`a ${what} has the unknown key \`${key}\``);
  }
}
