/**
 * Loaded into Portkey before its own code: it listens on the loopback address, and connects to nothing else. What it
 * tried is said on stderr, one line each, so that a test can hold that it tried nothing.
 */
import { Server, Socket } from 'node:net';

const LOOPBACK = ['127.0.0.1', '::1', 'localhost'];
/** Begins each line. */
const MARK = 'outside call: ';

// oxlint-disable-next-line typescript/unbound-method -- applied to the server that it is called on
const listen = Server.prototype.listen;
Server.prototype.listen = function onLoopback(this: Server, options: unknown, ...rest: unknown[]): Server {
  const wanted = typeof options === 'number' ? { port: options } : options;
  Reflect.apply(listen, this, [
    typeof wanted === 'object' ? { ...wanted, host: '127.0.0.1' } : wanted,
    ...rest.filter(one => typeof one === 'function'),
  ]);
  return this;
};

// oxlint-disable-next-line typescript/unbound-method -- applied to the socket that it is called on
const open = Socket.prototype.connect;
Socket.prototype.connect = function toLoopback(this: Socket, ...parts: unknown[]): Socket {
  const [first] = parts.flat();
  const named = typeof first === 'object' && first !== null && 'host' in first ? first.host : undefined;
  const host = typeof named === 'string' ? named : '127.0.0.1';
  if (!LOOPBACK.includes(host)) {
    process.stderr.write(`${MARK}${host}\n`);
    throw new Error(`${MARK}${host}`);
  }
  Reflect.apply(open, this, parts);
  return this;
};

const request = globalThis.fetch;
/**
 * With headers that can be changed: beside @hono/node-server 1.19, Portkey 1.15 adds its own to what `fetch` answered,
 * which throws for streams.
 */
globalThis.fetch = async (...parts: Parameters<typeof fetch>) => {
  const { status, statusText, headers, body } = await request(...parts);
  return new Response(body, { status, statusText, headers: new Headers(headers) });
};
