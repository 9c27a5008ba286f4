/**
 * What is wrong with a copy beside what the verification of its tree finds. Invariant: however many files somebody
 * harmed, the first ones are named, all are counted, and memory stays bounded.
 */
import { MAX_FINDINGS_PER_CODE } from '../decision-log/log-findings.ts';

export interface CopyFinding {
  /** First entry that it concerns. */
  readonly index: number | undefined;
  readonly code: string;
  readonly severity: 'error' | 'warning';
  readonly message: string;
}

/** Those of one code, the earliest entries first. */
interface Kept {
  findings: CopyFinding[];
  count: number;
}

export class CopyFindings {
  readonly #byCode = new Map<string, Kept>();

  add(finding: CopyFinding): void {
    const kept = this.#byCode.get(finding.code) ?? { findings: [], count: 0 };
    this.#byCode.set(finding.code, kept);
    kept.count += 1;
    const last = kept.findings.at(-1);
    const full = kept.findings.length >= MAX_FINDINGS_PER_CODE;
    if (full && last !== undefined && placeOf(last) <= placeOf(finding)) return;
    const at = kept.findings.findLastIndex(one => placeOf(one) <= placeOf(finding)) + 1;
    kept.findings = kept.findings.toSpliced(at, 0, finding).slice(0, MAX_FINDINGS_PER_CODE);
  }

  /** Those that were kept; of a code with more, one says how many. */
  get list(): readonly CopyFinding[] {
    return [...this.#byCode.values()].flatMap(({ findings, count }) => {
      const [first] = findings;
      const more = count - findings.length;
      if (first === undefined || more === 0) return findings;
      const { code, severity } = first;
      return [...findings, { index: undefined, code, severity, message: `${more} more are not listed` }];
    });
  }
}

function placeOf({ index }: CopyFinding): number {
  return index ?? Number.NEGATIVE_INFINITY;
}
