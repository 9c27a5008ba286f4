/** Requests as clients of the providers send them, in a short form, and the reader they are given to. */
import type { GatewayRequest, RefusalCode, Understanding } from '../../../src/edge/ai-requests/ai-request.ts';
import type { DialectFamily } from '../../../src/domain/pep-profile.ts';
import { HeaderList } from '../../../src/edge/ai-requests/header-list.ts';
import { AiRequestReader, type ReaderOptions } from '../../../src/edge/ai-requests/request-reader.ts';

/** What a sample adds to the rest of its request. */
export interface SampleExtras {
  readonly headers?: Readonly<Record<string, string>>;
  readonly classes?: readonly string[];
  readonly tools?: readonly string[];
  readonly stream?: boolean;
  readonly max?: number;
  readonly bound?: string;
}

/** `POST /path`, the body (an object is sent as JSON), `dialect operation model`, and what else is expected. */
export type Sample = readonly [line: string, body: unknown, meaning: string, extras?: SampleExtras];

/** A request that is refused, and the code. */
export type Refused = readonly [
  family: DialectFamily,
  name: string,
  line: string,
  body: unknown,
  code: RefusalCode,
  headers?: Parameters<typeof requestOf>[2],
];

/** As test.each takes them: by name. */
export function refusedCases(list: readonly Refused[]) {
  return list.map(([family, name, line, body, code, headers]) => ({
    family,
    name,
    line,
    body,
    code,
    headers,
  }));
}

export const MCP = [
  { path: '/mcp', server: 'acme/github', trustsHeaders: false },
  { path: '/mcp/headers', server: 'acme/jira', trustsHeaders: true },
];

export function readerFor(
  dialects: readonly DialectFamily[],
  options: Partial<ReaderOptions> = {},
): AiRequestReader {
  return new AiRequestReader({
    dialects,
    pathPrefix: '',
    mcp: MCP,
    allowsSeveralModels: false,
    namesAccounts: false,
    ...options,
  });
}

/** The bytes and headers of a body: text and bytes as they are, undefined as none, anything else as JSON. */
export function requestOf(
  line: string,
  body: unknown,
  headers: Readonly<Record<string, string>> | readonly (readonly [string, string])[] = {},
): GatewayRequest {
  const space = line.indexOf(' ');
  const pairs = isPairs(headers) ? [...headers] : Object.entries(headers);
  const isJson = typeof body === 'object' && !(body instanceof Uint8Array) && body !== null;
  const isTyped = pairs.some(([name]) => name.toLowerCase() === 'content-type');
  if (isJson && !isTyped) pairs.push(['content-type', 'application/json']);
  return {
    method: line.slice(0, space),
    target: line.slice(space + 1),
    headers: HeaderList.of(pairs),
    body: { kind: 'whole', bytes: bytesOf(body) },
  };
}

function isPairs(
  headers: Readonly<Record<string, string>> | readonly (readonly [string, string])[],
): headers is readonly (readonly [string, string])[] {
  return Array.isArray(headers);
}

export function bytesOf(body: unknown): Uint8Array {
  if (body === undefined) return new Uint8Array();
  if (body instanceof Uint8Array) return body;
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body), 'utf8');
}

/** The outcome in a line: `dialect operation model,model`, or `CODE`. */
export function lineOf(understanding: Understanding): string {
  if (!understanding.understood) return `${understanding.refusal.code}: ${understanding.refusal.message}`;
  const { dialect, operation, models } = understanding.request;
  return [dialect, operation, ...models].join(' ');
}

/** A multipart body with text fields and files. */
export function formOf(
  fields: readonly (readonly [name: string, value: string, type?: string])[],
  boundary = 'b0undary',
): { body: Buffer; headers: Record<string, string> } {
  const parts = fields.map(([name, value, type]) => {
    const file = type === undefined ? '' : `; filename="f"\r\nContent-Type: ${type}`;
    return `--${boundary}\r\nContent-Disposition: form-data; name="${name}"${file}\r\n\r\n${value}\r\n`;
  });
  return {
    body: Buffer.from(`${parts.join('')}--${boundary}--\r\n`),
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
  };
}

/** A protobuf message of length-delimited fields. */
export function messageOf(fields: readonly (readonly [number: number, text: string | Uint8Array])[]): Buffer {
  return Buffer.concat(
    fields.map(([number, value]) => {
      const bytes = Buffer.from(value);
      return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes]);
    }),
  );
}

/** One gRPC frame around such a message. */
export function grpcOf(fields: Parameters<typeof messageOf>[0]): Buffer {
  const message = messageOf(fields);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}
