/**
 * Request bodies as bytes. Invariants: never more than the limit is held in memory, whatever Content-Length
 * says; a body that was cut off is no body.
 */
import type { IncomingMessage } from 'node:http';
import { AppError } from '../../domain/errors.ts';

/** The client went away before its request was complete: there is nobody to answer. */
export class ClientGone extends Error {
  constructor() {
    super('the client closed the connection before its request was complete');
    this.name = 'ClientGone';
  }
}

/** Rejects with AppError PAYLOAD_TOO_LARGE, or ClientGone. */
export function readBody(incoming: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const declared = Number(incoming.headers['content-length'] ?? 0);
  if (declared > maxBytes) return Promise.reject(tooLarge(maxBytes));
  return new Promise((resolve, reject) => {
    let first: Buffer | undefined;
    let rest: Buffer[] | undefined;
    let size = 0;
    let isComplete = false;
    incoming.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxBytes) {
        // what still arrives is thrown away by this listener, so that the client can read its answer
        rest = undefined;
        reject(tooLarge(maxBytes));
      } else if (first === undefined) first = chunk;
      else (rest ??= [first]).push(chunk);
    });
    incoming.on('end', () => {
      isComplete = true;
      resolve(rest === undefined ? (first ?? Buffer.alloc(0)) : Buffer.concat(rest));
    });
    incoming.on('error', () => reject(new ClientGone()));
    incoming.on('close', () => {
      // it also comes after a complete body, and an error costs its stack
      if (!isComplete) reject(new ClientGone());
    });
  });
}

/** The body piece by piece. Throws AppError PAYLOAD_TOO_LARGE, or ClientGone. */
export async function* streamBody(incoming: IncomingMessage, maxBytes: number): AsyncGenerator<Buffer> {
  if (Number(incoming.headers['content-length'] ?? 0) > maxBytes) throw tooLarge(maxBytes);
  let size = 0;
  // left open at an early end, so that the client can still read why
  const chunks: AsyncIterable<Buffer> = incoming.iterator({ destroyOnReturn: false });
  try {
    for await (const chunk of chunks) {
      size += chunk.length;
      if (size > maxBytes) throw tooLarge(maxBytes);
      yield chunk;
    }
  } catch (error) {
    throw error instanceof AppError ? error : new ClientGone();
  }
}

/**
 * Checks `Content-Type`, and that the body is sent as it is.
 * @returns the type without its parameters. @throws AppError UNSUPPORTED_MEDIA_TYPE
 */
export function requireType(incoming: IncomingMessage, allowed: readonly string[]): string {
  const { 'content-type': header = '', 'content-encoding': encoding = 'identity' } = incoming.headers;
  if (encoding !== 'identity') {
    throw unsupported('a `Content-Encoding` is not supported', 'send the body uncompressed');
  }
  const separator = header.indexOf(';');
  const type = (separator === -1 ? header : header.slice(0, separator)).trim().toLowerCase();
  const parameters = separator === -1 ? '' : header.slice(separator + 1);
  if (!allowed.includes(type)) {
    const wanted = allowed.map(one => `\`${one}\``).join(' or ');
    throw unsupported(
      type === '' ? 'the `Content-Type` is missing' : 'the `Content-Type` is not supported here',
      `send ${wanted}`,
    );
  }
  if (
    parameters !== '' &&
    /charset/i.test(parameters) &&
    !/charset\s*=\s*"?utf-8"?\s*(?:;|$)/i.test(parameters)
  ) {
    throw unsupported('the charset is not supported', 'send UTF-8');
  }
  return type;
}

function unsupported(message: string, hint: string): AppError {
  return new AppError('UNSUPPORTED_MEDIA_TYPE', `${message}: ${hint}`, { problems: [{ message, hint }] });
}

function tooLarge(maxBytes: number): AppError {
  return new AppError('PAYLOAD_TOO_LARGE', `the body is larger than ${maxBytes} bytes`);
}
