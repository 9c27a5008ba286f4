/**
 * The load generator: raw HTTP/1.1 over keep-alive sockets, so that the client costs little of the machine it
 * shares with the server. Closed loop by default; with a rate it opens the loop and measures from due time.
 * Invariant: no latency holds what the generator itself needs to start and to be compiled.
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
  /** With a rate: of what is counted, after WARM_UP_MS of the same load. */
  readonly seconds: number;
  /** Requests per second over all connections; absent: as fast as answers come. */
  readonly rate?: number;
}

export interface LoadResult {
  /** That were answered, also before they counted. */
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
  /** The part of an answer that came alone. */
  received: Buffer;
  /** Called with what came; it is overwritten by what comes next. */
  take: (chunk: Buffer) => void;
}

/** How long a load with a rate runs before its latencies count, in milliseconds. */
export const WARM_UP_MS = 1_000;
/** Longer than nearly every answer. */
const READ_BYTES = 16_384;
const NOTHING = Buffer.alloc(0);

/** Runs one load and resolves with its figures. Bounded by `seconds` and the warm-up. */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const payloads = options.bodies.map((body, at) => encode(options, body, options.heads?.[at]));
  const latencies: number[] = [];
  let requests = 0;
  let failures = 0;
  let next = 0;
  const lanes = await Promise.all(Array.from({ length: options.connections }, () => openLane(options.port)));
  const startedAt = performance.now();
  const countsFrom = startedAt + (options.rate === undefined ? 0 : WARM_UP_MS);
  const endsAt = countsFrom + options.seconds * 1000;
  const interval = options.rate === undefined ? 0 : (1000 * options.connections) / options.rate;

  const send = (lane: Lane, due: number): void => {
    const payload = payloads[next++ % payloads.length];
    if (payload === undefined) throw new Error('no bodies to send');
    lane.due = due;
    lane.awaiting = true;
    lane.socket.write(payload);
  };
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
          lane.take = chunk => {
            const status = takeResponse(lane, chunk);
            if (status === undefined) return;
            lane.awaiting = false;
            requests++;
            if (lane.due >= countsFrom) latencies.push(performance.now() - lane.due);
            if (status !== 200) failures++;
            proceed();
          };
          lane.socket.on('close', () => {
            if (lane.awaiting) failures++;
            resolve();
          });
          proceed();
        }),
    ),
  );
  const elapsed = (performance.now() - countsFrom) / 1000;
  latencies.sort((a, b) => a - b);
  const at = (share: number): number =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;
  return {
    requests,
    failures,
    perSecond: latencies.length / elapsed,
    p50: at(0.5),
    p99: at(0.99),
    max: latencies.at(-1) ?? 0,
  };
}

/** A socket that reads into one buffer again and again: a new one for each answer would keep the collector busy. */
function openLane(port: number): Promise<Lane> {
  return new Promise((resolve, reject) => {
    const onread = {
      buffer: Buffer.allocUnsafe(READ_BYTES),
      callback: (length: number): boolean => {
        lane.take(onread.buffer.subarray(0, length));
        return true;
      },
    };
    const socket = connect({ port, host: '127.0.0.1', onread }, () => {
      socket.setNoDelay(true);
      socket.removeListener('error', reject);
      resolve(lane);
    });
    const lane: Lane = {
      socket,
      due: 0,
      awaiting: false,
      received: NOTHING,
      take: () => reject(new Error('an answer came before its question')),
    };
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

const HEAD_END = Buffer.from('\r\n\r\n');
const CHUNKS_END = Buffer.from('0\r\n\r\n');
/** Where the digits of the status stand. */
const STATUS_AT = 'HTTP/1.1 '.length;

/** The status of a complete response, or undefined while it is incomplete. One response is in flight per lane. */
function takeResponse(lane: Lane, chunk: Buffer): number | undefined {
  const received = lane.received.length === 0 ? chunk : Buffer.concat([lane.received, chunk]);
  if (!isComplete(received)) {
    // the chunk is overwritten by the next one
    lane.received = received === chunk ? Buffer.from(chunk) : received;
    return undefined;
  }
  lane.received = NOTHING;
  return Number(received.toString('latin1', STATUS_AT, STATUS_AT + 3));
}

function isComplete(received: Buffer): boolean {
  const end = received.indexOf(HEAD_END);
  if (end < 0) return false;
  const length = /content-length: (\d+)/i.exec(received.toString('latin1', 0, end))?.[1];
  if (length === undefined) return received.subarray(-CHUNKS_END.length).equals(CHUNKS_END);
  return received.length >= end + HEAD_END.length + Number(length);
}
