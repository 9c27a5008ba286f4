/**
 * `duramen log export`: a copy of the log as static files (c2sp.org/tlog-tiles). Invariants: the checkpoint is written
 * last, after everything that it covers was read, hashed up to its root and flushed; a copy never goes back and never
 * takes another history; a run that was interrupted is continued by the next.
 */
import { type Checkpoint, openCheckpoint } from '../decision-log/checkpoint.ts';
import { FINDING_CODES } from '../decision-log/log-findings.ts';
import { TILE_WIDTH } from '../decision-log/tiles.ts';
import { type LogReport, verifyLog } from '../decision-log/verify-log.ts';
import { messageOf } from '../domain/errors.ts';
import { clientOf } from './client.ts';
import { CliError, EXIT, type ExitCode } from './exit-code.ts';
import { LogCopy, supersededFiles } from './log-copy.ts';
import { CHECKPOINT_FILE, KEY_FILE, LogFolder, prunedBelow, PRUNED_FILE } from './log-folder.ts';
import { LogServer } from './log-server.ts';
import { type ChosenKey, chosenKey, readKey } from './log-target.ts';
import { type OutputFormat, printData } from './table.ts';
import { Progress, type Terminal } from './terminal.ts';

/** Faults that are shown of a log that does not verify. */
const MAX_FAULTS = 20;

export interface LogExportOptions {
  readonly url?: string | undefined;
  readonly output: OutputFormat;
  /** Folder of the copy. */
  readonly tiles: string;
  /** File with the verifier key. */
  readonly key?: string | undefined;
  /** Name under which retention is told how far the copy has come. */
  readonly acknowledge?: string | undefined;
}

/** What a copy holds before it is brought up to date. */
interface Held {
  readonly note: Uint8Array | undefined;
  readonly checkpoint: Checkpoint | undefined;
  /** Entries up to which it has whole bundles, all verified when they came. */
  readonly whole: number;
}

/** Copies and prints. @returns 0, or 5 when the service's log does not verify. @throws CliError otherwise */
export async function runLogExport(terminal: Terminal, options: LogExportOptions): Promise<ExitCode> {
  const server = new LogServer(clientOf(terminal, options.url));
  const folder = new LogFolder(options.tiles);
  const key = await chooseKey(folder, server, options.key);
  const held = await heldBy(folder, key);
  // first: what was removed by then is in every later checkpoint
  const firstKept = await firstEntry(folder, server, held);
  const note = await server.checkpoint();
  const checkpoint = opened(note, key);
  const mirror = new Mirror(folder, server);
  const start = terminal.clock.monotonic();
  const copy = new LogCopy({ resources: mirror, checkpoint: note, size: checkpoint.size, firstKept });
  const report = await mirrored(terminal, mirror, copy, key, held);
  const faults = [
    ...report.findings.filter(({ code }) => FINDING_CODES[code].severity === 'error'),
    ...copy.findings,
  ];
  if (faults.length > 0) await refuse(mirror, faults);
  await finish(folder, note, key, held, firstKept);
  if (options.acknowledge !== undefined) await server.acknowledge(options.acknowledge, checkpoint.size);
  printExport(terminal, options, {
    origin: checkpoint.origin,
    size: checkpoint.size,
    added: checkpoint.size - (held.checkpoint?.size ?? 0),
    firstEntry: await prunedBelow(folder),
    files: mirror.written.length,
    bytes: mirror.bytes,
    seconds: (terminal.clock.monotonic() - start) / 1000,
    acknowledged: options.acknowledge ?? null,
  });
  return EXIT.ok;
}

async function mirrored(
  terminal: Terminal,
  mirror: Mirror,
  copy: LogCopy,
  key: ChosenKey,
  held: Held,
): Promise<LogReport> {
  const progress = new Progress(terminal);
  try {
    return await verifyLog(copy, {
      verifier: key.verifier,
      earlier: held.note === undefined ? [] : [{ name: 'the checkpoint of the copy', note: held.note }],
      onProgress: (done, size = 0) => {
        if (terminal.interactive)
          progress.show(`copying: ${done} of ${size} entries, ${mirror.written.length} files`);
      },
    });
  } finally {
    progress.done();
  }
}

/** Reads from the copy what it holds, and from the service what it lacks, which it then holds. */
class Mirror {
  readonly written: string[] = [];
  bytes = 0;
  readonly #folder: LogFolder;
  readonly #server: LogServer;

  constructor(folder: LogFolder, server: LogServer) {
    this.#folder = folder;
    this.#server = server;
  }

  async read(name: string): Promise<Uint8Array | undefined> {
    const held = await this.#folder.read(name);
    if (held !== undefined) return held;
    const sent = await this.#server.read(name);
    if (sent === undefined) return undefined;
    this.written.push(name);
    await this.#folder.write(name, sent);
    this.bytes += sent.length;
    return sent;
  }

