/** The embedded stores: state.db, the folder `log` and query.db in one data folder, each behind its own thread. */
import type { BundleStore } from '../bundles/ports.ts';
import type {
  DecisionLog,
  LogExports,
  LogJournals,
  LogReader,
  LogTree,
  Outbox,
} from '../decision-log/ports.ts';
import type { StoreAges } from '../decision-log/store-ages.ts';
import type { DirectoryStore } from '../directory/ports.ts';
import { type Clock, timestamp } from '../domain/clock.ts';
import type { RandomBytes } from '../identity/key-format.ts';
import type { CallerKeyStore } from '../identity/caller-keys/ports.ts';
import type { PenaltyStore } from '../limits/guards/penalty-store.ts';
import type { ProfileStore } from '../identity/pep-profiles/ports.ts';
import type { IdempotencyStore, KeyStore, RevocationStore } from '../identity/ports.ts';
import { LogClient } from '../store/sqlite/log-client.ts';
import type { LogClientOptions } from '../store/sqlite/log-client-options.ts';
import { QueryClient } from '../store/sqlite/query-client.ts';
import { StateStore } from '../store/sqlite/state-client.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { LogRetention } from './log-retention.ts';
import { PROCESS_TIMERS } from './anchors.ts';
import { Subjects } from './subjects.ts';

/** Random bytes in the name of a new log: names of different logs never collide. */
const ORIGIN_BYTES = 8;
/** Random bytes of the key that a new log signs with (RFC 8032 §5.1.5). */
const SEED_BYTES = 32;

/** Numbers of the log's queue, for metrics. */
interface LogPressure {
  readonly queuedEntries: number;
  readonly oldestUnflushedSeconds: number;
  readonly walBytes: number;
}

/** Everything that outlives the process. */
export interface Stores {
  /** Registers whoever comes into the directory with `subjects`. */
  readonly directory: DirectoryStore;
  /** Who stands behind the pseudonyms of the log. */
  readonly subjects: Subjects;
  readonly bundles: BundleStore;
  readonly keys: KeyStore;
  readonly callerKeys: CallerKeyStore;
  readonly profiles: ProfileStore;
  readonly penalties: PenaltyStore;
  readonly revocations: RevocationStore;
  readonly outbox: Outbox;
  readonly ages: StoreAges;
  readonly idempotency: IdempotencyStore;
  readonly log: DecisionLog;
  readonly reader: LogReader;
  readonly tree: LogTree;
  readonly exports: LogExports;
  readonly journals: LogJournals;
  readonly retention: LogRetention;
  /** The key that verifies the log's checkpoints (c2sp.org/signed-note). */
  readonly verifierKey: string;
  readonly pressure: () => LogPressure;
  /** Resolves with the reason when the log cannot go on without a restart; else never. */
  readonly broken: Promise<string>;
  /** What is wrong with each store now; undefined: nothing. */
  readonly problems: {
    readonly state: () => string | undefined;
    readonly log: () => string | undefined;
    readonly query: () => string | undefined;
  };
  /** What each store still has to finish, in words. */
  readonly unfinished: () => readonly string[];
  /** Finishes what was accepted, the log after who reads it, so that every event can still be logged. */
  close(): Promise<void>;
}

/** @throws AppError with what to do: folder in use, not writable, database damaged or of a newer version */
export async function openStores(
  folder: string,
  clock: Clock,
  random: RandomBytes,
  logger: Logger,
  metrics: Metrics,
  { signingKey, shardEntries }: Pick<LogClientOptions, 'signingKey' | 'shardEntries'> = {},
): Promise<Stores> {
  const broken = Promise.withResolvers<string>();
  const onHealth = (store: string) => (healthy: boolean, detail: string) => {
    if (healthy) logger.info({ store, detail }, 'store recovered');
    else logger.error({ store, detail }, 'store failed');
  };
  const state = await StateStore.open({ folder, at: timestamp(clock.now()), onHealth: onHealth('state') });
  const { directory } = state;
  const subjects = new Subjects({ store: state.subjects, directory, clock, random, logger });
  const observer = {
    onHealth: onHealth('log'),
    onFatal: (detail: string) => broken.resolve(detail),
    onProgress: (progress: string) => logger.info({ progress }, 'the decision log gets its present form'),
    onCommit: ({ entries, commitSeconds }: { entries: number; commitSeconds: number }) =>
      metrics.logCommitted(entries, commitSeconds),
  };
  const { log, reader } = await openLoading(
    openLog(
      { ...newLog(subjects, random), signingKey, shardEntries, folder, clock, observer },
      onHealth('query'),
    ),
    subjects.load(),
    [state],
  );
  subjects.start(reader, PROCESS_TIMERS);
  warnOf([...state.newerMigrations, ...log.newerMigrations], reader.rebuilt, logger);
  return {
    directory: subjects.directory,
    subjects,
    ...portsOf(state),
    log,
    reader,
    tree: reader,
    exports: log.exports,
    journals: log.journals,
    retention: log,
    verifierKey: log.verifierKey,
    pressure: () => log.statistics,
    broken: broken.promise,
    problems: problemsOf(state, log, reader),
    unfinished: () => unfinishedOf(state, log, reader),
    close: () => closeAll([subjects, reader, log, state]),
  };
}

