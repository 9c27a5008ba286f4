/**
 * How an address is called when it is blocked. Invariant: one name for all spellings of what counts as one address: an
 * IPv4 address, or the /64 of an IPv6 address, since whoever has one address of it has them all.
 */
import { parseAddress } from '../../domain/network-address.ts';

/** Groups of 16 bits of a /64. */
const NETWORK_GROUPS = 4;

/** `192.0.2.1` or `2001:db8:0:7::/64`; undefined for what is no address: nobody is blocked for that. */
export function penaltyAddress(text: string): string | undefined {
  const address = parseAddress(text);
  if (address === undefined) return undefined;
  const { groups, version } = address;
  if (version === 4) return groups.flatMap(group => [group >> 8, group & 0xff]).join('.');
  const network = groups.slice(0, NETWORK_GROUPS).map(group => group.toString(16));
  return `${network.join(':')}::/64`;
}

/** The name of what an operator writes: an address, or a network as it is listed. */
export function listedAddress(text: string): string | undefined {
  return penaltyAddress(text.endsWith('/64') ? text.slice(0, -'/64'.length) : text);
}
