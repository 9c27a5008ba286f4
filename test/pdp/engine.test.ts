/**
 * The walk of a decision when something on the way fails. Invariant: no allow is answered that is not in the
 * log, and no failure becomes an allow.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import type { DecisionLog } from '../../src/decision-log/ports.ts';
import type { CallerAuthentication } from '../../src/domain/caller-authentication.ts';
import type { Credential } from '../../src/domain/credential.ts';
import { type DecisionRequestInput, decisionRequestSchema } from '../../src/domain/decision-request.ts';
import { AppError } from '../../src/domain/errors.ts';
import type { LogEntry } from '../../src/domain/log-entry.ts';
import { DecisionEngine } from '../../src/pdp/engine.ts';
import {
  type Check,
  type CheckEvaluator,
  ModalEvaluator,
  type OraclePort,
  Quarantine,
  WasmOracle,
} from '../../src/pdp/evaluator.ts';
import { IdempotencyWindow } from '../../src/pdp/idempotency.ts';
import { SnapshotHolder } from '../../src/pdp/snapshot.ts';
import { buildHolder } from '../decisions/scene.ts';
import { requestFingerprint } from '../../src/wiring/request-fingerprint.ts';

const NOW = Date.parse('2026-03-10T12:00:00.000Z');
const clock = { now: () => NOW, monotonic: () => 0 };
const ALLOWED: DecisionRequestInput = {
  principal: { type: 'User', id: 'acme/alice' },
  action: 'generate',
  resource: { type: 'Model', id: 'acme/support-llm' },
};

let holder: SnapshotHolder;
beforeAll(async () => {
  holder = await buildHolder('index');
});

/** A log in memory that can be told to fail, before or after it kept the entry. */
class FaultyLog implements DecisionLog {
  readonly origin = 'test';
  readonly entries: LogEntry[] = [];
  saturated = false;
  fault: 'none' | 'fails and not persisted' | 'fails but persisted' = 'none';

  get size(): number {
    return this.entries.length;
  }

  append(entry: LogEntry) {
    if (this.fault !== 'fails and not persisted') this.entries.push(entry);
    if (this.fault !== 'none') return Promise.reject(new AppError('LOG_UNAVAILABLE', 'the disk is full'));
    const size = this.entries.length;
    return Promise.resolve({ origin: this.origin, index: size - 1, size });
  }

  signCheckpoint() {
    return Promise.reject(new AppError('LOG_UNAVAILABLE', 'this log has no key'));
  }

  close() {
    return Promise.resolve();
  }
}

function modal(
  options: { crossCheck?: 'all' | 'off'; evaluator?: 'compiled' | 'wasm'; oracle?: OraclePort } = {},
) {
  const quarantine = new Quarantine();
  const disagreements: Check[] = [];
  const evaluator = new ModalEvaluator({
    mode: { evaluator: options.evaluator ?? 'compiled', crossCheck: options.crossCheck ?? 'off' },
    oracle: options.oracle ?? new WasmOracle(),
    sampling: { sample: () => undefined },
    quarantine,
    onDisagreement: check => disagreements.push(check),
  });
  return { evaluator, quarantine, disagreements };
}

function setup(evaluator: CheckEvaluator, snapshots: SnapshotHolder = holder) {
  const log = new FaultyLog();
  const failures: unknown[] = [];
  let decided = 0;
  let ids = 0;
  const engine = new DecisionEngine({
    snapshots,
    evaluator,
    log,
    clock,
    ids: { next: () => `d${++ids}` },
    idempotency: new IdempotencyWindow(clock, requestFingerprint),
    observer: {
      decided: () => {
        decided++;
      },
      failed: error => failures.push(error),
    },
    defaultEnv: 'production',
    engineVersion: 'test',
  });
  const decide = (
    fields: Partial<DecisionRequestInput> = {},
    limits: Partial<Credential> = {},
    authentication?: CallerAuthentication,
  ) =>
    engine.decide(decisionRequestSchema.parse({ ...ALLOWED, ...fields }), {
      credential: { keyId: 'k', roles: new Set(['pep']), tenants: undefined, mayAssert: true, ...limits },
      ...(authentication === undefined ? {} : { authentication }),
    });
  const refuse = (fields: Partial<DecisionRequestInput> = {}, limits: Partial<Credential> = {}) =>
    engine.refuse(
      decisionRequestSchema.parse({ ...ALLOWED, ...fields }),
      { code: 'MODEL_AMBIGUOUS', message: 'two models' },
      { credential: { keyId: 'k', roles: new Set(['pep']), tenants: undefined, mayAssert: true, ...limits } },
    );
  return { log, failures, decide, refuse, decided: () => decided };
}

