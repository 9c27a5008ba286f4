/**
 * What becomes of a decision after its answer: the call ends, goes on, or is never made. Invariants: the first report
 * counts and is in the log before it is answered; a repetition changes nothing and gets the same result; nobody learns
 * of decisions of other tenants.
 */
import type {
  DecisionLog,
  LoggedLeaf,
  LogPosition,
  LogReader,
  SubjectResolver,
} from '../decision-log/ports.ts';
import type { Clock, IdSource } from '../domain/clock.ts';
import { timestamp } from '../domain/clock.ts';
import type { Credential } from '../domain/credential.ts';
import type { Decision } from '../domain/decision.ts';
import { AppError } from '../domain/errors.ts';
import { type JsonObject, type JsonValue, listOf, objectOf, textOf } from '../domain/json.ts';
import { NOTHING_USED, type UnitAmounts } from '../domain/limit.ts';
import { type ModelFacts, NO_VERSION } from '../domain/limit-facts.ts';
import type { EventEntry } from '../domain/log-entry.ts';
import type { Extended, Outcome, SettledLimit, SettledOutcome } from '../domain/outcome.ts';
import { EntityUid } from '../domain/value.ts';
import type { LimitPlanning } from '../limits/planning.ts';
import type { LimitStore, SettlementResult } from '../limits/ports.ts';
import { ofEachOutput, reservedBy, useOf } from './call-amounts.ts';
import { LoggedCalls, type LoggedCall } from './logged-call.ts';
import { Unlogged, UnloggedExtensions } from './unlogged.ts';
import type { SnapshotHolder } from './snapshot.ts';

/** A keyed digest of what was generated. */
export type OutputDigest = (
  output: { readonly tenant: string; readonly resource: string; readonly hash: string },
  time: number,
) => { readonly kid: string; readonly mac: string };

/** Learns what calls use. */
export interface UsageLearner {
  /** @param principal @param model keys of their uids */
  add(
    principal: string,
    model: string,
    used: Readonly<Pick<UnitAmounts, 'input_tokens' | 'output_tokens' | 'compute_ms'>>,
  ): void;
}

export interface OutcomeDeskOptions {
  readonly store: LimitStore;
  readonly planning: Pick<LimitPlanning, 'price' | 'priceVersions'>;
  readonly log: DecisionLog;
  readonly reader: Pick<LogReader, 'decision' | 'outcome'>;
  readonly subjects: Pick<SubjectResolver, 'resolve'>;
  readonly snapshots: SnapshotHolder;
  readonly usage: UsageLearner;
  readonly outputDigest: OutputDigest;
  readonly clock: Clock;
  readonly ids: IdSource;
  /** How long a hold lasts that is extended without saying for how long, in milliseconds. */
  readonly holdMs: number;
}

export class OutcomeDesk {
  readonly #options: OutcomeDeskOptions;
  readonly #calls: LoggedCalls;
  readonly #unlogged = new Unlogged();
  readonly #extensions = new UnloggedExtensions();
  /** What is under way, by decision: reports of one decision take their turns. */
  readonly #running = new Map<string, Promise<unknown>>();

  constructor(options: OutcomeDeskOptions) {
    this.#options = options;
    this.#calls = new LoggedCalls(options.snapshots, options.subjects);
  }

  /**
   * Takes a report. Rejects with AppError NOT_FOUND, NO_OPEN_CALL, LOG_BACKPRESSURE or LOG_UNAVAILABLE; then it may be
   * sent again.
   */
  report(decisionId: string, outcome: Outcome, pep: Credential): Promise<SettledOutcome> {
    return this.#inTurn(decisionId, () => this.#report(decisionId, outcome, pep));
  }

  /** Lets what a decision holds last from now on. Rejects as `report`; what could not be written is, before all that follows. */
  extend(decisionId: string, seconds: number | undefined, pep: Credential): Promise<Extended> {
    return this.#inTurn(decisionId, () => this.#extend(decisionId, seconds, pep));
  }

