/**
 * `duramen log verify`: a whole log against its signed checkpoint, checkpoints that others kept, and decisions that
 * others saw. Invariant: it says "intact" only when every entry was read, or is said to be gone, and every doubt
 * is named; what could not be looked at is a failure, never a success.
 */
import { leafId, leafTime } from '../decision-log/leaf-facts.ts';
import { FINDING_CODES } from '../decision-log/log-findings.ts';
import { type LogReport, verifyLog } from '../decision-log/verify-log.ts';
import type { EarlierCheckpoint } from '../decision-log/verify-roots.ts';
import { TILE_WIDTH } from '../decision-log/tiles.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../domain/json.ts';
import { clientOf } from './client.ts';
import { CliError, EXIT, type ExitCode } from './exit-code.ts';
import type { CopyFinding } from './copy-findings.ts';
import { readWhole } from './log-folder.ts';
import { readSeenLog, type SeenLog } from './log-seen.ts';
import { judgeSeen, type SeenReport } from './log-seen-judge.ts';
import { type LogTarget, openData, openServer, openTiles, readKey } from './log-target.ts';
import { printReport } from './log-verify-report.ts';
import type { OutputFormat } from './table.ts';
import { Progress, type Terminal } from './terminal.ts';

export interface LogVerifyOptions {
  readonly url?: string | undefined;
  readonly output: OutputFormat;
  /** A data folder, of a service that runs or not, or a copy of one. */
  readonly data?: string | undefined;
  /** An exported copy. */
  readonly tiles?: string | undefined;
  /** File with the verifier key. */
  readonly key?: string | undefined;
  /** Files with checkpoints that were kept elsewhere. */
  readonly checkpoint: readonly string[];
  /** Files in which a gateway wrote down decisions. */
  readonly gatewayLog: readonly string[];
}

/** When something was logged. */
export interface EntryTime {
  readonly index: number;
  /** Milliseconds since the epoch. */
  readonly time: number;
}

/** Everything that a verification found. */
export interface Verification {
  readonly target: string;
  /** Nothing is wrong, and every decision that was seen elsewhere is in the log. */
  readonly verified: boolean;
  /** Undefined when there was no key to verify with. */
  readonly report: LogReport | undefined;
  readonly key: LogTarget['key'];
  readonly first: EntryTime | undefined;
  readonly last: EntryTime | undefined;
  readonly seconds: number;
  readonly shards: readonly string[] | undefined;
  /** Errors first; those of the tree and of the files. */
  readonly findings: readonly CopyFinding[];
  readonly firstBad: number | undefined;
  readonly seen: readonly SeenReport[];
}

/** Verifies and prints. @returns 0, or 5 when something is wrong. @throws CliError when it cannot be read */
export async function runLogVerify(terminal: Terminal, options: LogVerifyOptions): Promise<ExitCode> {
  const verification = await verifyTarget(terminal, options);
  printReport(terminal, options.output, verification);
  return verification.verified ? EXIT.ok : EXIT.notVerified;
}

/** Verifies what the options name. @throws CliError when it cannot be read */
export async function verifyTarget(terminal: Terminal, options: LogVerifyOptions): Promise<Verification> {
  if (options.data !== undefined && options.tiles !== undefined) {
    throw new CliError('--data and --tiles cannot be used together', { exitCode: EXIT.usage });
  }
  const earlier = await Promise.all(options.checkpoint.map(readCheckpoint));
  const progress = new Progress(terminal);
  const target = await openTarget(terminal, options, progress);
  try {
    const seen: SeenLog[] = [];
    for (const file of options.gatewayLog) seen.push(await readSeenLog(file, target.key?.verifier.name));
    return await verify(terminal, target, earlier, seen, progress);
  } finally {
    progress.done();
    target.close();
  }
}

async function openTarget(
  terminal: Terminal,
  { data, tiles, key, url }: LogVerifyOptions,
  progress: Progress,
): Promise<LogTarget> {
  const given = key === undefined ? undefined : await readKey(key);
  if (data !== undefined) return openData(data, given, text => progress.show(text));
  if (tiles !== undefined) return openTiles(tiles, given);
  return openServer(clientOf(terminal, url), given);
}

