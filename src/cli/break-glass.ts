/**
 * `duramen break-glass`: an admin key for whoever has the host of the service. Invariant: it runs on the machine of the
 * data, never over the network; the key goes to stdout alone, once.
 */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { holdsKey } from '../domain/keyless-text.ts';
import { MAX_HOURS, MAX_REASON, requestBreakGlass } from '../wiring/break-glass.ts';
import { readPepper } from '../wiring/data-folder.ts';
import { readConfig } from './config.ts';
import { CliError, EXIT } from './exit-code.ts';
import { printable, type Terminal } from './terminal.ts';

export interface BreakGlassOptions {
  /** Data folder; that of the configuration without it. */
  readonly data?: string | undefined;
  readonly reason: string;
  readonly hours: string;
}

/** @throws CliError or AppError when there is no store, or a key waits already */
export function breakGlass(terminal: Terminal, options: BreakGlassOptions): void {
  const reason = options.reason.trim();
  if (reason === '' || reason.length > MAX_REASON || printable(reason) !== reason) {
    throw new CliError(`--reason must be one line of 1 to ${MAX_REASON} characters`, {
      exitCode: EXIT.usage,
    });
  }
  if (holdsKey(reason)) {
    throw new CliError('--reason must not contain a key: it stays in the log', { exitCode: EXIT.usage });
  }
  const hours = /^\d{1,2}$/.test(options.hours) ? Number(options.hours) : 0;
  if (hours < 1 || hours > MAX_HOURS) {
    throw new CliError(`--hours must be a number from 1 to ${MAX_HOURS}`, { exitCode: EXIT.usage });
  }
  const { config } = readConfig(terminal, options.data === undefined ? {} : { dataDir: options.data });
  const { dataDir: folder, keyPepper } = config;
  if (!existsSync(folder)) {
    throw new CliError(`there is no data folder \`${folder}\``, {
      hint: 'name the one of the service with --data, on the host where it lies',
    });
  }
  // Without the pepper of the store the key could not be verified: a new one must not be made here.
  const pepper = readPepper(folder, keyPepper, true, randomBytes);
  const now = terminal.clock.now();
  const by = userInfo().username;
  const made = requestBreakGlass({ folder, pepper, reason, by, hours, now, random: randomBytes });
  terminal.out(`${made.token}\n`);
  terminal.err(`admin key ${made.id}, shown this once, works from the next start of the service on\n`);
  terminal.err(`until ${made.expiresAt}; its use is an entry of the log, and /readyz?verbose shows it\n`);
  terminal.err('restart the service now, make the keys that are missing, then revoke this one\n');
}
