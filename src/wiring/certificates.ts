/**
 * Certificates, put together: those of the listeners, and what those of clients are judged by; read at the start, and
 * again when their files change. Invariants: the service does not start on files that it cannot use; afterwards each
 * part stays as it was until all of its files are right, and no connection is closed for it.
 */
import { ConfigError } from '../config.ts';
import type { Config } from '../config/settings.ts';
import type { TlsSettings } from '../config/tls-settings.ts';
import type { Clock } from '../domain/clock.ts';
import type { Problem } from '../domain/errors.ts';
import type { HealthCheck } from '../edge/http/health.ts';
import { RequesterCertificates } from '../edge/http/requester-certificates.ts';
import { TlsListener } from '../edge/http/tls-listener.ts';
import { CertificateRules, ruleProblems } from '../identity/certificates/certificate-rules.ts';
import type { CertificateTrust } from '../identity/certificates/trust.ts';
import { ClientCertificates } from '../identity/client-certificate.ts';
import { CertificateMetrics, type CertificateSources } from '../telemetry/certificate-metrics.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Timers } from '../decision-log/timers.ts';
import { openKeyPair, openTrust, type ServerCertificate, trustOf } from './certificate-files.ts';
import { FileWatch } from './file-watch.ts';
import type { ReloadedPart } from './reloaded-part.ts';

