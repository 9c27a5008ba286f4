/** What calls of models cost, as a bundle declares it. Invariant: money is whole micro-dollars. */
import { z } from 'zod';
import { idSchema } from './ids.ts';

/** Most prices of one list. */
export const MAX_PRICES = 2_000;

/** Micro-dollars. */
const money = z.int().min(0).max(1_000_000_000);
const priceShape = {
  inputPerMillion: money.default(0).meta({ description: 'micro-dollars per million input tokens' }),
  outputPerMillion: money.default(0).meta({ description: 'micro-dollars per million output tokens' }),
  perRequest: money.default(0).meta({ description: 'micro-dollars per request' }),
  perComputeSecond: money.default(0).meta({ description: 'micro-dollars per second of work' }),
};
export const priceSchema = z.strictObject(priceShape).meta({ id: 'Price' });
export type Price = Readonly<z.output<typeof priceSchema>>;

export const priceListSchema = z
  .strictObject({
    version: z.string().min(1).max(64).meta({ description: 'name of the list, as it is logged: `2026-11`' }),
    default: priceSchema.optional().meta({ description: 'of models that the list does not name' }),
    models: z
      .array(
        z.strictObject({
          model: idSchema.meta({ description: 'without its version' }),
          version: z.string().min(1).max(64).optional().meta({ description: 'absent: every version' }),
          ...priceShape,
        }),
      )
      .max(MAX_PRICES)
      .default([]),
  })
  .meta({ id: 'PriceList' });
export type PriceList = Readonly<z.output<typeof priceListSchema>>;
