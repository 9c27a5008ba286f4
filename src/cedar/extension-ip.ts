/**
 * Cedar `ipaddr`: an IPv4 or IPv6 address with a prefix length. Parsing follows Cedar 4.13, which is
 * stricter than most: no leading zeros, no zone, no embedded IPv4 in IPv6.
 */
import { IpValue } from '../domain/value.ts';

const V6_GROUPS = 8;
const ZERO = '0'.charCodeAt(0);
const DOT = '.'.charCodeAt(0);
/** Cedar refuses longer texts; the longest legal one is a full IPv6 address with `/128`. */
const MAX_LENGTH = 43;

/** Parses an address or a range in CIDR notation; undefined when malformed. */
export function parseIp(text: string): IpValue | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  const slash = text.indexOf('/');
  const address = slash < 0 ? text : text.slice(0, slash);
  const version = address.includes(':') ? 6 : 4;
  const bits = version === 6 ? parseV6(address) : parseV4(address);
  const width = version === 6 ? 128 : 32;
  const prefix = slash < 0 ? width : parsePrefix(text.slice(slash + 1), width);
  return bits === undefined || prefix === undefined ? undefined : new IpValue(version, bits, prefix);
}

function parsePrefix(text: string, width: number): number | undefined {
  if (!/^(?:0|[1-9][0-9]{0,2})$/.test(text)) return undefined;
  const prefix = Number(text);
  return prefix <= width ? prefix : undefined;
}

/** Reads it digit by digit: most requests have an address, and taking the text apart costs ten times as much. */
function parseV4(text: string): bigint | undefined {
  let bits = 0;
  let octet = 0;
  let digits = 0;
  let dots = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === DOT) {
      if (digits === 0) return undefined;
      bits = bits * 256 + octet;
      octet = 0;
      digits = 0;
      dots += 1;
      continue;
    }
    const digit = code - ZERO;
    const leadsWithZero = digits > 0 && octet === 0;
    octet = octet * 10 + digit;
    digits += 1;
    if (!(digit >= 0 && digit <= 9) || leadsWithZero || octet > 255) return undefined;
  }
  return digits === 0 || dots !== 3 ? undefined : BigInt(bits * 256 + octet);
}

function parseV6(text: string): bigint | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map(half => (half === '' ? [] : half.split(':')));
  if (head === undefined) return undefined;
  // `::` stands for at least one group of zeros.
  const zeros = V6_GROUPS - head.length - (tail?.length ?? 0);
  if (tail === undefined ? zeros !== 0 : zeros < 1) return undefined;
  const groups = [...head, ...Array<string>(zeros).fill('0'), ...(tail ?? [])];
  let bits = 0n;
  for (const group of groups) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined;
    bits = (bits << 16n) | BigInt(`0x${group}`);
  }
  return bits;
}

/** Whether every address of `inner` is in `outer`; false across versions. */
export function isInRange(inner: IpValue, outer: IpValue): boolean {
  if (inner.version !== outer.version || inner.prefix < outer.prefix) return false;
  const hostBits = BigInt(widthOf(outer) - outer.prefix);
  return inner.bits >> hostBits === outer.bits >> hostBits;
}

/** 127.0.0.0/8 and its subranges, or ::1. */
export function isLoopback(ip: IpValue): boolean {
  return ip.version === 4 ? ip.prefix >= 8 && ip.bits >> 24n === 127n : ip.prefix === 128 && ip.bits === 1n;
}

/** 224.0.0.0/4, ff00::/8 and their subranges. */
export function isMulticast(ip: IpValue): boolean {
  return ip.version === 4
    ? ip.prefix >= 4 && ip.bits >> 28n === 0xen
    : ip.prefix >= 8 && ip.bits >> 120n === 0xffn;
}

/** A text that parses to the value; the prefix is left out when it is the full width. */
export function formatIp(ip: IpValue): string {
  const address = ip.version === 4 ? formatV4(ip.bits) : formatV6(ip.bits);
  return ip.prefix === widthOf(ip) ? address : `${address}/${ip.prefix}`;
}

function formatV4(bits: bigint): string {
  return [24n, 16n, 8n, 0n].map(shift => String((bits >> shift) & 0xffn)).join('.');
}

/** RFC 5952 §4: lower case, no leading zeros, the longest run of two or more zero groups as `::`. */
function formatV6(bits: bigint): string {
  const groups = Array.from({ length: V6_GROUPS }, (_, i) =>
    ((bits >> BigInt(112 - 16 * i)) & 0xffffn).toString(16),
  );
  const run = groups
    .join(':')
    .match(/\b0(?::0)+\b/g)
    ?.reduce((best, next) => (next.length > best.length ? next : best));
  if (run === undefined) return groups.join(':');
  const full = `:${groups.join(':')}:`;
  const start = full.indexOf(`:${run}:`);
  const [before, after] = [full.slice(1, Math.max(start, 1)), full.slice(start + run.length + 2, -1)];
  return `${before}::${after}`;
}

function widthOf(ip: IpValue): number {
  return ip.version === 4 ? 32 : 128;
}
