/** Builds tar archives byte by byte, hostile ones too: what no packer would write. */
import { gzipSync } from 'node:zlib';

export interface TarItem {
  readonly name: string | Uint8Array;
  readonly data?: string | Uint8Array;
  /** '0' file, '5' directory, '1' hard link, '2' symbolic link, 'x' and 'g' PAX, 'L' GNU long name. */
  readonly type?: string;
  readonly linkName?: string;
  readonly mtime?: number;
  readonly uid?: number;
  /** Written instead of the true size. */
  readonly size?: number;
  readonly magic?: string;
  readonly checksum?: number;
}

const END = Buffer.alloc(1024);

export function tar(items: readonly TarItem[], end: Uint8Array = END): Buffer {
  return Buffer.concat([...items.map(block), end]);
}

export function tarGz(items: readonly TarItem[], end: Uint8Array = END): Buffer {
  return gzipSync(tar(items, end));
}

/** A PAX record with its own length in front (POSIX.1-2017, pax). */
export function paxRecord(key: string, value: string): string {
  const body = ` ${key}=${value}\n`;
  let length = Buffer.byteLength(body) + 1;
  while (String(length).length + Buffer.byteLength(body) !== length) length++;
  return `${length}${body}`;
}

function block(item: TarItem): Buffer {
  const data = Buffer.from(item.data ?? '');
  const header = Buffer.alloc(512);
  const octal = (value: number, at: number, width: number): void => {
    header.write(`${value.toString(8).padStart(width - 1, '0')}\0`, at, 'latin1');
  };
  header.set(Buffer.from(item.name), 0);
  octal(0o644, 100, 8);
  octal(item.uid ?? 0, 108, 8);
  octal(0, 116, 8);
  octal(item.size ?? data.length, 124, 12);
  octal(item.mtime ?? 0, 136, 12);
  header.write(item.type ?? '0', 156, 'latin1');
  header.write(item.linkName ?? '', 157, 'latin1');
  header.write(item.magic ?? 'ustar\u000000', 257, 'latin1');
  header.fill(0x20, 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  octal(item.checksum ?? sum, 148, 8);
  return Buffer.concat([header, data, Buffer.alloc((512 - (data.length % 512)) % 512)]);
}
