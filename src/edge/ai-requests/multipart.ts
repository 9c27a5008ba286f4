/**
 * multipart/form-data, strictly (RFC 7578). Invariant: the boundary stands nowhere but where parts begin and
 * end, and each part has one name, so no reader can see other parts.
 */
import { refuse } from './ai-request.ts';
import type { MediaType } from './content.ts';

/** Most parts: a form of this kind has about ten. */
const MAX_PARTS = 64;
/** Most bytes of the head of a part. */
const MAX_PART_HEAD = 2048;

export interface FormPart {
  readonly name: string;
  readonly isFile: boolean;
  /** Media type of the part in lower case, without parameters; empty when it has none. */
  readonly type: string;
  readonly bytes: Buffer;
}

/** @throws RequestRefused INPUT_REJECTED, BODY_UNREADABLE or BODY_INCOMPLETE */
export function parseMultipart(bytes: Uint8Array, media: MediaType | undefined): readonly FormPart[] {
  const boundary = media?.parameters.get('boundary');
  if (media?.type !== 'multipart/form-data' || boundary === undefined) {
    refuse('INPUT_REJECTED', 'this operation takes `multipart/form-data` with a boundary');
  }
  if (!/^[0-9A-Za-z'()+_,\-./:=?]{1,70}$/.test(boundary)) {
    refuse('INPUT_REJECTED', 'the boundary of the form has characters that it may not have');
  }
  const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return splitParts(body, `--${boundary}`);
}

function splitParts(body: Buffer, delimiter: string): FormPart[] {
  const parts: FormPart[] = [];
  if (!startsAt(body, 0, delimiter)) unreadable('it does not begin with its boundary');
  let at = delimiter.length;
  for (;;) {
    if (startsAt(body, at, '--')) {
      const rest = body.subarray(at + 2).toString('latin1');
      if (rest !== '' && rest !== '\r\n') unreadable('something follows its last boundary');
      return parts;
    }
    if (body.length - at < 2) incomplete();
    if (!startsAt(body, at, '\r\n')) unreadable('its boundary stands in the middle of a line');
    const next = body.indexOf(delimiter, at + 2, 'latin1');
    if (next === -1) incomplete();
    if (!startsAt(body, next - 2, '\r\n') || next - 2 < at)
      unreadable('its boundary stands inside of a part');
    if (parts.length === MAX_PARTS) unreadable(`it has more than ${MAX_PARTS} parts`);
    parts.push(readPart(body.subarray(at + 2, next - 2)));
    at = next + delimiter.length;
  }
}

const UTF8 = /^\s*charset="?utf-?8"?\s*$/;

function readPart(part: Buffer): FormPart {
  const end = part.indexOf('\r\n\r\n', 0, 'latin1');
  if (end === -1 || end > MAX_PART_HEAD) unreadable('a part has no head, or too long a one');
  const headers = new Map<string, string>();
  for (const line of part.subarray(0, end).toString('utf8').split('\r\n')) {
    const match = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\r\n]*)$/.exec(line);
    const name = match?.[1]?.toLowerCase();
    if (name === undefined || headers.has(name)) unreadable('a part has a head that cannot be read');
    headers.set(name, match?.[2]?.trim() ?? '');
  }
  const transfer = headers.get('content-transfer-encoding')?.toLowerCase() ?? 'binary';
  if (!['binary', '8bit', '7bit'].includes(transfer)) unreadable('a part has a transfer encoding');
  const { name, isFile } = readDisposition(headers.get('content-disposition') ?? '');
  const [media = '', ...parameters] = (headers.get('content-type') ?? '').toLowerCase().split(';');
  if (name === '_charset_' || (!isFile && parameters.some(one => !UTF8.test(one)))) {
    unreadable('a field says that it is not UTF-8');
  }
  const type = media.trim();
  return { name, isFile, type, bytes: part.subarray(end + 4) };
}

/** `form-data; name="model"; filename="a.wav"`: each parameter once, quoted, without escapes. */
function readDisposition(text: string): { name: string; isFile: boolean } {
  const match = /^form-data((?:\s*;\s*[a-z]+=(?:"[^"\\\r\n]*"|[^\s";\\]+))*)$/i.exec(text);
  if (match === null) unreadable('a part has a `Content-Disposition` that cannot be read in one way only');
  const parameters = new Map<string, string>();
  for (const [, key = '', quoted, plain] of (match[1] ?? '').matchAll(
    /;\s*([a-z]+)=(?:"([^"]*)"|([^\s";]+))/gi,
  )) {
    const lower = key.toLowerCase();
    if (parameters.has(lower)) unreadable(`a part has the parameter \`${lower}\` twice`);
    parameters.set(lower, quoted ?? plain ?? '');
  }
  const name = parameters.get('name');
  if (name === undefined || !/^[\x21-\x7e]{1,128}$/.test(name)) unreadable('a part has no name');
  return { name, isFile: parameters.has('filename') };
}

function startsAt(body: Buffer, at: number, text: string): boolean {
  return at >= 0 && body.subarray(at, at + text.length).toString('latin1') === text;
}

function unreadable(what: string): never {
  refuse('BODY_UNREADABLE', `the form cannot be read in one way only: ${what}`);
}

function incomplete(): never {
  refuse('BODY_INCOMPLETE', 'the form ends before its last boundary');
}
