/**
 * How the end caller of a request was authenticated, as the answer and the log tell it. Invariant: closed words
 * alone, nothing of a credential and nobody's name.
 */
import { z } from 'zod';
import type { CallerNarrowing } from './caller-key.ts';
import { callerModeSchema } from './caller-rules.ts';

/** The part of the answer. */
export const callerAuthSchema = z
  .strictObject({
    mode: callerModeSchema,
    method: z.string().meta({ description: 'what `context.auth.method` was' }),
  })
  .meta({ id: 'CallerAuth', description: 'how the principal was authenticated, and by whom' });
export type CallerAuth = Readonly<z.infer<typeof callerAuthSchema>>;

/** What is known when the credential of the caller was verified here; the log keeps all but `narrowing`. */
export interface CallerAuthentication extends CallerAuth {
  readonly mode: 'verify';
  /** How the credential was bound to its sender: `none`, `dpop`, `certificate`, `dpop+certificate`. */
  readonly binding?: string;
  /** Why it was refused, of a closed set; the caller is told the code of the reason alone. */
  readonly cause?: string;
  /** What the credential limits the decision to. It stands here so that no way in can verify a caller and lose it. */
  readonly narrowing?: CallerNarrowing;
}
