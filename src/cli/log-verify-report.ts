/**
 * What a verification found, for people and as JSON. Invariant: the verdict comes first, an error names its entry,
 * and both forms say the same.
 */
import { timestamp } from '../domain/clock.ts';
import type { CopyFinding } from './copy-findings.ts';
import type { SeenReport } from './log-seen-judge.ts';
import type { EntryTime, Verification } from './log-verify.ts';
import type { OutputFormat } from './table.ts';
import { colorsOf, printable, type Terminal } from './terminal.ts';

/** Findings and decisions of each sort that are printed for people; JSON has more. */
const MAX_PRINTED = 20;
/** Latest instant that a date can hold, in milliseconds. */
const MAX_TIME = 8.64e15;

export function printReport(terminal: Terminal, format: OutputFormat, verification: Verification): void {
  if (format === 'json') terminal.out(`${JSON.stringify(asJson(verification), undefined, 2)}\n`);
  else {
    const [verdictLine = '', ...lines] = textOf(verification).map(printable);
    terminal.out(`${[paint(terminal, verification.verified, verdictLine), ...lines].join('\n')}\n`);
  }
}

function asJson(verification: Verification): Readonly<Record<string, unknown>> {
  const { report, key, first, last, seconds, firstBad } = verification;
  const checkpoint = report?.checkpoint;
  return {
    verified: verification.verified,
    target: verification.target,
    origin: report?.origin ?? null,
    size: checkpoint?.size ?? null,
    root: checkpoint === undefined ? null : base64(checkpoint.root),
    key: key === undefined ? null : { key: key.verifierKey, from: key.from, independent: key.independent },
    firstKept: report?.firstKept ?? 0,
    entries: report?.entries ?? 0,
    firstEntry: entryJson(first),
    lastEntry: entryJson(last),
    checkpoints: report?.checkpoints ?? 0,
    shards: verification.shards ?? null,
    seconds,
    entriesPerSecond: rate(verification),
    firstBad: firstBad ?? null,
    findings: verification.findings.map(({ index, ...finding }) => ({ index: index ?? null, ...finding })),
    gatewayLogs: verification.seen.map(({ contradiction, ...seen }) => ({
      ...seen,
      contradiction: contradiction ?? null,
    })),
  };
}

function textOf(verification: Verification): string[] {
  const errors = verification.findings.filter(({ severity }) => severity === 'error');
  const warnings = verification.findings.filter(({ severity }) => severity === 'warning');
  return [
    verdict(verification),
    ...errors.slice(0, MAX_PRINTED).map(finding => `  ${lineOf(finding)}`),
    ...more(errors.length, 'errors'),
    ...facts(verification).map(([name, value]) => `${name.padEnd(12)}  ${value}`),
    ...verification.seen.flatMap(seenLines),
    ...warnings.slice(0, MAX_PRINTED).map(finding => `warning: ${lineOf(finding)}`),
    ...more(warnings.length, 'warnings'),
    ...advice(verification),
  ];
}

function verdict({ verified, firstBad, findings, seen }: Verification): string {
  if (verified) return '✓ the log is intact';
  if (findings.some(({ severity }) => severity === 'error')) {
    return firstBad === undefined
      ? '✗ the log does not verify'
      : `✗ the log does not verify: entry ${firstBad} is the first that is wrong`;
  }
  const missing = seen.reduce((sum, one) => sum + one.missing, 0);
  return `✗ the log is intact, and not all that was seen is in it: ${missing === 1 ? '1 decision is' : `${missing} decisions are`} not proven`;
}

function facts(verification: Verification): (readonly [string, string])[] {
  const { report, key, first, last, shards, seconds } = verification;
  const checkpoint = report?.checkpoint;
  const lines: (readonly [string, string])[] = [['log', verification.target]];
  if (report === undefined) return lines;
  lines.push(['origin', report.origin]);
  if (checkpoint !== undefined) {
    lines.push(['size', `${checkpoint.size} entries are signed for`], ['root', base64(checkpoint.root)]);
  }
  if (key !== undefined) {
    lines.push(['key', `${key.verifierKey.split('+').slice(0, 2).join('+')}, from ${key.from}`]);
  }
  if (report.firstKept > 0) {
    lines.push(['removed', `entries 0 to ${report.firstKept - 1}, by retention; verified by their hashes`]);
  }
  lines.push([
    'read',
    `${report.entries} entries in ${seconds.toFixed(1)} s, ${rate(verification)} per second`,
  ]);
  if (first !== undefined && last !== undefined) {
    lines.push(
      ['first entry', `${first.index}, ${stamp(first.time)}`],
      ['last entry', `${last.index}, ${stamp(last.time)}`],
    );
  }
  lines.push(['checkpoints', `${report.checkpoints} compared`]);
  if (shards !== undefined)
    lines.push([
      'shards',
      shards.length === 0 ? 'none' : `${shards.length}, ${shards.at(0)} to ${shards.at(-1)}`,
    ]);
  return lines;
}

function seenLines(seen: SeenReport): string[] {
  return [
    `\`${seen.file}\`: ${seen.included} of ${seen.ids} decisions are in the log` +
      (seen.linesWithout === 0 ? '' : `; ${seen.linesWithout} lines name none`) +
      (seen.linesOfOthers === 0 ? '' : `; ${seen.linesOfOthers} lines name another log`),
    ...(seen.contradiction === undefined ? [] : [`  ${seen.contradiction}`]),
    ...seen.listed.slice(0, MAX_PRINTED).map(({ id, line, reason }) => `  ${id} (line ${line}): ${reason}`),
    ...more(seen.missing, 'decisions that are not proven'),
  ];
}

/** What a success does not say. */
function advice({ verified, key }: Verification): string[] {
  if (!verified || key === undefined || key.independent) return [];
  return [
    'note: the key came with the log; take it from elsewhere with --key, and an older checkpoint with --checkpoint',
  ];
}

function more(count: number, what: string): string[] {
  return count <= MAX_PRINTED ? [] : [`  and ${count - MAX_PRINTED} more ${what}: see -o json`];
}

function lineOf({ code, message }: CopyFinding): string {
  return `${message} (${code})`;
}

function entryJson(entry: EntryTime | undefined): unknown {
  return entry === undefined ? null : { index: entry.index, time: stamp(entry.time) };
}

function rate({ report, seconds }: Verification): number {
  return report === undefined || seconds <= 0 ? 0 : Math.round(report.entries / seconds);
}

/** An instant for people, or the number that stands for none. @param time milliseconds, as an entry says */
export function stamp(time: number): string {
  return Math.abs(time) <= MAX_TIME ? timestamp(time) : String(time);
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

function paint(terminal: Terminal, good: boolean, line: string): string {
  const colors = colorsOf(terminal);
  return good ? colors.green(line) : colors.red(line);
}
