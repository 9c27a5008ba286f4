/**
 * From the `Authorization` header to a credential, once for every route. Invariants: a failure is recorded
 * and counted before it is answered; an answer tells an unknown key from a wrong secret by nothing; what a
 * connection proved is known to that connection alone.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Credential, Role } from '../../domain/credential.ts';
import { AppError } from '../../domain/errors.ts';
import { holdsRole } from '../../identity/authority.ts';
import type { FailureLimiter } from '../../identity/failure-limiter.ts';
import {
  type AuthFailure,
  type AuthFailureCause,
  type ConnectionMemory,
  type KeyRing,
  rememberNothing,
} from '../../identity/key-ring.ts';
import type { ControlGate } from '../../control/control-gate.ts';
import { SERVICE } from '../../control/question.ts';
import type { ClientAddresses } from './client-address.ts';
import type { Route } from './route.ts';

/** Hears of every failed authentication: the decision log and the metrics. Must not throw. */
export type FailureRecorder = (source: string, failure: AuthFailure) => void;

const DETAILS: Readonly<Record<AuthFailureCause, string>> = {
  missing: 'the request has no credential: send `Authorization: Bearer dmn_…`',
  scheme: 'the `Authorization` header must use the scheme `Bearer`: send `Authorization: Bearer dmn_…`',
  malformed: 'the key does not have the form of a key: check that it was copied as a whole',
  checksum: 'the key has a typo: its checksum does not fit',
  unknown: 'the key is not valid here',
  mismatch: 'the key is not valid here',
  expired: 'the key has expired',
  revoked: 'the key was revoked',
};

export class Authenticator {
  readonly #ring: KeyRing;
  readonly #limiter: FailureLimiter;
  readonly #addresses: ClientAddresses;
  readonly #record: FailureRecorder;
  /** What each connection proved, forgotten with it. */
  readonly #connections = new WeakMap<Socket, ConnectionMemory>();

  constructor(ring: KeyRing, limiter: FailureLimiter, addresses: ClientAddresses, record: FailureRecorder) {
    this.#ring = ring;
    this.#limiter = limiter;
    this.#addresses = addresses;
    this.#record = record;
  }

  /**
   * @param header with the key: gateways forward `Authorization` of their clients and send theirs in another.
   * @throws AppError CREDENTIAL_REQUIRED or TOO_MANY_FAILED_AUTHENTICATIONS.
   */
  authenticate(incoming: IncomingMessage, header = incoming.headers.authorization): Credential {
    return this.#prove(header, this.#memoryOf(incoming.socket), () => this.#addresses.sourceOf(incoming));
  }

  /**
   * The same for a listener that has no IncomingMessage.
   * @param address of the peer, as the socket sees it.
   * @throws AppError CREDENTIAL_REQUIRED or TOO_MANY_FAILED_AUTHENTICATIONS.
   */
  authenticatePeer(address: string, header: string | undefined): Credential {
    return this.#prove(header, rememberNothing(), () => address);
  }

  #prove(header: string | undefined, memory: ConnectionMemory, sourceOf: () => string): Credential {
    const { credential, failure } = this.#ring.authenticate(header, memory);
    if (credential !== undefined) return credential;
    const source = sourceOf();
    this.#record(source, failure);
    const wait = this.#limiter.count(source);
    if (wait === undefined) throw new AppError('CREDENTIAL_REQUIRED', DETAILS[failure.cause]);
    throw new AppError(
      'TOO_MANY_FAILED_AUTHENTICATIONS',
      `${DETAILS[failure.cause]}; too many failures from your address`,
      {
        retryAfterSeconds: wait,
      },
    );
  }

  #memoryOf(socket: Socket): ConnectionMemory {
    let memory = this.#connections.get(socket);
    if (memory === undefined) {
      memory = rememberNothing();
      this.#connections.set(socket, memory);
    }
    return memory;
  }
}

/**
 * Whether the credential may call the route at all, before its body is read: a decision of the control plane about
 * the service. Handlers ask again about the layer, entity or key that the call turns out to be about.
 * @throws AppError ROLE_REQUIRED or TENANT_NOT_ALLOWED
 */
export function requireAccess(
  control: ControlGate,
  credential: Credential,
  { access, operation }: Pick<Route, 'access' | 'operation'>,
): void {
  if (access === 'public') return;
  if (access === 'pep') requireRole(credential, [access]);
  else {
    const roles = access === 'any' ? undefined : access;
    control.require({ credential, operation, object: SERVICE }, { roles });
  }
}

/**
 * The lookup that stands in for a decision of the control plane where a PEP asks for decisions.
 * @throws AppError ROLE_REQUIRED unless the credential holds one of the roles.
 */
export function requireRole(credential: Credential, roles: readonly Role[]): void {
  if (roles.some(role => holdsRole(credential, role))) return;
  const wanted = roles.map(role => `\`${role}\``).join(' or ');
  throw new AppError('ROLE_REQUIRED', `this needs a credential with the role ${wanted}`);
}