  /** Gives back what an allow holds whose call is never made. Rejects with AppError as `report`. */
  withdraw({ decisionId }: Pick<Decision, 'decisionId'>, tenant: string, pep: Credential): Promise<void> {
    return this.#inTurn(decisionId, async () => {
      const { store, clock } = this.#options;
      await this.#writeExtensions();
      const now = clock.now();
      const settling = store.settle({ decisionId, now, actual: NOTHING_USED, atLeastFloor: false });
      const settled = settling instanceof Promise ? await settling : settling;
      const details = { status: 'withdrawn', ...settledDetails(settled) };
      await this.#write(
        this.#event('decision.outcome', { decisionId, tenant }, details, pep, now),
        settled.journal,
      );
    });
  }

  async #report(decisionId: string, outcome: Outcome, pep: Credential): Promise<SettledOutcome> {
    const { reader, log, clock } = this.#options;
    const leaf = await this.#openCall(decisionId, pep);
    const known = await reader.outcome(decisionId);
    if (known !== undefined)
      return resultOf(decisionId, 'repeated', known.content, positionOf(log, known.index));
    this.#requireRoom();
    await this.#writeExtensions();
    const waiting = this.#unlogged.get(decisionId);
    if (waiting !== undefined) {
      const position = await this.#write(waiting.entry, waiting.journal);
      return resultOf(decisionId, 'repeated', waiting.entry, position);
    }
    const call = await this.#calls.read(leaf);
    const now = clock.now();
    const { use, micro_usd, prices } = this.#amounts(outcome, call);
    const atLeastFloor = outcome.status === 'cancelled';
    const { store } = this.#options;
    const settling = store.settle({ decisionId, now, actual: { ...use, micro_usd }, atLeastFloor });
    // a store that answers at once is not waited for: its journal follows what it counted, in that order
    const settled = settling instanceof Promise ? await settling : settling;
    const details = {
      ...this.#describe(outcome, call, now),
      used: { ...use, micro_usd },
      ...(prices.length === 0 ? {} : { prices }),
      ...settledDetails(settled),
    };
    const event = this.#event('decision.outcome', { decisionId, tenant: call.tenant }, details, pep, now);
    const position = await this.#write(event, settled.journal);
    this.#learn(outcome, call, use);
    return resultOf(decisionId, stateOf(settled), event, position);
  }

  async #extend(decisionId: string, seconds: number | undefined, pep: Credential): Promise<Extended> {
    const { store, clock, holdMs } = this.#options;
    const leaf = await this.#openCall(decisionId, pep);
    this.#requireRoom();
    await this.#writeExtensions();
    const now = clock.now();
    const extending = store.extend(decisionId, now, seconds === undefined ? holdMs : seconds * 1000);
    const extended = extending instanceof Promise ? await extending : extending;
    if (extended.state === 'settled') throw noOpenCall('its outcome was reported already');
    if (extended.state === 'unknown')
      throw noOpenCall('nothing is held for it any more: ask for a new decision');
    const expiresAt = timestamp(extended.expiresAt);
    const tenant = textOf(objectOf(leaf.content['request'])['tenant']);
    const event = this.#event('decision.extension', { decisionId, tenant }, { expiresAt }, pep, now);
    try {
      await this.#options.log.append(event, extended.journal);
    } catch (error) {
      // it took effect: the log has to learn of it before anything that follows from it
      this.#extensions.add({ entry: event, journal: extended.journal });
      throw error;
    }
    return { decisionId, expiresAt };
  }

  /** Rejects as long as what took effect cannot be written: then nothing more does. */
  async #writeExtensions(): Promise<void> {
    if (!this.#extensions.isEmpty) await this.#extensions.write(this.#options.log);
  }

  /** The decision, when a call can follow it. */
  async #openCall(decisionId: string, { tenants }: Credential): Promise<LoggedLeaf> {
    const leaf = await this.#options.reader.decision(
      decisionId,
      tenants === undefined ? undefined : [...tenants],
    );
    if (leaf === undefined) {
      throw new AppError('NOT_FOUND', `there is no decision \`${decisionId.slice(0, 64)}\``);
    }
    if (leaf.content['decision'] !== 'allow') throw noOpenCall('it is a deny');
    if (objectOf(leaf.content['request'])['consume'] === false) throw noOpenCall('it was only tried out');
    return leaf;
  }

  /** Uses, and what they cost: what was reported, else by the price lists, else what was reserved. */
  #amounts(outcome: Outcome, { leaf, model, layers }: LoggedCall) {
    const reserved = reservedBy(leaf);
    const use = useOf(outcome, reserved);
    const { costMicroUsd } = outcome.usage;
    if (costMicroUsd !== undefined) return { use, micro_usd: costMicroUsd, prices: [] };
    const { planning } = this.#options;
    const { modelVersion } = outcome;
    const served =
      model === undefined || modelVersion === undefined ? model : servedModel(model, modelVersion);
    const price = planning.price(served, layers, use);
    const prices = price === undefined ? [] : planning.priceVersions(layers);
    return { use, micro_usd: price ?? reserved.amounts.micro_usd, prices };
  }

  #describe(outcome: Outcome, { tenant, resource }: LoggedCall, now: number): JsonObject {
    const { status, modelVersion, usage, durationMs, output, validation, guardrails } = outcome;
    return {
      status,
      ...(modelVersion === undefined ? {} : { modelVersion }),
      usage: present(usage),
      ...(durationMs === undefined ? {} : { durationMs }),
      ...(output === undefined
        ? {}
        : { outputDigest: { ...this.#options.outputDigest({ tenant, resource, hash: output.hash }, now) } }),
      ...(validation === undefined ? {} : { validation }),
      ...(guardrails === undefined ? {} : { guardrails: guardrails.map(one => ({ ...one })) }),
    };
  }

  #learn(
    { status, usage }: Outcome,
    { leaf, principal, model }: LoggedCall,
    use: Omit<UnitAmounts, 'micro_usd'>,
  ): void {
    // what was not told was assumed, and would teach the assumption
    const isTold = usage.inputTokens !== undefined && usage.outputTokens !== undefined;
    if (status !== 'completed' || !isTold || principal === undefined || model === undefined) return;
    this.#options.usage.add(principal, model.uid.key, ofEachOutput(use, leaf));
  }

  #event(
    kind: 'decision.outcome' | 'decision.extension',
    { decisionId, tenant }: { readonly decisionId: string; readonly tenant: string },
    details: JsonObject,
    pep: Credential,
    time: number,
  ): EventEntry {
    const id = this.#options.ids.next();
    const owner = tenant === '' ? {} : { tenant };
    return { kind, id, time, actor: pep.keyId, ...owner, subject: decisionId, details };
  }

  /** What was settled and could not be written waits for the repetition of the report. */
  async #write(entry: EventEntry, journal: Uint8Array | undefined): Promise<LogPosition> {
    this.#unlogged.add(entry.subject, { entry, journal });
    const position = await this.#options.log.append(entry, journal);
    this.#unlogged.remove(entry.subject);
    return position;
  }

  #requireRoom(): void {
    if (!this.#options.log.saturated) return;
    throw new AppError('LOG_BACKPRESSURE', 'the decision log has too many entries waiting', {
      retryAfterSeconds: 1,
    });
  }

  async #inTurn<T>(decisionId: string, run: () => Promise<T>): Promise<T> {
    const before = this.#running.get(decisionId);
    const turn = before === undefined ? run() : before.then(run, run);
    this.#running.set(decisionId, turn);
    try {
      return await turn;
    } finally {
      if (this.#running.get(decisionId) === turn) this.#running.delete(decisionId);
    }
  }
}

