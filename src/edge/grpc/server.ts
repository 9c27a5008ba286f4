/**
 * The gRPC listener: checks, health and reflection. Invariants: what was accepted is answered, also while shutting
 * down, unless the grace period ends first; connections, messages, open calls and time have limits; sockets are
 * accepted here, so that TLS and who holds a connection are what they are over HTTP.
 */
import { type AddressInfo, createServer, type Server as SocketServer, type Socket } from 'node:net';
import { type handleUnaryCall, Server, ServerCredentials } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';
import type { Timers } from '../../decision-log/timers.ts';
import type { ProfileRegistry } from '../../identity/pep-profiles/profile-registry.ts';
import type { Services } from '../http/services.ts';
import type { TlsListener } from '../http/tls-listener.ts';
import { CheckService, type CheckServices } from './check-service.ts';
import { GrpcConnections } from './connections.ts';
import { limitTime } from './deadline.ts';
import { CHECK_SERVICE, loadProtos, type Protos, RATE_LIMIT_SERVICE } from './protos.ts';
import { RateLimitService, type RateLimitServices } from './rate-limit-service.ts';

/** How often health is looked at, in milliseconds: watchers hear of a change this late. */
const HEALTH_INTERVAL_MS = 1000;
/** How often a silent connection is pinged, and how long its answer may take, in milliseconds. */
const KEEPALIVE_MS = 30_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;
/** How long a connection without calls stays open, in milliseconds. */
const IDLE_MS = 300_000;
/** Largest answer in bytes: headers, a message and metadata of a decision are a few KiB. */
const MAX_ANSWER_BYTES = 1024 * 1024;

export interface GrpcOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** undefined: plaintext. */
  readonly tls: TlsListener | undefined;
  readonly maxConnections: number;
  readonly maxMessageBytes: number;
  readonly maxConcurrentStreams: number;
  readonly timeoutMs: number;
  /** Path of `schema/protos`. */
  readonly protoFolder: string;
  readonly pepProfiles: Pick<ProfileRegistry, 'derive'>;
  /** One check in this many is written to the request log. */
  readonly logSampleRate: number;
  readonly timers: Timers;
}

/** A listening server. */
export interface GrpcServer {
  /** `127.0.0.1:8182` */
  readonly address: string;
  /** Stops accepting, answers what was accepted, and cuts what is left after the grace period. */
  close(graceMs: number): Promise<void>;
}

/** Rejects when the address cannot be bound. */
export async function listenGrpc(
  services: CheckServices & RateLimitServices & Pick<Services, 'health'>,
  options: GrpcOptions,
): Promise<GrpcServer> {
  const { host, port, tls, maxMessageBytes, maxConcurrentStreams, timeoutMs, timers } = options;
  const server = new Server({
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_send_message_length': MAX_ANSWER_BYTES,
    'grpc.max_concurrent_streams': maxConcurrentStreams,
    'grpc.keepalive_time_ms': KEEPALIVE_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    'grpc.max_connection_idle_ms': IDLE_MS,
    // its registry of channels and sockets is of no use here
    'grpc.enable_channelz': 0,
    interceptors: [limitTime(timeoutMs, timers)],
  });
  const protos = loadProtos(options.protoFolder);
  const connections = new GrpcConnections();
  const checks = new CheckService({ ...services, connections }, options, protos.check);
  addMethod(server, protos.check, 'Check', checks.check.bind(checks));
  const limits = new RateLimitService({ ...services, connections }, options, protos.shouldRateLimit);
  addMethod(server, protos.shouldRateLimit, 'ShouldRateLimit', limits.check.bind(limits));
  new ReflectionService(protos.definitions).addToServer(server);
  const stopWatching = addHealth(server, services.health, timers);
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const accept = (socket: Socket): void => {
    if (connections.opened(socket)) injector.injectConnection(socket);
    else socket.destroy();
  };
  const listener = tls === undefined ? createServer(accept) : tls.createSocketServer(accept);
  listener.maxConnections = options.maxConnections;
  const sockets = trackSockets(listener);
  try {
    await bind(listener, host, port);
  } catch (error) {
    stopWatching();
    server.forceShutdown();
    throw error;
  }
  return {
    address: `${host.includes(':') ? `[${host}]` : host}:${portOf(listener)}`,
    async close(graceMs) {
      stopWatching();
      listener.close();
      await shutDown(server, sockets, graceMs, timers);
    },
  };
}

/** Every socket that is open, also those in the middle of a handshake. */
function trackSockets(listener: SocketServer): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  listener.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  return sockets;
}

/** Messages stay bytes outside a service: it decodes and encodes them itself, and looks at what it encoded. */
function addMethod(
  server: Server,
  { path }: Protos['check'],
  name: string,
  handle: handleUnaryCall<Buffer, Buffer>,
): void {
  const asBytes = (bytes: Buffer): Buffer => bytes;
  const method = {
    path,
    requestStream: false,
    responseStream: false,
    requestSerialize: asBytes,
    requestDeserialize: asBytes,
    responseSerialize: asBytes,
    responseDeserialize: asBytes,
  };
  server.addService({ [name]: method }, { [name]: handle });
}

/** @returns a function that says for the last time that nothing is served, and stops. */
function addHealth(server: Server, health: Services['health'], timers: Timers): () => void {
  const served = ['', CHECK_SERVICE, RATE_LIMIT_SERVICE];
  const implementation = new HealthImplementation();
  let stop = (): void => undefined;
  let shown: boolean | undefined;
  const show = (isReady: boolean): void => {
    if (shown === isReady) return;
    shown = isReady;
    for (const name of served) implementation.setStatus(name, isReady ? 'SERVING' : 'NOT_SERVING');
  };
  const look = (): void => {
    show(health.report().ready);
    stop = timers.after(HEALTH_INTERVAL_MS, look);
  };
  look();
  implementation.addToServer(server);
  return () => {
    stop();
    show(false);
  };
}

function bind(listener: SocketServer, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(port, host, () => {
      listener.off('error', reject);
      resolve();
    });
  });
}

function portOf(listener: SocketServer): number {
  const address = listener.address();
  return isBound(address) ? address.port : 0;
}

function isBound(address: AddressInfo | string | null): address is AddressInfo {
  return typeof address === 'object' && address !== null;
}

/** Lets open calls end, until the grace period is over. */
async function shutDown(
  server: Server,
  sockets: ReadonlySet<Socket>,
  graceMs: number,
  timers: Timers,
): Promise<void> {
  await new Promise<void>(resolve => {
    const cancel = timers.after(graceMs, () => {
      server.forceShutdown();
      for (const socket of sockets) socket.destroy();
    });
    server.tryShutdown(() => {
      cancel();
      resolve();
    });
  });
  // what is left has no call: handshakes, and clients that do not hang up
  for (const socket of sockets) socket.destroy();
}
