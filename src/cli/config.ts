/** `duramen config`: the settings in force and where each came from. Secrets are never shown. */
import { readFileSync } from 'node:fs';
import { ConfigError, loadConfig, type LoadedConfig, SECRET } from '../config.ts';
import { CliError, EXIT } from './exit-code.ts';
import { type OutputFormat, printData } from './table.ts';
import type { Terminal } from './terminal.ts';

export function printConfig(terminal: Terminal, output: OutputFormat): void {
  const settings = readConfig(terminal).effective();
  printData(terminal, output, { settings }, () => ({
    columns: ['setting', 'value', 'source', 'variable'],
    rows: settings.map(({ name, value, source, env }) => [name, cellOf(value), source, env]),
  }));
}

/** A value in a table: as JSON, which tells a text from a number; what stands for a value as it is. */
function cellOf(value: unknown): string {
  if (value === null) return '(none)';
  return value === SECRET ? SECRET : JSON.stringify(value);
}

/** @throws CliError listing everything that is wrong with the configuration. */
export function readConfig(
  terminal: Terminal,
  overrides: Readonly<Record<string, unknown>> = {},
): LoadedConfig {
  try {
    return loadConfig({ env: terminal.env, readFile: path => readFileSync(path, 'utf8'), overrides });
  } catch (error) {
    throw error instanceof ConfigError ? invalidConfig(error) : error;
  }
}

/** What is wrong with the configuration, for the person who wrote it. */
export function invalidConfig({ problems }: ConfigError): CliError {
  return new CliError('the configuration is not valid', {
    exitCode: EXIT.invalid,
    problems,
    hint: 'docs/configuration.md lists every setting with its range',
  });
}
