/** Lists: `limit` and `cursor` in, `{items, nextCursor}` out. Invariant: no page is larger than MAX_LIMIT. */
import { z } from 'zod';

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

/** A page of these items. */
export function pageOf<T extends z.ZodType>(item: T) {
  return z.strictObject({
    items: z.array(item),
    nextCursor: z.string().nullable().meta({ description: 'null on the last page' }),
  });
}
