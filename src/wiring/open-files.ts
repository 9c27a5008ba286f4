/** The limit of open files, as Linux tells it: connections beyond it are closed by the system, and nothing else says so. */
import { readFileSync } from 'node:fs';
import type { Logger } from '../telemetry/logger.ts';

const LIMITS = '/proc/self/limits';
/** Files that the stores and a modest number of connections need; the usual least that a system gives. */
const FEW_FILES = 1_024;

/** @param limits text of `/proc/self/limits` @returns undefined when there is no limit, or none is told */
export function openFileLimit(limits: string): number | undefined {
  const [, soft] = /^Max open files +(\d+) /m.exec(limits) ?? [];
  return soft === undefined ? undefined : Number(soft);
}

/** Warns of a limit that leaves room for few connections. */
export function warnOfFewFiles(logger: Logger, read = () => readFileSync(LIMITS, 'utf8')): void {
  let limit: number | undefined;
  try {
    limit = openFileLimit(read());
  } catch {
    // not Linux, or nothing is told
    return;
  }
  if (limit === undefined || limit >= FEW_FILES) return;
  logger.warn(
    { openFiles: limit },
    'few files may be open at a time: connections beyond that are closed without an answer, and checkpoints may not be published: raise the limit (`ulimit -n`) above the connections of all gateways',
  );
}
