/**
 * Reads a tar archive strictly: one answer to what it holds, or a refusal. Invariant: whatever other tar
 * program unpacks an accepted archive finds the same files with the same contents, so that an author cannot
 * show a reviewer something else than what is enforced. Hence the small subset: ustar and GNU headers,
 * regular files and directories, long names, and PAX records that do not change sizes or contents.
 */
import { AppError } from '../domain/errors.ts';
import { printable } from './paths.ts';

const BLOCK = 512;
/** Longest extended header in bytes: a name of 256 characters and a dozen of timestamps fit easily. */
const MAX_EXTENDED_HEADER_BYTES = 65_536;
/** PAX records that say nothing about what a file contains (POSIX.1-2017 pax, "pax Header Block"). */
const HARMLESS_PAX = /^(?:atime|ctime|mtime|uid|gid|uname|gname|comment|SCHILY\..*|LIBARCHIVE\..*)$/;
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** One entry as it stands in the archive; the name is not checked yet. */
export interface TarEntry {
  readonly name: string;
  readonly kind: 'file' | 'directory';
  readonly data: Uint8Array;
}

interface Header {
  readonly name: string;
  readonly typeflag: string;
  readonly size: number;
}

/**
 * The entries in order.
 * @param maxEntries files and directories together
 * @throws AppError BUNDLE_INVALID, naming the byte offset, when the archive is anything but plain.
 */
export function readTar(archive: Uint8Array, maxEntries: number): TarEntry[] {
  const entries: TarEntry[] = [];
  let longName: string | undefined;
  let offset = 0;
  for (;;) {
    const block = take(archive, offset, BLOCK);
    if (isZero(block)) {
      expectEnd(archive, offset);
      if (longName !== undefined) refuse(offset, 'an extended header is followed by no file');
      return entries;
    }
    const header = readHeader(block, offset);
    const data = take(archive, offset + BLOCK, header.size);
    const next = offset + BLOCK + Math.ceil(header.size / BLOCK) * BLOCK;
    if (isExtended(header)) {
      const name = readExtended(header, data, offset);
      if (name !== undefined && longName !== undefined) refuse(offset, 'a file has two long names');
      longName = name ?? longName;
    } else {
      if (entries.length === maxEntries) refuse(offset, `the archive has more than ${maxEntries} entries`);
      entries.push(toEntry(header, longName ?? header.name, data, offset));
      longName = undefined;
    }
    offset = next;
  }
}

function take(archive: Uint8Array, offset: number, length: number): Uint8Array {
  if (offset + length > archive.length) refuse(offset, 'the archive ends in the middle of an entry');
  return archive.subarray(offset, offset + length);
}

/** Two zero blocks end an archive; bytes after them would be seen by some programs and not by others. */
function expectEnd(archive: Uint8Array, offset: number): void {
  if (archive.length - offset < 2 * BLOCK) refuse(offset, 'the archive lacks its end mark');
  if (!isZero(archive.subarray(offset))) refuse(offset, 'the archive holds data behind its end mark');
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every(byte => byte === 0);
}

function readHeader(block: Uint8Array, offset: number): Header {
  const magic = ascii(block, 257, 8);
  const posix = magic === 'ustar\u000000';
  if (!posix && magic !== 'ustar  \u0000') refuse(offset, 'this is no tar header');
  if (octal(block, 148, 8, offset) !== checksum(block)) refuse(offset, 'the checksum of a header is wrong');
  const prefix = posix ? text(block, 345, 155, offset) : '';
  const name = text(block, 0, 100, offset);
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    typeflag: ascii(block, 156, 1),
    size: octal(block, 124, 12, offset),
  };
}

function checksum(block: Uint8Array): number {
  return block.reduce((sum, byte, at) => sum + (at >= 148 && at < 156 ? 0x20 : byte), 0);
}

function ascii(block: Uint8Array, start: number, length: number): string {
  return Buffer.from(block.buffer, block.byteOffset + start, length).toString('latin1');
}

