/** An engine with limits: the corpus' world, limits of the platform as a bundle writes them, and a log that can fail. */
import type { DecisionLog } from '../../src/decision-log/ports.ts';
import type { Credential } from '../../src/domain/credential.ts';
import { type DecisionRequestInput, decisionRequestSchema } from '../../src/domain/decision-request.ts';
import { AppError } from '../../src/domain/errors.ts';
import { limitsFileSchema } from '../../src/domain/limit-definition.ts';
import type { LogEntry } from '../../src/domain/log-entry.ts';
import { LimitDesk, type LimitGuard, NO_GUARD } from '../../src/limits/desk.ts';
import { ActiveTenants, type PoolActivity } from '../../src/limits/charges/fair-shares.ts';
import { actionNames, compileLimits } from '../../src/limits/charges/layer-limits.ts';
import { LimitTable } from '../../src/limits/counters/limit-table.ts';
import { LimitPlanner } from '../../src/limits/charges/planner.ts';
import type { LimitStore } from '../../src/limits/ports.ts';
import { UsageTable } from '../../src/limits/charges/usage-history.ts';
import { DecisionEngine } from '../../src/pdp/engine.ts';
import { ModalEvaluator, Quarantine, WasmOracle } from '../../src/pdp/evaluator.ts';
import { LimitUsageDesk } from '../../src/pdp/limit-usage.ts';
import { OutcomeDesk } from '../../src/pdp/outcome-desk.ts';
import { IdempotencyWindow } from '../../src/pdp/idempotency.ts';
import { SnapshotHolder } from '../../src/pdp/snapshot.ts';
import { MemoryLog } from '../../src/store/memory/log.ts';
import { buildHolder } from '../decisions/scene.ts';
import { requestFingerprint } from '../../src/wiring/request-fingerprint.ts';

export const NOW = Date.parse('2026-03-10T12:00:00.000Z');
export const HOLD_MS = 60_000;

export const ALLOWED: DecisionRequestInput = {
  principal: { type: 'User', id: 'acme/alice' },
  action: 'generate',
  resource: { type: 'Model', id: 'acme/support-llm' },
  input: { tokens: 100 },
  params: { maxOutputTokens: 400 },
};
export const DENIED: DecisionRequestInput = { ...ALLOWED, principal: { type: 'User', id: 'globex/greta' } };

export const PEP: Credential = { keyId: 'k', roles: new Set(['pep']), tenants: undefined, mayAssert: true };

/** What an append was given. */
export interface Appended {
  readonly entry: LogEntry;
  readonly journal: Uint8Array | undefined;
}

/** A log in memory that can be told to refuse. */
export class RefusingLog implements DecisionLog {
  readonly origin = 'test';
  readonly reader = new MemoryLog('test');
  readonly appended: Appended[] = [];
  saturated = false;
  refuses = false;

  get size(): number {
    return this.appended.length;
  }

  append(entry: LogEntry, journal?: Uint8Array) {
    if (this.refuses) return Promise.reject(new AppError('LOG_UNAVAILABLE', 'the disk is full'));
    this.appended.push({ entry, journal });
    return this.reader.append(entry);
  }

  signCheckpoint() {
    return Promise.reject(new AppError('LOG_UNAVAILABLE', 'this log has no key'));
  }

  close() {
    return Promise.resolve();
  }
}

/** The world of the corpus with these limits in the platform layer. @param limits the file limits.json */
export async function limitedHolder(limits: unknown): Promise<SnapshotHolder> {
  const { current } = await buildHolder('index');
  if (current === undefined) throw new Error('the world was not published');
  const { schema, layers, directory } = current;
  const file = limitsFileSchema.parse(limits);
  const names = actionNames(schema.actions.values());
  const holder = new SnapshotHolder();
  const limited = [...layers].map(([name, layer]) => {
    const own = name === 'platform' ? { limits: compileLimits(name, file, names) } : {};
    return [name, { ...layer, ...own }] as const;
  });
  holder.publish({ schema, layers: new Map(limited) }, directory);
  return holder;
}

export interface LimitedScene {
  readonly holder: SnapshotHolder;
  readonly store?: LimitStore;
  readonly guard?: LimitGuard;
  readonly activity?: PoolActivity;
}

export function limitedEngine({
  holder,
  store = new LimitTable(),
  guard = NO_GUARD,
  activity = new ActiveTenants(),
}: LimitedScene) {
  const log = new RefusingLog();
  const failures: unknown[] = [];
  const time = { now: NOW };
  const clock = { now: () => time.now, monotonic: () => time.now };
  let ids = 0;
  const history = new UsageTable();
  const planner = new LimitPlanner({ history, activity });
  const desk = new LimitDesk({ store, planning: planner, guard, holdMs: HOLD_MS });
  const engine = new DecisionEngine({
    snapshots: holder,
    evaluator: new ModalEvaluator({
      mode: { evaluator: 'compiled', crossCheck: 'off' },
      oracle: new WasmOracle(),
      sampling: { sample: () => undefined },
      quarantine: new Quarantine(),
      onDisagreement: () => undefined,
    }),
    log,
    clock,
    ids: { next: () => `01a2019f-44d0-7000-b752-${String(++ids).padStart(12, '0')}` },
    idempotency: new IdempotencyWindow(clock, requestFingerprint),
    observer: { decided: () => undefined, failed: error => failures.push(error) },
    defaultEnv: 'production',
    engineVersion: 'test',
    limits: desk,
  });
  const decide = (fields: Partial<DecisionRequestInput> = {}) =>
    engine.decide(decisionRequestSchema.parse({ ...ALLOWED, ...fields }), { credential: PEP });
  const outcomes = new OutcomeDesk({
    store,
    planning: planner,
    log,
    reader: log.reader,
    // the log in memory names nobody, and only alice decides here
    subjects: { resolve: async names => new Map([...names].map(name => [name, 'AI::User::"acme/alice"'])) },
    snapshots: holder,
    usage: history,
    outputDigest: ({ hash }) => ({ kid: 'test', mac: `digest of ${hash}` }),
    clock,
    ids: { next: () => `event-${++ids}` },
    holdMs: HOLD_MS,
  });
  const usage = new LimitUsageDesk({
    snapshots: holder,
    planning: planner,
    store,
    log,
    clock,
    ids: { next: () => `look-${++ids}` },
  });
  return { decide, outcomes, usage, log, failures, time, history };
}
