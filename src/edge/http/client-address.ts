/**
 * Where a request comes from, for counting failed authentications. Invariant: `X-Forwarded-For` counts only
 * as far back as proxies that the operator named; nobody else can choose their own source.
 */
import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';
import { sourceOf } from '../../decision-log/auth-failures.ts';

/** Most hops of a forwarding chain that are looked at. */
const MAX_HOPS = 16;

export class ClientAddresses {
  readonly #trusted = new BlockList();
  readonly #trustsAny: boolean;

  /** @param networks addresses or `address/prefix`, validated. */
  constructor(networks: readonly string[]) {
    this.#trustsAny = networks.length > 0;
    for (const network of networks) {
      const [address = '', prefix] = network.split('/');
      const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
      if (prefix === undefined) this.#trusted.addAddress(address, family);
      else this.#trusted.addSubnet(address, Number(prefix), family);
    }
  }

  /** The address that sent the request, as a source: an IPv4 address, or the /64 of an IPv6 address. */
  sourceOf(incoming: IncomingMessage): string {
    const peer = plainAddress(incoming.socket.remoteAddress ?? '');
    const forwarded = incoming.headers['x-forwarded-for'];
    if (!this.#trustsAny || forwarded === undefined || !this.#isTrusted(peer)) return sourceOf(peer);
    const hops = (Array.isArray(forwarded) ? forwarded.join(',') : forwarded).split(',');
    let source = peer;
    for (const hop of hops.reverse().slice(0, MAX_HOPS)) {
      const address = plainAddress(hop.trim());
      if (isIP(address) === 0) break;
      source = address;
      if (!this.#isTrusted(address)) break;
    }
    return sourceOf(source);
  }

  #isTrusted(address: string): boolean {
    const version = isIP(address);
    return version !== 0 && this.#trusted.check(address, version === 6 ? 'ipv6' : 'ipv4');
  }
}

/** IPv4 addresses inside IPv6 sockets are IPv4 addresses; a zone is no part of an address. */
export function plainAddress(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  return mapped ?? address.replace(/%.*$/, '');
}
