/**
 * The two forms in which a bundle is pushed: tar.gz and JSON. Invariant: both give the same files for the
 * same content, no form can hold a path or a byte sequence that the other could not, and no input costs
 * more memory than the limits below allow.
 */
import { gunzipSync, gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { type BundleManifest, type Digest, pushedManifestSchema } from '../domain/bundle.ts';
import { AppError, messageOf, type Problem } from '../domain/errors.ts';
import { bundleDigest, sortedPaths } from './digest.ts';
import { parseAt } from './json-problems.ts';
import { isSource, type JsonSource, parseJsonSource, pointerStep } from './json-source.ts';
import { checkFolder, normalisePath, printable, roleOf } from './paths.ts';
import { readTar } from './tar.ts';

/** Largest tar.gz in bytes: 4,000 policies with their tests take a few hundred kilobytes. */
export const MAX_ARCHIVE_BYTES = 4 * 1024 * 1024;
/** Largest unpacked tar, and largest JSON form, in bytes. */
export const MAX_UNPACKED_BYTES = 32 * 1024 * 1024;
/** Most files of a bundle: one per policy and test of the largest bundle. */
export const MAX_FILES = 10_000;
/** Most problems in one report; what is beyond is counted. */
export const MAX_PROBLEMS = 1000;

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const MANIFEST = 'manifest.json';
export const SCHEMA_FILE = 'schema.cedarschema';
const MANIFEST_KEYS = ['layer', 'version', 'description'];
const FORM_KEYS = ['manifest', 'files'];

export type BundleForm = 'tar' | 'json';

/** A bundle that could be unpacked; what its files say is not checked yet. */
export interface OpenedBundle {
  readonly digest: Digest;
  readonly manifest: BundleManifest;
  /** By normalised path, without manifest.json. */
  readonly files: Readonly<Record<string, string>>;
  /** The tar.gz as it was pushed; made deterministically for the JSON form. */
  readonly archive: Uint8Array;
}

/** What is wrong with the files that could be read of a bundle that is refused already. */
export type RestCheck = (rest: Pick<OpenedBundle, 'digest' | 'manifest' | 'files'>) => readonly Problem[];

/**
 * Unpacks a pushed bundle.
 * @param defaultSchemaText becomes the schema of a platform bundle that brings none, so that its digest names it
 * @param checkRest asked when some files are refused, so that one report has the problems of the others too
 * @throws AppError PAYLOAD_TOO_LARGE, or BUNDLE_INVALID with every problem of paths, encodings and manifest.
 */
export async function openBundle(
  form: BundleForm,
  body: Uint8Array,
  defaultSchemaText: string,
  checkRest?: RestCheck,
): Promise<OpenedBundle> {
  const problems: Problem[] = [];
  const { manifest, files } = form === 'tar' ? openTar(body, problems) : openJson(body, problems);
  if (manifest === undefined) throw invalidBundle(problems);
  const schema = manifest.layer === 'platform' ? { [SCHEMA_FILE]: defaultSchemaText } : {};
  const content = { ...schema, ...Object.fromEntries(files) };
  if (problems.length > 0) {
    const rest = { digest: bundleDigest(manifest, content), manifest, files: content };
    const more = checkRest === undefined || isSchemaRefused(problems) ? [] : checkRest(rest);
    throw invalidBundle([...problems, ...more]);
  }
  return {
    digest: bundleDigest(manifest, content),
    manifest,
    files: content,
    archive: form === 'tar' ? body : await makeArchive(manifest, content),
  };
}

/** Held against another schema than the meant one, policies would have problems that they do not have. */
function isSchemaRefused(problems: readonly Problem[]): boolean {
  return problems.some(
    ({ file, message }) => file?.endsWith('.cedarschema') ?? message.includes('.cedarschema'),
  );
}

/** The failure that lists what is wrong with a bundle. */
export function invalidBundle(problems: readonly Problem[]): AppError {
  const shown = problems.slice(0, MAX_PROBLEMS);
  if (problems.length > shown.length) {
    shown.push({ message: `and ${problems.length - shown.length} more problems` });
  }
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
  return new AppError('BUNDLE_INVALID', `the bundle has ${count}`, { problems: shown });
}

/** A tar.gz that depends on the content alone: sorted paths, no times, no owners, a fixed gzip header. */
async function makeArchive(
  manifest: BundleManifest,
  files: Readonly<Record<string, string>>,
): Promise<Uint8Array> {
  const tar = pack();
  const chunks: Uint8Array[] = [];
  const mtime = new Date(0);
  tar.entry({ name: MANIFEST, mtime, mode: 0o644 }, `${JSON.stringify(manifest, null, 2)}\n`);
  for (const path of sortedPaths(files)) tar.entry({ name: path, mtime, mode: 0o644 }, files[path] ?? '');
  tar.finalize();
  const stream: AsyncIterable<unknown> = tar;
  for await (const chunk of stream) {
    if (chunk instanceof Uint8Array) chunks.push(chunk);
  }
  const gzip = gzipSync(Buffer.concat(chunks), { level: 9 });
  // Byte 9 names the operating system (RFC 1952 §2.3.1) and differs between builds of zlib: 255 is "unknown".
  gzip[9] = 255;
  return gzip;
}

interface Content {
  readonly manifest: BundleManifest | undefined;
  readonly files: ReadonlyMap<string, string>;
}

function openTar(body: Uint8Array, problems: Problem[]): Content {
  const tar = gunzip(body);
  const contents = new FileCollector(problems);
  // Folders count too, so that empty ones cannot be a bomb.
  for (const entry of readTar(tar, 2 * MAX_FILES)) {
    const path = normalisePath(entry.name, entry.kind);
    if (typeof path !== 'string') problems.push(path);
    else if (entry.kind === 'file') contents.addBytes(path, entry.data);
    else {
      const problem = checkFolder(path);
      if (problem !== undefined) problems.push(problem);
    }
  }
  contents.refuseFilesAsFolders();
  const text = contents.files.get(MANIFEST);
  contents.files.delete(MANIFEST);
  if (text === undefined) {
    if (!contents.has(MANIFEST)) problems.push(noManifest());
    return { manifest: undefined, files: contents.files };
  }
  const source = parseJsonSource(text, MANIFEST);
  if (!isSource(source)) {
    problems.push(source);
    return { manifest: undefined, files: contents.files };
  }
  const place = { file: MANIFEST, source, pointer: '' };
  return {
    manifest: parseAt(pushedManifestSchema, source.value, place, MANIFEST_KEYS, problems),
    files: contents.files,
  };
}

function gunzip(body: Uint8Array): Uint8Array {
  if (body.length > MAX_ARCHIVE_BYTES) {
    throw new AppError('PAYLOAD_TOO_LARGE', `the archive is larger than ${MAX_ARCHIVE_BYTES} bytes`);
  }
  const { tar, consumed } = inflate(body);
  // zlib stops at what is no further gzip member and says nothing; another program may read on.
  if (consumed !== body.length) {
    throw invalidBundle([
      {
        message: `the archive has ${body.length - consumed} bytes behind the gzip data`,
        hint: 'pack it again',
      },
    ]);
  }
  return tar;
}

function inflate(body: Uint8Array): { tar: Uint8Array; consumed: number } {
  try {
    const result: unknown = gunzipSync(body, { maxOutputLength: MAX_UNPACKED_BYTES, info: true });
    if (isInflated(result)) return { tar: result.buffer, consumed: result.engine.bytesWritten };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE') {
      throw new AppError('PAYLOAD_TOO_LARGE', `the archive unpacks to more than ${MAX_UNPACKED_BYTES} bytes`);
    }
    throw invalidBundle([
      {
        message: `the archive is not complete gzip data: ${printable(messageOf(error))}`,
        hint: 'make it with `tar -czf bundle.tar.gz -C DIR .`',
      },
    ]);
  }
  throw new Error('zlib answered without its engine');
}

