/** Versions of this build and of cedar-wasm, from their package.json. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';

export function readVersion(): string {
  return versionIn(new URL('../../package.json', import.meta.url));
}

/** Version of the cedar-wasm that is installed. */
export function readCedarVersion(): string {
  const script = createRequire(import.meta.url).resolve('@cedar-policy/cedar-wasm/nodejs');
  return versionIn(new URL('../package.json', pathToFileURL(script)));
}

function versionIn(file: URL): string {
  const content: unknown = JSON.parse(readFileSync(file, 'utf8'));
  return z.object({ version: z.string() }).parse(content).version;
}
