/** NDJSON as lines of bytes. Invariant: no line, no number of lines and no total is without a limit. */
import { AppError } from '../domain/errors.ts';

/** Longest line in bytes. */
export const MAX_LINE_BYTES = 65_536;
/** Most lines of one import: the most entities that a directory holds. */
export const MAX_LINES = 1_000_000;
/** Largest import in bytes: its lines are held in memory until all have arrived. */
export const MAX_IMPORT_BYTES = 256 * 1_048_576;

/** A line with its 1-based number; `bytes` is undefined for one that is too long. */
export interface Line {
  readonly number: number;
  readonly bytes: Buffer | undefined;
}

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/**
 * Reads everything. A slow sender must not hold up other writers, so nothing is written before the end.
 * @param onLines called with the number of lines so far, every 1,000 lines
 * @throws AppError PAYLOAD_TOO_LARGE
 */
export async function collectLines(
  source: AsyncIterable<Uint8Array | string>,
  onLines: (lines: number) => void,
): Promise<readonly Line[]> {
  const lines: Line[] = [];
  let bytes = 0;
  for await (const line of splitLines(source)) {
    lines.push(line);
    bytes += line.bytes?.length ?? 0;
    if (lines.length > MAX_LINES) {
      throw new AppError('PAYLOAD_TOO_LARGE', `the import has more than ${MAX_LINES} lines: split it`);
    }
    if (bytes > MAX_IMPORT_BYTES) {
      throw new AppError('PAYLOAD_TOO_LARGE', `the import has more than ${MAX_IMPORT_BYTES} bytes: split it`);
    }
    if (lines.length % 1_000 === 0) onLines(lines.length);
  }
  return lines;
}

/** Splits at LF or CRLF. Blank lines are skipped but counted. */
async function* splitLines(source: AsyncIterable<Uint8Array | string>): AsyncIterableIterator<Line> {
  let number = 0;
  let parts: Buffer[] = [];
  let held = 0;
  for await (const piece of source) {
    const chunk = toBuffer(piece);
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      number += 1;
      const line = finishLine(number, parts, held, chunk.subarray(start, end));
      if (line !== undefined) yield line;
      parts = [];
      held = 0;
      start = end + 1;
    }
    const rest = chunk.subarray(start);
    held += rest.length;
    // Beyond the limit the bytes are dropped; their number alone says that the line is too long.
    if (held <= MAX_LINE_BYTES + 1) parts.push(Buffer.from(rest));
    else parts = [];
  }
  const last = finishLine(number + 1, parts, held, Buffer.alloc(0));
  if (last !== undefined) yield last;
}

function finishLine(number: number, parts: readonly Buffer[], held: number, end: Buffer): Line | undefined {
  const length = held + end.length;
  if (length > MAX_LINE_BYTES + 1) return { number, bytes: undefined };
  const whole = parts.length === 0 ? end : Buffer.concat([...parts, end]);
  const bytes = whole.at(-1) === CARRIAGE_RETURN ? whole.subarray(0, -1) : whole;
  if (bytes.length > MAX_LINE_BYTES) return { number, bytes: undefined };
  return isBlank(bytes) ? undefined : { number, bytes };
}

function isBlank(bytes: Buffer): boolean {
  return bytes.every(byte => byte === 0x20 || byte === 0x09);
}

function toBuffer(piece: Uint8Array | string): Buffer {
  if (typeof piece === 'string') return Buffer.from(piece, 'utf8');
  return Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
}
