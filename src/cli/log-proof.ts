/**
 * `duramen log verify --proof`: one entry with its proof, offline. Invariant: the entry is believed through the
 * hashes of the proof and a checkpoint that the given key has signed, never because the proof carries it.
 */
import { MAX_DEPTH } from '../decision-log/canonical-json.ts';
import { leafHash } from '../decision-log/leaf-hash.ts';
import { leafId, leafTime } from '../decision-log/leaf-facts.ts';
import { parseLeaf } from '../decision-log/logged-leaf.ts';
import { openTlogProof, parseTlogProof, type TlogProof } from '../decision-log/tlog-proof.ts';
import { AppError } from '../domain/errors.ts';
import type { JsonObject, JsonValue } from '../domain/json.ts';
import { CliError, EXIT, type ExitCode } from './exit-code.ts';
import { readWhole } from './log-folder.ts';
import { readKey } from './log-target.ts';
import { stamp } from './log-verify-report.ts';
import type { OutputFormat } from './table.ts';
import { colorsOf, printable, type Terminal } from './terminal.ts';

export interface LogProofOptions {
  readonly output: OutputFormat;
  readonly proof: string;
  readonly key?: string | undefined;
  /** File with the exact bytes of the entry; by default what the proof carries. */
  readonly entry?: string | undefined;
}

interface Proven {
  readonly origin: string;
  readonly index: number;
  /** Of the checkpoint. */
  readonly size: number;
  readonly root: string;
  readonly key: string;
  readonly leafHash: string;
  readonly entry: JsonObject;
}

/** Verifies and prints. @returns 0, or 5 when the proof does not hold. @throws CliError when it cannot be read */
export async function runProofVerify(terminal: Terminal, options: LogProofOptions): Promise<ExitCode> {
  if (options.key === undefined) {
    throw new CliError('--proof needs the key of the log', {
      exitCode: EXIT.usage,
      hint: 'give --key a file with it, from elsewhere than the proof: GET /v1/log/key, or log.vkey of a copy',
    });
  }
  const { verifier, verifierKey } = await readKey(options.key);
  const text = (await readFile(options.proof)).toString('utf8');
  const given = options.entry === undefined ? undefined : await readFile(options.entry);
  try {
    const proof = parseTlogProof(text);
    const bytes = given ?? entryOf(proof);
    const hash = leafHash(bytes);
    const { origin, size, root } = openTlogProof(proof, hash, verifier);
    printProven(terminal, options.output, {
      origin,
      index: proof.index,
      size,
      root: Buffer.from(root).toString('base64'),
      key: verifierKey,
      leafHash: Buffer.from(hash).toString('hex'),
      entry: contentOf(bytes),
    });
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    printRefused(terminal, options, error.message);
    return EXIT.notVerified;
  }
}

async function readFile(file: string): Promise<Buffer> {
  const bytes = await readWhole(file);
  if (bytes !== undefined) return bytes;
  throw new CliError(`there is no file \`${file}\``);
}

function entryOf({ extra }: TlogProof): Uint8Array {
  if (extra !== undefined) return extra;
  throw new CliError('the proof does not carry its entry', {
    exitCode: EXIT.usage,
    hint: 'give --entry a file with the exact bytes of the entry',
  });
}

/** @throws AppError when a proven entry is no entry of this service */
function contentOf(bytes: Uint8Array): JsonObject {
  let entry: JsonObject;
  try {
    entry = parseLeaf(Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    throw new AppError('INVALID_REQUEST', 'the entry that is proven is not a JSON object', { cause: error });
  }
  if (fits(entry, 0)) return entry;
  throw new AppError('INVALID_REQUEST', `the entry that is proven is nested deeper than ${MAX_DEPTH} levels`);
}

/** Whether it is nested no deeper than an entry can be: printing takes a stack for each level. */
function fits(value: JsonValue, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return depth < MAX_DEPTH && Object.values(value).every(below => fits(below, depth + 1));
}

function printProven(terminal: Terminal, format: OutputFormat, proven: Proven): void {
  if (format === 'json') {
    terminal.out(`${JSON.stringify({ verified: true, ...proven }, undefined, 2)}\n`);
    return;
  }
  const { entry } = proven;
  const lines = [
    ['origin', proven.origin],
    ['entry', `${proven.index} of the first ${proven.size}`],
    ['root', proven.root],
    ['key', proven.key.split('+').slice(0, 2).join('+')],
    ['kind', textOf(entry, 'kind')],
    ['id', leafId(entry)],
    ['time', stamp(leafTime(entry))],
    ...(textOf(entry, 'decision') === '' ? [] : [['decision', textOf(entry, 'decision')]]),
  ].map(([name = '', value = '']) => `${name.padEnd(8)}  ${printable(value)}`);
  const verdict = colorsOf(terminal).green('✓ the entry is in the log');
  terminal.out(`${[verdict, ...lines].join('\n')}\n`);
}

function printRefused(terminal: Terminal, { output, proof }: LogProofOptions, reason: string): void {
  if (output === 'json') {
    terminal.out(`${JSON.stringify({ verified: false, proof, reason }, undefined, 2)}\n`);
    return;
  }
  const verdict = colorsOf(terminal).red('✗ the proof does not hold');
  terminal.out(`${verdict}\n  ${printable(reason)}\n`);
}

function textOf(entry: JsonObject, key: string): string {
  const value = entry[key];
  return typeof value === 'string' ? value : '';
}
