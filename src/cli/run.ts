/** From arguments to an exit code. Invariant: whatever is thrown becomes one readable message and a code. */
import { CommanderError } from 'commander';
import { AppError, messageOf } from '../domain/errors.ts';
import { CliError, EXIT, type ExitCode, exitCodeOf } from './exit-code.ts';
import { buildProgram } from './program.ts';
import { printError, type Terminal } from './terminal.ts';

/** Runs one command. @param args without the interpreter and the script. Never rejects. */
export async function runCli(
  args: readonly string[],
  terminal: Terminal,
  version: string,
): Promise<ExitCode> {
  let code: ExitCode = EXIT.ok;
  const program = buildProgram(terminal, version, reported => {
    code = reported;
  });
  for (const command of descendants(program)) {
    command.showHelpAfterError(`(${pathOf(command)} --help says more)`);
  }
  for (const command of [program, ...descendants(program)]) {
    command.exitOverride().configureOutput({
      writeOut: text => terminal.out(text),
      writeErr: text => terminal.err(text),
    });
  }
  try {
    await program.parseAsync([...args], { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    const failure = failureOf(error);
    printError(terminal, failure);
    return failure.exitCode;
  }
}

function descendants(program: ReturnType<typeof buildProgram>): ReturnType<typeof buildProgram>[] {
  return program.commands.flatMap(command => [command, ...descendants(command)]);
}

/** As it is typed: `duramen log verify`. */
function pathOf(command: ReturnType<typeof buildProgram>): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

function failureOf(error: unknown): CliError {
  if (error instanceof CliError) return error;
  if (error instanceof AppError) {
    return new CliError(error.message, { exitCode: exitCodeOf(error.code), problems: error.problems });
  }
  return new CliError(messageOf(error), { cause: error, hint: 'this is unexpected: please report it' });
}
