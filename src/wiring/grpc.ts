/** The gRPC listener, put together. */
import { fileURLToPath } from 'node:url';
import { setLogger } from '@grpc/grpc-js';
import { parseListenAddress } from '../config/listen-address.ts';
import type { Config } from '../config/settings.ts';
import { AppError, messageOf } from '../domain/errors.ts';
import { type GrpcServer, listenGrpc } from '../edge/grpc/server.ts';
import type { Services } from '../edge/http/services.ts';
import { PROCESS_TIMERS } from './anchors.ts';
import type { Certificates } from './certificates.ts';
import type { Cleanup } from './cleanup.ts';

/**
 * Listens until the cleanup runs.
 * @returns the address; undefined when the listener is turned off. Rejects with AppError NOT_READY when it
 * cannot be bound.
 */
export async function serveGrpc(
  config: Config,
  services: Services,
  certificates: Pick<Certificates, 'listeners'>,
  cleanup: Cleanup,
): Promise<string | undefined> {
  if (config.grpc.listen === '') return undefined;
  const server = await listenOn(config, services, certificates);
  cleanup.add(() => {
    services.health.beginShutdown();
    return server.close(config.shutdown.graceSeconds * 1000);
  });
  return server.address;
}

async function listenOn(
  config: Config,
  services: Services,
  { listeners }: Pick<Certificates, 'listeners'>,
): Promise<GrpcServer> {
  const { listen, tls: _settings, ...limits } = config.grpc;
  const address = parseListenAddress(listen);
  if (address === undefined) throw new Error(`\`${listen}\` is no address`);
  // what the library has to say is a line of the service's log like any other
  const report = (...parts: unknown[]) =>
    services.logger.warn({ detail: parts.map(String).join(' ') }, 'grpc');
  setLogger({ error: report, info: report, debug: report });
  try {
    return await listenGrpc(services, {
      ...address,
      ...limits,
      tls: listeners.grpc,
      protoFolder: fileURLToPath(new URL('../../schema/protos', import.meta.url)),
      pepProfiles: services.gateways,
      logSampleRate: config.log.requestSampleRate,
      timers: PROCESS_TIMERS,
    });
  } catch (error) {
    throw new AppError(
      'NOT_READY',
      `cannot listen on ${listen}: ${messageOf(error)}: stop what uses the port, or set DURAMEN_GRPC_LISTEN`,
      { cause: error },
    );
  }
}