async function verify(
  terminal: Terminal,
  target: LogTarget,
  earlier: readonly EarlierCheckpoint[],
  seen: readonly SeenLog[],
  progress: Progress,
): Promise<Verification> {
  const entries = new EntryNotes(seen);
  const start = terminal.clock.monotonic();
  const report =
    target.key === undefined
      ? undefined
      : await verifyLog(target.source, {
          verifier: target.key.verifier,
          earlier: [...target.earlier, ...earlier],
          onEntry: (index, content) => entries.add(index, content),
          onProgress: (done, size) => {
            if (terminal.interactive) progress.show(`verifying: ${progressOf(done, size)}`);
          },
        });
  const seconds = (terminal.clock.monotonic() - start) / 1000;
  const findings = [
    ...(report?.findings ?? []).map(graded),
    ...(await target.findings()),
    ...entries.pruningFindings(report?.firstKept ?? 0),
  ].sort(bySeverity);
  const judged = seen.map(one => judgeSeen(one, entries.found, report));
  const bad = findings.flatMap(({ severity, index }) =>
    severity === 'error' && index !== undefined ? [index] : [],
  );
  const firstBad = report?.firstBad === undefined ? bad : [...bad, report.firstBad];
  return {
    target: target.name,
    verified:
      report?.intact === true &&
      !findings.some(({ severity }) => severity === 'error') &&
      judged.every(({ proven }) => proven),
    report,
    key: target.key,
    first: entries.first,
    last: entries.last,
    seconds,
    shards: target.shards,
    findings,
    firstBad: firstBad.length === 0 ? undefined : Math.min(...firstBad),
    seen: judged,
  };
}

/** What is kept of the entries while they stream by. */
class EntryNotes {
  /** Index of each decision that was seen elsewhere. */
  readonly found = new Map<string, number>();
  first: EntryTime | undefined;
  last: EntryTime | undefined;
  readonly #wanted: readonly SeenLog[];
  /** First entry that the log says it kept, at the last time that it removed some. */
  #prunedBelow = 0;

  constructor(wanted: readonly SeenLog[]) {
    this.#wanted = wanted;
  }

  add(index: number, content: JsonObject | undefined): void {
    if (content === undefined) return;
    const entry = { index, time: leafTime(content) };
    this.first ??= entry;
    this.last = entry;
    if (content['kind'] === 'log.prune') this.#notePruning(content['details']);
    if (content['kind'] !== 'decision') return;
    const id = leafId(content);
    // the first entry of that id counts: a later one cannot take its place
    if (this.#wanted.some(({ ids }) => ids.has(id)) && !this.found.has(id)) this.found.set(id, index);
  }

  /** Retention says in the log what it will remove; entries that are gone otherwise were taken away. */
  pruningFindings(firstKept: number): readonly CopyFinding[] {
    // a copy begins with a whole bundle
    if (firstKept <= Math.ceil(this.#prunedBelow / TILE_WIDTH) * TILE_WIDTH) return [];
    const message = `the entries 0 to ${firstKept - 1} are gone, and no entry of the log says that retention removed all of them`;
    return [{ index: 0, code: 'PRUNING_UNRECORDED', severity: 'error', message }];
  }

  #notePruning(details: JsonValue | undefined): void {
    const firstKept = isJsonObject(details) ? details['firstKept'] : undefined;
    if (typeof firstKept === 'number') this.#prunedBelow = Math.max(this.#prunedBelow, firstKept);
  }
}

function graded({ index, code, message }: LogReport['findings'][number]): CopyFinding {
  return { index, code, severity: FINDING_CODES[code].severity, message };
}

function bySeverity(a: CopyFinding, b: CopyFinding): number {
  const rank = ({ severity }: CopyFinding): number => (severity === 'error' ? 0 : 1);
  return rank(a) - rank(b) || (a.index ?? -1) - (b.index ?? -1);
}

async function readCheckpoint(file: string): Promise<EarlierCheckpoint> {
  const note = await readWhole(file);
  if (note !== undefined) return { name: `the checkpoint \`${file}\``, note };
  throw new CliError(`there is no checkpoint file \`${file}\``);
}

function progressOf(done: number, size: number | undefined): string {
  if (size === undefined || size === 0) return `${done} entries`;
  return `${done} of ${size} entries (${Math.floor((100 * done) / size)} %)`;
}
