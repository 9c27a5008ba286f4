/** Folders as bundles: what is read, what is left out, and what is said about a folder that is none. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findPlatformFolder, readBundleFolder } from '../../src/cli/bundle-folder.ts';
import { checkFolder } from '../../src/cli/bundles.ts';
import { CliError, EXIT } from '../../src/cli/exit-code.ts';
import { recordingTerminal } from './recording-terminal.ts';

const REPOSITORY = join(import.meta.dirname, '../..');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'duramen-bundle-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

const MANIFEST = '{"layer": "tenant:acme", "version": "1"}';
const POLICY = `@id("a.b")\n@reason("c")\npermit (principal, action, resource in AI::Tenant::"acme");\n`;

describe('a bundle folder', () => {
  test('gives the files of the layout, and names the others', async () => {
    write({
      'manifest.json': MANIFEST,
      'policies/deep/a.cedar': POLICY,
      'tests/a.json': '{}',
      'README.md': 'notes',
      'policies/a.cedar.orig': 'old',
    });
    const { manifest, files, ignored } = await readBundleFolder(folder);
    expect(manifest).toEqual({ layer: 'tenant:acme', version: '1' });
    expect(Object.keys(files)).toEqual(['policies/deep/a.cedar', 'tests/a.json']);
    expect(ignored).toEqual(['README.md', 'policies/a.cedar.orig']);
  });

  test('does not follow links', async () => {
    write({ 'manifest.json': MANIFEST, secret: 'x' });
    mkdirSync(join(folder, 'policies'));
    symlinkSync(join(folder, 'secret'), join(folder, 'policies/a.cedar'));
    expect((await readBundleFolder(folder)).files).toEqual({});
  });

  test.each([
    ['no folder', {}, 'nothing-here', 'is not a bundle', EXIT.usage],
    ['no manifest', { 'policies/a.cedar': POLICY }, '.', 'is not a bundle', EXIT.usage],
    ['a manifest that is not JSON', { 'manifest.json': '{' }, '.', 'is not JSON', EXIT.invalid],
  ])('says when there is %s', async (_, files, path, message, exitCode) => {
    write(files);
    const error: unknown = await readBundleFolder(join(folder, path)).catch((thrown: unknown) => thrown);
    if (!(error instanceof CliError)) throw error;
    expect(error.message).toContain(message);
    expect(error.exitCode).toBe(exitCode);
  });

  test('finds the platform bundle beside the tenants', async () => {
    const found = await findPlatformFolder(join(REPOSITORY, 'policies/tenants/acme'), undefined);
    expect(found).toBe(join(REPOSITORY, 'policies/platform'));
    expect(await findPlatformFolder('anywhere', 'given')).toBe('given');
  });
});

describe('checking without a server', () => {
  const platform = join(REPOSITORY, 'policies/platform');
  const check = (runTests: boolean, terminal = recordingTerminal()) =>
    checkFolder(terminal, folder, { output: 'json', platform, runTests });

  test('prints the report of a good bundle', async () => {
    write({ 'manifest.json': MANIFEST, 'policies/a.cedar': POLICY });
    const terminal = recordingTerminal();
    await check(true, terminal);
    expect(JSON.parse(terminal.stdout())).toMatchObject({
      layer: 'tenant:acme',
      state: 'checked',
      report: { policies: 1, tests: { passed: 0, failed: 0 } },
    });
  });

  test('ends with 3 and the place of what is wrong', async () => {
    write({ 'manifest.json': MANIFEST, 'policies/a.cedar': 'permit (principal, action, resource);' });
    const error: unknown = await check(false).catch((thrown: unknown) => thrown);
    if (!(error instanceof CliError)) throw error;
    expect(error.exitCode).toBe(EXIT.invalid);
    expect(error.problems.every(({ file }) => file === 'policies/a.cedar')).toBe(true);
    expect(error.problems.map(({ message }) => message).join('\n')).toContain('@id');
  });

  test('ends with 4 when a test of the bundle fails, and validates it nonetheless', async () => {
    const failing = {
      cases: [
        {
          name: 'a stranger is allowed',
          request: {
            principal: { type: 'User', id: 'acme/x' },
            action: 'invoke',
            resource: { type: 'Model', id: 'acme/y' },
          },
          expect: { decision: 'allow' },
        },
      ],
    };
    write({
      'manifest.json': MANIFEST,
      'policies/a.cedar': POLICY,
      'tests/a.json': JSON.stringify(failing),
    });
    await expect(check(true)).rejects.toMatchObject({ exitCode: EXIT.testsFailed });
    await expect(check(false)).resolves.toBeUndefined();
  });
});
