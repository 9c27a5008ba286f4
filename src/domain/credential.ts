/** API keys as the service knows them: never the key, only its keyed hash. */
import { z } from 'zod';
import { type CallerRules, callerRulesSchema } from './caller-rules.ts';
import type { ClientCertificate } from './client-certificate.ts';
import { idSchema } from './ids.ts';
import { keylessText } from './keyless-text.ts';

export const ROLES = [
  'pep',
  'author',
  'approver',
  'directory',
  'auditor',
  'keys',
  'limits',
  'load',
  'admin',
] as const;
export const roleSchema = z.enum(ROLES).meta({ id: 'Role' });
/** What a credential may do (api.md, Roles of a credential). `admin` holds all of them. */
export type Role = z.infer<typeof roleSchema>;

/** The body of POST /v1/keys. */
export const keyRequestSchema = z
  .strictObject({
    roles: z.array(roleSchema).min(1).max(ROLES.length),
    tenants: z.array(idSchema).min(1).max(256).optional(),
    description: keylessText(256).default(''),
    expiresAt: z.iso.datetime({ offset: true }).optional(),
    /** Whether a `pep` key may assert `auth` in /decide. */
    mayAssert: z.boolean().default(true),
    /** How a `pep` key may bring in callers; absent: as the service is configured. */
    callers: callerRulesSchema.optional(),
  })
  .meta({ id: 'KeyRequest' });
export type KeyRequest = z.infer<typeof keyRequestSchema>;

/** One API key. `hash` is HMAC-SHA-256 of the secret under the server's pepper, base64url. */
export interface ApiKey {
  readonly id: string;
  readonly hash: string;
  readonly roles: readonly Role[];
  /** Absent: every tenant. */
  readonly tenants?: readonly string[];
  readonly description: string;
  readonly mayAssert: boolean;
  /** Absent: as the service is configured. */
  readonly callers?: CallerRules;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly expiresAt?: string;
  readonly revokedAt?: string;
  /** Made on the host of the service, past every key: `duramen break-glass`. */
  readonly breakGlass?: true;
}

/** Who makes a request, after authentication. */
export interface Credential {
  readonly keyId: string;
  readonly roles: ReadonlySet<Role>;
  /** undefined: every tenant. */
  readonly tenants: ReadonlySet<string> | undefined;
  readonly mayAssert: boolean;
  /** Absent: any caller may be asserted; `auth` only with `mayAssert`. */
  readonly callers?: CallerRules | undefined;
  /** The client certificate that came with the request, verified for it; absent: none did. */
  readonly certificate?: ClientCertificate | undefined;
  /** Milliseconds since the epoch; absent: it lasts. */
  readonly expiresAt?: number | undefined;
  /** As `ApiKey.breakGlass`. */
  readonly breakGlass?: true | undefined;
}
