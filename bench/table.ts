/** The benchmark's table: each bar with what was measured. */
import type { AccessFigure } from './access.ts';
import type { CallerFigures } from './callers.ts';
import type { EdgeFigures } from './edges.ts';
import type { ExtractionFigures } from './extraction.ts';
import type { FsyncFigures } from './fsync.ts';
import type { HttpFigures } from './http.ts';
import type { InProcessFigures } from './in-process.ts';

export interface Bar {
  readonly what: string;
  readonly measured: string;
  readonly bar: string;
  readonly met: boolean | undefined;
}

/** The bars and whether they were met. */
export function bars(
  inProcess: InProcessFigures,
  access: readonly AccessFigure[],
  http: HttpFigures | undefined,
): readonly Bar[] {
  const { microseconds, growth, speedup, wasmMicroseconds } = inProcess;
  const [thousand, most] = [microseconds[1_000] ?? Number.NaN, microseconds[10_000] ?? Number.NaN];
  const list: Bar[] = [
    bar('three-level decision at 10,000 policies, median', `${most.toFixed(2)} µs`, '≤ 20 µs', most <= 20),
    bar('the same at 1,000 policies over 50 tenants', `${thousand.toFixed(2)} µs`, 'reported', undefined),
    bar('time at 10,000 policies / at 10', growth.toFixed(3), '≤ 1.1', growth <= 1.1),
    bar(
      'cedar-wasm over the whole set / compiled, 1,000 policies',
      `${speedup.toFixed(0)} (${wasmMicroseconds.toFixed(0)} µs)`,
      '≥ 100',
      speedup >= 100,
    ),
    ...access.map(accessBar),
  ];
  if (http === undefined) return list;
  const { activation } = http;
  const slowdown = activation.duringP99Ms / activation.beforeP99Ms;
  return [
    ...list,
    ...callerBars(http.callers),
    bar(
      '/decide per second / bare server',
      `${http.ratio.toFixed(3)} (${http.servicePerSecond.toFixed(0)} / ${http.barePerSecond.toFixed(0)})`,
      '≥ 0.6',
      http.ratio >= 0.6,
    ),
    bar('failed requests under load', String(http.failures), '0', http.failures === 0),
    bar('p99 at half load', `${http.p99AtHalfLoadMs.toFixed(2)} ms`, '< 10 ms', http.p99AtHalfLoadMs < 10),
    bar(
      'fsync of the idle disk just before: p50, p99, longest',
      fsyncText(http.fsyncBefore),
      'reported',
      undefined,
    ),
    bar(
      'activation of the large bundle under load',
      `${activation.seconds.toFixed(2)} s`,
      '≤ 5 s',
      activation.seconds <= 5,
    ),
    bar(
      'p99 during activation / before',
      `${slowdown.toFixed(2)} (${activation.duringP99Ms.toFixed(2)} / ${activation.beforeP99Ms.toFixed(2)} ms)`,
      '≤ 3',
      slowdown <= 3,
    ),
    bar(
      'start to ready',
      `${(http.startToReadyMs / 1000).toFixed(2)} s`,
      '≤ 5 s',
      http.startToReadyMs <= 5000,
    ),
    bar(
      'resident memory when ready',
      `${http.residentMegabytes.toFixed(0)} MB`,
      '< 700 MB',
      http.residentMegabytes < 700,
    ),
    bar(
      'resident memory after load and activation',
      `${http.residentAfterMegabytes.toFixed(0)} MB`,
      'reported',
      undefined,
    ),
  ];
}

/** What it costs to verify a caller, as a share of the throughput with a principal that is asserted. */
export function callerBars({
  keyRatio,
  tokenRatio,
  firstSeen,
  work,
  failures,
}: CallerFigures): readonly Bar[] {
  const { perSecond, tokenP50Ms, assertedP50Ms } = firstSeen;
  return [
    bar('/decide with a verified key / asserted', keyRatio.toFixed(3), '≥ 0.9', keyRatio >= 0.9),
    bar('/decide with a verified token / asserted', tokenRatio.toFixed(3), '≥ 0.85', tokenRatio >= 0.85),
    bar(
      `p50 of tokens seen first, ${perSecond}/s`,
      `${tokenP50Ms.toFixed(2)} ms (asserted ${assertedP50Ms.toFixed(2)} ms)`,
      'reported',
      undefined,
    ),
    bar(
      'processor time of a request with a key, a token / asserted',
      `${work.key.toFixed(3)}, ${work.token.toFixed(3)}`,
      'reported',
      undefined,
    ),
    bar('failed requests with credentials', String(failures), '0', failures === 0),
  ];
}

/** Of a chat of 4 KB: the least that an edge may be to a bare server of its kind, and the most that reading may take. */
const EDGE_RATIO = 0.5;
const EXTRACTION_MICROSECONDS = 100;
/** Time for each byte of 1 MiB over that of 64 KiB: caches make large bodies a little dearer. */
const EXTRACTION_GROWTH = 1.5;

export function edgeBars(
  { microseconds, growth }: ExtractionFigures,
  edges: readonly EdgeFigures[],
): readonly Bar[] {
  const [small = Number.NaN] = Object.values(microseconds);
  return [
    bar(
      'reading a chat of 4 KB',
      `${small.toFixed(1)} µs`,
      `< ${EXTRACTION_MICROSECONDS} µs`,
      small < EXTRACTION_MICROSECONDS,
    ),
    bar(
      'time for each byte, 1 MiB / 64 KiB',
      growth.toFixed(2),
      `≤ ${EXTRACTION_GROWTH}`,
      growth <= EXTRACTION_GROWTH,
    ),
    ...edges.flatMap(edge => [
      bar(
        `${edge.name} per second / bare server`,
        `${edge.ratio.toFixed(3)} (${edge.servicePerSecond.toFixed(0)} / ${edge.barePerSecond.toFixed(0)})`,
        `≥ ${EDGE_RATIO}`,
        edge.ratio >= EDGE_RATIO,
      ),
      bar(
        `${edge.name}, CPU of a request`,
        `${edge.serviceMicroseconds.toFixed(0)} µs, ${edge.serviceMainMicroseconds.toFixed(0)} of the main thread; bare ${edge.bareMicroseconds.toFixed(0)} µs`,
        'reported',
        undefined,
      ),
      bar(`${edge.name}, failed requests`, String(edge.failures), '0', edge.failures === 0),
    ]),
  ];
}

function fsyncText({ p50Ms, p99Ms, maxMs }: FsyncFigures): string {
  return `${p50Ms.toFixed(2)}, ${p99Ms.toFixed(1)}, ${maxMs.toFixed(0)} ms`;
}

function accessBar({ name, milliseconds, items, pages, longestStretch }: AccessFigure): Bar {
  const told = `${milliseconds.toFixed(0)} ms, ${items} items, ${pages} pages; stretch ${longestStretch.toFixed(1)} ms`;
  return bar(`access, ${name}`, told, 'reported', undefined);
}

/** Prints the table in columns. */
export function printTable(rows: readonly Bar[], print: (line: string) => void): void {
  const width = Math.max(...rows.map(row => row.what.length));
  const measured = Math.max(...rows.map(row => row.measured.length));
  for (const row of rows) {
    const verdict = row.met === undefined ? '' : row.met ? 'met' : 'MISSED';
    print(
      `${row.what.padEnd(width)}  ${row.measured.padEnd(measured)}  ${row.bar.padEnd(9)}  ${verdict}`.trimEnd(),
    );
  }
}

export function bar(what: string, measured: string, limit: string, met: boolean | undefined): Bar {
  return { what, measured, bar: limit, met };
}
