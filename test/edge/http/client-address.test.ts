/** The source of a request: nobody chooses their own, and proxies are believed as far as the operator named them. */
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { ClientAddresses } from '../../../src/edge/http/client-address.ts';

function requestFrom(peer: string, forwarded?: string): IncomingMessage {
  const socket = new Socket();
  Object.defineProperty(socket, 'remoteAddress', { value: peer });
  const incoming = new IncomingMessage(socket);
  if (forwarded !== undefined) incoming.headers['x-forwarded-for'] = forwarded;
  return incoming;
}

const PROXIES = ['10.0.0.0/8', '192.168.1.1', 'fd00::/8'];
const cases: [
  name: string,
  trusted: string[],
  peer: string,
  forwarded: string | undefined,
  source: string,
][] = [
  ['the peer', [], '203.0.113.7', undefined, '203.0.113.7'],
  [
    'the peer, whatever it claims, when no proxy is trusted',
    [],
    '203.0.113.7',
    '198.51.100.1',
    '203.0.113.7',
  ],
  ['the peer, when it is not a trusted proxy', PROXIES, '203.0.113.7', '198.51.100.1', '203.0.113.7'],
  ['the client behind a trusted proxy', PROXIES, '10.1.2.3', '198.51.100.1', '198.51.100.1'],
  ['the last untrusted hop', PROXIES, '10.1.2.3', '6.6.6.6, 198.51.100.1, 192.168.1.1', '198.51.100.1'],
  ['the proxy, when the hop is no address', PROXIES, '10.1.2.3', 'unknown', '10.1.2.3'],
  ['the last good hop before nonsense', PROXIES, '10.1.2.3', '6.6.6.6, nonsense, 10.9.9.9', '10.9.9.9'],
  ['IPv4 in an IPv6 socket', PROXIES, '::ffff:10.1.2.3', '198.51.100.1', '198.51.100.1'],
  ['the network of an IPv6 client', [], '2001:db8:0:42:1:2:3:4', undefined, '2001:db8:0:42::/64'],
  ['an IPv6 client behind an IPv6 proxy', PROXIES, 'fd00::1', '2001:db8::1', '2001:db8:0:0::/64'],
  ['an unknown peer', [], '', undefined, 'unknown'],
];
test.each(cases)('is %s', (_name, trusted, peer, forwarded, source) => {
  expect(new ClientAddresses(trusted).sourceOf(requestFrom(peer, forwarded))).toBe(source);
});
