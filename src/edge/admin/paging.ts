/** Lists: `limit` and `cursor` in, `{items, nextCursor}` out. Invariant: no page is larger than MAX_LIMIT. */
import { z } from 'zod';
import { AppError } from '../../domain/errors.ts';

/** Largest page (api.md, first paragraph). */
const MAX_LIMIT = 1000;
const DEFAULT_LIMIT = 100;

/** `limit` of a query: text that is a number from 1 to 1000. */
export const limitSchema = z
  .string()
  .regex(/^\d{1,4}$/, `must be a number from 1 to ${MAX_LIMIT}`)
  .transform(Number)
  .refine(limit => limit >= 1 && limit <= MAX_LIMIT, `must be a number from 1 to ${MAX_LIMIT}`)
  .default(DEFAULT_LIMIT)
  .meta({
    type: 'integer',
    minimum: 1,
    maximum: MAX_LIMIT,
    default: DEFAULT_LIMIT,
    description: 'Size of the page',
  });

/** `cursor` of a query. */
export const cursorSchema = z
  .string()
  .min(1)
  .max(2048)
  .optional()
  .meta({ description: 'Opaque cursor of an earlier page' });

/** `true` or `false` in a query. */
export const flagSchema = z
  .enum(['true', 'false'])
  .default('false')
  .transform(text => text === 'true')
  .meta({ type: 'boolean', default: false });

/** The cursor that stands for a key of the list: the next page begins behind it. */
export function encodeCursor(key: string): string {
  return Buffer.from(key, 'utf8').toString('base64url');
}

/**
 * The key that a cursor stands for; undefined without a cursor.
 * @throws AppError INVALID_REQUEST when it is not of the form that this list gives
 */
export function decodeCursor(cursor: string | undefined, form: RegExp): string | undefined {
  if (cursor === undefined) return undefined;
  const key = Buffer.from(cursor, 'base64url').toString('utf8');
  if (form.test(key)) return key;
  throw new AppError('INVALID_REQUEST', 'the cursor is not one that this service gave', {
    problems: [{ pointer: '?cursor', message: 'unknown cursor', hint: 'start again without a cursor' }],
  });
}

/** The first `limit` of the items, and a cursor to what follows when there is more. @param keyOf what the list is sorted by */
export function pageFrom<T>(items: readonly T[], limit: number, keyOf: (item: T) => string) {
  const page = items.slice(0, limit);
  const last = page.at(-1);
  return {
    items: page,
    nextCursor: last === undefined || items.length <= limit ? null : encodeCursor(keyOf(last)),
  };
}

/** A page of these items. */
export function pageOf<T extends z.ZodType>(item: T) {
  return z.strictObject({
    items: z.array(item),
    nextCursor: z.string().nullable().meta({ description: 'null on the last page' }),
  });
}
