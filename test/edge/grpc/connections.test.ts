/** Connections by the name of their peer: never two of one name, and none that is gone. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { GrpcConnections } from '../../../src/edge/grpc/connections.ts';

const servers: Server[] = [];
const clients: Socket[] = [];
afterEach(() => {
  for (const client of clients) client.destroy();
  for (const server of servers) server.close();
});

/** A connection as a server sees it. */
function accepted(): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const server = createServer(resolve);
    servers.push(server);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      if (address === null || typeof address === 'string') throw new Error('no port');
      const client = connect(address.port, '127.0.0.1');
      client.once('error', reject);
      clients.push(client);
    });
  });
}

const nameOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress}:${remotePort}`;

test('a connection is found by its peer until it is closed', async () => {
  const connections = new GrpcConnections();
  const socket = await accepted();
  const name = nameOf(socket);
  expect(connections.of(name)).toBeUndefined();
  expect(connections.opened(socket)).toBe(true);
  expect(connections.of(name)).toBe(socket);
  await new Promise<void>(resolve => {
    socket.once('close', resolve);
    socket.destroy();
  });
  expect(connections.of(name)).toBeUndefined();
});

test('a second connection of the same name is not served, and does not replace the first', async () => {
  const connections = new GrpcConnections();
  const first = await accepted();
  const second = await accepted();
  // as when one address and port of a client reach two addresses of ours
  Object.defineProperties(second, {
    remoteAddress: { value: first.remoteAddress },
    remotePort: { value: first.remotePort },
  });
  expect([connections.opened(first), connections.opened(second)]).toEqual([true, false]);
  expect(connections.of(nameOf(first))).toBe(first);
});

test('a connection that is closed already is not served', async () => {
  const socket = await accepted();
  socket.destroy();
  expect(new GrpcConnections().opened(socket)).toBe(false);
});
