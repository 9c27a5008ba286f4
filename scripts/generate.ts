/**
 * Writes the files that are made from the source: the OpenAPI document and the configuration reference.
 * With `--check` it writes nothing and fails when one of them is stale.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderReference } from '../src/config/reference.ts';
import { makeRoutes, openApiText } from '../src/edge/http/routes.ts';
import { readVersion } from '../src/wiring/version.ts';

const ROOT = join(import.meta.dirname, '..');
const version = readVersion();
const files: readonly (readonly [path: string, content: string])[] = [
  ['schema/openapi.json', openApiText(makeRoutes(version), version)],
  ['docs/configuration.md', renderReference()],
];

const stale = files.filter(([path, content]) => current(path) !== content);
if (process.argv.includes('--check')) {
  for (const [path] of stale) process.stderr.write(`${path} is stale: run \`npm run generate\`\n`);
  process.exitCode = stale.length === 0 ? 0 : 1;
} else {
  for (const [path, content] of stale) {
    writeFileSync(join(ROOT, path), content);
    process.stderr.write(`wrote ${path}\n`);
  }
}

function current(path: string): string | undefined {
  try {
    return readFileSync(join(ROOT, path), 'utf8');
  } catch {
    return undefined;
  }
}
