/**
 * What is asked of the control plane: who calls which route, about what. Invariant: these are plain facts of keys,
 * layers and entities; how Cedar sees them is the matter of cedar-world.ts alone.
 */
import type { ApiKey, Credential } from '../domain/credential.ts';
import type { EntityRef, LayerName } from '../domain/ids.ts';
import type { PepProfile } from '../domain/pep-profile.ts';

/** What a call is about. */
export type ControlObject =
  /** The service as a whole: every call, before more is known. */
  | { readonly kind: 'service' }
  | { readonly kind: 'layer'; readonly layer: LayerName }
  /** `tenant`: its owner; undefined when it belongs to none. */
  | { readonly kind: 'entity'; readonly ref: EntityRef; readonly tenant: string | undefined }
  | { readonly kind: 'key'; readonly key: KeyFacts }
  | { readonly kind: 'callerKey'; readonly key: CallerKeyFacts }
  | { readonly kind: 'profile'; readonly profile: ProfileFacts };

/** A profile of a gateway that is looked at, written or removed. */
export type ProfileFacts = Pick<PepProfile, 'name' | 'kind' | 'authentication' | 'identity'>;

/** A key of a caller that is looked at, made, rotated or revoked. `id` is absent while it is made. */
export interface CallerKeyFacts {
  readonly id?: string | undefined;
  readonly owner: EntityRef;
  /** Of the owner; undefined: it has none. */
  readonly tenant: string | undefined;
  readonly oauthScopes: readonly string[];
  /** Whether it reaches less than its owner does. */
  readonly isNarrowed: boolean;
  /** RFC 3339. */
  readonly expiresAt: string;
}

/** A key that is looked at, made or revoked. `id` is absent while it is made. */
export interface KeyFacts extends Pick<ApiKey, 'roles' | 'mayAssert'> {
  readonly id?: string | undefined;
  readonly tenants?: readonly string[] | undefined;
  readonly callers?: ApiKey['callers'] | undefined;
  /** RFC 3339. */
  readonly expiresAt?: string | undefined;
  readonly breakGlass?: true | undefined;
}

export interface ControlQuestion {
  readonly credential: Credential;
  /** Operation of the route: `pushBundle`. */
  readonly operation: string;
  readonly object: ControlObject;
  /** Key that pushed the bundle which is to be activated. */
  readonly pushedBy?: string | undefined;
}

/** The answer. `policies` are the determining ones, by full id, sorted. */
export type ControlVerdict =
  | { readonly allowed: true; readonly policies: readonly string[] }
  | {
      readonly allowed: false;
      /** `no-permit`: nothing permits it, whatever forbids it too; `tenant`: only its tenants keep the key from it. */
      readonly cause: 'policy' | 'tenant' | 'no-permit' | 'failure';
      readonly policies: readonly string[];
      /** One sentence for the caller. */
      readonly reason: string;
    };

export const SERVICE: ControlObject = { kind: 'service' };
