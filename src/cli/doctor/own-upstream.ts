/**
 * Stands in for the models, so that what gets through is seen and not guessed. Invariant: a request is told from others by
 * the mark that the probe put on it; nothing of it is kept but its target and its headers.
 */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { parseListenAddress } from '../../config/listen-address.ts';
import { messageOf } from '../../domain/errors.ts';
import { CliError, EXIT } from '../exit-code.ts';
import type { Forwarded } from './probe.ts';

/** Header with the mark. Gateways pass it on, and Duramen takes it for what it is: nothing. */
export const MARK_HEADER = 'duramen-doctor';
const MAX_HEADER_BYTES = 256 * 1024;
const ANSWER = '{"object":"chat.completion","choices":[]}';

export interface OwnUpstream {
  /** What came with a mark; null: nothing did. */
  received(mark: string): Forwarded | null;
  close(): Promise<void>;
}

/** @throws CliError when the address cannot be bound */
export async function startUpstream(address: string): Promise<OwnUpstream> {
  const place = parseListenAddress(address);
  if (place === undefined) {
    throw new CliError(`\`${address}\` of --as-upstream is no address`, {
      exitCode: EXIT.usage,
      hint: 'give it the form host:port',
    });
  }
  const received = new Map<string, Forwarded>();
  const server = createServer({ maxHeaderSize: MAX_HEADER_BYTES }, (incoming, outgoing) => {
    const { [MARK_HEADER]: mark } = incoming.headers;
    // before the body: what has come this far has got through
    if (typeof mark === 'string') received.set(mark, forwardedOf(incoming));
    incoming.resume();
    incoming.on('end', () => {
      outgoing.writeHead(200, { 'content-type': 'application/json', 'content-length': ANSWER.length });
      outgoing.end(ANSWER);
    });
    incoming.on('error', () => outgoing.destroy());
  });
  server.on('upgrade', (incoming, socket) => {
    const { [MARK_HEADER]: mark } = incoming.headers;
    if (typeof mark === 'string') received.set(mark, forwardedOf(incoming));
    socket.destroy();
  });
  await bind(server, place, address);
  return {
    received: mark => received.get(mark) ?? null,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function forwardedOf({ url = '', headersDistinct }: IncomingMessage): Forwarded {
  const headers = Object.entries(headersDistinct).map(([name, values = []]) => [name, values] as const);
  return { target: url, headers: new Map(headers) };
}

async function bind(server: Server, place: { host: string; port: number }, address: string): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(place.port, place.host, resolve);
    });
  } catch (error) {
    throw new CliError(`cannot listen on ${address}: ${messageOf(error)}`, {
      hint: 'the address is that of the models behind the gateway: stop them while the doctor stands in',
      cause: error,
    });
  }
}
