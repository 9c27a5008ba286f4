/**
 * What refuses beside limits, put together: penalties before anything is evaluated, load before anything is charged, and
 * the tallies behind both. Invariants: nothing here waits or throws; only limits that count the caller by itself make it
 * a violator, so that nobody is blocked for what others used.
 */
import { timestamp } from '../../domain/clock.ts';
import type { GuardRules } from '../../domain/guard-rules.ts';
import type { LimitFacts } from '../../domain/limit-facts.ts';
import type { StandingLimit } from '../answer-headers.ts';
import { AlertBook, type LimitAlert } from './alerts.ts';
import type { Asker, LimitGuard } from '../desk.ts';
import { type Load, LoadBoard, type LoadReport, type ReportOutcome } from './load-board.ts';
import { type Penalty, PenaltyBox, type PenaltyKind } from './penalties.ts';
import { penaltyAddress } from './penalty-address.ts';
import { LoadShedder, type ShedFacts, type StepChange } from './shedding.ts';
import type { LimitRefusal } from '../verdict.ts';

/** Dimensions of a limit that make its denial the doing of one principal. */
const OF_PRINCIPAL: ReadonlySet<string> = new Set(['principal', 'key']);
/** The same for callers that share their credential with others. */
const OF_PRINCIPAL_ALONE: ReadonlySet<string> = new Set(['principal']);
const OF_ADDRESS: ReadonlySet<string> = new Set(['address']);
const SECOND_MS = 1000;

/** Who is told. No method throws or waits. */
export interface GuardListener {
  /** A block began. */
  blocked(penalty: Penalty, now: number): void;
  /** A limit is used to some per cent. */
  alerted(alert: LimitAlert, facts: LimitFacts): void;
  /** A model moved between steps of shedding. */
  stepped(change: StepChange): void;
}

/** A model with reports, as it is shown. */
export interface LoadStanding extends Load {
  /** Smoothed, the worst of what is reported; undefined: no shedding is declared. */
  readonly loadPercent: number | undefined;
  /** Steps of shedding in force; 0: nobody is turned away. */
  readonly step: number;
}

export class Guard implements LimitGuard {
  readonly penalties: PenaltyBox;
  readonly alerts: AlertBook;
  readonly #board = new LoadBoard();
  readonly #shedder: LoadShedder;
  readonly #rules: () => GuardRules | undefined;
  readonly #listener: GuardListener;

  /** @param rules those of the active platform layer */
  constructor(rules: () => GuardRules | undefined, listener: GuardListener) {
    this.#rules = rules;
    this.#listener = listener;
    this.penalties = new PenaltyBox(() => rules()?.penalties);
    this.#shedder = new LoadShedder(() => rules()?.shedding);
    this.alerts = new AlertBook();
  }

  blocked({ principal, address }: Asker, now: number): LimitRefusal | undefined {
    const { penalties } = this;
    let penalty = penalties.blocked('principal', principal, now);
    if (penalty === undefined && address !== undefined && penalties.remembers('address')) {
      const name = penaltyAddress(address);
      if (name !== undefined) penalty = penalties.blocked('address', name, now);
    }
    return penalty === undefined ? undefined : penaltyRefusal(penalty, now);
  }

  shed(facts: LimitFacts, now: number): LimitRefusal | undefined {
    if (this.#shedder.isIdle) return undefined;
    const shed = this.#shedder.shed(shedFacts(facts), now);
    if (shed === undefined) return undefined;
    const { loadPercent } = shed;
    const retryAfterMs = shed.retryAfterMs + spread(facts.principal.key, shed.retryAfterMs);
    return {
      code: 'OVERLOADED',
      message:
        `the model is under a load of ${loadPercent} per cent, and requests of this kind are turned away first; ` +
        `again in ${Math.ceil(retryAfterMs / SECOND_MS)} s`,
      retryAfterMs,
      violated: [],
    };
  }

  answered(
    facts: LimitFacts,
    limits: readonly StandingLimit[],
    refusal: LimitRefusal | undefined,
    now: number,
  ): void {
    for (const alert of this.alerts.observe(limits, now)) this.#listener.alerted(alert, facts);
    if (refusal === undefined || this.#rules()?.penalties === undefined) return;
    // what others with the same credential used up speaks against nobody
    const own = facts.keyIsShared === true ? OF_PRINCIPAL_ALONE : OF_PRINCIPAL;
    this.#violate('principal', facts.principal.key, limits, own, now);
    const address = facts.address === undefined ? undefined : penaltyAddress(facts.address);
    if (address !== undefined) this.#violate('address', address, limits, OF_ADDRESS, now);
  }

  /** Takes in a report. @param now milliseconds since the epoch */
  report(report: LoadReport, now: number): ReportOutcome {
    const outcome = this.#board.report(report, now);
    if (outcome !== 'accepted') return outcome;
    const load = this.#board.load(report.subject, now);
    const change = load === undefined ? undefined : this.#shedder.observe(load, now);
    if (change !== undefined) this.#listener.stepped(change);
    return outcome;
  }

  /** The load of one model, or of each that is reported. */
  loads(now: number, subject?: string): readonly LoadStanding[] {
    const loads = subject === undefined ? this.#board.list(now) : [this.#board.load(subject, now)];
    return loads.flatMap(load => {
      if (load === undefined) return [];
      const standing = this.#shedder.standing(load.subject, now);
      return [{ ...load, loadPercent: standing?.loadPercent, step: standing?.step ?? 0 }];
    });
  }

  /** Ends what nobody reports any more; to be called now and then. */
  expire(now: number): void {
    for (const change of this.#shedder.expire(now)) this.#listener.stepped(change);
  }

  #violate(
    kind: PenaltyKind,
    id: string,
    limits: readonly StandingLimit[],
    dimensions: ReadonlySet<string>,
    now: number,
  ): void {
    const limit = limits.find(one => isViolation(one, dimensions));
    if (limit === undefined) return;
    const penalty = this.penalties.violate(kind, id, limit.charge.rule.name, now);
    if (penalty !== undefined) this.#listener.blocked(penalty, now);
  }
}

/**
 * Whether a denial speaks against whom the limit counts. What a store that does not answer denies is nobody's doing, and
 * running calls may be those of a gateway that reports no outcomes.
 */
function isViolation(
  { charge: { rule }, standing }: StandingLimit,
  dimensions: ReadonlySet<string>,
): boolean {
  if (!standing.violated || standing.degraded || rule.mode === 'shadow' || rule.kind === 'concurrency') {
    return false;
  }
  return rule.scope.some(dimension => dimensions.has(dimension));
}

function penaltyRefusal({ until, limit }: Penalty, now: number): LimitRefusal {
  return {
    code: 'PENALTY_BLOCKED',
    message: `requests are refused until ${timestamp(until)}, because limit \`${limit}\` was violated again and again`,
    retryAfterMs: until - now,
    violated: [limit],
  };
}

function shedFacts({ model, tier, operation }: LimitFacts): ShedFacts {
  return { model: model?.uid.key, ancestors: model?.ancestors, tier, operation };
}

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** A whole number below `range` that a text decides: callers that are turned away at once do not come back at once. */
function spread(text: string, range: number): number {
  let hash = FNV_OFFSET;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), FNV_PRIME);
  return (hash >>> 0) % range;
}
