/**
 * HTTP/1.1 as bytes: what no client library would send. Invariants: each exchange ends, by its answer, its time or its
 * size; nothing of an answer is kept but its status, its headers and the start of its body.
 */
import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { messageOf } from '../../domain/errors.ts';

/** Most bytes of an answer that are read. */
const MAX_ANSWER_BYTES = 128 * 1024;

/** One request, written as it stands here. */
export interface RawRequest {
  readonly method: string;
  /** The target of the request line. */
  readonly target: string;
  /** In this order, duplicates and all. `Host` and the length are added where they are missing. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body?: Buffer | undefined;
  /** `chunked`: without a length; `cut`: half of the body, under the length of the whole. */
  readonly framing?: 'length' | 'chunked' | 'cut' | undefined;
}

export interface RawAnswer {
  readonly status: number;
  /** Lower-case names; the last value of each. */
  readonly headers: ReadonlyMap<string, string>;
  /** The start of it, as Latin-1. */
  readonly body: string;
}

export interface Target {
  readonly isTls: boolean;
  readonly host: string;
  readonly port: number;
  /** Value of `Host`. */
  readonly authority: string;
  /** Takes any certificate. */
  readonly insecure: boolean;
}

/** The answer, or why there is none. Never rejects. */
export function exchange(
  target: Target,
  request: RawRequest,
  timeoutMs: number,
): Promise<RawAnswer | { readonly failure: string }> {
  const { promise, resolve } = Promise.withResolvers<RawAnswer | { failure: string }>();
  const chunks: Buffer[] = [];
  let size = 0;
  const socket = connect(target);
  const end = (failure: string): void => {
    socket.destroy();
    resolve(readAnswer(Buffer.concat(chunks)) ?? { failure });
  };
  const patience = setTimeout(() => end('no answer in time'), timeoutMs);
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    size += chunk.byteLength;
    const answer = readAnswer(Buffer.concat(chunks));
    if (size > MAX_ANSWER_BYTES || (answer !== undefined && isComplete(answer, request))) end('too large');
  });
  socket.on('end', () => end('the connection was closed without an answer'));
  socket.on('error', error => end(messageOf(error)));
  socket.on('close', () => clearTimeout(patience));
  socket.write(bytesOf(target, request));
  return promise;
}

function connect({ isTls, host, port, authority, insecure }: Target): Socket {
  if (!isTls) return connectPlain(port, host);
  const servername = authority.replace(/:\d+$/, '');
  // an IP address is no server name (RFC 6066 §3)
  const name = /^[\d.]+$|:/.test(servername) ? {} : { servername };
  return connectTls({ host, port, ...name, rejectUnauthorized: !insecure, ALPNProtocols: ['http/1.1'] });
}

function bytesOf({ authority }: Target, { method, target, headers, body, framing }: RawRequest): Buffer {
  const has = (wanted: string): boolean => headers.some(([name]) => name.toLowerCase() === wanted);
  const lines = [`${method} ${target} HTTP/1.1`];
  if (!has('host')) lines.push(`Host: ${authority}`);
  for (const [name, value] of headers) lines.push(`${name}: ${value}`);
  if (framing === 'chunked') lines.push('Transfer-Encoding: chunked');
  else if (body !== undefined && !has('content-length')) lines.push(`Content-Length: ${body.byteLength}`);
  if (!has('connection')) lines.push('Connection: close');
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  if (body === undefined) return head;
  if (framing === 'cut') return Buffer.concat([head, body.subarray(0, body.byteLength / 2)]);
  if (framing !== 'chunked') return Buffer.concat([head, body]);
  const size = Buffer.from(`${body.byteLength.toString(16)}\r\n`);
  return Buffer.concat([head, size, body, Buffer.from('\r\n0\r\n\r\n')]);
}

/** undefined: the head has not arrived. Interim answers (RFC 9110 §15.2) are passed over, an upgrade is none. */
function readAnswer(bytes: Buffer): RawAnswer | undefined {
  let text = bytes.subarray(0, MAX_ANSWER_BYTES).toString('latin1');
  for (;;) {
    const end = text.indexOf('\r\n\r\n');
    if (end === -1) return undefined;
    const [first = '', ...lines] = text.slice(0, end).split('\r\n');
    const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(first)?.[1] ?? 0);
    const body = text.slice(end + 4);
    if (status >= 100 && status < 200 && status !== 101) {
      text = body;
      continue;
    }
    const headers = new Map(
      lines.map(line => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()];
      }),
    );
    return { status, headers, body };
  }
}

/** Whether nothing of the answer is missing that could matter. */
function isComplete({ status, headers, body }: RawAnswer, { method }: RawRequest): boolean {
  if (method === 'HEAD' || status === 101 || status === 204 || status === 304) return true;
  const length = headers.get('content-length');
  if (length !== undefined) return body.length >= Number(length);
  return headers.get('transfer-encoding') !== undefined && body.includes('0\r\n\r\n');
}
