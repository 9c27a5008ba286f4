/**
 * Which addresses may be asked for an issuer's documents. Invariant: https to the issuer's host or a listed one;
 * a private or loopback address only where the operator listed the host; plain http only to a listed loopback.
 */
import { BlockList, isIP } from 'node:net';

export interface HostRules {
  /** Names that may be asked, lower case, without port. */
  readonly hosts: ReadonlySet<string>;
  /** `name` or `name:port` that may have private addresses. */
  readonly privateHosts: ReadonlySet<string>;
}

/** Networks that are not the public internet: IANA's special-purpose registries. */
const SPECIAL_NETWORKS = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
  ['::', 127],
  ['::ffff:0:0', 96],
  ['64:ff9b::', 32],
  ['100::', 64],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
  ['5f00::', 16],
  ['fc00::', 7],
  ['fe80::', 9],
  ['ff00::', 8],
] as const;

/** @param issuer the `iss`, whose host is allowed when it is a URL. */
export function hostRules(
  issuer: string,
  hosts: readonly string[],
  privateHosts: readonly string[],
): HostRules {
  const own = URL.canParse(issuer) ? [new URL(issuer).hostname] : [];
  const lower = (name: string): string => name.toLowerCase();
  return { hosts: new Set([...own, ...hosts].map(lower)), privateHosts: new Set(privateHosts.map(lower)) };
}

/** Why a URL may not be asked; undefined when it may. @param what named in the message. */
export function checkUrl(text: string, rules: HostRules, what: string): string | undefined {
  if (!URL.canParse(text)) return `${what} is no URL`;
  const url = new URL(text);
  if (url.username !== '' || url.password !== '' || url.hash !== '') {
    return `${what} must have no user, password or fragment`;
  }
  if (!rules.hosts.has(url.hostname)) {
    return `${what} is at host \`${url.hostname}\`, which is neither the issuer's own nor in \`keyHosts\``;
  }
  if (url.protocol === 'http:' && isLoopbackName(url.hostname) && mayBePrivate(url, rules)) return undefined;
  if (url.protocol !== 'https:') {
    return `${what} must use https (http only for a loopback address in \`privateHosts\`)`;
  }
  const address = bareAddress(url.hostname);
  if (isIP(address) !== 0 && !mayBePrivate(url, rules) && new AddressBook().isSpecial(address)) {
    return `${what} has a private address, which is not in \`privateHosts\``;
  }
  return undefined;
}

/** Whether the operator expects a private address behind this host. */
export function mayBePrivate(url: URL, { privateHosts }: HostRules): boolean {
  return privateHosts.has(url.hostname) || privateHosts.has(url.host);
}

/** Tells special-purpose addresses from those of the public internet. */
export class AddressBook {
  /** Apart, because a list that holds mapped IPv4 addresses as an IPv6 network takes every IPv4 address for one. */
  readonly #v4 = new BlockList();
  readonly #v6 = new BlockList();

  constructor() {
    for (const [network, prefix] of SPECIAL_NETWORKS) {
      if (network.includes(':')) this.#v6.addSubnet(network, prefix, 'ipv6');
      else this.#v4.addSubnet(network, prefix, 'ipv4');
    }
  }

  isSpecial(address: string): boolean {
    return isIP(address) === 6 ? this.#v6.check(address, 'ipv6') : this.#v4.check(address, 'ipv4');
  }
}

/** An IPv6 address as URLs write it, without its brackets. */
export function bareAddress(hostname: string): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
}

function isLoopbackName(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}
