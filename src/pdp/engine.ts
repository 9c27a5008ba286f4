/**
 * The walk of a decision: evaluate, charge limits, record, answer. Invariants: no answer leaves before its entry is
 * durable; an exception on the way becomes a logged deny, never an allow; what no answer tells of holds nothing.
 */
import type { DecisionLog, LogPosition } from '../decision-log/ports.ts';
import type { CallerAuth, CallerAuthentication } from '../domain/caller-authentication.ts';
import { type Clock, type IdSource, TimestampMemo, timestamp } from '../domain/clock.ts';
import type { Credential } from '../domain/credential.ts';
import type { Decision } from '../domain/decision.ts';
import type { DecisionRequest } from '../domain/decision-request.ts';
import { AppError } from '../domain/errors.ts';
import { tenantPrefix } from '../domain/names.ts';
import type { DecisionEntry, UnloggedDecision } from '../domain/log-entry.ts';
import type { ReasonCode } from '../domain/reason.ts';
import { NEXT_STEP } from '../domain/turns.ts';
import { type Evaluated, evaluateDecision } from './decide.ts';
import type { LimitAnswer, LimitGate } from '../limits/desk.ts';
import type { CheckEvaluator, EngineName } from './evaluator.ts';
import type { IdempotencyWindow } from './idempotency.ts';
import type { Snapshot, SnapshotHolder } from './snapshot.ts';
import { withoutForeign } from './foreign.ts';
import { type Limited, LimitStep, withLimits } from './limit-step.ts';
import { objectToReach } from './narrowing.ts';
import { resolveParties, tenantOf } from './parties.ts';

/** Who asks, and how the exchange is traced. */
export interface DecisionCaller {
  readonly credential: Credential;
  /** How the end caller was authenticated here; absent: the PEP asserts who it is. */
  readonly authentication?: CallerAuthentication;
  /** W3C `traceparent`, validated. */
  readonly trace?: string;
  readonly httpRequestId?: string;
}

/** Why a request is denied before any policy is asked. */
export interface Refusal {
  readonly code: Exclude<ReasonCode, 'POLICY_ALLOW'>;
  /** One sentence for the caller. */
  readonly message: string;
}

/** What the credential of the caller was not made for. */
const OUT_OF_REACH: Refusal = {
  code: 'CREDENTIAL_SCOPE',
  message: 'the credential of the caller does not reach this far',
};
const FAILURE: Refusal = { code: 'INTERNAL_ERROR', message: 'the decision failed inside the service' };

/** Hears of every answered decision, for metrics. Must not throw. */
export interface DecisionObserver {
  /** @param seconds from the call of `decide` to the durable entry. */
  decided(decision: Decision, seconds: number): void;
  /** An exception became a deny. */
  failed(error: unknown): void;
}

export interface EngineOptions {
  readonly snapshots: SnapshotHolder;
  readonly evaluator: CheckEvaluator;
  readonly log: DecisionLog;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly idempotency: IdempotencyWindow;
  readonly observer: DecisionObserver;
  readonly defaultEnv: string;
  /** Version of the evaluators, logged with each decision: `1+cedar-4.13.0`. */
  readonly engineVersion: string;
  /** What counts beside the policies; absent: nothing does. */
  readonly limits?: LimitGate | undefined;
}

/** Answers decision requests. */
export class DecisionEngine {
  readonly #options: EngineOptions;
  readonly #timestamps = new TimestampMemo();
  /** Names of the evaluators with their version, as they are logged. */
  readonly #engines: Readonly<Record<EngineName, string>>;
  readonly #limits: LimitStep | undefined;

