/**
 * The load generator: raw HTTP/1.1 over keep-alive sockets, so that the client costs little of the machine it
 * shares with the server. Closed loop by default; with a rate it opens the loop and measures from due time.
 */
import { connect, type Socket } from 'node:net';

export interface LoadOptions {
  readonly port: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Further headers of the request with the body at the same place. */
  readonly heads?: readonly Readonly<Record<string, string>>[];
  readonly bodies: readonly string[];
  readonly connections: number;
  readonly seconds: number;
  /** Requests per second over all connections; absent: as fast as answers come. */
  readonly rate?: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly failures: number;
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

interface Lane {
  readonly socket: Socket;
  due: number;
  awaiting: boolean;
  received: Buffer;
}

/** Runs one load and resolves with its figures. Bounded by `seconds`. */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const payloads = options.bodies.map((body, at) => encode(options, body, options.heads?.[at]));
  const latencies: number[] = [];
  let failures = 0;
  let next = 0;
  const startedAt = performance.now();
  const endsAt = startedAt + options.seconds * 1000;
  const interval = options.rate === undefined ? 0 : (1000 * options.connections) / options.rate;

  const send = (lane: Lane, due: number): void => {
    const payload = payloads[next++ % payloads.length];
    if (payload === undefined) throw new Error('no bodies to send');
    lane.due = due;
    lane.awaiting = true;
    lane.socket.write(payload);
  };
  const lanes = await Promise.all(Array.from({ length: options.connections }, () => openLane(options.port)));
  await Promise.all(
    lanes.map(
      (lane, position) =>
        new Promise<void>((resolve, reject) => {
          let nextDue = startedAt + (interval * position) / options.connections;
          const proceed = (): void => {
            const now = performance.now();
            if (now >= endsAt) {
              lane.socket.destroy();
              resolve();
              return;
            }
            if (interval === 0) {
              send(lane, now);
              return;
            }
            nextDue += interval;
            const wait = nextDue - now;
            // a timer may fire a fraction of a millisecond early; a late one counts as waiting
            if (wait > 1) setTimeout(() => send(lane, Math.min(nextDue, performance.now())), wait);
            else send(lane, nextDue);
          };
          lane.socket.on('error', reject);
          lane.socket.on('data', chunk => {
            const status = takeResponse(lane, chunk);
            if (status === undefined) return;
            lane.awaiting = false;
            latencies.push(performance.now() - lane.due);
            if (status !== 200) failures++;
            proceed();
          });
          lane.socket.on('close', () => {
            if (lane.awaiting) failures++;
            resolve();
          });
          proceed();
        }),
    ),
  );
  const elapsed = (performance.now() - startedAt) / 1000;
  latencies.sort((a, b) => a - b);
  const at = (share: number): number =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;
  return {
    requests: latencies.length,
    failures,
    perSecond: latencies.length / elapsed,
    p50: at(0.5),
    p99: at(0.99),
    max: latencies.at(-1) ?? 0,
  };
}

function openLane(port: number): Promise<Lane> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.setNoDelay(true);
      socket.removeListener('error', reject);
      resolve({ socket, due: 0, awaiting: false, received: Buffer.alloc(0) });
    });
    socket.once('error', reject);
  });
}

function encode(options: LoadOptions, body: string, head: Readonly<Record<string, string>> = {}): Buffer {
  const headers = Object.entries({
    host: `127.0.0.1:${options.port}`,
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    ...options.headers,
    ...head,
  });
  return Buffer.from(
    `POST ${options.path} HTTP/1.1\r\n${headers.map(([k, v]) => `${k}: ${v}\r\n`).join('')}\r\n${body}`,
  );
}

/** The status of a complete response, or undefined while it is incomplete. One response is in flight per lane. */
function takeResponse(lane: Lane, chunk: Buffer): number | undefined {
  lane.received = lane.received.length === 0 ? chunk : Buffer.concat([lane.received, chunk]);
  const end = lane.received.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const head = lane.received.toString('latin1', 0, end);
  const length = /content-length: (\d+)/i.exec(head)?.[1];
  if (length === undefined) {
    if (!lane.received.toString('latin1').endsWith('0\r\n\r\n')) return undefined;
  } else if (lane.received.length < end + 4 + Number(length)) {
    return undefined;
  }
  lane.received = Buffer.alloc(0);
  return Number(head.slice(9, 12));
}
