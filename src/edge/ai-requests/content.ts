/**
 * Content type and content encoding of a body. Invariant: a body is read in the one format that its headers
 * name, decoded within fixed limits; a header that readers could take differently is refused.
 */
import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib';
import { refuse } from './ai-request.ts';
import type { HeaderList } from './header-list.ts';

/** Largest body after decoding, in bytes: above every body that a gateway may send, below what hurts. */
export const MAX_DECODED_BYTES = 8 * 1024 * 1024;
/** Most bytes that one compressed byte may become: JSON compresses by 5 to 20, a bomb by 1,000. */
export const MAX_EXPANSION = 100;

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** A media type with its parameters, both lower case in their names. */
export interface MediaType {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** @returns undefined when the header is absent. @throws RequestRefused INPUT_REJECTED */
export function contentTypeOf(headers: HeaderList): MediaType | undefined {
  const text = headers.single('content-type');
  if (text === undefined || text === '') return undefined;
  const [type = '', ...rest] = text.split(';').map(part => part.trim());
  if (!/^[^/]+\/[^/]+$/.test(type) || !type.split('/').every(part => TOKEN.test(part))) reject();
  const parameters = new Map<string, string>();
  for (const part of rest) {
    const equals = part.indexOf('=');
    const name = part.slice(0, equals).toLowerCase();
    // `boundary*` and `boundary*0` (RFC 2231) take the place of `boundary` with some readers, and mean nothing to others
    if (equals < 1 || !TOKEN.test(name) || name.includes('*') || parameters.has(name)) reject();
    parameters.set(name, unquote(part.slice(equals + 1)));
  }
  const charset = parameters.get('charset');
  if (charset !== undefined && !/^utf-?8$/i.test(charset)) {
    refuse('BODY_UNREADABLE', 'the charset of the body is not UTF-8');
  }
  return { type: type.toLowerCase(), parameters };
}

function unquote(text: string): string {
  if (TOKEN.test(text)) return text;
  const quoted = /^"([^"\\]*)"$/.exec(text)?.[1];
  return quoted === undefined ? reject() : quoted;
}

function reject(): never {
  refuse('INPUT_REJECTED', 'the `Content-Type` of the request cannot be read in one way only');
}

/** The body without its content encoding. @throws RequestRefused BODY_UNREADABLE or BODY_INCOMPLETE */
export function decodeBody(bytes: Uint8Array, headers: HeaderList): Uint8Array {
  const encoding = headers.single('content-encoding')?.trim().toLowerCase() ?? '';
  if (encoding === '' || encoding === 'identity') return bytes;
  const decoder = decoderOf(encoding);
  if (decoder === undefined) {
    refuse('BODY_UNREADABLE', 'the `Content-Encoding` of the body is none of identity, gzip, deflate and br');
  }
  const maxOutputLength = Math.max(1, Math.min(MAX_DECODED_BYTES, bytes.byteLength * MAX_EXPANSION));
  const { buffer, used } = expand(decoder, bytes, maxOutputLength);
  if (used !== bytes.byteLength || hasTwoMembers(encoding, bytes, buffer)) {
    refuse('BODY_UNREADABLE', 'something follows the end of the compressed body');
  }
  return buffer;
}

function expand(decoder: Decoder, bytes: Uint8Array, maxOutputLength: number): ReturnType<Decoder> {
  try {
    return decoder(bytes, maxOutputLength);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    if (code === 'ERR_BUFFER_TOO_LARGE') {
      refuse('BODY_UNREADABLE', `the body decodes to more than ${maxOutputLength} bytes`);
    }
    if (code === 'Z_BUF_ERROR') refuse('BODY_INCOMPLETE', 'the compressed body ends too early');
    return refuse('BODY_UNREADABLE', 'the body is not what its `Content-Encoding` says');
  }
}

/** A gzip member ends with its length: readers differ on whether they go on to a second one. */
function hasTwoMembers(encoding: string, bytes: Uint8Array, decoded: Buffer): boolean {
  if (!encoding.endsWith('gzip')) return false;
  return (
    Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).readUInt32LE(bytes.byteLength - 4) !==
    decoded.byteLength
  );
}

type Decoder = (bytes: Uint8Array, maxOutputLength: number) => { buffer: Buffer; used: number };

function decoderOf(encoding: string): Decoder | undefined {
  if (encoding === 'gzip' || encoding === 'x-gzip') {
    return (bytes, maxOutputLength) => resultOf(gunzipSync(bytes, { maxOutputLength, info: true }));
  }
  if (encoding === 'deflate') {
    return (bytes, maxOutputLength) => resultOf(inflateSync(bytes, { maxOutputLength, info: true }));
  }
  if (encoding === 'br') {
    return (bytes, maxOutputLength) => resultOf(brotliDecompressSync(bytes, { maxOutputLength, info: true }));
  }
  return undefined;
}

/** With `info`, zlib answers the output and the engine that counted its input; the types do not know it. */
function resultOf(result: unknown): { buffer: Buffer; used: number } {
  if (typeof result === 'object' && result !== null && 'buffer' in result && 'engine' in result) {
    const { buffer, engine } = result;
    if (
      Buffer.isBuffer(buffer) &&
      typeof engine === 'object' &&
      engine !== null &&
      'bytesWritten' in engine
    ) {
      const { bytesWritten } = engine;
      if (typeof bytesWritten === 'number') return { buffer, used: bytesWritten };
    }
  }
  throw new Error('zlib answers no engine');
}
