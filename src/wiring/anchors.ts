/**
 * The anchors of the log, put together: built from the configuration, compared with the log before anything is
 * written or served, then published to. Invariant: a log that contradicts an anchor is neither served nor added to.
 */
import { join } from 'node:path';
import { parseWitness } from '../config/anchor-settings.ts';
import type { Config } from '../config/settings.ts';
import { checkAnchors, rollbackByWitness } from '../decision-log/anchor-check.ts';
import {
  AnchorPublisher,
  type AnchorStatus,
  type CosignedCheckpoint,
} from '../decision-log/anchor-publisher.ts';
import {
  AnchorConflict,
  type AnchorJudge,
  type AnchorTarget,
  MAX_ANCHOR_BYTES,
} from '../decision-log/anchor.ts';
import { cosignatureVerifier } from '../decision-log/cosignature.ts';
import { type KnownWitness, readCosigned } from '../decision-log/cosigned-checkpoint.ts';
import { Heartbeat } from '../decision-log/heartbeat.ts';
import { LogJudge } from '../decision-log/log-judge.ts';
import { parseLeaf } from '../decision-log/logged-leaf.ts';
import type { DecisionLog, LogReader, LogTree } from '../decision-log/ports.ts';
import { ed25519Verifier } from '../decision-log/signed-note.ts';
import {
  type RecordedSuccession,
  recordedSuccession,
  successionDetails,
} from '../decision-log/succession.ts';
import { changesOf, type StoreAges } from '../decision-log/store-ages.ts';
import type { Timers } from '../decision-log/timers.ts';
import type { Clock, IdSource } from '../domain/clock.ts';
import { AppError, messageOf } from '../domain/errors.ts';
import type { EventEntry, EventKind } from '../domain/log-entry.ts';
import type { JsonObject } from '../domain/json.ts';
import { DirectoryAnchor } from '../store/anchors/directory-anchor.ts';
import { readSmallFile, replaceFile } from '../store/anchors/durable-file.ts';
import { FileAnchor } from '../store/anchors/file-anchor.ts';
import { type ConsistencyProver, WitnessAnchor } from '../store/anchors/witness-anchor.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { closeRequest, COSIGNED_FILE, LOCAL_ANCHOR, type NewLogRequest } from './log-succession.ts';

/** How long the start waits for a witness, in milliseconds: one that does not answer is asked again later. */
const WITNESS_WAIT_MS = 5_000;

export interface AnchorParts {
  readonly config: Pick<Config, 'dataDir' | 'anchor' | 'log'>;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly log: DecisionLog;
  /** Of the log's checkpoints. */
  readonly verifierKey: string;
  readonly tree: LogTree;
  readonly reader: Pick<LogReader, 'leaf'>;
  readonly ages: Pick<StoreAges, 'read'>;
  /** A request for a new log, which this log answers. */
  readonly waiting: NewLogRequest | undefined;
}

export interface Anchors {
  readonly status: () => readonly AnchorStatus[];
  /** The newest checkpoint that a witness cosigned. */
  readonly cosigned: () => CosignedCheckpoint | undefined;
  /** Resolves with the reason when an anchor proves that the log went back; else never. */
  readonly broken: Promise<string>;
  /** Logs what was missing at the start, and begins to publish. */
  start(): Promise<void>;
  /** Begins and ends the heartbeats. */
  readonly heartbeat: Pick<Heartbeat, 'start' | 'stop'>;
  /** Publishes what was logged last. */
  close(): Promise<void>;
}

/**
 * Compares the log with its anchors, and writes the first entry of a log that takes the place of another.
 * @throws AppError LOG_ROLLBACK, or LOG_UNAVAILABLE when an anchor cannot be read
 */
export async function openAnchors(parts: AnchorParts): Promise<Anchors> {
  const { config, log, tree, logger, waiting } = parts;
  const recorded = await readSuccession(parts);
  const replaced = log.size === 0 ? (waiting?.succession.replaces ?? []) : recorded.replaces;
  const judge = new LogJudge(log.origin, ed25519Verifier(parts.verifierKey), replaced);
  const witnesses = readWitnesses(config.anchor.witnesses);
  const places = readableAnchors(config, judge);
  const kept = await keptCosigned(parts, judge, witnesses);
  // what witnesses cosigned is as good as an anchor, and the proofs of decisions rely on it
  const targets =
    kept === undefined ? places : [...places, { name: 'cosigned', read: async () => kept.note }];
  const { missing, agreed } = await checkAnchors({ log, tree, judge, targets, folder: config.dataDir });
  logger.debug({ agreed, missing }, 'the decision log was compared with its anchors');
  const cosigners = witnesses.map(one => witnessAnchor(one, (from, to) => tree.consistencyProof(from, to)));
  if (log.size > 0) await askWitnesses(parts, cosigners);
  if (waiting !== undefined) await succeed(parts, waiting, recorded);
  return publishing(parts, [...places, ...cosigners], missing, kept);
}

