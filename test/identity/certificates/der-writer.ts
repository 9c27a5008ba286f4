/** Writes DER, and on request what only looks like it: the tests make every certificate that they need at run time. */

type Bytes = Uint8Array;

export function element(tag: number, ...contents: readonly Bytes[]): Buffer {
  const content = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag]), lengthOf(content.length), content]);
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length]);
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return Buffer.from([0x80 + bytes.length, ...bytes]);
}

export const sequence = (...contents: readonly Bytes[]): Buffer => element(0x30, ...contents);
export const set = (...contents: readonly Bytes[]): Buffer => element(0x31, ...contents);
export const octets = (content: Bytes): Buffer => element(0x04, content);
export const bitBytes = (content: Bytes): Buffer => element(0x03, Buffer.from([0]), content);
export const yes = (): Buffer => element(0x01, Buffer.from([0xff]));

export function integer(value: bigint | number): Buffer {
  let hex = BigInt(value).toString(16);
  if (hex.length % 2 === 1) hex = `0${hex}`;
  if (Number.parseInt(hex.slice(0, 2), 16) >= 0x80) hex = `00${hex}`;
  return element(0x02, Buffer.from(hex, 'hex'));
}

export function objectId(id: string): Buffer {
  const [first = 0, second = 0, ...rest] = id.split('.').map(Number);
  const bytes = [first * 40 + second, ...rest].flatMap(part => {
    const digits = [part & 0x7f];
    for (let left = Math.floor(part / 128); left > 0; left = Math.floor(left / 128)) {
      digits.unshift((left & 0x7f) | 0x80);
    }
    return digits;
  });
  return element(0x06, Buffer.from(bytes));
}

/** A list of named bits, without trailing zeros. */
export function namedBits(set: readonly number[]): Buffer {
  const last = Math.max(-1, ...set);
  if (last === -1) return element(0x03, Buffer.from([0]));
  const bytes = Buffer.alloc(Math.floor(last / 8) + 1);
  for (const bit of set) bytes[Math.floor(bit / 8)] = (bytes[Math.floor(bit / 8)] ?? 0) | (0x80 >> (bit % 8));
  return element(0x03, Buffer.from([7 - (last % 8)]), bytes);
}

/** A time as RFC 5280 writes it. */
export function time(milliseconds: number): Buffer {
  const text = new Date(milliseconds)
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(/[-:T]/g, '');
  const year = Number(text.slice(0, 4));
  return year < 2050
    ? element(0x17, Buffer.from(text.slice(2), 'latin1'))
    : element(0x18, Buffer.from(text, 'latin1'));
}

/** `CN=a,O=b` as a name whose first part is the first one here. */
export function name(text: string): Buffer {
  const types: Readonly<Record<string, string>> = { CN: '2.5.4.3', O: '2.5.4.10', OU: '2.5.4.11' };
  const parts = text.split(',').map(part => {
    const [type = '', value = ''] = part.split('=');
    return set(sequence(objectId(types[type] ?? '2.5.4.99'), element(0x0c, Buffer.from(value, 'latin1'))));
  });
  return sequence(...parts);
}
