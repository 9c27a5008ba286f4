/**
 * The wiring of the service: every adapter by hand, in the order in which it starts. Invariant: what started
 * is stopped in the opposite order, also when a later step fails, and nothing listens before all is loaded.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Config } from './config/settings.ts';
import { EventRelay } from './decision-log/event-relay.ts';
import { changesOf, type StoreAges } from './decision-log/store-ages.ts';
import { type Clock, type IdSource, timestamp } from './domain/clock.ts';
import type { Services } from './edge/http/services.ts';
import { SnapshotHolder } from './pdp/snapshot.ts';
import { type Logger, makeLogger } from './telemetry/logger.ts';
import { Metrics } from './telemetry/metrics.ts';
import { type Anchors, openAnchors, PROCESS_TIMERS } from './wiring/anchors.ts';
import { assembleCertificates, type Certificates } from './wiring/certificates.ts';
import { Cleanup } from './wiring/cleanup.ts';
import { assembleControl, readControlPlane } from './wiring/control.ts';
import { prepareFolder } from './wiring/data-folder.ts';
import { assembleEdge } from './wiring/edge.ts';
import { makeEraser } from './wiring/erasure.ts';
import { Events } from './wiring/events.ts';
import { listenHttp } from './wiring/http.ts';
import { UuidSource } from './wiring/ids.ts';
import { assembleGuard } from './wiring/guard.ts';
import { assembleIdentity } from './wiring/identity.ts';
import { assembleLimits } from './wiring/limits.ts';
import { RetentionKeeper, type RetentionOptions } from './wiring/log-retention.ts';
import { continueRequest } from './wiring/log-succession.ts';
import { warnOfFewFiles } from './wiring/open-files.ts';
import { assembleProfiles } from './wiring/pep-profiles.ts';
import { assemblePolicy, startPolicyThreads } from './wiring/policy.ts';
import { readRecordedAnswers } from './wiring/recorded-answers.ts';
import { refuseOlderStores } from './wiring/store-ages.ts';
import { openStores, type Stores } from './wiring/stores.ts';
import { tickShape } from './wiring/tick-shape.ts';
import { readCedarVersion, readVersion } from './wiring/version.ts';

/** How long the log and the other stores may take to close, in milliseconds. */
const STORES_STOP_MS = 5_000;

/** What a caller may replace: tests set the clock and keep the log lines. */
export interface ServiceDependencies {
  readonly clock?: Clock;
  /** Where log lines go; stderr without it. */
  readonly writeLog?: (line: string) => void;
  /** Takes the key that the first start makes, as soon as it is stored: nothing keeps it, and the start may yet fail. */
  readonly showFirstKey?: (key: string) => void;
}

export interface RunningService {
  /** `http://127.0.0.1:8181`, or with `https` */
  readonly url: string;
  /** Where management is answered; the same as `url` unless it has a listener of its own. */
  readonly adminUrl: string;
  /** `127.0.0.1:8182`; undefined when the gRPC listener is turned off. */
  readonly grpcAddress: string | undefined;
  /** What the routes use, for the demo, which fills an empty store. */
  readonly services: Services;
  /** Resolves with the reason when the service cannot go on without a restart; else never. */
  readonly broken: Promise<string>;
  /** Looks at certificates, keys, CAs and revocation lists now. */
  reloadCertificates(): void;
  /** What `close` does once everything accepted is answered, while the stores still work. */
  afterLastAnswer(step: () => Promise<void>): void;
  /**
   * Answers what was accepted, makes the log durable, and lets go of the folder. Idempotent. Rejects when something does
   * not end in time: then whatever was answered is durable, and nothing else is known to be.
   */
  close(): Promise<void>;
}

/** Starts the service. @throws AppError or Error with one line that says what to do */
export async function startService(
  config: Config,
  dependencies: ServiceDependencies = {},
): Promise<RunningService> {
  const cleanup = new Cleanup();
  try {
    return await start(config, dependencies, cleanup);
  } catch (error) {
    // what stopped the start is what has to be mended, whatever else fails after it
    await cleanup.runWithin(stopMs(config), PROCESS_TIMERS, () => '').catch(() => undefined);
    throw error;
  }
}

