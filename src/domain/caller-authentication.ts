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

/** The credential of a caller, as limits tell it from others. */
export interface CallerCredential {
  /**
   * Id of a key, `corp:client:web-app` or `corp:subject:4711` of an issuer's token, the SPIFFE id or the SHA-256 of a
   * certificate. Never the credential.
   */
  readonly id: string;
  /** Whether several principals come with it, as the users of one client do. */
  readonly isShared: boolean;
}

/** What is known when the credential of the caller was verified here; the log keeps all but `narrowing` and `credential`. */
export interface CallerAuthentication extends CallerAuth {
  readonly mode: 'verify';
  /** How the credential was bound to its sender: `none`, `dpop`, `certificate`, `dpop+certificate`. */
  readonly binding?: string;
  /** Why it was refused, of a closed set; the caller is told the code of the reason alone. */
  readonly cause?: string;
  /** What the credential limits the decision to. It stands here so that no way in can verify a caller and lose it. */
  readonly narrowing?: CallerNarrowing;
  /** What limits count by as `key`; absent: it was refused. */
  readonly credential?: CallerCredential;
}