/** The log, and then the index over it. */
async function openLog(options: LogClientOptions, onHealth: (healthy: boolean, detail: string) => void) {
  const { folder, clock } = options;
  const log = await LogClient.open(options);
  const reader = await openAfter(() => QueryClient.open({ folder, clock, onHealth }), [log]);
  return {
    log,
    reader,
    close: () => closeAll([reader, log]),
  };
}

/** What is the state store's own. */
function portsOf(
  state: StateStore,
): Pick<
  Stores,
  | 'bundles'
  | 'keys'
  | 'callerKeys'
  | 'profiles'
  | 'penalties'
  | 'revocations'
  | 'outbox'
  | 'ages'
  | 'idempotency'
> {
  const { bundles, keys, callerKeys, profiles, penalties, revocations, outbox, ages, idempotency } = state;
  return { bundles, keys, callerKeys, profiles, penalties, revocations, outbox, ages, idempotency };
}

function problemsOf(state: StateStore, log: LogClient, reader: QueryClient): Stores['problems'] {
  return {
    state: () => (state.healthy ? undefined : 'the state store is restarting'),
    log: () => log.problem,
    query: () => reader.problem,
  };
}

function unfinishedOf(state: StateStore, log: LogClient, reader: QueryClient): readonly string[] {
  const counts = [
    [log.statistics.queuedEntries, 'of the decision log'],
    [state.waiting, 'of the state store'],
    [reader.waiting, 'of the query index'],
  ] as const;
  return counts.flatMap(([count, whose]) => (count === 0 ? [] : [`${count} ${whose}`]));
}

/** One after the other, all of them, whatever fails. */
async function closeAll(stores: readonly { close(): Promise<void> }[]): Promise<void> {
  const failures: unknown[] = [];
  for (const store of stores) await store.close().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}

/** Tells what was found at the start that does not stop it. */
function warnOf(newerMigrations: readonly string[], rebuilt: string | undefined, logger: Logger): void {
  for (const migration of newerMigrations) {
    logger.warn({ migration }, 'the database was changed by a newer version that this one can live with');
  }
  if (rebuilt !== undefined) logger.warn({ detail: rebuilt }, 'the query index was built anew');
}

/** Whom the log names, and name and key for one that does not exist yet. */
function newLog(
  { registry }: Subjects,
  random: RandomBytes,
): Pick<LogClientOptions, 'privacy' | 'newOrigin' | 'newSeed'> {
  return {
    privacy: registry,
    newOrigin: `duramen.local/${Buffer.from(random(ORIGIN_BYTES)).toString('hex')}`,
    newSeed: random(SEED_BYTES),
  };
}

/** Opens a store; when that fails, closes those that were opened before it. */
async function openAfter<T>(
  open: () => Promise<T>,
  opened: readonly { close(): Promise<void> }[],
): Promise<T> {
  try {
    return await open();
  } catch (error) {
    for (const store of opened) await store.close();
    throw error;
  }
}

/** A store that opens while something else is loaded; when either fails, closes what was opened. */
async function openLoading<T extends { close(): Promise<void> }>(
  opening: Promise<T>,
  loading: Promise<void>,
  opened: readonly { close(): Promise<void> }[],
): Promise<T> {
  const [store, loaded] = await Promise.allSettled([opening, loading]);
  if (store.status === 'fulfilled' && loaded.status === 'fulfilled') return store.value;
  if (store.status === 'fulfilled') await store.value.close();
  for (const other of opened) await other.close();
  await loading;
  return opening;
}
