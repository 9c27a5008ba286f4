/**
 * The load generator for gRPC: HTTP/2 written by hand, one closed loop for each stream, so that the client costs little
 * of the machine it shares with the server. It knows the frames that a unary call needs (RFC 9113), and no more.
 */
import { connect, type Socket } from 'node:net';

export interface GrpcLoad {
  readonly port: number;
  readonly path: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** Messages, encoded. */
  readonly messages: readonly Buffer[];
  readonly connections: number;
  /** Calls in flight on each connection: together below the flow-control window of the server. */
  readonly streams: number;
  readonly seconds: number;
}

export interface GrpcLoadResult {
  readonly requests: number;
  /** Calls that ended without a message. */
  readonly failures: number;
  readonly perSecond: number;
}

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const FRAME_HEAD = 9;
const DATA = 0;
const HEADERS = 1;
const RST_STREAM = 3;
const SETTINGS = 4;
const PING = 6;
const GOAWAY = 7;
const WINDOW_UPDATE = 8;
const END_STREAM = 1;
const END_HEADERS = 4;
const ACK = 1;
/** As much as a window may grow to, with room for what is counted already. */
const LARGE_WINDOW = 2 ** 30;
/** First index of the dynamic table of HPACK (RFC 7541 §2.3.3). */
const DYNAMIC = 62;

/** Runs one load and resolves with its figures. Bounded by `seconds`. */
export async function runGrpcLoad(load: GrpcLoad): Promise<GrpcLoadResult> {
  const startedAt = performance.now();
  const endsAt = startedAt + load.seconds * 1000;
  const tallies = await Promise.all(
    Array.from({ length: load.connections }, (_, at) => new Lane(load, at, endsAt).run()),
  );
  const requests = tallies.reduce((sum, { answered }) => sum + answered, 0);
  const failures = tallies.reduce((sum, { failed }) => sum + failed, 0);
  return { requests, failures, perSecond: requests / ((performance.now() - startedAt) / 1000) };
}

interface Tally {
  answered: number;
  failed: number;
}

/** One connection. */
class Lane {
  readonly #load: GrpcLoad;
  readonly #endsAt: number;
  readonly #tally: Tally = { answered: 0, failed: 0 };
  readonly #hasMessage = new Set<number>();
  #next: number;
  #stream = 1;
  #received: Buffer = Buffer.alloc(0);
  #owed = 0;

  constructor(load: GrpcLoad, position: number, endsAt: number) {
    this.#load = load;
    this.#next = position;
    this.#endsAt = endsAt;
  }

  run(): Promise<Tally> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.#load.port, '127.0.0.1', () => {
        socket.setNoDelay(true);
        // SETTINGS_INITIAL_WINDOW_SIZE, so that no stream of ours ever needs an update
        const settings = Buffer.alloc(6);
        settings.writeUInt16BE(4, 0);
        settings.writeUInt32BE(LARGE_WINDOW, 2);
        socket.write(
          Buffer.concat([Buffer.from(PREFACE), frame(SETTINGS, 0, 0, settings), grow(LARGE_WINDOW)]),
        );
        for (let stream = 0; stream < this.#load.streams; stream++) this.#call(socket);
      });
      socket.on('error', reject);
      socket.on('close', () => resolve(this.#tally));
      socket.on('data', (chunk: Buffer) => {
        this.#received = this.#received.byteLength === 0 ? chunk : Buffer.concat([this.#received, chunk]);
        this.#read(socket);
        if (performance.now() >= this.#endsAt) socket.destroy();
      });
    });
  }

  #call(socket: Socket): void {
    const { messages, path, port, metadata } = this.#load;
    const message = messages[this.#next++ % messages.length];
    if (message === undefined) throw new Error('no messages to send');
    const head = headerBlock(path, port, metadata, this.#stream === 1);
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(message.byteLength, 1);
    const sent = [
      frame(HEADERS, END_HEADERS, this.#stream, head),
      frame(DATA, END_STREAM, this.#stream, Buffer.concat([prefix, message])),
    ];
    this.#stream += 2;
    socket.write(Buffer.concat(sent));
  }

  #read(socket: Socket): void {
    let at = 0;
    const bytes = this.#received;
    while (at + FRAME_HEAD <= bytes.byteLength) {
      const length = bytes.readUIntBE(at, 3);
      if (at + FRAME_HEAD + length > bytes.byteLength) break;
      const payload = bytes.subarray(at + FRAME_HEAD, at + FRAME_HEAD + length);
      this.#take(
        socket,
        bytes[at + 3] ?? 0,
        bytes[at + 4] ?? 0,
        bytes.readUInt32BE(at + 5) & 0x7fffffff,
        payload,
      );
      at += FRAME_HEAD + length;
    }
    this.#received = Buffer.from(bytes.subarray(at));
  }

  #take(socket: Socket, type: number, flags: number, stream: number, payload: Buffer): void {
    if (type === SETTINGS && (flags & ACK) === 0) socket.write(frame(SETTINGS, ACK, 0, Buffer.alloc(0)));
    else if (type === PING && (flags & ACK) === 0) socket.write(frame(PING, ACK, 0, Buffer.from(payload)));
    else if (type === GOAWAY) throw new Error('the server ended the connection');
    else if (type === DATA) {
      this.#hasMessage.add(stream);
      this.#owed += payload.byteLength;
      if (this.#owed > LARGE_WINDOW / 2) {
        socket.write(grow(this.#owed));
        this.#owed = 0;
      }
    }
    const isOver = type === RST_STREAM || ((type === HEADERS || type === DATA) && (flags & END_STREAM) !== 0);
    if (!isOver) return;
    this.#tally.answered++;
    if (!this.#hasMessage.delete(stream)) this.#tally.failed++;
    if (performance.now() < this.#endsAt) this.#call(socket);
  }
}

/** The first block of a connection fills the table of the peer; the others name its entries. */
function headerBlock(
  path: string,
  port: number,
  metadata: Readonly<Record<string, string>>,
  isFirst: boolean,
): Buffer {
  const headers = Object.entries({
    ':method': 'POST',
    ':scheme': 'http',
    ':path': path,
    ':authority': `127.0.0.1:${port}`,
    'content-type': 'application/grpc',
    te: 'trailers',
    'grpc-timeout': '1S',
    ...metadata,
  });
  if (!isFirst) return Buffer.from(headers.map((_, at) => 0x80 | (DYNAMIC + headers.length - 1 - at)));
  return Buffer.concat(
    headers.map(([name, value]) => Buffer.concat([Buffer.from([0x40]), text(name), text(value)])),
  );
}

/** A string of HPACK, as it is. */
function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  if (bytes.byteLength > 126) throw new Error('a header is too long for this client');
  return Buffer.concat([Buffer.from([bytes.byteLength]), bytes]);
}

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(FRAME_HEAD);
  head.writeUIntBE(payload.byteLength, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

function grow(size: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(size, 0);
  return frame(WINDOW_UPDATE, 0, 0, payload);
}