function isInflated(value: unknown): value is { buffer: Uint8Array; engine: { bytesWritten: number } } {
  return typeof value === 'object' && value !== null && 'engine' in value && 'buffer' in value;
}

function openJson(body: Uint8Array, problems: Problem[]): Content {
  const source = readJsonBody(body);
  const root = objectAt(source.value);
  const contents = new FileCollector(problems);
  if (root === undefined) throw invalidBundle([{ pointer: '', message: 'the body must be a JSON object' }]);
  for (const key of Object.keys(root)) {
    if (FORM_KEYS.includes(key)) continue;
    problems.push({
      pointer: pointerStep(key),
      message: `unknown key \`${printable(key)}\``,
      hint: 'the body has the keys `manifest` and `files`',
    });
  }
  const files = objectAt(root.files);
  if (files === undefined) {
    problems.push({ pointer: '/files', message: '`files` must be an object of path and text' });
  }
  for (const [raw, text] of Object.entries(files ?? {})) {
    const path = normalisePath(raw, 'file');
    const pointer = `/files${pointerStep(raw)}`;
    if (typeof path !== 'string') problems.push({ pointer, ...path });
    else if (typeof text !== 'string') {
      problems.push({ pointer, file: path, message: `the text of \`${path}\` must be a string` });
    } else if (path === MANIFEST) {
      problems.push({ pointer, file: path, message: 'the manifest stands under `manifest`, not in `files`' });
    } else contents.addText(path, text);
  }
  contents.refuseFilesAsFolders();
  if (root.manifest === undefined) {
    problems.push({ ...noManifest(), pointer: '/manifest' });
    return { manifest: undefined, files: contents.files };
  }
  const place = { file: undefined, source, pointer: '/manifest' };
  const manifest = parseAt(pushedManifestSchema, root.manifest, place, MANIFEST_KEYS, problems);
  return { manifest, files: contents.files };
}

