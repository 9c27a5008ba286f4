/** What the reference says about a setting beside its type. Invariant: every setting of the schema is registered. */
import { z } from 'zod';

export interface SettingNotes {
  readonly description: string;
  readonly unit?: string;
  /** Never shown: `effective` and the reference print `(secret)`. */
  readonly secret?: boolean;
}

export const settingNotes = z.registry<SettingNotes>();
