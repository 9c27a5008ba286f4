/**
 * The credential of the end caller as a gateway forwards it with a request. Invariant: it is never part of a
 * decision request, so nothing behind authentication, and no log, can hold it.
 */
import { z } from 'zod';

/** Longest token that is read at all, in characters; longer ones are a malformed request. */
export const MAX_CREDENTIAL_TEXT = 65_536;

const presentedTokenSchema = z.strictObject({
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
});
export type PresentedToken = Readonly<z.infer<typeof presentedTokenSchema>>;

const presentedOpaqueSchema = presentedTokenSchema
  .omit({ kind: true })
  .extend({
    kind: z.literal('opaque'),
    issuer: z.string().min(1).max(32).optional().meta({
      description:
        'name of the issuer in the configuration; absent: the only one that takes tokens which are no JWT',
    }),
  })
  .meta({ description: 'a token that is no JWT: its issuer is asked what it is' });
export type PresentedOpaque = Readonly<z.infer<typeof presentedOpaqueSchema>>;

const presentedKeySchema = z.strictObject({
  kind: z.literal('api_key'),
  key: z.string().min(1).max(MAX_CREDENTIAL_TEXT).meta({ description: '`dmc_…`' }),
});
export type PresentedKey = Readonly<z.infer<typeof presentedKeySchema>>;

const presentedCertificateSchema = z.strictObject({
  kind: z.literal('mtls'),
  certificate: z.string().min(1).max(MAX_CREDENTIAL_TEXT).optional().meta({
    description:
      'PEM, with the chain behind it, from a gateway that may forward certificates; absent: the certificate of whoever asks',
  }),
});
export type PresentedCertificate = Readonly<z.infer<typeof presentedCertificateSchema>>;

export const presentedCredentialSchema = z
  .discriminatedUnion('kind', [
    presentedTokenSchema,
    presentedOpaqueSchema,
    presentedKeySchema,
    presentedCertificateSchema,
  ])
  .meta({ id: 'PresentedCredential', description: 'the credential of the caller, to be verified here' });
export type PresentedCredential = PresentedToken | PresentedOpaque | PresentedKey | PresentedCertificate;

/** First characters of every key of a caller. */
export const CALLER_KEY_START = 'dmc_';

/**
 * What a client sent as its one bearer credential: a key by how it starts, a JWT by its three parts, else an opaque
 * token.
 * @param certificate SHA-256 of the client's certificate, for tokens that are bound to one.
 */
export function presentedBearer(text: string, certificate: string | undefined): PresentedCredential {
  if (text.startsWith(CALLER_KEY_START)) return { kind: 'api_key', key: text };
  const kind = text.split('.', 4).length === 3 ? 'jwt' : 'opaque';
  return { kind, token: text, ...(certificate === undefined ? {} : { certificate }) };
}
