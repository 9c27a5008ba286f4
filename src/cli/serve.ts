/** `duramen serve`: the service until SIGINT or SIGTERM. Invariant: it never loads demo data. */
import { ConfigError } from '../config.ts';
import type { Config } from '../config/settings.ts';
import { AppError } from '../domain/errors.ts';
import { type RunningService, startService } from '../main.ts';
import { invalidConfig, readConfig } from './config.ts';
import { CliError } from './exit-code.ts';
import { colorsOf, type Terminal } from './terminal.ts';

export async function serve(terminal: Terminal): Promise<void> {
  const { config } = readConfig(terminal);
  await runService(terminal, config, (_, stopped) => stopped);
}

/**
 * Starts the service, runs `whileUp`, and closes the service when that ends, which it does after `stopped`.
 * The first key is printed here, once, and also when the start fails after it was made: nothing keeps it.
 */
export async function runService(
  terminal: Terminal,
  config: Config,
  whileUp: (service: RunningService, stopped: Promise<void>) => Promise<void>,
): Promise<void> {
  try {
    await startAndStop(terminal, config, whileUp);
  } catch (error) {
    // a thread whose disk hangs may be left, and nobody waits for it
    terminal.endWithoutThreads();
    throw error;
  }
}

async function startAndStop(
  terminal: Terminal,
  config: Config,
  whileUp: (service: RunningService, stopped: Promise<void>) => Promise<void>,
): Promise<void> {
  // asked for before the start, so that a signal during the start is not lost
  const stopped = terminal.stopRequested();
  const service = await start(config, key => {
    terminal.err(`admin key of this store, shown this once: ${colorsOf(terminal).bold(key)}\n`);
  });
  try {
    terminal.err(`duramen is listening on ${service.url}, data in ${config.dataDir}\n`);
    await whileUp(service, Promise.race([stopped, failWhenBroken(service)]));
    terminal.err('stopping: what was accepted is answered first\n');
  } catch (error) {
    // why the service ends comes before what else fails when it stops
    await service.close().catch(() => undefined);
    throw error;
  }
  await service.close();
}

/** A failed flush leaves unknown what is on disk: the process ends, and the next start reads it back. */
async function failWhenBroken(service: RunningService): Promise<never> {
  throw new CliError(`the decision log failed, so the service ends: ${await service.broken}`);
}

async function start(config: Config, showFirstKey: (key: string) => void): Promise<RunningService> {
  try {
    return await startService(config, { showFirstKey });
  } catch (error) {
    // what is only seen at the start: files that settings name, and settings that contradict each other
    if (error instanceof ConfigError) throw invalidConfig(error);
    if (!(error instanceof AppError)) throw error;
    throw new CliError(`the service cannot start: ${error.message}`, {
      problems: error.problems,
      cause: error,
    });
  }
}
