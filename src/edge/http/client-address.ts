/**
 * Where a request comes from, for counting failed authentications. Invariant: `X-Forwarded-For` counts only
 * as far back as proxies that the operator named; nobody else can choose their own source.
 */
import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';

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
    const peer = plain(incoming.socket.remoteAddress ?? '');
    const forwarded = incoming.headers['x-forwarded-for'];
    if (!this.#trustsAny || forwarded === undefined || !this.#isTrusted(peer)) return sourceOfAddress(peer);
    const hops = (Array.isArray(forwarded) ? forwarded.join(',') : forwarded).split(',');
    let source = peer;
    for (const hop of hops.reverse().slice(0, MAX_HOPS)) {
      const address = plain(hop.trim());
      if (isIP(address) === 0) break;
      source = address;
      if (!this.#isTrusted(address)) break;
    }
    return sourceOfAddress(source);
  }

  #isTrusted(address: string): boolean {
    const version = isIP(address);
    return version !== 0 && this.#trusted.check(address, version === 6 ? 'ipv6' : 'ipv4');
  }
}

/** IPv4 addresses inside IPv6 sockets are IPv4 addresses; a zone is no part of the source. */
function plain(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  return mapped ?? address.replace(/%.*$/, '');
}

/** One customer holds a whole /64, so that is the source. */
function sourceOfAddress(address: string): string {
  const version = isIP(address);
  if (version === 4) return address;
  if (version !== 6) return 'unknown';
  return `${expand(address).slice(0, 4).join(':')}::/64`;
}

/** The eight groups of an IPv6 address, without leading zeros. */
function expand(address: string): string[] {
  const dotted = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) =>
    [Number(a) * 256 + Number(b), Number(c) * 256 + Number(d)].map(group => group.toString(16)).join(':'),
  );
  const [head = '', tail] = dotted.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0');
  return [...left, ...zeros, ...right].map(group => Number.parseInt(group, 16).toString(16));
}
