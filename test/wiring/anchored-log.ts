/**
 * The real stores and anchors of a service without its policies and its listener, started and stopped in the order
 * of main.ts: what takes part when a log is compared with its anchors, at a fraction of the time of a service.
 */
import { randomBytes } from 'node:crypto';
import type { DecisionLog, LogReader } from '../../src/decision-log/ports.ts';
import { AppError } from '../../src/domain/errors.ts';
import type { EventEntry, EventKind } from '../../src/domain/log-entry.ts';
import { makeLogger } from '../../src/telemetry/logger.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { type Anchors, openAnchors } from '../../src/wiring/anchors.ts';
import { Cleanup } from '../../src/wiring/cleanup.ts';
import { UuidSource } from '../../src/wiring/ids.ts';
import { continueRequest } from '../../src/wiring/log-succession.ts';
import { openStores } from '../../src/wiring/stores.ts';
import { midweekClock } from '../decision-log/midweek-clock.ts';
import { configFor } from '../edge/service.ts';

export interface AnchoredLog {
  readonly log: DecisionLog;
  readonly reader: LogReader;
  readonly anchors: Anchors;
  readonly verifierKey: string;
  /** Lines of the service's log. */
  readonly lines: string[];
  /** Logs something. */
  add(count?: number): Promise<void>;
  /** Events of a kind, oldest first. */
  events(kind: EventKind): Promise<readonly FoundEvent[]>;
  stop(): Promise<void>;
}

/** An event of the log as it is read back. */
export interface FoundEvent {
  readonly index: number;
  readonly subject: unknown;
  readonly details: unknown;
}

/** Rejects as the start of the service does. */
export async function startLog(
  folder: string,
  env: Readonly<Record<string, string>> = {},
): Promise<AnchoredLog> {
  const cleanup = new Cleanup();
  try {
    return await open(folder, env, cleanup);
  } catch (error) {
    await cleanup.run();
    throw error;
  }
}

async function open(
  folder: string,
  env: Readonly<Record<string, string>>,
  cleanup: Cleanup,
): Promise<AnchoredLog> {
  const config = configFor(folder, env);
  const lines: string[] = [];
  const logger = makeLogger('debug', midweekClock, { write: line => void lines.push(line) });
  const metrics = new Metrics({ version: '0', node: '0', cedar: '0' });
  const ids = new UuidSource(() => midweekClock.now());
  const waiting = await continueRequest(folder, config.log.signingKey);
  const stores = await openStores(folder, midweekClock, randomBytes, logger, metrics, config.log);
  cleanup.add(() => stores.close());
  await stores.subjects.makeMonthKeys();
  const { ages, log, tree, reader, verifierKey } = stores;
  const core = { config, clock: midweekClock, ids, logger, metrics };
  const anchors = await openAnchors({ ...core, ages, log, tree, reader, verifierKey, waiting });
  cleanup.add(() => anchors.close());
  await anchors.start();
  const mark = (kind: EventKind): EventEntry => ({
    kind,
    id: ids.next(),
    time: midweekClock.now(),
    actor: 'system',
    subject: 'service',
    details: {},
  });
  await log.append(mark('service.start'));
  cleanup.add(async () => void (await log.append(mark('service.stop'))));
  return {
    log,
    reader,
    anchors,
    verifierKey,
    lines,
    async add(count = 1) {
      await Promise.all(Array.from({ length: count }, () => log.append(mark('key.create'))));
    },
    async events(kind) {
      const filter = { values: [kind], negated: false };
      const { items } = await reader.events({ kind: filter, limit: 100, order: 'asc' });
      return items.map(({ index, content }) => ({
        index,
        subject: content['subject'],
        details: content['details'],
      }));
    },
    stop: () => cleanup.run(),
  };
}

/** Why the log of a folder is refused. */
export async function refusal(folder: string, env: Readonly<Record<string, string>> = {}): Promise<AppError> {
  try {
    await (await startLog(folder, env)).stop();
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error('the log was not refused');
}