/** Days before the end of the listener's certificate from which on readiness says so. */
const EXPIRY_NOTICE_DAYS = 7;
const DAY_MS = 86_400_000;
export interface CertificateParts {
  readonly config: Pick<Config, 'tls' | 'admin' | 'grpc' | 'identity'>;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

interface Listeners {
  readonly http: TlsListener | undefined;
  readonly admin: TlsListener | undefined;
  readonly grpc: TlsListener | undefined;
}

export interface Certificates {
  readonly clients: ClientCertificates;
  readonly requesters: RequesterCertificates;
  /** undefined: the listener speaks no TLS. */
  readonly listeners: Listeners;
  readonly checks: readonly HealthCheck[];
  /** Looks at every file now. */
  reload(): void;
  /** Looks at files when they change, from here on. */
  start(): void;
  close(): void;
}

/** @throws ConfigError when settings contradict each other, or a file cannot be used. */
export function assembleCertificates(parts: CertificateParts): Certificates {
  const { config, clock, logger } = parts;
  const { identity } = config;
  refuseContradictions(config);
  const files = openTrust(config);
  let trust = trustOf(files);
  const rules = new CertificateRules(identity.authorities, identity.certificates);
  const clients = new ClientCertificates(() => trust, rules, clock);
  const requesters = new RequesterCertificates(clients);
  const metrics = new CertificateMetrics(parts.metrics);
  const common = { requesters, metrics, trust: () => trust, clock };
  const servers = {
    http: openListener('http', config.tls, common),
    admin: openListener('admin', config.admin.tls, common),
    grpc: openListener('grpc', config.grpc.tls, common),
  };
  const opened = [servers.http, servers.admin, servers.grpc].filter(server => server !== undefined);
  metrics.observe(sourcesOf(opened, () => trust, clock));
  const trustParts = [files.authorities, files.lists, files.denied];
  const all = [...trustParts, ...opened.map(({ pair }) => pair)];
  const reload = (): void => {
    const results = all.map(part => reloadPart(part, metrics, logger));
    if (trustParts.some((_, at) => results[at] === 'changed')) trust = trustOf(files);
    if (results.includes('changed')) for (const { listener } of opened) listener.reload();
  };
  const paths = all.flatMap(part => part.files);
  const watch = new FileWatch({
    files: paths,
    timers: parts.timers,
    changed: reload,
    unwatched: (folder, error) =>
      logger.warn({ folder, err: error }, 'a folder of certificates cannot be watched'),
  });
  return {
    clients,
    requesters,
    listeners: listenersOf(servers),
    checks: [
      ...all.filter(part => part.files.length > 0).map(reloadCheck),
      ...opened.map(server => expiryCheck(server, clock)),
      ...(files.lists.files.length === 0 ? [] : [listCheck(() => trust, clock)]),
    ],
    reload,
    start() {
      // without files the signal keeps its usual meaning: the terminal is gone
      if (paths.length === 0) return;
      watch.start();
      process.on('SIGHUP', reload);
    },
    close() {
      watch.close();
      process.off('SIGHUP', reload);
    },
  };
}

/** @throws ConfigError */
function refuseContradictions(config: CertificateParts['config']): void {
  const { identity } = config;
  const problems = [
    ...ruleProblems(identity.authorities, identity.certificates),
    ...listenerProblems('tls', config.tls, config),
    ...listenerProblems('admin.tls', config.admin.tls, config),
    ...listenerProblems('grpc.tls', config.grpc.tls, config),
  ];
  if (problems.length > 0) throw new ConfigError(problems);
}

function listenersOf({
  http,
  admin,
  grpc,
}: Record<'http' | 'admin' | 'grpc', ReturnType<typeof openListener>>): Listeners {
  return { http: http?.listener, admin: admin?.listener, grpc: grpc?.listener };
}

function sourcesOf(
  listeners: readonly { readonly name: string; readonly pair: ReloadedPart<ServerCertificate> }[],
  trust: () => CertificateTrust,
  clock: Clock,
): CertificateSources {
  return {
    expirySeconds: () =>
      Object.fromEntries(
        listeners.map(({ name, pair }) => [name, secondsUntil(pair.current.notAfter, clock)]),
      ),
    listExpirySeconds: () => {
      const [first] = trust().listEnds;
      return first === undefined ? undefined : secondsUntil(first, clock);
    },
  };
}

function openListener(
  name: string,
  settings: TlsSettings,
  {
    requesters,
    metrics,
    trust,
    clock,
  }: {
    requesters: RequesterCertificates;
    metrics: CertificateMetrics;
    trust: () => CertificateTrust;
    clock: Clock;
  },
):
  | { readonly name: string; readonly pair: ReloadedPart<ServerCertificate>; readonly listener: TlsListener }
  | undefined {
  const { certificate, key, minVersion, clientCertificates, clientAuthorities } = settings;
  if (certificate === undefined || key === undefined) return undefined;
  const pair = openKeyPair(name, certificate, key, clock);
  const allowed = clientAuthorities.length === 0 ? undefined : new Set(clientAuthorities);
  const listener = new TlsListener({
    minVersion,
    clientCertificates,
    allowed,
    keyPair: () => pair.current,
    authorities: () => trust().handshakeAuthorities(allowed),
    requesters,
    failed: code => metrics.handshakeFailed(name, code),
  });
  return { name, pair, listener };
}

function reloadPart(part: ReloadedPart<unknown>, metrics: CertificateMetrics, logger: Logger): string {
  const hadProblem = part.problem !== undefined;
  const result = part.reload();
  const { name, problem, problemFile } = part;
  if (result !== 'unchanged') metrics.reloaded(name, result);
  if (result === 'refused') {
    logger.error(
      { part: name, file: problemFile, problem },
      'changed files are not used: what was loaded before stays',
    );
  } else if (result === 'changed') logger.info({ part: name }, 'changed files are in use');
  else if (hadProblem) logger.info({ part: name }, 'the files are again what is in use');
  return result;
}

/** Probes need no credential: they learn what is wrong, and no path. */
function reloadCheck(part: ReloadedPart<unknown>): HealthCheck {
  return {
    name: part.name,
    advisory: true,
    problem: () =>
      part.problem === undefined ? undefined : `the newest files are not used: ${part.problem}`,
  };
}

function expiryCheck(
  { name, pair }: { readonly name: string; readonly pair: ReloadedPart<ServerCertificate> },
  clock: Clock,
): HealthCheck {
  return {
    name: `${name} certificate expiry`,
    advisory: true,
    problem: () => {
      const days = (pair.current.notAfter - clock.now()) / DAY_MS;
      if (days > EXPIRY_NOTICE_DAYS) return undefined;
      return days < 0 ? 'it has expired' : `it expires in ${Math.floor(days)} days`;
    },
  };
}

function listCheck(trust: () => CertificateTrust, clock: Clock): HealthCheck {
  return {
    name: 'revocation list expiry',
    advisory: true,
    problem: () => {
      const [first] = trust().listEnds;
      if (first === undefined || clock.now() < first) return undefined;
      return 'a list is out of date: certificates of its CA are refused';
    },
  };
}

function listenerProblems(
  setting: string,
  { certificate, key, clientCertificates, clientAuthorities }: TlsSettings,
  { identity }: CertificateParts['config'],
): readonly Problem[] {
  const problems: string[] = [];
  if ((certificate === undefined) !== (key === undefined)) {
    problems.push(`\`${setting}.certificate\` and \`${setting}.key\` go together`);
  }
  if (clientCertificates !== 'none' && certificate === undefined) {
    problems.push(`\`${setting}.clientCertificates\` needs \`${setting}.certificate\``);
  }
  if (clientCertificates !== 'none' && identity.authorities.length === 0) {
    problems.push(`\`${setting}.clientCertificates\` needs \`identity.authorities\``);
  }
  const known = identity.authorities.map(({ name }) => name);
  for (const name of clientAuthorities) {
    if (!known.includes(name))
      problems.push(`\`${setting}.clientAuthorities\`: there is no authority \`${name}\``);
  }
  return problems.map(message => ({ message }));
}

function secondsUntil(time: number, clock: Clock): number {
  return Math.round((time - clock.now()) / 1000);
}
