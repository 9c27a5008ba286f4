/** The engine over the world of the golden corpus, asked for a caller whose credential is narrowed. */
import type { DecisionLog } from '../../src/decision-log/ports.ts';
import type { CallerNarrowing } from '../../src/domain/caller-key.ts';
import type { Decision } from '../../src/domain/decision.ts';
import { type DecisionRequestInput, decisionRequestSchema } from '../../src/domain/decision-request.ts';
import { AppError } from '../../src/domain/errors.ts';
import type { LogEntry } from '../../src/domain/log-entry.ts';
import { DecisionEngine } from '../../src/pdp/engine.ts';
import { ModalEvaluator, Quarantine, WasmOracle } from '../../src/pdp/evaluator.ts';
import { IdempotencyWindow } from '../../src/pdp/idempotency.ts';
import { buildHolder } from '../decisions/scene.ts';
import { requestFingerprint } from '../../src/wiring/request-fingerprint.ts';

const NOW = Date.parse('2026-03-10T12:00:00.000Z');
const AUTH = {
  method: 'api_key',
  assurance: 1,
  scopes: ['payments:refund'],
  keyId: 'k',
  mode: 'verify',
} as const;

export interface NarrowedEngine {
  readonly entries: LogEntry[];
  /** @param narrowing undefined: the credential reaches as far as its owner */
  decide(request: DecisionRequestInput, narrowing?: CallerNarrowing): Promise<Decision>;
}

export async function narrowedEngine(): Promise<NarrowedEngine> {
  const clock = { now: () => NOW, monotonic: () => 0 };
  const entries: LogEntry[] = [];
  const log: DecisionLog = {
    origin: 'test',
    get size() {
      return entries.length;
    },
    saturated: false,
    append(entry) {
      const size = entries.push(entry);
      return Promise.resolve({ origin: 'test', index: size - 1, size });
    },
    signCheckpoint: () => Promise.reject(new AppError('LOG_UNAVAILABLE', 'this log has no key')),
    close: () => Promise.resolve(),
  };
  let ids = 0;
  const engine = new DecisionEngine({
    snapshots: await buildHolder('index'),
    evaluator: new ModalEvaluator({
      mode: { evaluator: 'compiled', crossCheck: 'off' },
      oracle: new WasmOracle(),
      sampling: { sample: () => undefined },
      quarantine: new Quarantine(),
      onDisagreement: () => undefined,
    }),
    log,
    clock,
    ids: { next: () => `d${++ids}` },
    idempotency: new IdempotencyWindow(clock, requestFingerprint),
    observer: {
      decided: () => undefined,
      failed: error => {
        throw error;
      },
    },
    defaultEnv: 'production',
    engineVersion: 'test',
  });
  const credential = { keyId: 'pep', roles: new Set(['pep'] as const), tenants: undefined, mayAssert: false };
  return {
    entries,
    decide(request, narrowing) {
      const authentication = {
        mode: 'verify',
        method: 'api_key',
        binding: 'none',
        ...(narrowing === undefined ? {} : { narrowing }),
      } as const;
      const asked = decisionRequestSchema.parse({ ...request, auth: { ...AUTH, scopes: [...AUTH.scopes] } });
      return engine.decide(asked, { credential, authentication });
    },
  };
}
