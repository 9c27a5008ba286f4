/** Settings of callers' keys: how long they may last, how they are hashed, and what becomes of one that leaked. */
import { z } from 'zod';
import { LEAK_RESPONSES, SELF_SERVICE } from '../domain/caller-key.ts';
import { idSchema } from '../domain/ids.ts';
import { settingNotes } from './setting-notes.ts';

/** Shortest pepper that may be set by hand, in characters. */
const MIN_PEPPER_LENGTH = 43;
/** Most peppers that are in use at once. */
const MAX_PEPPERS = 16;
/** Most tenants with a limit of their own. */
const MAX_TENANTS = 10_000;

const days = z.int().min(1).max(366);

export const callerKeySettings = z.strictObject({
  maxLifetimeDays: days.default(90).register(settingNotes, {
    description:
      "Longest life of a caller's key. A later expiry is refused; keys that exist are left as they are.",
    unit: 'days',
  }),
  tenantLifetimes: z
    .array(z.strictObject({ tenant: idSchema, maxLifetimeDays: days }))
    .max(MAX_TENANTS)
    .default([])
    .register(settingNotes, {
      description:
        "Tenants with another longest life of their callers' keys: `{tenant, maxLifetimeDays}`. In the environment a JSON array.",
      unit: 'tenants',
    }),
  maxOverlapHours: z.int().min(0).max(2160).default(168).register(settingNotes, {
    description: 'Longest time in which a key that was rotated goes on working beside its successor.',
    unit: 'hours',
  }),
  onLeak: z.enum(LEAK_RESPONSES).default('revoke').register(settingNotes, {
    description:
      'What becomes of a key that is reported to have leaked: `revoke` ends it at once, `flag` marks it and tells the log.',
  }),
  selfService: z
    .array(z.enum(SELF_SERVICE))
    .max(SELF_SERVICE.length)
    .default([...SELF_SERVICE])
    .register(settingNotes, {
      description:
        'What the owner of a key may do with it at `/v1/self/caller-keys`: `list`, `rotate`, `revoke`. Comma-separated in the environment.',
      unit: 'operations',
    }),
  peppers: z
    .array(
      z.strictObject({
        version: z.int().min(1).max(1_000_000),
        secret: z
          .string()
          .min(MIN_PEPPER_LENGTH, `must have at least ${MIN_PEPPER_LENGTH} characters`)
          .max(512)
          .regex(/^[\x21-\x7e]+$/, 'must be printable ASCII without spaces'),
      }),
    )
    .min(1)
    .max(MAX_PEPPERS)
    .refine(
      peppers => new Set(peppers.map(({ version }) => version)).size === peppers.length,
      'must have each version once',
    )
    .optional()
    .register(settingNotes, {
      description:
        "Server secrets under which callers' keys are hashed: `{version, secret}`; the greatest version hashes new keys. Without it they are kept in `caller-key-peppers` in the data folder (mode 0600). A version that is taken away ends its keys.",
      unit: 'peppers',
      secret: true,
    }),
});
