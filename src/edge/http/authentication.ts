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
import type { CertificateCause } from '../../identity/certificates/certificate-cause.ts';
import type { CertificateOutcome } from '../../identity/client-certificate.ts';
import type { ClientAddresses } from './client-address.ts';
import type { RequesterCertificates } from './requester-certificates.ts';
import type { Route } from './route.ts';

/** Hears of every failed authentication: the decision log and the metrics. Must not throw. */
export type FailureRecorder = (source: string, failure: RecordedFailure) => void;
type RecordedFailure = AuthFailure | { readonly cause: CertificateCause };

/** One sentence, so that whoever finds a key does not learn whether it ever worked. */
const NOT_ACCEPTED = 'the key is not accepted: it is unknown, has expired or was revoked';

const DETAILS: Readonly<Record<AuthFailureCause, string>> = {
  missing: 'the request has no credential: send `Authorization: Bearer dmn_…`',
  scheme: 'the `Authorization` header must use the scheme `Bearer`: send `Authorization: Bearer dmn_…`',
  malformed: 'the key does not have the form of a key: check that it was copied as a whole',
  checksum: 'the key has a typo: its checksum does not fit',
  unknown: NOT_ACCEPTED,
  mismatch: NOT_ACCEPTED,
  expired: NOT_ACCEPTED,
  revoked: NOT_ACCEPTED,
};

/** Who holds a connection on which no HTTP requests of ours arrive. */
export interface Peer {
  /** As the socket sees it. */
  readonly address: string;
  readonly socket: Socket;
}

/** One sentence for whatever is wrong with a certificate: probing tells nothing apart. */
const CERTIFICATE_REFUSED = 'the client certificate is not accepted';
const FORWARDING_REFUSED = 'a client certificate in the headers is not accepted from this connection';

export class Authenticator {
  readonly #ring: KeyRing;
  readonly #limiter: FailureLimiter;
  readonly #addresses: ClientAddresses;
  readonly #record: FailureRecorder;
  readonly #certificates: RequesterCertificates;
  /** What each connection proved, forgotten with it. */
  readonly #connections = new WeakMap<Socket, ConnectionMemory>();

  constructor(
    ring: KeyRing,
    limiter: FailureLimiter,
    addresses: ClientAddresses,
    record: FailureRecorder,
    certificates: RequesterCertificates,
  ) {
    this.#ring = ring;
    this.#limiter = limiter;
    this.#addresses = addresses;
    this.#record = record;
    this.#certificates = certificates;
  }

  /**
   * By the key, or without one by the client certificate. A certificate that came must hold even beside a key.
   * @throws AppError CREDENTIAL_REQUIRED or TOO_MANY_FAILED_AUTHENTICATIONS.
   */
  authenticate(incoming: IncomingMessage): Credential {
    const source = (): string => this.#addresses.sourceOf(incoming);
    const shown = this.#certificates.requester(incoming);
    return this.#admit(incoming.socket, incoming.headers.authorization, shown, source);
  }

  /**
   * The same for the question of a gateway, whose headers are those of its client.
   * @param header with the key of the gateway, which sends it in one of its own.
   * @throws AppError CREDENTIAL_REQUIRED or TOO_MANY_FAILED_AUTHENTICATIONS.
   */
  authenticateGateway(incoming: IncomingMessage, header: string): Credential {
    const source = (): string => this.#addresses.sourceOf(incoming);
    return this.#admit(incoming.socket, header, this.#certificates.holder(incoming.socket), source);
  }

  /**
   * The same for a gateway that does not ask over HTTP/1.1.
   * @throws AppError CREDENTIAL_REQUIRED or TOO_MANY_FAILED_AUTHENTICATIONS.
   */
  authenticatePeer({ socket, address }: Peer, header: string | undefined): Credential {
    return this.#admit(socket, header, this.#certificates.holder(socket), () => address);
  }

  #admit(
    socket: Socket,
    header: string | undefined,
    shown: CertificateOutcome | undefined,
    sourceOf: () => string,
  ): Credential {
    if (shown?.cause !== undefined) {
      const isForwarded = shown.cause.startsWith('forwarded_');
      return this.#refuse(sourceOf(), shown, isForwarded ? FORWARDING_REFUSED : CERTIFICATE_REFUSED);
    }
    const memory = this.#memoryOf(socket);
    if (shown === undefined) return this.#prove(header, memory, sourceOf);
    const { credential, certificate } = shown.identity;
    if (header !== undefined && header !== '') {
      return { ...this.#prove(header, memory, sourceOf), certificate };
    }
    if (credential !== undefined) return credential;
    const name = certificate.subject === undefined ? '' : ` \`${certificate.subject}\``;
    return this.#refuse(
      sourceOf(),
      { cause: 'certificate_unmapped' },
      `the client certificate${name} is valid, and no rule makes it a credential: send a key too`,
    );
  }

  #prove(header: string | undefined, memory: ConnectionMemory, sourceOf: () => string): Credential {
    const { credential, failure } = this.#ring.authenticate(header, memory);
    if (credential !== undefined) return credential;
    return this.#refuse(sourceOf(), failure, DETAILS[failure.cause]);
  }

  #refuse(source: string, failure: RecordedFailure, detail: string): never {
    this.#record(source, failure);
    const keyId = 'keyId' in failure ? failure.keyId : undefined;
    const waits = [
      this.#limiter.count(source),
      // many addresses that guess at one key; ids that are none are invented, and not worth remembering
      ...(keyId === undefined || failure.cause === 'unknown' ? [] : [this.#limiter.count(`key ${keyId}`)]),
    ].filter(wait => wait !== undefined);
    if (waits.length === 0) throw new AppError('CREDENTIAL_REQUIRED', detail);
    throw new AppError(
      'TOO_MANY_FAILED_AUTHENTICATIONS',
      `${detail}; too many failures from your address, or with this key`,
      { retryAfterSeconds: Math.max(...waits) },
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
