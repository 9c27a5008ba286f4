/**
 * Sends the probes and says what they found. Invariants: requests are bounded in number and time, one after the other; a
 * probe has the worst outcome of its requests; nothing that was sent as a credential is in a finding.
 */
import type { Clock } from '../../domain/clock.ts';
import { type Grounds, judge, reasonOf, type Judgement } from './judge.ts';
import { MARK_HEADER, type OwnUpstream } from './own-upstream.ts';
import type { Finding, Outcome, Probe, Seen } from './probe.ts';
import { exchange, type RawRequest, type Target } from './raw-client.ts';

/** Most requests of one examination. */
export const MAX_REQUESTS = 300;

export interface ExaminationOptions {
  readonly target: Target;
  readonly upstream: OwnUpstream | undefined;
  /** Of one request. */
  readonly timeoutMs: number;
  /** Of all of them. */
  readonly totalMs: number;
  readonly hasCaller: boolean;
  /** Path of the API. */
  readonly path: string;
  readonly clock: Pick<Clock, 'monotonic'>;
  /** Hears what is tried next. */
  readonly onProgress: (what: string) => void;
}

const RANK: Readonly<Record<Outcome, number>> = { pass: 0, inconclusive: 1, fail: 2 };

export class Examination {
  readonly #options: ExaminationOptions;
  readonly #startedAt: number;
  #grounds: Grounds;
  #sent = 0;

  constructor(options: ExaminationOptions) {
    this.#options = options;
    this.#startedAt = options.clock.monotonic();
    this.#grounds = { controlPassed: undefined, control: undefined, path: options.path };
  }

  /** Requests that were sent. */
  get sent(): number {
    return this.#sent;
  }

  /** Whether what is allowed got through. */
  get controlPassed(): boolean {
    return this.#grounds.controlPassed === true;
  }

  /** Tries one probe. What the control finds counts for those after it. */
  async try(probe: Probe): Promise<Finding> {
    const { hasCaller, onProgress } = this.#options;
    onProgress(probe.what);
    if (probe.needsCaller && !hasCaller) return findingOf(probe, undefined, NO_CALLER);
    let worst: { label: string; seen: Seen; judgement: Judgement } | undefined;
    for (const { label, request } of probe.attempts) {
      if (this.#isOver()) return findingOf(probe, worst, OUT_OF_TIME);
      const seen = await this.#send(request);
      const judgement = judge(probe.expects, seen, this.#grounds);
      if (probe.expects === 'passes') this.#note(seen, judgement);
      if (worst === undefined || RANK[judgement.outcome] > RANK[worst.judgement.outcome]) {
        worst = { label, seen, judgement };
      }
    }
    return findingOf(probe, worst, undefined);
  }

  async #send(request: RawRequest): Promise<Seen> {
    const { target, upstream, timeoutMs } = this.#options;
    this.#sent += 1;
    const mark = String(this.#sent);
    const headers = [...request.headers, [MARK_HEADER, mark] as const];
    const answer = await exchange(target, { ...request, headers }, timeoutMs);
    const received = upstream?.received(mark);
    if ('failure' in answer) {
      return { status: undefined, reason: undefined, received, failure: answer.failure };
    }
    return { status: answer.status, reason: reasonOf(answer), received, failure: undefined };
  }

  #note({ received }: Seen, { outcome }: Judgement): void {
    this.#grounds = {
      ...this.#grounds,
      controlPassed: outcome === 'pass' || (received !== undefined && received !== null),
      control: received ?? undefined,
    };
  }

  #isOver(): boolean {
    const { clock, totalMs } = this.#options;
    return this.#sent >= MAX_REQUESTS || clock.monotonic() - this.#startedAt > totalMs;
  }
}

const NO_CALLER: Judgement = {
  outcome: 'inconclusive',
  meaning: 'no credential of a caller was given: not tried',
};
const OUT_OF_TIME: Judgement = {
  outcome: 'inconclusive',
  meaning: 'the time, or the number of requests, was used up',
};

/** @param instead what is known without, or in spite of, the requests that were sent */
function findingOf(
  { id, group, what, danger, fix }: Probe,
  worst: { readonly label: string; readonly seen: Seen; readonly judgement: Judgement } | undefined,
  instead: Judgement | undefined,
): Finding {
  const isWorse = worst?.judgement.outcome === 'fail';
  const { outcome, meaning } = (isWorse ? worst?.judgement : (instead ?? worst?.judgement)) ?? OUT_OF_TIME;
  const seen = worst === undefined ? '' : shownAnswer(worst.seen);
  if (outcome === 'pass') return { id, group, what, outcome, seen, meaning };
  const where = worst === undefined || instead !== undefined ? '' : ` (${worst.label})`;
  const danger_ = outcome === 'fail' ? `: ${danger}` : '';
  return {
    id,
    group,
    what,
    outcome,
    seen,
    meaning: `${meaning}${where}${danger_}`,
    fix: outcome === 'fail' ? (isUnanswered(worst?.seen) ? UNANSWERED : fix) : hintFor(instead),
  };
}

/** Nothing of HTTP came back, so that neither the profile nor the caller can be at fault. */
function isUnanswered(seen: Seen | undefined): boolean {
  return seen !== undefined && seen.status === undefined;
}

function hintFor(instead: Judgement | undefined): string {
  return instead === NO_CALLER ? GIVE_CALLER : HINT;
}

const UNANSWERED = 'see that the gateway runs, and that the address is the one that its clients use';
const GIVE_CALLER =
  'set DURAMEN_DOCTOR_AUTHORIZATION to the `Authorization` of a caller who may make the request (--path, --model or --body)';
const HINT =
  'let the doctor stand in for the models (--as-upstream), so that what gets through is seen; and show clients `x-duramen-reason`';

function shownAnswer({ status, reason, failure }: Seen): string {
  if (status === undefined) return failure ?? '';
  return reason === undefined ? String(status) : `${status} ${reason}`;
}
