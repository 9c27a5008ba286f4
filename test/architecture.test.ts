/**
 * The architecture, enforced: layers, budgets and bans over every source file of the project. The rules and
 * their own tests are in test/architecture/; exceptions are listed here with their reasons.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CRYPTO_FILES } from './architecture/layers.ts';
import {
  checkBans,
  checkFileLength,
  checkFunctionLength,
  checkLayers,
  checkMarkers,
  checkName,
  checkOpening,
  checkTopLevel,
  type Exception,
  type Finding,
  MAX_P90_LINES,
  p90,
  unusedExceptions,
} from './architecture/rules.ts';
import { listSources, readSource, type SourceFile } from './architecture/source-file.ts';

const ROOT = join(import.meta.dirname, '..');

const EXCEPTIONS: readonly Exception[] = [
  { file: 'src/bundles/archive.ts', ban: 'clock', reason: 'writes the epoch as the time of every file' },
  { file: 'src/cli.ts', ban: 'clock', reason: 'makes the clock that the commands are given' },
  { file: 'src/cli.ts', ban: 'console', reason: 'hands stdout and stderr to the commands' },
  { file: 'src/cli.ts', ban: 'environment', reason: 'hands arguments and environment to the commands' },
  { file: 'src/domain/clock.ts', ban: 'clock', reason: 'formats an instant that it is given' },
  { file: 'src/main.ts', ban: 'clock', reason: 'makes the clock of the service' },
  { file: 'src/main.ts', ban: 'console', reason: 'sends log lines to stderr where none is injected' },
  {
    file: 'src/store/sqlite/log-worker.ts',
    ban: 'clock',
    reason: 'times its commits; a clock cannot be handed to another thread',
  },
  { file: 'src/wiring/ids.ts', ban: 'randomness', reason: 'makes the ids of the service' },
];

const sources = listSources(ROOT, 'src').map(path => readSource(ROOT, path));
const others = ['test', 'bench', 'scripts']
  .filter(folder => existsSync(join(ROOT, folder)))
  .flatMap(folder => listSources(ROOT, folder))
  .map(path => readSource(ROOT, path));
const everything = [...sources, ...others];

describe('the source of the service', () => {
  test('is found', () => expect(sources.length).toBeGreaterThan(10));

  test('imports only what the layer table allows', () => {
    expect(report(sources.flatMap(checkLayers))).toBe('');
  });

  test('reads no clock, randomness, environment or console outside its place', () => {
    expect(report(sources.flatMap(file => checkBans(file, EXCEPTIONS)))).toBe('');
  });

  test('needs every exception that is granted', () => {
    expect(unusedExceptions(sources, EXCEPTIONS)).toEqual([]);
    const users = sources.filter(file => file.imports.some(one => one.specifier === 'node:crypto'));
    expect(Object.keys(CRYPTO_FILES).filter(path => !users.some(file => file.path === path))).toEqual([]);
  });

  test.each(['log', 'query', 'limit-snapshot'])(
    'loads no schemas into the %s thread, which reads none',
    thread => {
      const loaded = reachedBy(`src/store/sqlite/${thread}-worker.ts`);
      expect(loaded.length).toBeGreaterThan(10);
      expect(
        loaded.filter(({ imports }) => imports.some(one => one.specifier === 'zod' && !one.typeOnly)),
      ).toEqual([]);
    },
  );

  test('does no work and holds no state at import time', () => {
    expect(report(sources.flatMap(checkTopLevel))).toBe('');
  });

  test(`has no long function, and nine of ten files within ${MAX_P90_LINES} lines`, () => {
    expect(report(sources.flatMap(checkFunctionLength))).toBe('');
    expect(p90(sources)).toBeLessThanOrEqual(MAX_P90_LINES);
  });
});

describe('every file', () => {
  test('opens with a doc comment', () => expect(report(everything.flatMap(checkOpening))).toBe(''));
  test('stays within the cap', () => expect(report(everything.flatMap(checkFileLength))).toBe(''));
  test('has a name that says what it holds', () => expect(report(everything.flatMap(checkName))).toBe(''));
  test('gives a reason for each suppression and leaves no marker', () => {
    expect(report(everything.filter(file => !isOfTheRules(file.path)).flatMap(checkMarkers))).toBe('');
  });
  test('exports by name, from where it is declared', () => {
    expect(report(others.flatMap(checkTopLevel))).toBe('');
  });
});

/** The files that a thread loads when it starts. */
function reachedBy(entry: string): readonly SourceFile[] {
  const byPath = new Map(sources.map(file => [file.path, file]));
  const reached = new Set([entry]);
  // a set visits what is added while it is walked
  for (const path of reached) {
    for (const { specifier, typeOnly } of byPath.get(path)?.imports ?? []) {
      if (!typeOnly && specifier.startsWith('.')) reached.add(join(dirname(path), specifier));
    }
  }
  return [...reached].flatMap(path => byPath.get(path) ?? []);
}

/** The rules quote the markers that they look for. */
function isOfTheRules(path: string): boolean {
  return path.startsWith('test/architecture/');
}

function report(findings: readonly Finding[]): string {
  return findings.map(({ file, line, message }) => `${file}:${line}: ${message}`).join('\n');
}
