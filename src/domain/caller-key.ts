/**
 * API keys of end callers as the service knows them: never the key, only its keyed hash. Invariant: whatever a key
 * names beside its owner only narrows what the policies give that owner.
 */
import { z } from 'zod';
import { type EntityRef, entityRefSchema, idSchema } from './ids.ts';

/** Whom a key can belong to. */
export const OWNER_TYPES = ['User', 'Service', 'Agent'] as const;

/** Most alternatives of one key, and most names in a list of one of them. */
const MAX_SCOPES = 16;
const MAX_NAMES = 256;
const MAX_ACTIONS = 64;
/** Most networks of one key. */
const MAX_NETWORKS = 64;
/** Longest network: a full IPv6 address with `/128`. */
const MAX_NETWORK_TEXT = 43;
/** Most OAuth scopes of one key, as many as a request may carry. */
const MAX_OAUTH_SCOPES = 64;

const names = z.array(idSchema).min(1).max(MAX_NAMES).optional();

const callerKeyScopeSchema = z
  .strictObject({
    actions: z
      .array(z.string().regex(/^[A-Za-z][A-Za-z0-9_]{0,63}$/, 'must be the name of an action or of a group'))
      .min(1)
      .max(MAX_ACTIONS)
      .optional()
      .meta({ description: 'actions, or groups of them such as `Inference`; absent: every action' }),
    models: names.meta({ description: 'with their versions; absent with `modelGroups`: every resource' }),
    modelGroups: names,
    tenants: names.meta({ description: 'of the data and of everything that a request names' }),
  })
  .refine(scope => Object.values(scope).some(value => value !== undefined), 'must narrow something')
  .meta({ id: 'CallerKeyScope', description: 'all of it has to hold' });
export type CallerKeyScope = Readonly<z.infer<typeof callerKeyScopeSchema>>;

/** What a key may be used for. */
export const callerKeyLimitsShape = {
  scopes: z
    .array(callerKeyScopeSchema)
    .max(MAX_SCOPES)
    .default([])
    .meta({ description: 'one of them has to cover the whole request; empty: no limit' }),
  networks: z
    .array(z.string().max(MAX_NETWORK_TEXT))
    .max(MAX_NETWORKS)
    .default([])
    .meta({ description: 'addresses or CIDR networks that `context.ip` has to be in; empty: no limit' }),
  oauthScopes: z
    .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/, 'must be an OAuth scope'))
    .max(MAX_OAUTH_SCOPES)
    .default([])
    .meta({ description: '`context.auth.scopes` of decisions with the key' }),
};

export const ownerSchema = entityRefSchema.refine(({ type }) => OWNER_TYPES.some(one => one === type), {
  path: ['type'],
  message: `must be one of ${OWNER_TYPES.map(type => `\`${type}\``).join(', ')}`,
});

/** What the owner of a key may do with it. */
export const SELF_SERVICE = ['list', 'rotate', 'revoke'] as const;
export type SelfService = (typeof SELF_SERVICE)[number];

/** What becomes of a key that is reported to have leaked. */
export const LEAK_RESPONSES = ['revoke', 'flag'] as const;
export type LeakResponse = (typeof LEAK_RESPONSES)[number];

/** What a decision with a key is held to, beside the policies. */
export interface CallerNarrowing {
  /** One has to cover the request; empty: no limit. */
  readonly scopes: readonly CallerKeyScope[];
  /** Addresses or CIDR networks; empty: no limit. */
  readonly networks: readonly string[];
}

/** Why a key ended before its time. */
export const REVOCATION_CAUSES = ['request', 'owner', 'tenant', 'leak', 'lineage'] as const;
export type RevocationCause = (typeof REVOCATION_CAUSES)[number];

/** The end of a key. */
export interface CallerKeyRevocation {
  /** RFC 3339 UTC. */
  readonly at: string;
  readonly by: string;
  readonly cause: RevocationCause;
  readonly reason: string;
}

/** One key. Times are RFC 3339 UTC. */
export interface CallerKey extends CallerNarrowing {
  readonly id: string;
  /** HMAC-SHA-256 of the SHA-256 of the key under the pepper of that version, base64url. */
  readonly hash: string;
  readonly pepper: number;
  readonly owner: EntityRef;
  /** The tenant of the owner when the key was made; absent: the owner had none. */
  readonly tenant?: string;
  readonly description: string;
  readonly oauthScopes: readonly string[];
  readonly createdAt: string;
  /** Id of the key that made it, or `caller-key:<id>` when a key of a caller made its own successor. */
  readonly createdBy: string;
  readonly notBefore?: string;
  readonly expiresAt: string;
  /** The key that it follows. */
  readonly replaces?: string;
  /** The key that follows it, and since when. */
  readonly supersededBy?: string;
  readonly supersededAt?: string;
  readonly revoked?: CallerKeyRevocation;
  /** When it was reported to have leaked. */
  readonly leakedAt?: string;
}

/** What a key looks like to its keepers: everything but how it is hashed. */
export type CallerKeyRecord = Omit<CallerKey, 'hash' | 'pepper'>;

/** When and from where a key was used last. */
export interface CallerKeyUse {
  readonly id: string;
  /** Minutes since the epoch. */
  readonly minute: number;
  /** /24 of an IPv4 address, /48 of an IPv6 address; absent: the gateway named none. */
  readonly network?: string;
}
