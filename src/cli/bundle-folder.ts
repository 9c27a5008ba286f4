/**
 * A bundle as a folder of files, read into the JSON form that the service and the compiler take. Invariant:
 * what is not part of a bundle's layout is never read or sent; links are not followed.
 */
import { lstat, readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { messageOf } from '../domain/errors.ts';
import { CliError, EXIT } from './exit-code.ts';

/** Most files read from a folder: a mistyped path must not read a disk. */
const MAX_FILES = 10_000;
const PARTS =
  /^(schema\.cedarschema|links\.json|limits\.json|(policies|templates)\/.+\.cedar|tests\/.+\.json)$/;

export interface FolderBundle {
  readonly manifest: unknown;
  /** By path in the bundle, with forward slashes. */
  readonly files: Readonly<Record<string, string>>;
  /** Files of the folder that are no part of a bundle. */
  readonly ignored: readonly string[];
}

/** @throws CliError when there is no such folder, or it has no readable manifest. */
export async function readBundleFolder(folder: string): Promise<FolderBundle> {
  const manifest = await readManifest(folder);
  const paths = (await listFiles(folder)).map(path => relative(folder, path).split(sep).join('/')).sort();
  const files: Record<string, string> = {};
  const ignored: string[] = [];
  for (const path of paths) {
    if (path === 'manifest.json') continue;
    if (PARTS.test(path)) files[path] = await readFile(join(folder, path), 'utf8');
    else ignored.push(path);
  }
  return { manifest, files, ignored };
}

/**
 * The platform bundle that a tenant's is checked against: the one given, else `platform` next to `tenants`,
 * else `policies/platform` below the working directory.
 */
export async function findPlatformFolder(folder: string, given: string | undefined): Promise<string> {
  if (given !== undefined) return given;
  const candidates = [join(dirname(dirname(resolve(folder))), 'platform'), resolve('policies/platform')];
  for (const candidate of candidates) if (await isFile(join(candidate, 'manifest.json'))) return candidate;
  throw new CliError(`no platform bundle was found to check \`${folder}\` against`, {
    exitCode: EXIT.usage,
    hint: 'name its folder with --platform: it has the schema and the guardrails',
  });
}

async function readManifest(folder: string): Promise<unknown> {
  const path = join(folder, 'manifest.json');
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new CliError(`\`${folder}\` is not a bundle: cannot read manifest.json: ${messageOf(error)}`, {
      exitCode: EXIT.usage,
      hint: 'name a folder with manifest.json and policies/*.cedar, such as policies/tenants/acme',
    });
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CliError(`\`${path}\` is not JSON: ${messageOf(error)}`, { exitCode: EXIT.invalid });
  }
}

async function listFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name));
  if (files.length > MAX_FILES) {
    throw new CliError(`\`${folder}\` has ${files.length} files, a bundle has ${MAX_FILES} at most`, {
      exitCode: EXIT.usage,
    });
  }
  return files;
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isFile();
  } catch {
    return false;
  }
}
