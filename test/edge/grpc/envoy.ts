/**
 * Envoy's side of ext_authz, as its documentation describes it: what it sends, and what it makes of the answer.
 * Nothing here shares code with the service.
 */
import { type Client, Metadata, type ServiceError } from '@grpc/grpc-js';
import { entry, type Field, int, Message, part } from './wire.ts';

/** A request of a client, and how the gateway describes it. */
export interface Described {
  readonly method?: string;
  readonly path: string;
  readonly host?: string;
  readonly headers?: readonly (readonly [string, string])[];
  /** `map`: joined values; `list`: `encode_raw_headers`. */
  readonly form?: 'map' | 'list';
  readonly body?: string | Uint8Array;
  /** `raw`: `pack_as_bytes`. */
  readonly bodyForm?: 'text' | 'raw';
  /** As Envoy measured it; by default the length of the body. */
  readonly size?: number;
  readonly id?: string;
  /** Without the pseudo-headers that Envoy adds to the headers. */
  readonly bare?: boolean;
  readonly extensions?: Readonly<Record<string, string>>;
  /** Metadata by filter: fields of a Struct, encoded. */
  readonly metadata?: Readonly<Record<string, readonly Field[]>>;
  readonly principal?: string;
  readonly certificate?: string;
}

/** The bytes of a CheckRequest, with fields beside those that the service reads. */
export function checkRequest(described: Described): Buffer {
  const { extensions = {}, metadata = {}, principal, certificate } = described;
  const source = [
    // address: socket_address {address, port_value}, and a service, which a client can choose
    part(1, [part(1, [part(2, '10.9.8.7'), int(3, 4711)])]),
    part(2, 'chosen-by-the-client'),
    ...(principal === undefined ? [] : [part(4, principal)]),
    ...(certificate === undefined ? [] : [part(5, certificate)]),
  ];
  const attributes = [
    part(1, source),
    part(2, [part(1, [part(1, [part(2, '10.0.0.1'), int(3, 443)])])]),
    part(4, [part(1, [int(1, 1_700_000_000), int(2, 5)]), part(2, httpRequest(described))]),
    ...Object.entries(extensions).map(([key, value]) => entry(10, key, value)),
    part(
      11,
      Object.entries(metadata).map(([filter, fields]) => entry(1, filter, fields)),
    ),
    part(12, [part(1, 'sni.example')]),
    // no field of any version
    part(1000, 'unknown'),
  ];
  return Buffer.concat([part(1, attributes), part(99, 'unknown'), int(98, 7)]);
}

function httpRequest(described: Described): Field[] {
  const { method = 'POST', path, host = 'llm.example', form = 'map', body, bodyForm = 'text' } = described;
  const { headers = [], size = body === undefined ? 0 : Buffer.byteLength(body), bare = false } = described;
  const pseudo = bare
    ? []
    : ([
        [':method', method],
        [':path', path],
        [':authority', host],
        [':scheme', 'https'],
      ] as const);
  return [
    part(1, described.id ?? '1234567890'),
    part(2, method),
    ...headerFields([...pseudo, ...headers], form),
    part(4, path),
    part(5, host),
    part(6, 'https'),
    int(9, size),
    part(10, 'HTTP/2'),
    ...(body === undefined ? [] : [part(bodyForm === 'text' ? 11 : 12, Buffer.from(body))]),
  ];
}

function headerFields(headers: readonly (readonly [string, string])[], form: 'map' | 'list'): Field[] {
  if (form === 'list') {
    return [
      part(
        13,
        headers.map(([key, value]) => part(1, [part(1, key), part(3, Buffer.from(value, 'latin1'))])),
      ),
    ];
  }
  const joined = new Map<string, string>();
  for (const [name, value] of headers) {
    const known = joined.get(name);
    joined.set(name, known === undefined ? value : `${known},${value}`);
  }
  return [...joined].map(([name, value]) => entry(3, name, value));
}

/** How a call ended. */
export type Ended =
  | { readonly error: ServiceError; readonly bytes?: undefined }
  | { readonly error?: undefined; readonly bytes: Buffer };

export const CHECK_PATH = '/envoy.service.auth.v3.Authorization/Check';

/** Sends bytes as the only message of a call. */
export function callWith(
  client: Client,
  bytes: Buffer,
  metadata: Readonly<Record<string, string>> = {},
  options: { readonly deadlineMs?: number; readonly path?: string; readonly host?: string } = {},
): Promise<Ended> {
  const sent = new Metadata();
  for (const [key, value] of Object.entries(metadata)) sent.set(key, value);
  const asBytes = (buffer: Buffer): Buffer => buffer;
  return new Promise(resolve => {
    client.makeUnaryRequest(
      options.path ?? CHECK_PATH,
      asBytes,
      asBytes,
      bytes,
      sent,
      {
        ...(options.deadlineMs === undefined ? {} : { deadline: Date.now() + options.deadlineMs }),
        ...(options.host === undefined ? {} : { host: options.host }),
      },
      (error, answer) => {
        if (error !== null) resolve({ error });
        else if (answer !== undefined) resolve({ bytes: answer });
      },
    );
  });
}

/** What Envoy does with the client's request. */
export type Verdict =
  | { readonly passes: true; readonly headers: ReadonlyMap<string, readonly string[]> }
  | {
      readonly passes: false;
      readonly status: number;
      readonly headers: ReadonlyMap<string, string>;
      readonly body: string;
    };

/** How Envoy treats headers: by `append_action`, or, before it had that, by `append` alone. */
export type EnvoyVersion = 'new' | 'old';

/**
 * Envoy's rules: the code of the status alone decides, a missing one is 0; an error of the call is a 403, or
 * passes everything when failures are allowed.
 */
export function envoyJudges(
  ended: Ended,
  headers: readonly (readonly [string, string])[],
  failureModeAllow = false,
  version: EnvoyVersion = 'new',
): Verdict {
  const own = new Map<string, string[]>();
  for (const [name, value] of headers) own.set(name, [...(own.get(name) ?? []), value]);
  if (ended.error !== undefined) {
    if (failureModeAllow) return { passes: true, headers: own };
    return { passes: false, status: 403, headers: new Map(), body: '' };
  }
  const answer = new Message(ended.bytes);
  if ((answer.message(1)?.int(1) ?? 0) === 0) {
    const ok = answer.message(3);
    for (const option of ok?.messages(2) ?? []) apply(option, own, version);
    for (const name of ok?.all(5) ?? []) own.delete(name.toString());
    return { passes: true, headers: own };
  }
  const denied = answer.message(2);
  const shown = (denied?.messages(2) ?? []).map(option => {
    const header = option.message(1);
    return [header?.text(1) ?? '', header?.text(2) ?? ''] as const;
  });
  return {
    passes: false,
    status: denied?.message(1)?.int(1) ?? 403,
    headers: new Map(shown),
    body: denied?.text(3) ?? '',
  };
}

function apply(option: Message, headers: Map<string, string[]>, version: EnvoyVersion): void {
  const header = option.message(1);
  const name = header?.text(1) ?? '';
  const value = header?.text(2) ?? '';
  // a header with an empty value is dropped, unless it is to be kept
  if (value === '' && (option.int(4) ?? 0) === 0) return;
  const overwrites = version === 'new' ? option.int(3) === 2 : (option.message(2)?.int(1) ?? 0) === 0;
  headers.set(name, overwrites ? [value] : [...(headers.get(name) ?? []), value]);
}
