/**
 * What the log costs as evidence: the same decisions with tree, signatures and privacy, and by a service from which the
 * benchmark has taken them (plain-log/preload.ts). Both write the same durable log otherwise, each leaf with its hash;
 * they run beside each other and take turns: noise hits them alike.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LogContent, readLog, requireEvidence, requirePlain } from './evidence-check.ts';
import type { HttpPlan } from './http.ts';
import { comparePairs, type PairFigures, type Side, type SideFigures } from './pairs.ts';
import { type RunningService, startService } from './process.ts';
import { fill } from './setup.ts';
import { type Bar, bar } from './table.ts';

type Kind = 'evidence' | 'plain';

/** Least throughput with evidence, as a share of that without. */
const LEAST_RATIO = 0.9;
const PRELOAD = new URL('./plain-log/preload.ts', import.meta.url).href;

/** The first side is that with evidence. */
export interface EvidenceFigures extends PairFigures {
  /** What the logs held in the end. */
  readonly content: Readonly<Record<Kind, LogContent>>;
}

export async function benchEvidence(plan: HttpPlan, say: (line: string) => void): Promise<EvidenceFigures> {
  const folder = mkdtempSync(join(tmpdir(), 'duramen-bench-evidence-'));
  const started = (kind: Kind, untilReady: boolean): Promise<RunningService> => {
    const options = kind === 'plain' ? ['--import', PRELOAD] : [];
    return startService(join(folder, kind), {}, untilReady, options);
  };
  const filled = async (kind: Kind): Promise<string> => {
    mkdirSync(join(folder, kind));
    const service = await started(kind, false);
    try {
      return await fill(service, plan.size);
    } finally {
      await service.stop();
    }
  };
  const side = async (kind: Kind): Promise<Side> => ({
    service: await started(kind, true),
    key: keys[kind],
  });
  const keys = { evidence: '', plain: '' };
  try {
    keys.evidence = await filled('evidence');
    keys.plain = await filled('plain');
    const figures = await comparePairs(plan, ['evidence', 'plain'], side, say);
    const content = { evidence: readLog(join(folder, 'evidence')), plain: readLog(join(folder, 'plain')) };
    requireEvidence(content.evidence);
    requirePlain(content.plain);
    return { ...figures, content };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function evidenceBars({ first, second, ratio, failures }: EvidenceFigures): readonly Bar[] {
  const work = ({ workUs, mainUs }: SideFigures): string =>
    `${workUs.toFixed(0)} µs (${mainUs.toFixed(0)} of the main thread)`;
  return [
    bar(
      '/decide with tree, signatures and privacy / without',
      `${ratio.toFixed(3)} (${first.perSecond.toFixed(0)} / ${second.perSecond.toFixed(0)})`,
      `≥ ${LEAST_RATIO}`,
      ratio >= LEAST_RATIO,
    ),
    bar(
      'processor time of a decision with them, without',
      `${work(first)}, ${work(second)}`,
      'reported',
      undefined,
    ),
    bar('failed requests with and without evidence', String(failures), '0', failures === 0),
  ];
}