  /** Takes everything back that this run has written. */
  async discard(): Promise<void> {
    for (const name of this.written) await this.#folder.remove(name);
  }
}

async function finish(
  folder: LogFolder,
  note: Uint8Array,
  key: ChosenKey,
  held: Held,
  firstKept: number,
): Promise<void> {
  await folder.write(KEY_FILE, Buffer.from(`${key.verifierKey}\n`));
  if (held.checkpoint === undefined && firstKept > 0) {
    await folder.write(PRUNED_FILE, Buffer.from(`${firstKept}\n`));
  }
  await folder.flush();
  // The point of no return: with this checkpoint the copy is one of the larger log. A crash before it leaves the copy
  // of the smaller one, and files that the next run finds.
  await folder.write(CHECKPOINT_FILE, note);
  await folder.flush();
  const superseded = await Array.fromAsync(supersededFiles(folder, openedSize(note, key)));
  for (const name of superseded) await folder.remove(name);
}

/** Another key than the one the copy was begun with is another log. */
async function chooseKey(folder: LogFolder, server: LogServer, file: string | undefined): Promise<ChosenKey> {
  const own = (await folder.read(KEY_FILE))?.toString('utf8');
  const sent = file === undefined ? (await server.read(KEY_FILE))?.toString('utf8') : undefined;
  const key = file === undefined ? chosenKey(sent ?? '', 'the service', false) : await readKey(file);
  if (own === undefined || own.trim() === key.verifierKey) return key;
  throw new CliError(`the copy in \`${folder.path}\` is of a log with another key than ${key.from} names`, {
    exitCode: EXIT.notVerified,
    hint: 'copy another log into another folder; a log keeps its key for ever',
  });
}

async function heldBy(folder: LogFolder, { verifier }: ChosenKey): Promise<Held> {
  const note = await folder.read(CHECKPOINT_FILE);
  if (note === undefined) return { note, checkpoint: undefined, whole: 0 };
  try {
    const checkpoint = openCheckpoint(note, verifier);
    return { note, checkpoint, whole: checkpoint.size - (checkpoint.size % TILE_WIDTH) };
  } catch (error) {
    throw new CliError(
      `the checkpoint of the copy in \`${folder.path}\` cannot be used: ${messageOf(error)}`,
      {
        exitCode: EXIT.notVerified,
        hint: 'keep the copy for an inquiry and export into an empty folder',
        cause: error,
      },
    );
  }
}

/** First entry to copy: what the copy lacks must still be there, unless it is empty. */
async function firstEntry(folder: LogFolder, server: LogServer, held: Held): Promise<number> {
  const { firstKept } = await server.shards();
  const served = Math.ceil(firstKept / TILE_WIDTH) * TILE_WIDTH;
  if (held.checkpoint === undefined) return served;
  if (served <= held.whole) return held.whole;
  throw new CliError(
    `retention removed the entries ${held.whole} to ${served - 1} before they were copied to \`${folder.path}\``,
    { hint: 'begin another copy in an empty folder; with --acknowledge retention waits for it' },
  );
}

function opened(note: Uint8Array, { verifier, from }: ChosenKey): Checkpoint {
  try {
    return openCheckpoint(note, verifier);
  } catch (error) {
    throw new CliError(`the checkpoint of the service does not fit the key of ${from}: ${messageOf(error)}`, {
      exitCode: EXIT.notVerified,
      cause: error,
    });
  }
}

function openedSize(note: Uint8Array, { verifier }: ChosenKey): number {
  return openCheckpoint(note, verifier).size;
}

/** Takes back what this run has written. @throws CliError always */
async function refuse(
  mirror: Mirror,
  faults: readonly { readonly code: string; readonly message: string }[],
): Promise<never> {
  await mirror.discard();
  throw new CliError('the log does not verify, so nothing was added to the copy', {
    exitCode: EXIT.notVerified,
    problems: faults.slice(0, MAX_FAULTS).map(({ code, message }) => ({ message: `${message} (${code})` })),
    hint:
      mirror.written.length > 0
        ? 'keep the checkpoint of the copy: it proves what the log was'
        : 'the files are those of an earlier run: verify the copy with `duramen log verify --tiles`',
  });
}

interface Exported {
  readonly origin: string;
  readonly size: number;
  readonly added: number;
  readonly firstEntry: number;
  readonly files: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly acknowledged: string | null;
}

function printExport(terminal: Terminal, { output, tiles }: LogExportOptions, exported: Exported): void {
  printData(terminal, output, { folder: tiles, ...exported }, () => ({
    columns: ['origin', 'size', 'added', 'files', 'bytes', 'seconds', 'acknowledged'],
    rows: [
      [
        exported.origin,
        String(exported.size),
        String(exported.added),
        String(exported.files),
        String(exported.bytes),
        exported.seconds.toFixed(1),
        exported.acknowledged ?? 'no',
      ],
    ],
  }));
}