describe('DecisionEngine', () => {
  it('answers an allow with the place of its entry', async () => {
    const { decide, log, decided } = setup(modal().evaluator);
    const decision = await decide();
    expect(decision).toMatchObject({
      decision: 'allow',
      log: { origin: 'test', index: 0, size: 1 },
      decisionId: 'd1',
    });
    expect(log.entries).toHaveLength(1);
    expect(log.entries[0]).toMatchObject({ kind: 'decision', id: 'd1', pep: 'k', engine: 'compiled/test' });
    expect(decided()).toBe(1);
  });

  it.each(['fails and not persisted', 'fails but persisted'] as const)(
    'answers nothing when the append %s',
    async fault => {
      const { decide, log, decided } = setup(modal().evaluator);
      log.fault = fault;
      await expect(decide()).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' });
      expect(log.entries).toHaveLength(fault === 'fails but persisted' ? 1 : 0);
      expect(decided()).toBe(0);
    },
  );

  it('decides afresh when a request id is retried after a failed append', async () => {
    const { decide, log } = setup(modal().evaluator);
    log.fault = 'fails and not persisted';
    await expect(decide({ requestId: 'r' })).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' });
    log.fault = 'none';
    expect(await decide({ requestId: 'r' })).toMatchObject({ decision: 'allow', requestId: 'r' });
    expect(log.entries).toHaveLength(1);
  });

  it('logs one entry for a repeated request id', async () => {
    const { decide, log } = setup(modal().evaluator);
    const first = await decide({ requestId: 'r' });
    expect(await decide({ requestId: 'r' })).toEqual(first);
    expect(log.entries).toHaveLength(1);
  });

  it('refuses before it evaluates while the log is saturated', async () => {
    const { decide, log } = setup({
      evaluate: () => {
        throw new Error('evaluated');
      },
    });
    log.saturated = true;
    await expect(decide()).rejects.toMatchObject({ code: 'LOG_BACKPRESSURE', retryAfterSeconds: 1 });
  });

  it('is not ready before anything was published', async () => {
    const { decide } = setup(modal().evaluator, new SnapshotHolder());
    await expect(decide()).rejects.toMatchObject({ code: 'NOT_READY' });
  });

  it('turns an exception of the evaluator into a logged deny', async () => {
    const { decide, log, failures } = setup({
      evaluate: () => {
        throw new Error('a bug');
      },
    });
    expect(await decide()).toMatchObject({
      decision: 'deny',
      reason: { code: 'INTERNAL_ERROR', message: 'the decision failed inside the service' },
    });
    expect(log.entries).toHaveLength(1);
    expect(failures).toHaveLength(1);
  });

  it('keeps a credential to its tenants, by the tenant whose data is used', async () => {
    const { decide, log } = setup(modal().evaluator);
    const limited = { tenants: new Set(['globex']) };
    await expect(decide({}, limited)).rejects.toMatchObject({ code: 'TENANT_NOT_ALLOWED' });
    await expect(decide({ tenant: 'acme' }, limited)).rejects.toMatchObject({ code: 'TENANT_NOT_ALLOWED' });
    const stranger = { principal: { type: 'User', id: 'stranger' } };
    await expect(decide(stranger, limited)).rejects.toMatchObject({
      code: 'TENANT_NOT_ALLOWED',
      message: 'this key is limited to tenants, and the request tells none',
    });
    await expect(decide({ principal: { type: 'User', id: 'acme/nobody' } }, limited)).rejects.toMatchObject({
      code: 'TENANT_NOT_ALLOWED',
    });
    expect(log.entries).toHaveLength(0);
    expect(await decide({}, { tenants: new Set(['acme']) })).toMatchObject({ decision: 'allow' });
  });

  it('lets only a credential that may assert say how the principal was authenticated', async () => {
    const { decide } = setup(modal().evaluator);
    const auth = { method: 'jwt', assurance: 2, scopes: [] };
    await expect(decide({ auth }, { mayAssert: false })).rejects.toMatchObject({
      code: 'ASSERTION_NOT_ALLOWED',
    });
    expect(await decide({ auth })).toMatchObject({ decision: 'allow' });
    expect(await decide({}, { mayAssert: false })).toMatchObject({ decision: 'allow' });
  });

  it('lets nobody assert that the service verified the caller', async () => {
    const { decide } = setup(modal().evaluator);
    const auth = { method: 'jwt', assurance: 2, scopes: [], mode: 'verify' as const };
    await expect(decide({ auth })).rejects.toMatchObject({
      code: 'ASSERTION_NOT_ALLOWED',
      problems: [{ pointer: '/auth/mode' }],
    });
  });

  it('answers by whom the caller was authenticated, and logs it where that was the service', async () => {
    const { decide, log } = setup(modal().evaluator);
    const auth = { method: 'mtls', assurance: 2, scopes: [] };
    expect(await decide()).toMatchObject({ auth: { mode: 'assert', method: 'asserted' } });
    expect(await decide({ auth })).toMatchObject({ auth: { mode: 'assert', method: 'mtls' } });
    const authentication = { mode: 'verify', method: 'jwt', binding: 'dpop' } as const;
    const verified = { auth: { method: 'jwt', assurance: 1, scopes: [], mode: 'verify' as const } };
    // a key that may not assert still brings callers whom the service verified
    const decision = await decide(verified, { mayAssert: false }, authentication);
    expect(decision).toMatchObject({ decision: 'allow', auth: { mode: 'verify', method: 'jwt' } });
    expect(log.entries).toMatchObject([
      { caller: undefined },
      { caller: undefined },
      { caller: authentication },
    ]);
  });
});

