/** The HTTP listeners, put together. Invariant: when management has a listener of its own, it is answered there alone. */
import { parseListenAddress } from '../config/listen-address.ts';
import type { Config } from '../config/settings.ts';
import { AppError, messageOf } from '../domain/errors.ts';
import { makeRoutes } from '../edge/http/routes.ts';
import { type HttpOptions, type HttpServer, listen } from '../edge/http/server.ts';
import type { Services } from '../edge/http/services.ts';
import type { Certificates } from './certificates.ts';

export interface HttpListeners {
  /** `http://127.0.0.1:8181`, or with `https` */
  readonly url: string;
  /** Where management is answered; the same as `url` without a listener of its own. */
  readonly adminUrl: string;
  /** As HttpServer.close, of all. */
  close(graceMs: number): Promise<void>;
}

/** @throws AppError NOT_READY when an address cannot be bound; then nothing listens. */
export async function listenHttp(
  config: Config,
  services: Services,
  { listeners }: Pick<Certificates, 'listeners'>,
  version: string,
): Promise<HttpListeners> {
  const routes = makeRoutes(version);
  const open = (setting: Setting, options: Pick<HttpOptions, 'serves' | 'tls'>): Promise<HttpServer> =>
    listenOn(setting, address =>
      listen(services, routes, {
        ...limitsOf(config),
        pepProfiles: services.gateways,
        ...address,
        ...options,
      }),
    );
  const setting = { text: config.http.listen, env: 'DURAMEN_HTTP_LISTEN' };
  if (config.admin.listen === '') {
    const server = await open(setting, { serves: 'all', tls: listeners.http });
    return { url: server.url, adminUrl: server.url, close: graceMs => server.close(graceMs) };
  }
  const server = await open(setting, { serves: 'decisions', tls: listeners.http });
  try {
    const env = 'DURAMEN_ADMIN_LISTEN';
    const admin = await open(
      { text: config.admin.listen, env },
      { serves: 'management', tls: listeners.admin },
    );
    return {
      url: server.url,
      adminUrl: admin.url,
      async close(graceMs) {
        await Promise.all([server.close(graceMs), admin.close(graceMs)]);
      },
    };
  } catch (error) {
    await server.close(0);
    throw error;
  }
}

interface Setting {
  readonly text: string;
  readonly env: string;
}

function limitsOf({
  http,
  log,
}: Config): Omit<HttpOptions, 'host' | 'port' | 'serves' | 'tls' | 'pepProfiles'> {
  const { maxConnections, requestTimeoutSeconds } = http;
  return { maxConnections, requestTimeoutSeconds, logSampleRate: log.requestSampleRate };
}

async function listenOn(
  { text, env }: Setting,
  bind: (address: { host: string; port: number }) => Promise<HttpServer>,
): Promise<HttpServer> {
  const address = parseListenAddress(text);
  if (address === undefined) throw new Error(`\`${text}\` is no address`);
  try {
    return await bind(address);
  } catch (error) {
    throw new AppError(
      'NOT_READY',
      `cannot listen on ${text}: ${messageOf(error)}: stop what uses the port, or set ${env}`,
      { cause: error },
    );
  }
}
