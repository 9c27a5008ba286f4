/**
 * Denials of the control plane as log entries, counted by the minute (minute-counts.ts).
 *
 * Entry: kind `control.denied`, actor and subject the key that was denied, details `{"operation", "cause", "policies",
 * "count", "minute": start of the minute in ms, "summary": false for the first denial, true for the rest}`.
 */
import { MinuteCounts, type MinuteCountOptions, OTHERS } from './minute-counts.ts';

export interface ControlDenial {
  readonly keyId: string;
  /** The tenant of the key, when it is limited to one. */
  readonly tenant: string | undefined;
  /** Operation of the route. */
  readonly operation: string;
  /** From a closed set of words. */
  readonly cause: string;
  /** Ids of the policies that denied; none where nothing permits. */
  readonly policies: readonly string[];
}

export class ControlDenialRecorder {
  readonly #counts: MinuteCounts<ControlDenial>;

  constructor(options: Pick<MinuteCountOptions<ControlDenial>, 'log' | 'clock' | 'ids'>) {
    this.#counts = new MinuteCounts({
      ...options,
      describe: (denial, counted) => ({
        kind: 'control.denied',
        actor: denial?.keyId ?? OTHERS,
        subject: denial?.keyId ?? OTHERS,
        ...(denial?.tenant === undefined ? {} : { tenant: denial.tenant }),
        details: {
          operation: denial?.operation ?? OTHERS,
          cause: denial?.cause ?? OTHERS,
          policies: denial?.policies ?? [],
          ...counted,
        },
      }),
    });
  }

  /** Writes summaries at the end of each minute from now on. */
  start(): void {
    this.#counts.start();
  }

  /** Counts a denial; returns at once and never throws. */
  record(denial: ControlDenial): void {
    const { keyId, operation, cause, policies } = denial;
    this.#counts.record([keyId, operation, cause, ...policies].join(' '), denial);
  }

  /** Writes every summary, that of the running minute too. */
  close(): Promise<void> {
    return this.#counts.close();
  }
}