describe('a refusal by the edge', () => {
  it('is a deny in the log, whatever the policies say', async () => {
    const { refuse, log, decided } = setup(modal().evaluator);
    const reason = { code: 'MODEL_AMBIGUOUS', level: 'endpoint', message: 'two models', policies: [] };
    expect(await refuse()).toMatchObject({ decision: 'deny', decisionId: 'd1', reason, log: { index: 0 } });
    expect(log.entries).toMatchObject([{ kind: 'decision', decision: 'deny', reason, pep: 'k' }]);
    expect(decided()).toBe(1);
  });

  it('is not made known when it cannot be logged', async () => {
    const { refuse, log } = setup(modal().evaluator);
    log.fault = 'fails and not persisted';
    await expect(refuse()).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' });
    await expect(setup(modal().evaluator, new SnapshotHolder()).refuse()).rejects.toMatchObject({
      code: 'NOT_READY',
    });
  });

  it('concerns no tenant that the key may not ask for', async () => {
    const { refuse } = setup(modal().evaluator);
    const tenants = new Set(['globex']);
    await expect(refuse({}, { tenants })).rejects.toMatchObject({ code: 'TENANT_NOT_ALLOWED' });
    expect(await refuse({ principal: { type: 'User', id: '?' } }, { tenants })).toMatchObject({
      decision: 'deny',
    });
  });
});

describe('ModalEvaluator', () => {
  const liar: OraclePort = {
    evaluate: () => ({ ok: true, decision: 'allow', determining: ['tenant:acme/other'], erroring: [] }),
  };
  const broken: OraclePort = {
    evaluate: () => {
      throw new Error('a trap');
    },
  };

  it.each([
    ['differs', liar],
    ['fails', broken],
  ])('denies in mode all when the oracle %s, and tells', async (_, oracle) => {
    const { evaluator, quarantine, disagreements } = modal({ crossCheck: 'all', oracle });
    const { decide } = setup(evaluator);
    expect(await decide()).toMatchObject({ decision: 'deny', reason: { code: 'INTERNAL_ERROR' } });
    expect(disagreements.length).toBeGreaterThan(0);
    expect(quarantine.layers).toEqual(['platform', 'tenant:acme']);
  });

  it('allows in mode all when both agree', async () => {
    const { evaluator, disagreements } = modal({ crossCheck: 'all' });
    expect(await setup(evaluator).decide()).toMatchObject({ decision: 'allow' });
    expect(disagreements).toEqual([]);
  });

  it('denies in mode wasm when cedar-wasm fails', async () => {
    const { evaluator } = modal({ evaluator: 'wasm', oracle: broken });
    expect(await setup(evaluator).decide()).toMatchObject({
      decision: 'deny',
      reason: { code: 'INTERNAL_ERROR', message: 'a trap' },
    });
  });

  it('decides quarantined layers by cedar-wasm, and compiled again once released', async () => {
    const { evaluator, quarantine } = modal();
    const { decide, log } = setup(evaluator);
    const engineOf = async () => {
      await decide();
      const entry = log.entries.at(-1);
      return entry?.kind === 'decision' ? entry.engine : undefined;
    };
    quarantine.add(
      [...(holder.current?.layers.values() ?? [])].filter(layer => layer.name === 'tenant:acme'),
    );
    expect(await engineOf()).toBe('wasm/test');
    expect(quarantine.release('tenant:acme')).toBe(true);
    expect(quarantine.release('tenant:acme')).toBe(false);
    expect(await engineOf()).toBe('compiled/test');
  });
});

describe('the logged request', () => {
  it('names owners that the ids do not tell, so that their auditors see the entry', async () => {
    const { decide, log } = setup(modal().evaluator);
    const requestOf = async (fields: Partial<DecisionRequestInput>) => {
      await decide(fields);
      const entry = log.entries.at(-1);
      return entry?.kind === 'decision' ? entry.request : undefined;
    };
    expect(await requestOf({})).toMatchObject({ resourceTenant: undefined, principalTenant: 'acme' });
    const tenant = { type: 'Tenant', id: 'acme' };
    expect(
      await requestOf({ action: 'useTenant', resource: tenant, context: { model: 'acme/support-llm' } }),
    ).toMatchObject({
      resourceTenant: 'acme',
    });
  });
});
