/**
 * Headers that are believed only when they are sane: request ids and trace contexts. Invariant: nothing from
 * a header reaches a response header, a log line or an entry unless it has the form given here.
 */
import type { IncomingMessage } from 'node:http';

export const REQUEST_ID_HEADER = 'x-request-id';
/** Visible ASCII without quotes and backslash: it can stand in a header, in JSON and in a log line. */
const REQUEST_ID = /^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/;
/** W3C Trace Context §3.2: version, trace-id, parent-id, flags; later versions may add fields. */
const TRACE_PARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.{0,200})?$/;
const TRACE_PARENT_LENGTH = 55;

/** The client's request id when it is sane, else one of our own. */
export function requestIdOf(incoming: IncomingMessage, next: () => string): string {
  const header = incoming.headers[REQUEST_ID_HEADER];
  return saneRequestId(typeof header === 'string' ? header : undefined) ?? next();
}

/** A request id that may be believed. */
export function saneRequestId(text: string | undefined): string | undefined {
  return text !== undefined && REQUEST_ID.test(text) ? text : undefined;
}

/** The `traceparent` of the request when it is valid; what a later version appends is dropped. */
export function traceOf(incoming: IncomingMessage): string | undefined {
  const header = incoming.headers['traceparent'];
  return saneTrace(typeof header === 'string' ? header : undefined);
}

/** A `traceparent` that is valid, as `traceOf` returns it. */
export function saneTrace(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const match = TRACE_PARENT.exec(header);
  if (match === null || match[1] === 'ff') return undefined;
  if (match[1] === '00' && match[4] !== undefined) return undefined;
  if (/^0+$/.test(match[2] ?? '') || /^0+$/.test(match[3] ?? '')) return undefined;
  return header.slice(0, TRACE_PARENT_LENGTH);
}