/** The anchors of the configuration that can be read, the one in the data folder first. */
export function readableAnchors(
  config: Pick<Config, 'dataDir' | 'anchor'>,
  judge: AnchorJudge,
): readonly AnchorTarget[] {
  return [...fileAnchors(config, judge), ...directoryAnchors(config, judge)];
}

function fileAnchors(
  config: Pick<Config, 'dataDir' | 'anchor'>,
  judge: AnchorJudge,
): readonly AnchorTarget[] {
  return [
    new FileAnchor('local', join(config.dataDir, LOCAL_ANCHOR), judge),
    ...distinct(config.anchor.files).map(file => new FileAnchor(`file:${file}`, file, judge)),
  ];
}

function directoryAnchors(config: Pick<Config, 'anchor'>, judge: AnchorJudge): readonly AnchorTarget[] {
  return distinct(config.anchor.directories).map(
    folder => new DirectoryAnchor(`directory:${folder}`, folder, judge),
  );
}

interface Witness extends KnownWitness {
  readonly url: string;
}

/** @throws AppError INVALID_REQUEST naming the setting when a key is malformed or stands twice */
function readWitnesses(settings: readonly string[]): readonly Witness[] {
  const witnesses = settings.map((text): Witness => {
    const setting = parseWitness(text);
    if (setting === undefined) throw new Error('the configuration was not checked');
    try {
      const verifier = cosignatureVerifier(setting.verifierKey);
      return { url: setting.url, verifier, anchor: `witness:${verifier.name}` };
    } catch (error) {
      throw new AppError('INVALID_REQUEST', `\`anchor.witnesses\`: \`${setting.url}\`: ${messageOf(error)}`);
    }
  });
  const names = witnesses.map(({ anchor }) => anchor);
  const repeated = names.find((name, at) => names.indexOf(name) !== at);
  if (repeated === undefined) return witnesses;
  throw new AppError('INVALID_REQUEST', `\`anchor.witnesses\` names \`${repeated}\` twice: keep one of them`);
}

function witnessAnchor({ anchor, url, verifier }: Witness, prove: ConsistencyProver): AnchorTarget {
  return new WitnessAnchor({ name: anchor, url, verifier, prove });
}

/** A witness that cannot be asked says nothing: it is asked again while the service runs. */
async function askWitnesses(
  { config, log, logger }: AnchorParts,
  witnesses: readonly AnchorTarget[],
): Promise<void> {
  if (witnesses.length === 0) return;
  const checkpoint = await log.signCheckpoint();
  await Promise.all(
    witnesses.map(async witness => {
      try {
        await witness.publish(checkpoint, AbortSignal.timeout(WITNESS_WAIT_MS));
      } catch (error) {
        if (error instanceof AnchorConflict) throw rollbackByWitness(error, config.dataDir);
        logger.warn(
          { anchor: witness.name, problem: messageOf(error) },
          'the log could not be compared with a witness',
        );
      }
    }),
  );
}

async function readSuccession({ log, reader }: AnchorParts): Promise<RecordedSuccession> {
  const leaf = log.size === 0 ? undefined : await reader.leaf(0);
  return recordedSuccession(leaf === undefined ? undefined : parseLeaf(new TextDecoder().decode(leaf)));
}

/** Makes entry 0 of a new log, and files its request away; after a crash in between only the latter is left. */
async function succeed(
  parts: AnchorParts,
  waiting: NewLogRequest,
  recorded: RecordedSuccession,
): Promise<void> {
  const { config, log, logger } = parts;
  const { succession } = waiting;
  let { request } = recorded;
  if (log.size === 0) {
    await log.append(eventOf(parts, 'log.open', 'log', successionDetails(succession)));
    // The point of no return: the log says what it replaces, and the anchors of the old one accept it from here.
    ({ request } = succession);
  }
  await closeRequest(config.dataDir, waiting, request, log.origin);
  const { reason, by, replaces } = succession;
  const former = replaces.map(({ origin, size }) => ({ origin, size }));
  logger.warn(
    { origin: log.origin, reason, by, former, retired: waiting.retired },
    'a new decision log was opened',
  );
}

