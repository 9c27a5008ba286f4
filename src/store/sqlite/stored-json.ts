/** JSON columns back to values. Invariant: a column that is not what was written is damage, never data. */
import { AppError, messageOf } from '../../domain/errors.ts';

/** @param what named in the message: `an event of the outbox`. @throws AppError STORE_UNAVAILABLE */
export function parseStored<T>(text: string, is: (value: unknown) => value is T, what: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw damaged(what, messageOf(error));
  }
  if (!is(value)) throw damaged(what, 'it has another shape');
  return value;
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isStringArray(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(item => typeof item === 'string');
}

export function isStringRecord(value: unknown): value is Readonly<Record<string, string>> {
  return isObject(value) && Object.values(value).every(item => typeof item === 'string');
}

function damaged(what: string, detail: string): AppError {
  return new AppError(
    'STORE_UNAVAILABLE',
    `the database is damaged: ${what} cannot be read: ${detail}: restore a backup`,
  );
}
