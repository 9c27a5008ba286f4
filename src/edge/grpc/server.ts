/**
 * The gRPC listener: checks, health and reflection. Invariant: what was accepted is answered, also while shutting
 * down, unless the grace period ends first; messages, open calls and time have limits.
 */
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';
import type { Timers } from '../../decision-log/timers.ts';
import type { ProfileRegistry } from '../../identity/pep-profiles/profile-registry.ts';
import type { Services } from '../http/services.ts';
import { CheckService, type CheckServices } from './check-service.ts';
import { limitTime } from './deadline.ts';
import { CHECK_SERVICE, loadProtos, type Protos } from './protos.ts';

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
  services: CheckServices & Pick<Services, 'health'>,
  options: GrpcOptions,
): Promise<GrpcServer> {
  const { host, port, maxMessageBytes, maxConcurrentStreams, timeoutMs, timers } = options;
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
  addChecks(
    server,
    new CheckService(services, options.pepProfiles, protos.check, options.logSampleRate),
    protos,
  );
  new ReflectionService(protos.definitions).addToServer(server);
  const stopWatching = addHealth(server, services.health, timers);
  const authority = host.includes(':') ? `[${host}]` : host;
  const bound = await bind(server, `${authority}:${port}`);
  return {
    address: `${authority}:${bound}`,
    close(graceMs) {
      stopWatching();
      return shutDown(server, graceMs, timers);
    },
  };
}

/** Messages stay bytes outside the check: it decodes and encodes them itself, and looks at what it encoded. */
function addChecks(server: Server, service: CheckService, { check }: Protos): void {
  const asBytes = (bytes: Buffer): Buffer => bytes;
  const method = {
    path: check.path,
    requestStream: false,
    responseStream: false,
    requestSerialize: asBytes,
    requestDeserialize: asBytes,
    responseSerialize: asBytes,
    responseDeserialize: asBytes,
  };
  server.addService({ Check: method }, { Check: service.check.bind(service) });
}

/** @returns a function that says for the last time that nothing is served, and stops. */
function addHealth(server: Server, health: Services['health'], timers: Timers): () => void {
  const served = ['', CHECK_SERVICE];
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

function bind(server: Server, address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(port);
      else reject(error);
    });
  });
}

function shutDown(server: Server, graceMs: number, timers: Timers): Promise<void> {
  return new Promise(resolve => {
    const cancel = timers.after(graceMs, () => server.forceShutdown());
    server.tryShutdown(() => {
      cancel();
      resolve();
    });
  });
}
