/** Only sane request ids and valid trace contexts are believed. */
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { requestIdOf, traceOf } from '../../../src/edge/http/request-headers.ts';

function withHeader(name: string, value: string): IncomingMessage {
  const incoming = new IncomingMessage(new Socket());
  incoming.headers[name] = value;
  return incoming;
}

const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
test.each([
  [TRACE, TRACE],
  [TRACE.replace(/^00/, 'cc'), TRACE.replace(/^00/, 'cc')],
  [`${TRACE.replace(/^00/, 'cc')}-more`, TRACE.replace(/^00/, 'cc')],
  [`${TRACE}-more`, undefined],
  [TRACE.replace(/^00/, 'ff'), undefined],
  [TRACE.toUpperCase(), undefined],
  [TRACE.replace(/4bf92f3577b34da6a3ce929d0e0e4736/, '0'.repeat(32)), undefined],
  [TRACE.replace(/00f067aa0ba902b7/, '0'.repeat(16)), undefined],
  [TRACE.slice(1), undefined],
  ['', undefined],
  [`${TRACE}\n`, undefined],
])('traceparent %j is carried as %j', (header, carried) => {
  expect(traceOf(withHeader('traceparent', header))).toBe(carried);
});

test.each([
  ['gw-7f3', 'gw-7f3'],
  ['a'.repeat(128), 'a'.repeat(128)],
  ['a'.repeat(129), 'made'],
  ['', 'made'],
  ['a b', 'made'],
  ['a"b', 'made'],
  ['a\\b', 'made'],
  ['a\u0007', 'made'],
  ['ü', 'made'],
])('x-request-id %j becomes %j', (header, id) => {
  expect(requestIdOf(withHeader('x-request-id', header), () => 'made')).toBe(id);
});
