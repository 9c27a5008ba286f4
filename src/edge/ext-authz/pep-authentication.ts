/**
 * Which gateway asks. Invariants: a profile is used by the keys or the networks that it names, and by nobody
 * else; a failed attempt is recorded and counted like on every other route.
 */
import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';
import type { Credential } from '../../domain/credential.ts';
import { AppError } from '../../domain/errors.ts';
import type { PepProfile } from '../../domain/pep-profile.ts';
import { type Authenticator, type Peer, requireRole } from '../http/authentication.ts';

/** Tells the gateway of a question. */
export class PepAuthentication {
  readonly #profile: PepProfile;
  readonly #authenticator: Pick<Authenticator, 'authenticateGateway' | 'authenticatePeer'>;
  readonly #networks = new BlockList();

  constructor(
    profile: PepProfile,
    authenticator: Pick<Authenticator, 'authenticateGateway' | 'authenticatePeer'>,
  ) {
    this.#profile = profile;
    this.#authenticator = authenticator;
    if (profile.authentication.kind !== 'network') return;
    for (const network of profile.authentication.networks) {
      const [address = '', prefix] = network.split('/');
      const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
      if (prefix === undefined) this.#networks.addAddress(address, family);
      else this.#networks.addSubnet(address, Number(prefix), family);
    }
  }

  /** @throws AppError CREDENTIAL_REQUIRED, ROLE_REQUIRED or TOO_MANY_FAILED_AUTHENTICATIONS */
  authenticate(incoming: IncomingMessage): Credential {
    const { authentication } = this.#profile;
    if (authentication.kind === 'network') return this.#ofNetwork(incoming.socket.remoteAddress ?? '');
    if (authentication.kind === 'certificate') {
      return this.#ofCertificate(this.#authenticator.authenticateGateway(incoming, ''));
    }
    const value = incoming.headers[authentication.header];
    return this.#ofKey(typeof value === 'string' ? value : '', bearer =>
      this.#authenticator.authenticateGateway(incoming, bearer),
    );
  }

  /**
   * The same for a question that is no HTTP request.
   * @param valueOf a header of the call, which only the gateway writes.
   * @throws AppError CREDENTIAL_REQUIRED, ROLE_REQUIRED or TOO_MANY_FAILED_AUTHENTICATIONS
   */
  authenticatePeer(peer: Peer, valueOf: (header: string) => string): Credential {
    const { authentication } = this.#profile;
    if (authentication.kind === 'network') return this.#ofNetwork(peer.address);
    if (authentication.kind === 'certificate') {
      return this.#ofCertificate(this.#authenticator.authenticatePeer(peer, ''));
    }
    return this.#ofKey(valueOf(authentication.header), bearer =>
      this.#authenticator.authenticatePeer(peer, bearer),
    );
  }

  #ofNetwork(peer: string): Credential {
    const { authentication, name } = this.#profile;
    const address = peer.replace(/^::ffff:(?=\d+\.)/i, '');
    const version = isIP(address);
    if (
      authentication.kind !== 'network' ||
      version === 0 ||
      !this.#networks.check(address, version === 6 ? 'ipv6' : 'ipv4')
    ) {
      throw new AppError('CREDENTIAL_REQUIRED', `profile \`${name}\` is not for your network`);
    }
    const tenants = authentication.tenants === '*' ? undefined : new Set(authentication.tenants);
    return { keyId: `profile:${name}`, roles: new Set(['pep']), tenants, mayAssert: true };
  }

  /** Without a key the credential is that of the certificate, or there is none. */
  #ofCertificate(credential: Credential): Credential {
    const { authentication, name } = this.#profile;
    requireRole(credential, ['pep']);
    const rule = credential.certificate?.rule;
    const rules = authentication.kind === 'certificate' ? authentication.rules : [];
    if (rule === undefined || (rules !== undefined && !rules.includes(rule))) {
      throw new AppError('ROLE_REQUIRED', `the certificate may not use profile \`${name}\``);
    }
    return credential;
  }

  #ofKey(text: string, authenticate: (bearer: string) => Credential): Credential {
    const { authentication, name } = this.#profile;
    const credential = authenticate(text === '' || /^bearer /i.test(text) ? text : `Bearer ${text}`);
    requireRole(credential, ['pep']);
    const keyIds = authentication.kind === 'key' ? authentication.keyIds : undefined;
    if (keyIds !== undefined && !keyIds.includes(credential.keyId)) {
      throw new AppError('ROLE_REQUIRED', `the key may not use profile \`${name}\``);
    }
    return credential;
  }
}