function noOpenCall(why: string): AppError {
  return new AppError('NO_OPEN_CALL', `no call of the decision is open: ${why}`);
}

/** The model that answered: the version alone names one of the model that was decided. */
function servedModel(model: ModelFacts, answered: string): ModelFacts {
  const at = answered.lastIndexOf('@');
  const decided =
    model.version === NO_VERSION ? model.uid.id : model.uid.id.slice(0, -model.version.length - 1);
  const name = at === -1 ? decided : answered.slice(0, at);
  const version = answered.slice(at + 1);
  return { ...model, version, uid: new EntityUid(model.uid.type, `${name}@${version}`) };
}

function stateOf({ state }: SettlementResult): SettledOutcome['state'] {
  return state === 'unknown' ? 'recorded' : state;
}

/** Names and numbers; keys of charges hold names of principals. */
function settledDetails({ charges, state }: SettlementResult): JsonObject {
  return {
    settlement: stateOf({ charges, state, journal: undefined }),
    charges: charges.map(({ name, reserved, charged, overdraft }) => ({
      name,
      reserved,
      charged,
      overdraft,
    })),
  };
}

/** What an entry `decision.outcome` says. */
function resultOf(
  decisionId: string,
  state: SettledOutcome['state'],
  { details }: { readonly details?: JsonValue },
  { origin, index }: Pick<LogPosition, 'origin' | 'index'>,
): SettledOutcome {
  const { status, charges } = objectOf(details);
  return {
    decisionId,
    state,
    status: statusOf(textOf(status)),
    charges: listOf(charges).map(chargeOf),
    log: { origin, index },
  };
}

const STATUSES = ['completed', 'partial', 'failed', 'cancelled', 'withdrawn'] as const;

function statusOf(text: string): SettledOutcome['status'] {
  const status = STATUSES.find(one => one === text);
  if (status === undefined) throw new Error('an outcome in the log has no status');
  return status;
}

function chargeOf(value: JsonValue): SettledLimit {
  const { name, reserved, charged, overdraft } = objectOf(value);
  return {
    name: textOf(name),
    reserved: numberOf(reserved),
    charged: numberOf(charged),
    overdraft: numberOf(overdraft),
  };
}

function numberOf(value: JsonValue | undefined): number {
  return typeof value === 'number' ? value : 0;
}

function positionOf({ origin }: DecisionLog, index: number): Pick<LogPosition, 'origin' | 'index'> {
  return { origin, index };
}

/** Without the members that are undefined. */
function present(usage: Outcome['usage']): JsonObject {
  const members: Record<string, number> = {};
  for (const [name, value] of Object.entries(usage)) if (value !== undefined) members[name] = value;
  return members;
}
