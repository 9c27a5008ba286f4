/**
 * `duramen log open-new`: sets the log of a stopped service aside, so that the next start begins a new one that
 * records why. Invariant: it runs on the machine of the data, never over the network, and deletes nothing.
 */
import { userInfo } from 'node:os';
import { timestamp } from '../domain/clock.ts';
import { holdsKey } from '../domain/keyless-text.ts';
import { readableAnchors } from '../wiring/anchors.ts';
import { UuidSource } from '../wiring/ids.ts';
import { ANY_LOG, requestNewLog } from '../wiring/log-succession.ts';
import { readConfig } from './config.ts';
import { CliError, EXIT } from './exit-code.ts';
import { printable, type Terminal } from './terminal.ts';

/** Longest reason, in characters: it becomes part of an entry. */
const MAX_REASON = 500;

export interface OpenNewOptions {
  /** Data folder; that of the configuration without it. */
  readonly data?: string | undefined;
  readonly reason: string;
}

/** @throws CliError or AppError when a service holds the folder, or there is nothing to set aside */
export async function openNewLog(terminal: Terminal, options: OpenNewOptions): Promise<void> {
  const reason = options.reason.trim();
  if (reason === '' || reason.length > MAX_REASON || printable(reason) !== reason) {
    throw new CliError(`--reason must be one line of 1 to ${MAX_REASON} characters`, {
      exitCode: EXIT.usage,
    });
  }
  if (holdsKey(reason)) {
    throw new CliError('--reason must not contain a key: it stays in the log', { exitCode: EXIT.usage });
  }
  const { config } = readConfig(terminal, options.data === undefined ? {} : { dataDir: options.data });
  const { succession, retired } = await requestNewLog({
    folder: config.dataDir,
    reason,
    by: userInfo().username,
    at: timestamp(terminal.clock.now()),
    id: new UuidSource(() => terminal.clock.now()).next(),
    anchors: readableAnchors(config, ANY_LOG),
    warn: message => terminal.err(`warning: ${printable(message)}\n`),
  });
  const { replaces } = succession;
  terminal.err(`the old log is in ${retired}, whole; keep it\n`);
  for (const { origin, size } of replaces) {
    terminal.err(
      `the new log will record that it takes the place of ${printable(origin)} at ${size} entries\n`,
    );
  }
  if (replaces.length === 0)
    terminal.err('no checkpoint of the old log was found, so none will be recorded\n');
  terminal.err(
    'start the service now: it makes a new log with a new key; give the key to witnesses and auditors\n',
  );
}