async function keptCosigned(
  { config, logger }: AnchorParts,
  judge: AnchorJudge,
  witnesses: readonly KnownWitness[],
): Promise<CosignedCheckpoint | undefined> {
  try {
    const note = await readSmallFile(join(config.dataDir, COSIGNED_FILE), MAX_ANCHOR_BYTES);
    return note === undefined ? undefined : readCosigned(note, judge, witnesses);
  } catch (error) {
    logger.warn({ err: error }, 'the cosigned checkpoint that was kept is not used');
    return undefined;
  }
}

function publishing(
  parts: AnchorParts,
  targets: readonly AnchorTarget[],
  missing: readonly string[],
  kept: CosignedCheckpoint | undefined,
): Anchors {
  const { ages, config, clock, ids, log, logger, metrics } = parts;
  const broken = Promise.withResolvers<string>();
  const publisher = new AnchorPublisher({
    log,
    targets,
    intervalMs: config.anchor.intervalSeconds * 1000,
    clock,
    timers: PROCESS_TIMERS,
    kept,
    observer: observerOf(parts, conflict =>
      broken.resolve(rollbackByWitness(conflict, config.dataDir).message),
    ),
  });
  metrics.observeAnchors(() => publisher.status);
  const heartbeat = new Heartbeat({
    log,
    everySeconds: config.log.heartbeatSeconds,
    clock,
    timers: PROCESS_TIMERS,
    ids,
    anchors: () => publisher.status,
    changes: () => changesOf(ages),
    onRefused: error => logger.warn({ err: error }, 'a heartbeat could not be logged'),
  });
  return {
    status: () => publisher.status,
    cosigned: () => publisher.cosigned,
    broken: broken.promise,
    heartbeat,
    async start() {
      for (const anchor of missing) {
        logger.warn(
          { anchor },
          'an anchor of the decision log holds no checkpoint: what it would prove is unproven',
        );
        await log.append(eventOf(parts, 'log.anchor_missing', anchor, { size: log.size }));
      }
      publisher.start();
    },
    close: () => publisher.close(),
  };
}

/** A conflict is logged as an entry, too, so that whoever reads the log sees that it is in doubt. */
function observerOf(
  parts: AnchorParts,
  onConflict: (conflict: AnchorConflict) => void,
): ConstructorParameters<typeof AnchorPublisher>[0]['observer'] {
  const { config, log, logger } = parts;
  let keeping = Promise.resolve();
  return {
    failed(anchor, problem, first) {
      logger[first ? 'warn' : 'debug']({ anchor, problem }, 'a checkpoint could not be published');
    },
    recovered: anchor => logger.info({ anchor }, 'checkpoints are published again'),
    conflict(conflict) {
      const { target, heldSize, message } = conflict;
      logger.error({ anchor: target, heldSize, problem: message }, 'the decision log contradicts an anchor');
      const details = { size: log.size, heldSize: heldSize ?? null };
      log
        .append(eventOf(parts, 'log.anchor_conflict', target, details))
        .catch((error: unknown) => logger.error({ err: error }, 'a conflict could not be logged'))
        .finally(() => onConflict(conflict));
    },
    cosigned({ note }) {
      // one after the other: they share a draft
      keeping = keeping
        .then(() => replaceFile(join(config.dataDir, COSIGNED_FILE), note))
        .catch((error: unknown) => logger.warn({ err: error }, 'a cosigned checkpoint could not be kept'));
    },
  };
}

function eventOf(
  { clock, ids }: Pick<AnchorParts, 'clock' | 'ids'>,
  kind: EventKind,
  subject: string,
  details: JsonObject,
): EventEntry {
  return { kind, id: ids.next(), time: clock.now(), actor: 'system', subject, details };
}

function distinct(paths: readonly string[]): readonly string[] {
  return [...new Set(paths)];
}

/** They do not keep the process alive. */
export const PROCESS_TIMERS: Timers = {
  after(ms, action) {
    const timer = setTimeout(action, ms).unref();
    return () => clearTimeout(timer);
  },
};
