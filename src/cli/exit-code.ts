/**
 * How a command ends: the exit codes of api.md, and the error that carries one. Invariant: a script can tell a
 * deny, an invalid bundle, a failed test and a usage error apart without reading text.
 */
import type { Problem } from '../domain/errors.ts';

export const EXIT = {
  /** Success, or an allow. */
  ok: 0,
  failure: 1,
  deny: 2,
  /** A bundle, an entity or a configuration does not validate. */
  invalid: 3,
  testsFailed: 4,
  /** A measured value missed its target. */
  gateFailed: 5,
  /** The log, or a proof out of it, does not verify. */
  notVerified: 5,
  usage: 64,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Ends a command with a message on stderr. */
export class CliError extends Error {
  readonly exitCode: ExitCode;
  /** What to do about it. */
  readonly hint: string | undefined;
  readonly problems: readonly Problem[];

  constructor(
    message: string,
    options: { exitCode?: ExitCode; hint?: string; problems?: readonly Problem[]; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'CliError';
    this.exitCode = options.exitCode ?? EXIT.failure;
    this.hint = options.hint;
    this.problems = options.problems ?? [];
  }
}

/** The exit code that a failure code of the service stands for. */
export function exitCodeOf(code: string): ExitCode {
  switch (code) {
    case 'BUNDLE_TESTS_FAILED':
      return EXIT.testsFailed;
    case 'BUNDLE_INVALID':
    case 'SCHEMA_BREAKS_ACTIVE':
    case 'ENTITY_INVALID':
    case 'PROFILE_INVALID':
      return EXIT.invalid;
    default:
      return EXIT.failure;
  }
}
