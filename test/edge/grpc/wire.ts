/**
 * Protobuf by hand: just enough to write a CheckRequest and to read a CheckResponse without any of the code that
 * the service uses. Field numbers are those of Envoy's protos.
 */

/** A part of a message: its tag with its value. */
export type Field = Buffer;

export function varint(value: number | bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

/** A number, a truth value or an enumeration. */
export function int(number: number, value: number | bigint): Field {
  return Buffer.concat([varint(number << 3), varint(value)]);
}

/** A text, bytes, or a message of these fields. */
export function part(number: number, value: string | Uint8Array | readonly Field[]): Field {
  const bytes =
    typeof value === 'string'
      ? Buffer.from(value)
      : value instanceof Uint8Array
        ? value
        : Buffer.concat(value);
  return Buffer.concat([varint((number << 3) | 2), varint(bytes.byteLength), bytes]);
}

/** One entry of a map. */
export function entry(number: number, key: string, value: string | Uint8Array | readonly Field[]): Field {
  return part(number, [part(1, key), part(2, value)]);
}

/** A message taken apart: the values of each field number, in order. */
export class Message {
  readonly #fields = new Map<number, (bigint | Buffer)[]>();

  constructor(bytes: Uint8Array) {
    const buffer = Buffer.from(bytes);
    let at = 0;
    const next = (): bigint => {
      let value = 0n;
      for (let shift = 0n; ; shift += 7n) {
        const byte = buffer[at];
        if (byte === undefined) throw new Error('the message ends in a number');
        at += 1;
        value |= BigInt(byte & 0x7f) << shift;
        if (byte < 0x80) return value;
      }
    };
    while (at < buffer.byteLength) {
      const tag = Number(next());
      const kind = tag & 7;
      if (kind === 0) this.#add(tag >> 3, next());
      else if (kind === 1) {
        this.#add(tag >> 3, buffer.subarray(at, at + 8));
        at += 8;
      } else if (kind === 2) {
        const length = Number(next());
        if (at + length > buffer.byteLength) throw new Error('the message ends in a field');
        this.#add(tag >> 3, buffer.subarray(at, at + length));
        at += length;
      } else throw new Error(`the message has a field of kind ${kind}`);
    }
  }

  #add(number: number, value: bigint | Buffer): void {
    const known = this.#fields.get(number);
    if (known === undefined) this.#fields.set(number, [value]);
    else known.push(value);
  }

  /** Numbers of the fields that are there. */
  numbers(): number[] {
    return [...this.#fields.keys()].sort((a, b) => a - b);
  }

  /** The last value, as readers take it; undefined: absent. */
  int(number: number): number | undefined {
    const value = this.#fields.get(number)?.at(-1);
    return typeof value === 'bigint' ? Number(value) : undefined;
  }

  all(number: number): Buffer[] {
    return (this.#fields.get(number) ?? []).filter(value => typeof value !== 'bigint');
  }

  text(number: number): string | undefined {
    return this.all(number).at(-1)?.toString('utf8');
  }

  message(number: number): Message | undefined {
    const bytes = this.all(number).at(-1);
    return bytes === undefined ? undefined : new Message(bytes);
  }

  messages(number: number): Message[] {
    return this.all(number).map(bytes => new Message(bytes));
  }
}
