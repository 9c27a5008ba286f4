/**
 * Messages of `envoy.service.auth.v3` as they are read and written here. Invariant: what arrives is checked member by
 * member before anything looks at it; an answer has the shape of an allow or of a deny, and no other.
 */

/** One header of `header_map`. */
export interface HeaderValue {
  readonly key: string;
  readonly value: string;
  readonly raw_value: Buffer | undefined;
}

/** The client's request as Envoy describes it. */
export interface HttpRequest {
  readonly id: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly path: string;
  readonly host: string;
  /** 0 is what a missing field decodes to. */
  readonly size: number;
  readonly body: Buffer | undefined;
  readonly raw_body: Buffer | undefined;
  readonly header_map: { readonly headers: readonly HeaderValue[] } | undefined;
}

/** google.protobuf.Struct as it is decoded: each value has one member, which names the kind. */
export interface Struct {
  readonly fields: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export interface CheckAttributes {
  readonly source: { readonly principal: string; readonly certificate: string } | undefined;
  readonly request: { readonly http: HttpRequest | undefined } | undefined;
  readonly context_extensions: Readonly<Record<string, string>>;
  readonly metadata_context: { readonly filter_metadata: Readonly<Record<string, Struct>> } | undefined;
}

/** A header that takes the place of every header of its name, for older versions of Envoy and for newer ones. */
export interface HeaderOption {
  readonly header: { readonly key: string; readonly value: string };
  readonly append: { readonly value: false };
  readonly append_action: 2;
}

/** An allow. Code 0 is written out, and an `ok_response` says that it is meant. */
export interface AllowResponse {
  readonly status: { readonly code: 0; readonly message: string };
  readonly ok_response: {
    readonly headers: readonly HeaderOption[];
    readonly headers_to_remove?: readonly string[];
    readonly response_headers_to_add?: readonly HeaderOption[];
  };
  readonly dynamic_metadata: Struct;
}

/** A deny: a code of google.rpc.Code that is not 0, and a status for the client: an error of its own, or 503. */
export interface DenyResponse {
  readonly status: { readonly code: number; readonly message: string };
  readonly denied_response: {
    readonly status: { readonly code: number };
    readonly headers: readonly HeaderOption[];
    readonly body: string;
  };
  readonly dynamic_metadata: Struct;
}

type Raw = Readonly<Record<string, unknown>>;

/** A member has another type than the message defines. Caught where messages are decoded. */
export class NotACheck extends Error {}

const NO_MEMBERS: Raw = {};
const NO_ATTRIBUTES: CheckAttributes = {
  source: undefined,
  request: undefined,
  context_extensions: {},
  metadata_context: undefined,
};

/** CheckRequest as it is decoded. @throws NotACheck */
export function readCheckRequest(decoded: unknown): CheckAttributes {
  const attributes = objectAt(asObject(decoded), 'attributes');
  if (attributes === undefined) return NO_ATTRIBUTES;
  const source = objectAt(attributes, 'source');
  const request = objectAt(attributes, 'request');
  const http = request === undefined ? undefined : objectAt(request, 'http');
  const metadata = objectAt(attributes, 'metadata_context');
  return {
    source:
      source === undefined
        ? undefined
        : { principal: textAt(source, 'principal'), certificate: textAt(source, 'certificate') },
    request: request === undefined ? undefined : { http: http === undefined ? undefined : readHttp(http) },
    context_extensions: textsAt(attributes, 'context_extensions'),
    metadata_context: metadata === undefined ? undefined : { filter_metadata: structsAt(metadata) },
  };
}

function readHttp(http: Raw): HttpRequest {
  const map = objectAt(http, 'header_map');
  return {
    id: textAt(http, 'id'),
    method: textAt(http, 'method'),
    headers: textsAt(http, 'headers'),
    path: textAt(http, 'path'),
    host: textAt(http, 'host'),
    size: sizeAt(http),
    body: bytesAt(http, 'body'),
    raw_body: bytesAt(http, 'raw_body'),
    header_map: map === undefined ? undefined : { headers: listAt(map, 'headers').map(readHeader) },
  };
}

function readHeader(item: unknown): HeaderValue {
  const header = asObject(item);
  return {
    key: textAt(header, 'key'),
    value: textAt(header, 'value'),
    raw_value: bytesAt(header, 'raw_value'),
  };
}

function structsAt(metadata: Raw): Readonly<Record<string, Struct>> {
  const filters = objectAt(metadata, 'filter_metadata') ?? NO_MEMBERS;
  const structs = Object.entries(filters).map(([name, value]) => {
    const fields = Object.entries(objectAt(asObject(value), 'fields') ?? NO_MEMBERS);
    return [
      name,
      { fields: Object.fromEntries(fields.map(([key, field]) => [key, asObject(field)])) },
    ] as const;
  });
  return Object.fromEntries(structs);
}

function asObject(value: unknown): Raw {
  return isObject(value) ? value : fail();
}

function isObject(value: unknown): value is Raw {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !Buffer.isBuffer(value);
}

function objectAt(raw: Raw, key: string): Raw | undefined {
  const value = raw[key];
  return value === undefined ? undefined : asObject(value);
}

function textAt(raw: Raw, key: string): string {
  const value = raw[key];
  if (value === undefined) return '';
  return typeof value === 'string' ? value : fail();
}

function bytesAt(raw: Raw, key: string): Buffer | undefined {
  const value = raw[key];
  return value === undefined || Buffer.isBuffer(value) ? value : fail();
}

function sizeAt(raw: Raw): number {
  const { size = 0 } = raw;
  return typeof size === 'number' && Number.isFinite(size) ? size : fail();
}

function listAt(raw: Raw, key: string): readonly unknown[] {
  const value = raw[key];
  if (value === undefined) return [];
  return Array.isArray(value) ? value : fail();
}

function textsAt(raw: Raw, key: string): Readonly<Record<string, string>> {
  const texts = objectAt(raw, key) ?? NO_MEMBERS;
  return isTexts(texts) ? texts : fail();
}

function isTexts(raw: Raw): raw is Readonly<Record<string, string>> {
  for (const value of Object.values(raw)) if (typeof value !== 'string') return false;
  return true;
}

function fail(): never {
  throw new NotACheck('a member has another type than the message defines');
}

const ALLOW_MEMBERS: ReadonlySet<string> = new Set(['status', 'ok_response', 'dynamic_metadata']);
const DENY_MEMBERS: ReadonlySet<string> = new Set(['status', 'denied_response', 'dynamic_metadata']);
/** The highest code of google.rpc.Code. */
const MAX_CODE = 16;
const OVERWRITES = 2;

/** Whether what was decoded allows, and says so in every place in which a reader may look. */
export function isAllow(decoded: unknown): boolean {
  if (!isObject(decoded) || !hasOnly(decoded, ALLOW_MEMBERS)) return false;
  const { status, ok_response: response, dynamic_metadata: metadata } = decoded;
  if (!isObject(status) || status['code'] !== 0 || !isObject(response) || !isObject(metadata)) return false;
  const { headers, headers_to_remove: removed, response_headers_to_add: added } = response;
  return (
    isOptions(headers) &&
    (removed === undefined || (Array.isArray(removed) && removed.length > 0)) &&
    (added === undefined || isOptions(added))
  );
}

/** Whether what was decoded denies, and could not be taken for anything else. */
export function isDeny(decoded: unknown): boolean {
  if (!isObject(decoded) || !hasOnly(decoded, DENY_MEMBERS)) return false;
  const { status, denied_response: response, dynamic_metadata: metadata } = decoded;
  if (!isObject(status) || !isObject(response) || !isObject(metadata)) return false;
  const { status: shown, headers, body } = response;
  if (!isWithin(status['code'], 1, MAX_CODE) || !isObject(shown)) return false;
  const isShown = isWithin(shown['code'], 400, 499) || shown['code'] === 503;
  return isShown && isOptions(headers) && typeof body === 'string' && body !== '';
}

function hasOnly(raw: Raw, members: ReadonlySet<string>): boolean {
  return Object.keys(raw).every(key => members.has(key));
}

function isWithin(value: unknown, least: number, most: number): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most;
}

function isOptions(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 && value.every(isOverwrite);
}

function isOverwrite(option: unknown): boolean {
  if (!isObject(option) || option['append_action'] !== OVERWRITES) return false;
  const { header, append } = option;
  return isObject(header) && isObject(append) && append['value'] === false;
}
