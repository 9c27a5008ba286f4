/**
 * Decisions that were seen elsewhere, held against a verified log. Invariant: a decision counts as included only
 * below the size of a checkpoint that the log has signed, in a log in which nothing is wrong.
 */
import type { LogReport } from '../decision-log/verify-log.ts';
import type { SeenDecision, SeenLog } from './log-seen.ts';

/** Decisions that are listed one by one; all are counted. */
export const MAX_LISTED = 1_000;

/** A decision that somebody saw and that is not proven to be in the log. */
export interface UnprovenDecision {
  readonly id: string;
  /** Line of the gateway's file. */
  readonly line: number;
  readonly reason: string;
}

export interface SeenReport {
  readonly file: string;
  /** Distinct decisions that the file names. */
  readonly ids: number;
  readonly included: number;
  /** Number of those that are not proven. */
  readonly missing: number;
  /** The first of them, as far as MAX_LISTED. */
  readonly listed: readonly UnprovenDecision[];
  /** Lines that name no decision, and those that name another log. */
  readonly linesWithout: number;
  readonly linesOfOthers: number;
  /** What the file says about the size of the log and the log does not show. */
  readonly contradiction: string | undefined;
  /** Every decision is in the log, and the log is at least as large as it was said to be. */
  readonly proven: boolean;
}

/** @param found index of the first entry of each decision */
export function judgeSeen(
  seen: SeenLog,
  found: ReadonlyMap<string, number>,
  report: LogReport | undefined,
): SeenReport {
  const listed: UnprovenDecision[] = [];
  let missing = 0;
  for (const [id, decision] of seen.ids) {
    const reason = faultOf(decision, found.get(id), report);
    if (reason === undefined) continue;
    missing += 1;
    if (listed.length < MAX_LISTED) listed.push({ id, line: decision.line, reason });
  }
  const contradiction = sizeFault(seen, report);
  return {
    file: seen.file,
    ids: seen.ids.size,
    included: seen.ids.size - missing,
    missing,
    listed,
    linesWithout: seen.linesWithout,
    linesOfOthers: seen.linesOfOthers,
    contradiction,
    proven: missing === 0 && contradiction === undefined,
  };
}

function faultOf(
  { index: said, other }: SeenDecision,
  index: number | undefined,
  report: LogReport | undefined,
): string | undefined {
  const size = report?.checkpoint?.size;
  if (size === undefined || report?.intact !== true) return 'the log itself does not verify';
  if (index !== undefined && index < size) {
    if (said !== undefined && said !== index)
      return `it is entry ${index}, and was answered as entry ${said}`;
    if (other === undefined) return undefined;
    return `it is entry ${index}, and was answered as entry ${other.index} as well, in line ${other.line}`;
  }
  if (index !== undefined)
    return `it is entry ${index}, and the checkpoint covers ${size} entries: verify again`;
  if (said !== undefined && said >= size) {
    return `it was answered as entry ${said}, and the checkpoint covers ${size} entries: verify a newer one`;
  }
  if (said === undefined ? report.firstKept > 0 : said < report.firstKept) {
    return (
      `it is not among the entries from ${report.firstKept} on, and those before are gone: ` +
      'verify an older copy, or the proof of it that somebody kept'
    );
  }
  return 'it is not in the log';
}

function sizeFault({ largest }: SeenLog, report: LogReport | undefined): string | undefined {
  const size = report?.checkpoint?.size;
  if (largest === undefined || size === undefined || largest.size <= size) return undefined;
  return (
    `line ${largest.line} says that the log had ${largest.size} entries; this checkpoint covers ${size}: ` +
    'verify a newer one, and if there is none, the log went back in time'
  );
}