function readJsonBody(body: Uint8Array): JsonSource {
  if (body.length > MAX_UNPACKED_BYTES) {
    throw new AppError('PAYLOAD_TOO_LARGE', `the body is larger than ${MAX_UNPACKED_BYTES} bytes`);
  }
  let text: string;
  try {
    text = UTF8.decode(body);
  } catch {
    throw invalidBundle([{ message: 'the body is not UTF-8' }]);
  }
  const source = parseJsonSource(text, 'body');
  if (!isSource(source)) throw invalidBundle([source]);
  return source;
}

function objectAt(value: unknown): Readonly<Record<string, unknown>> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return Object.fromEntries(Object.entries(value));
}

function noManifest(): Problem {
  return {
    file: MANIFEST,
    message: 'the bundle has no manifest',
    hint: 'add manifest.json: {"layer": "tenant:<id>", "version": "1"}',
  };
}

/** Gathers files, refusing what has no role, what is no plain text, and a second file of one path. */
class FileCollector {
  readonly files = new Map<string, string>();
  readonly #seen = new Set<string>();
  readonly #problems: Problem[];

  constructor(problems: Problem[]) {
    this.#problems = problems;
  }

  has(path: string): boolean {
    return this.#seen.has(path);
  }

  /** Programs that unpack the archive would lose the one or the other. */
  refuseFilesAsFolders(): void {
    for (const path of this.#seen) {
      for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) {
        const folder = path.slice(0, slash);
        if (!this.#seen.has(folder)) continue;
        this.#problems.push({
          file: path,
          message: `\`${folder}\` is a file of the bundle, and the folder of \`${path}\``,
          hint: 'rename the folder or the file',
        });
      }
    }
  }

  addBytes(path: string, bytes: Uint8Array): void {
    let text: string;
    try {
      text = UTF8.decode(bytes);
    } catch {
      this.#seen.add(path);
      this.#problems.push({
        file: path,
        message: `\`${path}\` is not UTF-8 text`,
        hint: 'save the file as UTF-8',
      });
      return;
    }
    this.addText(path, text);
  }

  addText(path: string, text: string): void {
    if (this.#seen.has(path)) {
      this.#problems.push({
        file: path,
        message: `the bundle holds \`${path}\` twice`,
        hint: 'keep one of the two',
      });
      return;
    }
    this.#seen.add(path);
    const role = roleOf(path);
    if (typeof role !== 'string') this.#problems.push(role);
    else if (this.files.size === MAX_FILES) {
      throw new AppError('PAYLOAD_TOO_LARGE', `the bundle has more than ${MAX_FILES} files`);
    } else if (text.startsWith('\uFEFF')) {
      this.#problems.push({
        file: path,
        line: 1,
        column: 1,
        message: 'the file starts with a byte order mark',
        hint: 'save the file without it',
      });
    } else this.files.set(path, text);
  }
}
