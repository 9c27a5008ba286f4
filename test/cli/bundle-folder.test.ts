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

  test.each([
    ['a file', 'secret', 'policies/a.cedar'],
    ['a file of limits', 'secret', 'limits.json'],
    ['a folder', 'elsewhere', 'policies/common'],
    ['a folder with all policies', 'elsewhere', 'templates'],
    ['nothing', 'gone', 'tests/a.json'],
  ])('is refused with a link to %s, which would be left out in silence', async (_, target, path) => {
    write({ 'manifest.json': MANIFEST, secret: 'x', 'elsewhere/b.cedar': POLICY });
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    symlinkSync(join(folder, target), join(folder, path));
    const error: unknown = await readBundleFolder(folder).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ exitCode: EXIT.invalid, problems: [{ file: path }] });
  });

  test('names a link beside the bundle as no part of it', async () => {
    write({ 'manifest.json': MANIFEST, 'policies/a.cedar': POLICY });
    symlinkSync('/', join(folder, 'root'));
    const { files, ignored } = await readBundleFolder(folder);
    expect([Object.keys(files), ignored]).toEqual([['policies/a.cedar'], ['root']]);
  });

  test('is refused with every file that is not UTF-8, instead of with other characters', async () => {
    write({ 'manifest.json': MANIFEST, 'policies/a.cedar': POLICY });
    const latin = Buffer.from('// gr\xf6\xdfe\n', 'latin1');
    for (const name of ['b', 'c']) writeFileSync(join(folder, `policies/${name}.cedar`), latin);
    const error: unknown = await readBundleFolder(folder).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      exitCode: EXIT.invalid,
      problems: [{ file: 'policies/b.cedar' }, { file: 'policies/c.cedar' }],
    });
    writeFileSync(join(folder, 'manifest.json'), latin);
    await expect(readBundleFolder(folder)).rejects.toThrow('manifest.json` is not UTF-8 text');
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

  test('refuses the bundle of a tenant in the place of the platform', async () => {
    write({ 'manifest.json': MANIFEST, 'policies/a.cedar': POLICY });
    const other = join(REPOSITORY, 'policies/tenants/globex');
    const checked = checkFolder(recordingTerminal(), folder, {
      output: 'json',
      platform: other,
      runTests: false,
    });
    await expect(checked).rejects.toMatchObject({
      exitCode: EXIT.usage,
      message: `\`${other}\` holds a bundle of layer \`tenant:globex\`, not of the platform layer`,
    });
  });

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