  constructor(options: EngineOptions) {
    this.#options = options;
    const { engineVersion, limits } = options;
    this.#engines = { compiled: `compiled/${engineVersion}`, wasm: `wasm/${engineVersion}` };
    this.#limits =
      limits === undefined
        ? undefined
        : new LimitStep(limits, (error, evaluated) => this.#deniedFailure(error, evaluated));
  }

  /**
   * Decides and records.
   * Rejects with AppError NOT_READY, TENANT_NOT_ALLOWED, ASSERTION_NOT_ALLOWED, INVALID_REQUEST,
   * REQUEST_ID_CONFLICT, LOG_BACKPRESSURE or LOG_UNAVAILABLE; then no decision was made known.
   */
  decide(request: DecisionRequest, caller: DecisionCaller): Promise<Decision> {
    const { snapshots, idempotency } = this.#options;
    const snapshot = snapshots.current;
    if (snapshot === undefined) {
      return Promise.reject(notLoaded());
    }
    if (request.requestId === undefined) return this.#decideOnce(snapshot, request, caller);
    return idempotency.run(caller.credential.keyId, request.requestId, request, () =>
      this.#decideOnce(snapshot, request, caller),
    );
  }

  /**
   * Denies without evaluating: the edge found what no policy may override, such as a body with two models.
   * The deny is logged like every other. Rejects with AppError NOT_READY, TENANT_NOT_ALLOWED,
   * LOG_BACKPRESSURE or LOG_UNAVAILABLE; then no decision was made known.
   * @param request as much as is known; what is not, is named `?`.
   */
  async refuse(request: DecisionRequest, refusal: Refusal, caller: DecisionCaller): Promise<Decision> {
    const { clock, ids, snapshots } = this.#options;
    const startedAt = clock.monotonic();
    const snapshot = snapshots.current;
    if (snapshot === undefined) throw notLoaded();
    const tenant = tenantOf(snapshot, request);
    if (tenant !== '') requireTenant(tenant, request, caller.credential);
    this.#requireRoom();
    const now = clock.now();
    const refused = deniedDecision(snapshot, { ...request, tenant }, { id: ids.next(), now }, refusal);
    return this.#record(unlimited(refused), now, caller, startedAt);
  }

  async #decideOnce(snapshot: Snapshot, request: DecisionRequest, caller: DecisionCaller): Promise<Decision> {
    const { clock } = this.#options;
    const startedAt = clock.monotonic();
    authorizeAsker(snapshot, request, caller);
    this.#requireRoom();
    const now = clock.now();
    const blocked = this.#limits?.blocked(request, now);
    if (blocked?.refusal !== undefined) {
      const tenant = tenantOf(snapshot, request);
      const inputs = { id: this.#options.ids.next(), now };
      const denied = deniedDecision(snapshot, { ...request, tenant }, inputs, blocked.refusal);
      return this.#record({ evaluated: withLimits(denied, blocked), limit: blocked }, now, caller, startedAt);
    }
    const beyond = this.#beyondReach(snapshot, request, caller, now);
    if (beyond !== undefined) return this.#record(unlimited(beyond.evaluated), now, beyond.caller, startedAt);
    const evaluated = this.#evaluate(snapshot, request, now);
    await NEXT_STEP;
    if (evaluated.decision.decision === 'deny') {
      const told = this.#toldOf(evaluated, snapshot, request, caller, now);
      return this.#record(unlimited(evaluated), now, caller, startedAt, told);
    }
    if (this.#limits === undefined) return this.#record(unlimited(evaluated), now, caller, startedAt);
    const pep = caller.credential.keyId;
    const { credential } = caller.authentication ?? {};
    const limited = this.#limits.charge(evaluated, { snapshot, pep, credential, now });
    // a store that answers at once is not waited for: its journal must follow what it counted, in that order
    return this.#record(limited instanceof Promise ? await limited : limited, now, caller, startedAt);
  }

  /** What the asker is told of a deny: of objects that are not of its tenants, not even that they are there. */
  #toldOf(
    { decision }: Evaluated,
    snapshot: Snapshot,
    request: DecisionRequest,
    { credential, authentication }: DecisionCaller,
    now: number,
  ): UnloggedDecision {
    const isProven = authentication?.mode === 'verify';
    const lesser = withoutForeign(snapshot, request, credential.tenants, isProven);
    if (lesser === undefined) return decision;
    const { decision: told } = this.#evaluate(lesser, request, now);
    // what the levels that were asked for do not look at hides nothing: the deny is of something else
    return told.decision === 'deny' ? { ...told, decisionId: decision.decisionId } : decision;
  }

  /** The deny of a request that the credential of the caller was not made for; undefined when it was. */
  #beyondReach(
    snapshot: Snapshot,
    request: DecisionRequest,
    caller: DecisionCaller,
    now: number,
  ): { readonly evaluated: Evaluated; readonly caller: DecisionCaller } | undefined {
    const { authentication } = caller;
    if (authentication?.narrowing === undefined) return undefined;
    const parties = resolveParties(snapshot, request);
    const cause = objectToReach(snapshot, request, parties, authentication.narrowing);
    if (cause === undefined) return undefined;
    const inputs = { id: this.#options.ids.next(), now };
    const evaluated = deniedDecision(snapshot, { ...request, tenant: parties.tenant }, inputs, OUT_OF_REACH);
    return { evaluated, caller: { ...caller, authentication: { ...authentication, cause } } };
  }

  #requireRoom(): void {
    if (!this.#options.log.saturated) return;
    throw new AppError('LOG_BACKPRESSURE', 'the decision log has too many entries waiting', {
      retryAfterSeconds: 1,
    });
  }

  async #record(
    { evaluated, limit }: Limited,
    now: number,
    caller: DecisionCaller,
    startedAt: number,
    told: UnloggedDecision = evaluated.decision,
  ): Promise<Decision> {
    const { clock, log, observer } = this.#options;
    let position: LogPosition;
    try {
      position = await log.append(this.#entry(evaluated, now, caller, limit), limit?.journal);
    } catch (error) {
      if (limit?.holds === true) await this.#withdraw(evaluated.decision.decisionId);
      throw error;
    }
    // the entry is durable from here on: the answer may leave
    const auth = authOf(evaluated.request.asked.auth, caller);
    const decision: Decision = { ...evaluated.decision, auth, log: position };
    observer.decided(decision, (clock.monotonic() - startedAt) / 1000);
    return told === evaluated.decision ? decision : { ...told, auth, log: position };
  }

  #evaluate(snapshot: Snapshot, request: DecisionRequest, now: number): Evaluated {
    const { evaluator, ids, defaultEnv, observer } = this.#options;
    const inputs = { id: ids.next(), now, evaluatedAt: this.#timestamps.format(now), defaultEnv };
    try {
      return evaluateDecision(snapshot, evaluator, request, inputs);
    } catch (error) {
      if (error instanceof AppError) throw error;
      observer.failed(error);
      return deniedDecision(snapshot, request, inputs, FAILURE);
    }
  }

  /** The deny of a request that the policies allow and that could not be counted. */
  #deniedFailure(error: unknown, evaluated: Evaluated): Evaluated {
    this.#options.observer.failed(error);
    const { decision } = evaluated;
    const reason = { ...FAILURE, level: decision.reason.level, policies: [] };
    return { ...evaluated, decision: { ...decision, decision: 'deny', reason, obligations: [] } };
  }

