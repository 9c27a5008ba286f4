/**
 * Principals of trusted issuers that the directory does not know yet. Invariants: only issuers that are configured
 * so make principals; each is made once, through the directory like any other, with an entry in the log; a principal
 * that exists keeps its attributes and its status.
 */
import type { EntityRef } from '../../domain/ids.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { TokenCause } from '../jwt/token-cause.ts';
import type { VerifiedToken } from '../jwt/token-verifier.ts';

/** The directory as enrolment sees it. */
export interface PrincipalRegistry {
  /** The tenant that owns the principal, if any owns it; undefined when there is no such principal. */
  find(principal: EntityRef): { readonly tenant: string | undefined } | undefined;
  /** Ids of the roles that a principal has directly. */
  rolesOf(principal: EntityRef): readonly string[];
  /** Makes a principal unless it exists. Durable and visible to decisions when it resolves. */
  create(
    principal: EntityRef,
    roles: readonly string[],
    attributes: JsonObject,
    issuer: string,
  ): Promise<void>;
  /** Replaces the roles of a principal; its other parents stay. As `create`. */
  setRoles(principal: EntityRef, roles: readonly string[], issuer: string): Promise<void>;
}

export class Enrolment {
  readonly #registry: PrincipalRegistry;
  /** Hears of an enrolment that failed. Must not throw. */
  readonly #failed: (error: unknown) => void;
  readonly #inFlight = new Map<string, Promise<TokenCause | undefined>>();

  constructor(registry: PrincipalRegistry, failed: (error: unknown) => void) {
    this.#registry = registry;
    this.#failed = failed;
  }

  /**
   * Makes or updates the principal of a token where its issuer is configured so.
   * @returns why it cannot be the principal; undefined when it is.
   */
  ensure(token: VerifiedToken): Promise<TokenCause | undefined> | TokenCause | undefined {
    const { issuer, mapped } = token;
    const { justInTime } = issuer;
    const known = this.#registry.find(mapped.principal);
    // whoever moved the principal to another tenant took it from the issuer
    if (known !== undefined && known.tenant !== mapped.tenant) return 'tenant';
    if (justInTime === undefined) return undefined;
    const exists = known !== undefined;
    const isCurrent = (): boolean => isSame(this.#registry.rolesOf(mapped.principal), mapped.roles);
    if (exists && (!justInTime.updateRoles || isCurrent())) return undefined;
    const name = `${mapped.principal.type} ${mapped.principal.id}`;
    const running = this.#inFlight.get(name);
    // what is under way may be for another token, of other roles
    if (running !== undefined) return running.then(cause => cause ?? this.ensure(token));
    const enrolling = this.#enrol(token, exists, justInTime.attributes).finally(() =>
      this.#inFlight.delete(name),
    );
    this.#inFlight.set(name, enrolling);
    return enrolling;
  }

  async #enrol(
    { issuer, mapped }: VerifiedToken,
    exists: boolean,
    attributes: JsonObject,
  ): Promise<TokenCause | undefined> {
    const { principal, roles } = mapped;
    try {
      if (exists) await this.#registry.setRoles(principal, roles, issuer.name);
      else await this.#registry.create(principal, roles, attributes, issuer.name);
      // somebody else may have made it, or moved it, while this waited
      const known = this.#registry.find(principal);
      return known === undefined || known.tenant === mapped.tenant ? undefined : 'tenant';
    } catch (error) {
      this.#failed(error);
      return 'enrolment';
    }
  }
}

function isSame(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every(one => right.includes(one));
}
