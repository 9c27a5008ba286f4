/**
 * The documents against the tree: links lead somewhere, named files exist, named metrics and commands are real.
 * Invariant: renaming a thing without its documents fails here.
 */
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import { buildProgram } from '../src/cli/program.ts';
import { loadConfig } from '../src/config.ts';
import { EVENT_KINDS } from '../src/domain/log-entry.ts';
import { recordingTerminal } from './cli/recording-terminal.ts';

const ROOT = join(import.meta.dirname, '..');
const documents = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md', ...markdownIn('docs')];

function markdownIn(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && entry.name.endsWith('.md'))
    .map(entry => join(entry.parentPath, entry.name).slice(ROOT.length + 1));
}

/** Every capture of `pattern` in any document, as `document: capture`, for readable failures. */
function found(pattern: RegExp): { document: string; text: string }[] {
  return documents.flatMap(document =>
    [...readFileSync(join(ROOT, document), 'utf8').matchAll(pattern)].map(match => ({
      document,
      text: match[1] ?? '',
    })),
  );
}

describe('the documents', () => {
  test('are found', () => expect(documents.length).toBeGreaterThan(10));

  test('link to files that exist', () => {
    const links = found(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g);
    expect(links.length).toBeGreaterThan(5);
    const broken = links.filter(
      ({ document, text }) => !existsSync(join(ROOT, normalize(join(dirname(document), text)))),
    );
    expect(broken).toEqual([]);
  });

  test('name files and folders that exist', () => {
    const named = found(/`((?:src|test|docs|policies|schema|migrations|bench|scripts)\/[\w./*-]+)`/g);
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter(({ text }) => globSync(text, { cwd: ROOT }).length === 0)).toEqual([]);
  });

  test('name metrics that the service has', () => {
    const files = globSync('src/telemetry/*.ts', { cwd: ROOT });
    const source = files.map(file => readFileSync(join(ROOT, file), 'utf8')).join('\n');
    const metrics = found(/`(duramen_[a-z_]+)/g);
    expect(metrics.length).toBeGreaterThan(5);
    expect(metrics.filter(({ text }) => !source.includes(`'${text}'`))).toEqual([]);
  });

  test('name commands that the command line has', () => {
    const { commands } = buildProgram(recordingTerminal(), '0', () => undefined);
    const names = new Set(commands.map(command => command.name()));
    const uses = found(/(?:^|`|-- )duramen ([a-z]+(?:-[a-z]+)*)\b/gm).concat(
      found(/npm run -s duramen -- ([a-z]+(?:-[a-z]+)*)/g),
    );
    expect(uses.length).toBeGreaterThan(10);
    expect(uses.filter(({ text }) => !names.has(text))).toEqual([]);
  });

  test('name settings that exist', () => {
    const reference = readFileSync(join(ROOT, 'docs/configuration.md'), 'utf8');
    const client = [
      'DURAMEN_URL',
      'DURAMEN_KEY',
      'DURAMEN_CONFIG',
      'DURAMEN_DOCTOR_AUTHORIZATION',
      'DURAMEN_',
    ];
    const variables = found(/\b(DURAMEN_[A-Z_]*)/g).filter(({ text }) => !client.includes(text));
    expect(variables.filter(({ text }) => !reference.includes(`\`${text}\``))).toEqual([]);
    const kinds: readonly string[] = EVENT_KINDS;
    // `auth.` is also a member of requests
    const settings = found(
      /`((?:engine|shutdown|http|log|auth|decision|control)\.(?!db|keyId|method|issuer)[a-zA-Z]+)`/g,
    ).filter(({ text }) => !kinds.includes(text));
    expect(settings.length).toBeGreaterThan(2);
    expect(settings.filter(({ text }) => !reference.includes(`## ${text}\n`))).toEqual([]);
  });

  test('export variables that a service in the same shell starts with', () => {
    const exported = found(/\bexport (DURAMEN_[A-Z_]+)=/g).map(({ text }) => text);
    expect(exported).toContain('DURAMEN_KEY');
    const refused = [...exported, 'DURAMEN_URL', 'DURAMEN_DOCTOR_AUTHORIZATION'].filter(variable => {
      try {
        loadConfig({ env: { [variable]: 'x' }, readFile: () => '' });
        return false;
      } catch {
        return true;
      }
    });
    expect(refused).toEqual([]);
  });

  test('number the decisions without a gap, each with its status', () => {
    const records = readdirSync(join(ROOT, 'docs/adr'))
      .filter(name => /^\d{4}-/.test(name))
      .sort();
    expect(records.map(name => Number(name.slice(0, 4)))).toEqual(records.map((_, at) => at + 1));
    for (const name of records) {
      const text = readFileSync(join(ROOT, 'docs/adr', name), 'utf8');
      expect(text).toMatch(new RegExp(`^# ${Number(name.slice(0, 4))}\\. .+\\n\\nStatus: `));
    }
  });

  test('give a reason for each direct dependency', () => {
    const manifest: unknown = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    const text = readFileSync(join(ROOT, 'docs/adr/dependencies.md'), 'utf8');
    const names = dependenciesOf(manifest);
    expect(names.length).toBeGreaterThan(10);
    const covered = (name: string): boolean =>
      text.includes(`\`${name}\``) || (name.startsWith('@types/') && text.includes('`@types/*`'));
    expect(names.filter(name => !covered(name))).toEqual([]);
  });
});

function dependenciesOf(manifest: unknown): string[] {
  if (typeof manifest !== 'object' || manifest === null) return [];
  return Object.entries(manifest)
    .filter(([key]) => /^(d|devD|optionalD)ependencies$/.test(key))
    .flatMap(([, packages]: [string, unknown]) =>
      typeof packages === 'object' && packages !== null ? Object.keys(packages) : [],
    );
}