async function start(
  config: Config,
  dependencies: ServiceDependencies,
  cleanup: Cleanup,
): Promise<RunningService> {
  const shape = await tickShape();
  cleanup.add(async () => void shape);
  const core = makeCore(config, dependencies);
  cleanup.add(async () => core.metrics.close());
  const { clock, logger, certificates, version } = core;
  warnOfFewFiles(logger);
  const { stores, anchors, threads, plane, recorded } = await openFolder(core, cleanup);
  await refuseOlderStores(stores);
  await stores.subjects.makeMonthKeys();
  const events = await startEvents(stores, logger, cleanup);
  const control = assembleControl({ ...core, log: stores.log, plane });
  cleanup.add(() => control.close());
  const schemaText = readFileSync(new URL('../schema/model-serving.cedarschema', import.meta.url), 'utf8');
  const snapshots = new SnapshotHolder();
  const guarding = await assembleGuard({ ...core, stores, events, snapshots });
  cleanup.add(() => guarding.close());
  const counted = { ...core, stores, snapshots, guard: guarding.guard, random: randomBytes };
  const limits = await assembleLimits(counted);
  cleanup.add(() => limits.close());
  const loaded = { stores, events, control, threads, snapshots, limits: limits.desk };
  const policy = assemblePolicy({ ...core, ...loaded, schemaText, recorded });
  cleanup.add(() => policy.close());
  await policy.bundles.restore();
  await makeEraser({ ...core, stores, policy, events }).repeat();

  const { directory } = policy;
  const asked = { ...core, stores, events, control };
  const { showFirstKey = () => undefined } = dependencies;
  const identity = await assembleIdentity({ ...asked, directory, random: randomBytes, showFirstKey });
  cleanup.add(() => identity.close());
  const profiles = await assembleProfiles(asked);
  const parts = { ...asked, anchors, policy, guarding, limits, profiles };
  const services = assembleEdge({ ...parts, identity, startedAt: timestamp(clock.now()) });
  await goLive({ ...core, keepCounts: () => limits.keepCounts() }, stores, anchors, events, cleanup);
  const last = new Cleanup();
  cleanup.add(() => last.run());

  const addresses = await openListeners(config, services, certificates, version, cleanup);
  logger.info({ ...addresses, version, dataDir: config.dataDir }, 'listening');
  return {
    ...addresses,
    services,
    broken: Promise.race([stores.broken, anchors.broken]),
    reloadCertificates: () => certificates.reload(),
    afterLastAnswer: step => last.add(step),
    close: () => cleanup.runWithin(stopMs(config), PROCESS_TIMERS, () => whatHangs(stores)),
  };
}

/** How long a stop may take: the grace of each of the two listeners, and what the disk needs after them. */
function stopMs({ shutdown }: Config): number {
  return 2 * shutdown.graceSeconds * 1000 + STORES_STOP_MS;
}

function whatHangs({ unfinished }: Stores): string {
  const left = unfinished();
  const waits =
    left.length === 0 ? 'it is still busy' : `the disk has not finished what waits (${left.join(', ')})`;
  return `${waits}. It ends now: what was answered is durable, the next start reads back what else is`;
}

/** What nearly every part is given. */
function makeCore(config: Config, dependencies: ServiceDependencies) {
  const clock = dependencies.clock ?? { now: () => Date.now(), monotonic: () => performance.now() };
  const writeLog = dependencies.writeLog ?? ((line: string) => void process.stderr.write(line));
  const [version, cedarVersion] = [readVersion(), readCedarVersion()];
  const logger = makeLogger(config.log.level, clock, { write: writeLog });
  const metrics = new Metrics({ version, node: process.versions.node, cedar: cedarVersion });
  const ids = new UuidSource(() => clock.now());
  const certificates = assembleCertificates({ config, clock, timers: PROCESS_TIMERS, metrics, logger });
  return { config, clock, ids, metrics, logger, certificates, version, cedarVersion };
}

