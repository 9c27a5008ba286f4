/**
 * Something that is read from files and read again when they change. Invariant: what is current was valid as a whole;
 * files that cannot be read or used change nothing, and are told about until they are right.
 */
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';

/** Largest file that is read, in bytes. */
const MAX_FILE_BYTES = 24 * 1024 * 1024;

export class ReloadedPart<T> {
  /** `tls certificate` */
  readonly name: string;
  readonly files: readonly string[];
  readonly #parse: (contents: readonly Buffer[]) => T;
  #current: T;
  #digest: string;
  #problem: string | undefined;
  /** The file that the problem was about, for the log alone. */
  #problemFile: string | undefined;

  /**
   * Reads the files.
   * @param parse makes the value of the contents, in the order of the files; throws when they cannot be used.
   * @throws Error with one line that names the file where one is at fault.
   */
  constructor(name: string, files: readonly string[], parse: (contents: readonly Buffer[]) => T) {
    this.name = name;
    this.files = files;
    this.#parse = parse;
    const contents = files.map(readFile);
    this.#digest = digestOf(contents);
    this.#current = parse(contents);
  }

  get current(): T {
    return this.#current;
  }

  /** Why the newest files are not used; undefined: they are. Holds no path. */
  get problem(): string | undefined {
    return this.#problem;
  }

  get problemFile(): string | undefined {
    return this.#problemFile;
  }

  /** Looks again. @returns what came of it. */
  reload(): 'unchanged' | 'changed' | 'refused' {
    let contents: readonly Buffer[];
    try {
      contents = this.files.map(readFile);
    } catch (error) {
      return this.#refuse(error);
    }
    const digest = digestOf(contents);
    if (digest === this.#digest) {
      this.#problem = undefined;
      return 'unchanged';
    }
    try {
      this.#current = this.#parse(contents);
    } catch (error) {
      return this.#refuse(error);
    }
    this.#digest = digest;
    this.#problem = undefined;
    return 'changed';
  }

  #refuse(error: unknown): 'refused' {
    this.#problemFile = error instanceof FileError ? error.file : undefined;
    this.#problem = error instanceof Error ? error.message : 'unknown';
    return 'refused';
  }
}

/** A file that cannot be read or used. The message holds no path, which probes could read. */
export class FileError extends Error {
  readonly file: string;
  constructor(file: string, message: string) {
    super(message);
    this.name = 'FileError';
    this.file = file;
  }
}

function readFile(path: string): Buffer {
  try {
    const { size } = statSync(path);
    if (size > MAX_FILE_BYTES) throw new FileError(path, 'a file is too large');
    return readFileSync(path);
  } catch (error) {
    if (error instanceof FileError) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw new FileError(path, `a file cannot be read (${code})`);
  }
}

function digestOf(contents: readonly Buffer[]): string {
  const hash = createHash('sha256');
  for (const content of contents) hash.update(`${content.length}:`).update(content);
  return hash.digest('hex');
}
