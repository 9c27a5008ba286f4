/**
 * Which paths a bundle may hold. Invariant: an accepted path is relative, normalised, plain ASCII and names
 * exactly one role, so that it means the same file on every system.
 */
import type { Problem } from '../domain/errors.ts';
import { nearest } from '../domain/spelling.ts';

/** Longest path in characters: what ustar can hold without extensions. */
const MAX_PATH_LENGTH = 256;

/** What a file of a bundle is for. */
export type FileRole = 'manifest' | 'schema' | 'links' | 'limits' | 'policies' | 'templates' | 'tests';

const TOP_FILES: ReadonlyMap<string, FileRole> = new Map([
  ['manifest.json', 'manifest'],
  ['schema.cedarschema', 'schema'],
  ['links.json', 'links'],
  ['limits.json', 'limits'],
]);
const FOLDERS: ReadonlyMap<string, { readonly role: FileRole; readonly extension: string }> = new Map([
  ['policies', { role: 'policies', extension: '.cedar' }],
  ['templates', { role: 'templates', extension: '.cedar' }],
  ['tests', { role: 'tests', extension: '.json' }],
]);
const SEGMENT = /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/;
const LAYOUT =
  'a bundle holds manifest.json, schema.cedarschema, links.json, limits.json, policies/**/*.cedar, templates/**/*.cedar and tests/**/*.json';

/** User input made safe for a one-line message in backticks. */
export function printable(text: string): string {
  const short = text.length > 120 ? `${text.slice(0, 120)}…` : text;
  return short.replaceAll(/[^\x20-\x7e…]|`/gu, character => {
    const code = character.codePointAt(0) ?? 0;
    return `\\u{${code.toString(16)}}`;
  });
}

/**
 * A path without its leading `./` and, for a folder, without the final slash; or what is wrong with it.
 * The empty string is the top folder itself.
 */
export function normalisePath(raw: string, kind: 'file' | 'directory'): string | Problem {
  const name = printable(raw);
  const wrong = (message: string, hint: string): Problem => ({ message, hint });
  if (raw.length > MAX_PATH_LENGTH) {
    return wrong(`the path \`${name}\` is longer than ${MAX_PATH_LENGTH} characters`, 'shorten the path');
  }
  if (raw.includes('\\')) return wrong(`the path \`${name}\` holds a backslash`, 'separate folders with `/`');
  if (raw.startsWith('/') || /^[A-Za-z]:/.test(raw)) {
    return wrong(`the path \`${name}\` is absolute`, 'write it relative to the folder of manifest.json');
  }
  let path = raw;
  while (path.startsWith('./')) path = path.slice(2);
  if (kind === 'directory') {
    if (path.endsWith('/')) path = path.slice(0, -1);
    if (path === '' || path === '.') return '';
  }
  for (const segment of path.split('/')) {
    if (segment === '..') return wrong(`the path \`${name}\` leaves the bundle`, 'remove `..`');
    if (segment === '' || segment === '.') {
      return wrong(`the path \`${name}\` has an empty or dotted segment`, 'write each folder once');
    }
    if (segment.startsWith('._')) {
      return wrong(
        `\`${name}\` is a macOS resource file`,
        'make the archive with COPYFILE_DISABLE=1 in the environment',
      );
    }
    if (!SEGMENT.test(segment)) {
      return wrong(
        `the path \`${name}\` has a segment that is hidden or not made of A-Z a-z 0-9 . _ -`,
        'rename or leave out the file',
      );
    }
  }
  return path;
}

/** The role of a normalised file path, or what to do about a file that has none. */
export function roleOf(path: string): FileRole | Problem {
  const top = TOP_FILES.get(path);
  if (top !== undefined) return top;
  const slash = path.indexOf('/');
  const first = slash === -1 ? path : path.slice(0, slash);
  const folder = slash === -1 ? undefined : FOLDERS.get(first);
  if (folder !== undefined && path.endsWith(folder.extension) && baseName(path) !== folder.extension) {
    return folder.role;
  }
  return {
    file: path,
    message: `the bundle may not hold \`${path}\``,
    hint: suggestion(path, first, folder) ?? LAYOUT,
  };
}

/** Whether a folder of an archive can hold files of a bundle. */
export function checkFolder(path: string): Problem | undefined {
  const first = path.split('/')[0] ?? '';
  if (path === '' || FOLDERS.has(first)) return undefined;
  const near = nearestFolder(first);
  return {
    file: path,
    message: `the bundle may not hold the folder \`${path}\``,
    hint: near === undefined ? LAYOUT : `did you mean \`${near}\`?`,
  };
}

function suggestion(
  path: string,
  first: string,
  folder: { readonly extension: string } | undefined,
): string | undefined {
  if (folder !== undefined) {
    return `files in \`${first}/\` end with \`${folder.extension}\``;
  }
  const rest = path.slice(first.length);
  if (rest !== '') {
    if (TOP_FILES.has(baseName(path))) {
      return `\`${baseName(path)}\` belongs at the top: pack the folder that holds it, not the one above`;
    }
    const near = nearestFolder(first);
    return near === undefined ? undefined : `did you mean \`${near}${rest}\`?`;
  }
  const near = nearest(path, TOP_FILES.keys());
  if (near !== undefined) return `did you mean \`${near}\`?`;
  if (path.endsWith('.cedar')) return `did you mean \`policies/${path}\`?`;
  return undefined;
}

/** The folder that was meant; `policy` is further from `policies` than spelling alone would bridge. */
function nearestFolder(name: string): string | undefined {
  const near = nearest(name, [...FOLDERS.keys(), 'policy']);
  return near === 'policy' ? 'policies' : near;
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