/** Opens what is on the disk; meanwhile the policy thread starts and the control plane's policies are compiled. */
async function openFolder(core: ReturnType<typeof makeCore>, cleanup: Cleanup) {
  const { config, clock, metrics, logger } = core;
  prepareFolder(config.dataDir);
  const waiting = await continueRequest(config.dataDir, config.log.signingKey);
  const opening = openStores(config.dataDir, clock, randomBytes, logger, metrics, config.log);
  cleanup.add(() =>
    opening.then(
      stores => stores.close(),
      () => undefined,
    ),
  );
  const threads = startPolicyThreads(logger);
  cleanup.add(() => threads.oracleThread.close());
  const recorded = readRecordedAnswers(core.cedarVersion);
  const onFailure = (error: unknown) =>
    logger.error({ err: error }, 'a decision of the control plane failed and was denied');
  const plane = readControlPlane(config.control, clock, onFailure, recorded);
  const stores = await opening;
  // before anything is written to the log or served from it
  const { ages, log, tree, reader, verifierKey } = stores;
  const anchors = await openAnchors({ ...core, ages, log, tree, reader, verifierKey, waiting });
  cleanup.add(() => anchors.close());
  return { stores, anchors, threads, plane, recorded };
}

/** Accepts requests from here on. What was accepted is answered before anything else stops. */
async function openListeners(
  config: Config,
  services: Services,
  certificates: Certificates,
  version: string,
  cleanup: Cleanup,
): Promise<Pick<RunningService, 'url' | 'adminUrl' | 'grpcAddress'>> {
  const http = await listenHttp(config, services, certificates, version);
  certificates.start();
  cleanup.add(async () => certificates.close());
  cleanup.add(() => {
    services.health.beginShutdown();
    return http.close(config.shutdown.graceSeconds * 1000);
  });
  const { url, adminUrl } = http;
  if (config.grpc.listen === '') return { url, adminUrl, grpcAddress: undefined };
  // much code that nobody waits for who has turned the listener off
  const { serveGrpc } = await import('./wiring/grpc.ts');
  return { url, adminUrl, grpcAddress: await serveGrpc(config, services, certificates, cleanup) };
}

/** Brings events that were left over into the log, and those to come. */
async function startEvents({ ages, outbox, log }: Stores, logger: Logger, cleanup: Cleanup): Promise<Events> {
  const relay = new EventRelay(
    outbox,
    () => changesOf(ages),
    log,
    error => logger.warn({ err: error }, 'administrative events wait for the decision log'),
  );
  cleanup.add(() => relay.close());
  await relay.start();
  return new Events(relay, log, logger);
}

/** From here on the log says that the service runs, others hold its checkpoints, and what is old goes. */
async function goLive(
  core: Pick<RetentionOptions, 'keepCounts' | 'clock' | 'ids' | 'logger'> & {
    readonly config: Config;
    readonly version: string;
  },
  { ages, retention, exports, reader }: Stores,
  anchors: Anchors,
  events: Events,
  cleanup: Cleanup,
): Promise<void> {
  const mark = lifecycleMarks({ ...core, ages, events });
  await mark('service.start');
  cleanup.add(() => mark('service.stop'));
  await anchors.start();
  anchors.heartbeat.start();
  cleanup.add(async () => anchors.heartbeat.stop());
  const { retentionDays } = core.config.log;
  const kept = { retention, exports, reader, retentionDays };
  const keeper = new RetentionKeeper({ ...core, ...kept, events, timers: PROCESS_TIMERS });
  // The service does not wait for it.
  void keeper.start();
  cleanup.add(() => keeper.close());
}

/** Writes the start and the stop of the service into the decision log. */
function lifecycleMarks(parts: {
  readonly ages: StoreAges;
  readonly events: Events;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly version: string;
}) {
  const { ages, events, clock, ids, version } = parts;
  return async (kind: 'service.start' | 'service.stop') => {
    // a database that has failed is no reason not to say that the service stops
    const stores = await changesOf(ages).catch(() => undefined);
    await events.record({
      kind,
      id: ids.next(),
      time: clock.now(),
      actor: 'system',
      subject: 'service',
      details: { version },
      ...(stores === undefined ? {} : { stores }),
    });
  };
}