/** A NUL-terminated name; what is not UTF-8 has no agreed meaning. */
function text(block: Uint8Array, start: number, length: number, offset: number): string {
  const field = block.subarray(start, start + length);
  const end = field.indexOf(0);
  return decode(end === -1 ? field : field.subarray(0, end), offset);
}

function decode(bytes: Uint8Array, offset: number): string {
  try {
    return UTF8.decode(bytes);
  } catch {
    return refuse(offset, 'a file name is not UTF-8');
  }
}

/** Octal digits with an end of blanks or NUL; the binary form of GNU tar is for files beyond 8 GiB. */
function octal(block: Uint8Array, start: number, length: number, offset: number): number {
  const digits = /^ *([0-7]+) *$/.exec(ascii(block, start, length).replaceAll('\0', ' '))?.[1];
  return digits === undefined
    ? refuse(offset, 'a number in a header is not octal')
    : Number.parseInt(digits, 8);
}

function isExtended(header: Header): boolean {
  return header.typeflag === 'x' || header.typeflag === 'g' || header.typeflag === 'L';
}

/** The long name that an extended header gives to the next entry, if it gives one. */
function readExtended(header: Header, data: Uint8Array, offset: number): string | undefined {
  if (data.length > MAX_EXTENDED_HEADER_BYTES) refuse(offset, 'an extended header is too long');
  if (header.typeflag === 'L') {
    const end = data.indexOf(0);
    return decode(end === -1 ? data : data.subarray(0, end), offset);
  }
  let path: string | undefined;
  for (const [key, value] of readPax(data, offset)) {
    if (key === 'path' && header.typeflag === 'x' && path === undefined) path = value;
    else if (!HARMLESS_PAX.test(key)) refuse(offset, `the PAX record \`${key}\` is not supported here`);
  }
  return path;
}

function readPax(data: Uint8Array, offset: number): [string, string][] {
  const records: [string, string][] = [];
  let at = 0;
  while (at < data.length) {
    const length = /^([1-9][0-9]{0,5}) /.exec(Buffer.from(data.subarray(at, at + 7)).toString('latin1'))?.[1];
    if (length === undefined) return refuse(offset, 'a PAX record has no length');
    const record = data.subarray(at + length.length + 1, at + Number(length));
    const equals = record.indexOf(0x3d);
    if (at + Number(length) > data.length || equals < 1 || record.at(-1) !== 0x0a) {
      return refuse(offset, 'a PAX record is malformed');
    }
    const key = decode(record.subarray(0, equals), offset);
    // Values of other records (xattrs) may be binary; only a path is read as text.
    records.push([key, key === 'path' ? decode(record.subarray(equals + 1, -1), offset) : '']);
    at += Number(length);
  }
  return records;
}

function toEntry(header: Header, name: string, data: Uint8Array, offset: number): TarEntry {
  switch (header.typeflag) {
    case '0':
    case '\u0000':
      // Old programs take a regular entry with a final slash for a directory, new ones for a file.
      if (name.endsWith('/')) refuse(offset, `the file name \`${printable(name)}\` ends with a slash`);
      return { name, kind: 'file', data };
    case '5':
      if (data.length > 0) refuse(offset, `the directory \`${printable(name)}\` has contents`);
      return { name, kind: 'directory', data };
    case '1':
    case '2':
      return refuse(offset, `\`${printable(name)}\` is a link; a bundle holds regular files only`);
    case '3':
    case '4':
    case '6':
      return refuse(
        offset,
        `\`${printable(name)}\` is a device or a pipe; a bundle holds regular files only`,
      );
    default:
      return refuse(offset, `\`${printable(name)}\` is of a kind that a bundle may not hold`);
  }
}

function refuse(offset: number, message: string): never {
  throw new AppError('BUNDLE_INVALID', 'the archive cannot be read', {
    problems: [
      {
        message: `${message} (at byte ${offset} of the unpacked archive)`,
        hint: 'make the archive with `tar -czf bundle.tar.gz -C DIR .` from regular files',
      },
    ],
  });
}