  /** Nobody was told that the request may go on, so nobody will say how it ended. */
  async #withdraw(decisionId: string): Promise<void> {
    const { clock, observer } = this.#options;
    try {
      await this.#limits?.withdraw(decisionId, clock.now());
    } catch (error) {
      // its holds expire by themselves
      observer.failed(error);
    }
  }

  #entry(
    { decision, request, entities, engine }: Evaluated,
    time: number,
    caller: DecisionCaller,
    limit: LimitAnswer | undefined,
  ): DecisionEntry {
    const { authentication, trace, httpRequestId } = caller;
    return {
      kind: 'decision',
      id: decision.decisionId,
      time,
      request,
      decision: decision.decision,
      reason: decision.reason,
      levels: decision.levels,
      obligations: decision.obligations,
      revision: decision.revision,
      entities,
      limits: limit?.limits,
      engine: this.#engines[engine],
      pep: caller.credential.keyId,
      caller: authentication,
      trace,
      httpRequestId,
    };
  }
}

/** What the answer says of how the caller was authenticated. */
function authOf(asserted: DecisionRequest['auth'], { authentication }: DecisionCaller): CallerAuth {
  return authentication === undefined
    ? { mode: 'assert', method: asserted?.method ?? 'asserted' }
    : { mode: authentication.mode, method: authentication.method };
}

