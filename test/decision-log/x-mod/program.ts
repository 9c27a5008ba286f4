/**
 * Builds and runs verify.go, which verifies a folder of c2sp.org/tlog-tiles with the Go team's golang.org/x/mod.
 * Needs `go` and the package as Debian has them (golang-go, golang-golang-x-mod-dev).
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** Where Debian puts the sources of Go packages. */
const DEBIAN_GOPATH = '/usr/share/gocode';

/** Milliseconds that a build may take: without a cache it compiles the standard library too. */
export const BUILD_MS = 120_000;

export interface Outcome {
  readonly code: number;
  readonly output: string;
}

/**
 * Whether tests with the program have to be skipped. In continuous integration they never are: what is missing
 * fails them.
 * @param what is not tested then
 */
export function withoutXMod(what: string): boolean {
  const path = (process.env['PATH'] ?? '').split(delimiter);
  const missing = [
    ...(path.some(folder => existsSync(join(folder, 'go'))) ? [] : ['golang-go']),
    ...(existsSync(join(DEBIAN_GOPATH, 'src/golang.org/x/mod/sumdb/tlog'))
      ? []
      : ['golang-golang-x-mod-dev']),
  ];
  if (missing.length === 0 || process.env['CI'] === 'true') return false;
  process.stderr.write(
    `skipped: ${what} is not verified by golang.org/x/mod, for want of ${missing.join(', ')}\n`,
  );
  return true;
}

/** Builds the program into a folder. @returns its path */
export async function buildXMod(folder: string): Promise<string> {
  const program = join(folder, 'x-mod-verify');
  const env = {
    ...process.env,
    GO111MODULE: 'off',
    GOPATH: DEBIAN_GOPATH,
    GOCACHE: join(folder, 'go-cache'),
    GOFLAGS: '',
  };
  await run('go', ['build', '-o', program, join(import.meta.dirname, 'verify.go')], { env });
  return program;
}

/** Verifies a folder with `checkpoint`, `log.vkey`, `tile/…` and, where there are any, `proofs.json`. */
export function runXMod(program: string, folder: string): Promise<Outcome> {
  return new Promise(resolve => {
    execFile(program, [folder], (error, stdout) => {
      resolve({ code: error === null ? 0 : Number(error.code), output: stdout });
    });
  });
}
