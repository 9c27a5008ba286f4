/**
 * The credential of the end caller as a gateway forwards it with a request. Invariant: it is never part of a
 * decision request, so nothing behind authentication, and no log, can hold it.
 */
import { z } from 'zod';

/** Longest token that is read at all, in characters; longer ones are a malformed request. */
export const MAX_CREDENTIAL_TEXT = 65_536;

export const presentedCredentialSchema = z
  .strictObject({
    kind: z.literal('jwt'),
    token: z.string().min(1).max(MAX_CREDENTIAL_TEXT),
    dpop: z
      .strictObject({
        proof: z.string().min(1).max(MAX_CREDENTIAL_TEXT),
        method: z.string().min(1).max(32).meta({ description: 'of the request that the gateway received' }),
        url: z.string().min(1).max(8192).meta({ description: 'external URL of that request' }),
      })
      .optional()
      .meta({ description: 'RFC 9449 proof, for tokens that are bound to a key' }),
    certificate: z
      .string()
      .max(128)
      .optional()
      .meta({ description: 'SHA-256 of the client certificate that the gateway saw, base64url or hex' }),
  })
  .meta({ id: 'PresentedCredential', description: 'the credential of the caller, to be verified here' });
export type PresentedCredential = Readonly<z.infer<typeof presentedCredentialSchema>>;
