/**
 * What a command may do to the outside: data to stdout, talk to stderr, environment and clock as values.
 * Invariant: text that came over the network cannot send control sequences to the terminal.
 */
import pc from 'picocolors';
import type { Clock } from '../domain/clock.ts';
import type { Problem } from '../domain/errors.ts';
import type { CliError } from './exit-code.ts';

export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether stderr is a terminal, so that progress may rewrite its line. */
  readonly interactive: boolean;
  readonly color: boolean;
  /** Characters in a line of stdout; undefined when it is no screen, as in a pipe. */
  readonly width?: number | undefined;
  /** Data, for the next program. */
  out(text: string): void;
  /** Talk, for the person. */
  err(text: string): void;
  readStdin(): Promise<string>;
  readonly clock: Clock;
  /** Resolves at SIGINT or SIGTERM. */
  stopRequested(): Promise<void>;
  /** Ends the process soon although a thread of it hangs, by SIGKILL; one that ends by itself keeps its exit code. */
  endWithoutThreads(): void;
}

type Colors = ReturnType<typeof pc.createColors>;

export function colorsOf(terminal: Terminal): Colors {
  return pc.createColors(terminal.color);
}

/** Whether colour is wanted: NO_COLOR wins, then FORCE_COLOR, then whether stdout is a terminal. */
export function wantsColor(env: Terminal['env'], isTty: boolean): boolean {
  if ((env['NO_COLOR'] ?? '') !== '') return false;
  if ((env['FORCE_COLOR'] ?? '') !== '') return true;
  return isTty && env['TERM'] !== 'dumb';
}

/** Replaces control characters, so that logged text cannot move the cursor or change colours. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '\u{fffd}');
}

/** Prints why a command failed: what, where, and what to do. */
export function printError(terminal: Terminal, error: CliError): void {
  const colors = colorsOf(terminal);
  terminal.err(`${colors.red('error')}: ${printable(error.message)}\n`);
  for (const problem of error.problems) {
    const { message, hint } = problem;
    const place = placeOf(problem);
    const where = place === '' ? '' : `${colors.bold(printable(place))}: `;
    terminal.err(`  ${where}${printable(message)}\n`);
    if (hint !== undefined) terminal.err(`    ${colors.dim(`hint: ${printable(hint)}`)}\n`);
  }
  if (error.hint !== undefined) terminal.err(`${colors.cyan('hint')}: ${printable(error.hint)}\n`);
}

/** `policies/a.cedar:3:1`, `line 3 /attributes/org` of what was sent, `/attributes/org`, or nothing. */
function placeOf({ pointer, file, line, column }: Problem): string {
  const numbers = [line, column].filter(part => part !== undefined).join(':');
  if (file !== undefined) return numbers === '' ? file : `${file}:${numbers}`;
  return [numbers === '' ? '' : `line ${numbers}`, pointer ?? ''].filter(part => part !== '').join(' ');
}

/** A line of progress on stderr: rewritten on a terminal, at most one line per `everyMs` in a file. */
export class Progress {
  readonly #terminal: Terminal;
  readonly #everyMs: number;
  #printedAt = Number.NEGATIVE_INFINITY;
  #open = false;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    this.#everyMs = terminal.interactive ? 100 : 5_000;
  }

  show(text: string): void {
    const now = this.#terminal.clock.monotonic();
    if (now - this.#printedAt < this.#everyMs) return;
    this.#printedAt = now;
    this.#open = this.#terminal.interactive;
    this.#terminal.err(this.#terminal.interactive ? `\r\x1b[K${text}` : `${text}\n`);
  }

  /** Ends the line, so that what follows starts on its own. */
  done(): void {
    if (this.#open) this.#terminal.err('\r\x1b[K');
    this.#open = false;
  }
}