/**
 * A PEP that is limited to tenants asks only about their data, and asserts `auth` only where it may. That a caller
 * was verified, nobody asserts.
 */
function authorizeAsker(
  snapshot: Snapshot,
  request: DecisionRequest,
  { credential, authentication }: DecisionCaller,
): void {
  if (request.auth !== undefined && authentication === undefined) {
    if (!credential.mayAssert) {
      throw notAsserted('/auth', 'auth', 'leave `auth` out, or use a key with `mayAssert`');
    }
    if (request.auth.mode !== undefined) {
      throw notAsserted('/auth/mode', 'auth.mode', 'forward the credential of the caller in `credential`');
    }
  }
  if (credential.tenants === undefined) return;
  requireTenant(tenantOf(snapshot, request), request, credential);
}

function notAsserted(pointer: string, what: string, hint: string): AppError {
  const message = `this key may not assert \`${what}\``;
  return new AppError('ASSERTION_NOT_ALLOWED', message, { problems: [{ pointer, message, hint }] });
}

/** Refuses in words that only repeat the request: whose a principal is whom it names is not told. */
function requireTenant(tenant: string, request: DecisionRequest, { tenants }: Credential): void {
  if (tenants === undefined || tenants.has(tenant)) return;
  const named = request.tenant ?? tenantPrefix(request.principal.id);
  if (named !== undefined)
    throw new AppError('TENANT_NOT_ALLOWED', `this key may not ask for tenant \`${named}\``);
  const message = 'this key is limited to tenants, and the request tells none';
  const hint = 'add `tenant`, or write the id of the principal as `<tenant>/<name>`';
  throw new AppError('TENANT_NOT_ALLOWED', message, { problems: [{ pointer: '/tenant', message, hint }] });
}

function notLoaded(): AppError {
  return new AppError('NOT_READY', 'the directory and the policies are not loaded yet', {
    retryAfterSeconds: 1,
  });
}

function unlimited(evaluated: Evaluated): Limited {
  return { evaluated, limit: undefined };
}

/** A deny that no policy was asked about. */
function deniedDecision(
  snapshot: Snapshot,
  request: DecisionRequest,
  inputs: { readonly id: string; readonly now: number },
  { code, message }: Refusal,
): Evaluated {
  const evaluatedAt = timestamp(inputs.now);
  const { requestId } = request;
  const decision: UnloggedDecision = {
    decisionId: inputs.id,
    decision: 'deny',
    reason: { code, level: request.levels?.[0] ?? 'endpoint', message, policies: [] },
    levels: {},
    obligations: [],
    revision: { layers: {}, directory: snapshot.revision.directory, schema: snapshot.revision.schema },
    evaluatedAt,
    ...(requestId === undefined ? {} : { requestId }),
  };
  return {
    decision,
    request: {
      asked: request,
      tenant: request.tenant ?? '',
      defaultEnv: undefined,
      contextRead: false,
      principalTenant: undefined,
      resourceTenant: undefined,
    },
    entities: [],
    engine: 'compiled',
    parties: undefined,
    limitSets: [],
  };
}
