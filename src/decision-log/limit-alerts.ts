/**
 * Limits that are nearly or wholly used as log entries, counted by the minute (minute-counts.ts).
 *
 * Entry: kind `limit.alert`, actor `system`, subject whom the limit counts, where that is one principal or address, else
 * its name; details `{"limit", "percent", "unit", "most", "used", "mode", "violated", "model", "count", "minute": start of
 * the minute in ms, "summary": false for the first alert, true for the rest}`.
 */
import type { JsonObject } from '../domain/json.ts';
import { MinuteCounts, type MinuteCountOptions, OTHERS } from './minute-counts.ts';

export interface LimitAlertNote {
  /** What is counted together: tells alerts apart. */
  readonly key: string;
  /** Name of the limit: `platform/user-burst`. */
  readonly limit: string;
  readonly percent: number;
  readonly unit: string;
  /** The number of the limit, and what of it is used. */
  readonly most: number;
  readonly used: number;
  readonly mode: 'enforce' | 'shadow';
  readonly violated: boolean;
  /** An entity key, the log's name for an address, or undefined: the limit counts several. */
  readonly subject: string | undefined;
  readonly tenant: string | undefined;
  /** Id of the model, where the limit counts it apart. */
  readonly model: string | undefined;
}

export class LimitAlertRecorder {
  readonly #counts: MinuteCounts<LimitAlertNote>;

  constructor(options: Pick<MinuteCountOptions<LimitAlertNote>, 'log' | 'clock' | 'ids'>) {
    this.#counts = new MinuteCounts({
      ...options,
      describe: (note, counted) => ({
        kind: 'limit.alert',
        actor: 'system',
        subject: note?.subject ?? note?.limit ?? OTHERS,
        ...(note?.tenant === undefined ? {} : { tenant: note.tenant }),
        details: { ...detailsOf(note), ...counted },
      }),
    });
  }

  /** Writes summaries at the end of each minute from now on. */
  start(): void {
    this.#counts.start();
  }

  /** Counts an alert; returns at once and never throws. */
  record(note: LimitAlertNote): void {
    this.#counts.record(`${note.percent} ${note.key}`, note);
  }

  /** Writes every summary, that of the running minute too. */
  close(): Promise<void> {
    return this.#counts.close();
  }
}

function detailsOf(note: LimitAlertNote | undefined): JsonObject {
  if (note === undefined) return { limit: OTHERS };
  const { limit, percent, unit, most, used, mode, violated, model } = note;
  return {
    limit,
    percent,
    unit,
    most,
    used,
    mode,
    violated,
    ...(model === undefined ? {} : { model }),
  };
}
