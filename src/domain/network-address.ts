/**
 * Addresses as limits count and match them, and as networks of keys hold them. Invariant: an address has one form
 * whatever way it was written; an IPv4 address in IPv6 (`::ffff:192.0.2.1`) is the IPv4 address, so that nobody has two.
 */

/** What is counted together when the address of a caller is not known or cannot be read. */
export const UNKNOWN_ADDRESS = 'unknown';

/** An address in groups of 16 bits: two for IPv4, eight for IPv6. */
export interface NetworkAddress {
  readonly version: 4 | 6;
  readonly groups: readonly number[];
}

/** An address with how many of its bits count. */
export interface Network extends NetworkAddress {
  readonly prefix: number;
}

const DECIMAL = /^(?:0|[1-9][0-9]{0,2})$/;
const HEXADECIMAL = /^[0-9A-Fa-f]{1,4}$/;
/** Longest text of an address; longer ones are not read. */
const MAX_TEXT = 45;

/** Reads an address as RFC 4291 and dotted decimal write it, without zone and prefix; undefined for all else. */
export function parseAddress(text: string): NetworkAddress | undefined {
  if (text.length > MAX_TEXT) return undefined;
  if (!text.includes(':')) {
    const groups = parseV4(text);
    return groups === undefined ? undefined : { version: 4, groups };
  }
  const groups = parseV6(text);
  if (groups === undefined) return undefined;
  const isMapped = groups[5] === 0xffff && groups.slice(0, 5).every(group => group === 0);
  return isMapped ? { version: 4, groups: groups.slice(6) } : { version: 6, groups };
}

/** Reads an address or a CIDR network; an address alone is a network of one. */
export function parseNetwork(text: string): Network | undefined {
  const [address = '', prefix, ...rest] = text.split('/');
  const parsed = parseAddress(address);
  if (parsed === undefined || rest.length > 0) return undefined;
  const width = parsed.version === 4 ? 32 : 128;
  if (prefix === undefined) return { ...parsed, prefix: width };
  if (!DECIMAL.test(prefix)) return undefined;
  // a mapped network is written with the bits of IPv6
  const bits = parsed.version === 4 && address.includes(':') ? Number(prefix) - 96 : Number(prefix);
  return bits >= 0 && bits <= width ? { ...parsed, prefix: bits } : undefined;
}

/** Whether an address is in a network. */
export function isWithin(address: NetworkAddress, network: Network): boolean {
  if (address.version !== network.version) return false;
  for (let at = 0; at * 16 < network.prefix; at++) {
    const mask = maskOf(network.prefix - at * 16);
    if (((address.groups[at] ?? 0) & mask) !== ((network.groups[at] ?? 0) & mask)) return false;
  }
  return true;
}

/**
 * What is counted together of an address: its first bits in one spelling, `4/32:c000:201`.
 * @param text as the request has it; what is no address shares one counter
 */
export function addressKey(text: string | undefined, ipv4Bits: number, ipv6Bits: number): string {
  const address = text === undefined ? undefined : parseAddress(text);
  if (address === undefined) return UNKNOWN_ADDRESS;
  const bits = address.version === 4 ? ipv4Bits : ipv6Bits;
  let key = `${address.version}/${bits}`;
  for (let at = 0; at * 16 < bits; at++) {
    key += `:${((address.groups[at] ?? 0) & maskOf(bits - at * 16)).toString(16)}`;
  }
  return key;
}

/** The first `bits` of 16. */
function maskOf(bits: number): number {
  return bits >= 16 ? 0xffff : (0xffff << (16 - bits)) & 0xffff;
}

function parseV4(text: string): number[] | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every(part => DECIMAL.test(part) && Number(part) <= 255)) return undefined;
  const [a = 0, b = 0, c = 0, d = 0] = parts.map(Number);
  return [(a << 8) | b, (c << 8) | d];
}

function parseV6(text: string): number[] | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0] ?? '', halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1] ?? '', true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  // `::` stands for at least one group
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  return [...head, ...Array.from({ length: missing }, () => 0), ...tail];
}

/** @param isLast whether the text ends the address, where the last 32 bits may be dotted decimal */
function parseGroups(text: string, isLast: boolean): number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [position, part] of parts.entries()) {
    if (isLast && position === parts.length - 1 && part.includes('.')) {
      const v4 = parseV4(part);
      if (v4 === undefined) return undefined;
      groups.push(...v4);
    } else if (HEXADECIMAL.test(part)) groups.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return groups.length <= 8 ? groups : undefined;
}
