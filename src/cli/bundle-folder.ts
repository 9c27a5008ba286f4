/**
 * A bundle as a folder of files, read into the JSON form that the service and the compiler take. Invariant: what
 * is not part of a bundle's layout is never read or sent, and what is part of it is sent as it stands or refused: no
 * policy is left out in silence, and no character is replaced.
 */
import { lstat, readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { messageOf, type Problem } from '../domain/errors.ts';
import { CliError, EXIT } from './exit-code.ts';

/** Most files read from a folder: a mistyped path must not read a disk. */
const MAX_FILES = 10_000;
const PARTS =
  /^(schema\.cedarschema|links\.json|limits\.json|(policies|templates)\/.+\.cedar|tests\/.+\.json)$/;

/** Where a bundle has its files: what is no plain file here would be missed. */
const PLACES = /^(schema\.cedarschema|links\.json|limits\.json|(policies|templates|tests)(\/.*)?)$/;
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export interface FolderBundle {
  readonly manifest: unknown;
  /** By path in the bundle, with forward slashes. */
  readonly files: Readonly<Record<string, string>>;
  /** Files of the folder that are no part of a bundle. */
  readonly ignored: readonly string[];
}

/**
 * @throws CliError when there is no such folder, when it has no readable manifest, and with every file that belongs to
 * the bundle and is a link or not UTF-8.
 */
export async function readBundleFolder(folder: string): Promise<FolderBundle> {
  const manifest = await readManifest(folder);
  const files: Record<string, string> = {};
  const ignored: string[] = [];
  const problems: Problem[] = [];
  for (const { path, isFile: isPlain } of await listEntries(folder)) {
    if (path === 'manifest.json') continue;
    if (!isPlain && PLACES.test(path)) problems.push(notPlain(path));
    else if (!isPlain || !PARTS.test(path)) ignored.push(path);
    else {
      const text = textOf(await readFile(join(folder, path)));
      if (text === undefined) problems.push(notText(path));
      else files[path] = text;
    }
  }
  if (problems.length > 0) {
    const message = `\`${folder}\` has files that cannot be sent as they stand`;
    throw new CliError(message, { exitCode: EXIT.invalid, problems });
  }
  return { manifest, files, ignored };
}

/** The service refuses links in archives too: what decides must be in the bundle itself. */
function notPlain(file: string): Problem {
  return { file, message: 'this is a link, or no file at all', hint: 'put a copy of the file in its place' };
}

function notText(file: string): Problem {
  return { file, message: 'the file is not UTF-8 text', hint: 'save the file as UTF-8' };
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return UTF8.decode(bytes);
  } catch {
    return undefined;
  }
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
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw new CliError(`\`${folder}\` is not a bundle: cannot read manifest.json: ${messageOf(error)}`, {
      exitCode: EXIT.usage,
      hint: 'name a folder with manifest.json and policies/*.cedar, such as policies/tenants/acme',
    });
  }
  const text = textOf(bytes);
  if (text === undefined) {
    throw new CliError(`\`${path}\` is not UTF-8 text`, {
      exitCode: EXIT.invalid,
      hint: 'save the file as UTF-8',
    });
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CliError(`\`${path}\` is not JSON: ${messageOf(error)}`, { exitCode: EXIT.invalid });
  }
}

interface FolderEntry {
  /** From the folder, with forward slashes. */
  readonly path: string;
  /** False for links, devices and the like. */
  readonly isFile: boolean;
}

async function listEntries(folder: string): Promise<FolderEntry[]> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  const entries = found
    .filter(entry => !entry.isDirectory())
    .map(entry => ({
      path: relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'),
      isFile: entry.isFile(),
    }))
    .sort((left, right) => (left.path < right.path ? -1 : 1));
  if (entries.length > MAX_FILES) {
    throw new CliError(`\`${folder}\` has ${entries.length} files, a bundle has ${MAX_FILES} at most`, {
      exitCode: EXIT.usage,
    });
  }
  return entries;
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isFile();
  } catch {
    return false;
  }
}
