/**
 * Writes the files that are made from the source: the OpenAPI document, the schema of limits.json for editors, what
 * cedar-wasm says of the shipped texts, and the configuration reference.
 * With `--check` it writes nothing and fails when one of them is stale.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { renderReference } from '../src/config/reference.ts';
import { limitsFileSchema } from '../src/domain/limit-definition.ts';
import { makeRoutes, openApiText } from '../src/edge/http/routes.ts';
import { readVersion } from '../src/wiring/version.ts';
import { recordAnswers } from './record-answers.ts';

/** As biome.json has it. */
const LINE_WIDTH = 110;
const ROOT = join(import.meta.dirname, '..');
const version = readVersion();
const files: readonly (readonly [path: string, content: string])[] = [
  ['schema/openapi.json', openApiText(makeRoutes(version), version)],
  ['schema/limits.schema.json', limitsSchemaText()],
  ['schema/recorded-answers.json', `${JSON.stringify(recordAnswers(), null, 1)}\n`],
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

function limitsSchemaText(): string {
  return `${printJson(z.toJSONSchema(limitsFileSchema, { io: 'input' }), '', 0)}\n`;
}

/**
 * JSON as the formatter of this repository writes it: a list of plain values on one line where it fits.
 * @param indent of the line on which the value begins @param used characters of it before and after the value
 */
function printJson(value: unknown, indent: string, used: number): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    const line = `[${value.map(item => JSON.stringify(item)).join(', ')}]`;
    const isPlain = value.every(item => typeof item !== 'object' || item === null);
    if (isPlain && used + line.length <= LINE_WIDTH) return line;
    const items = value.map(item => `${inner}${printJson(item, inner, inner.length + 1)}`);
    return `[\n${items.join(',\n')}\n${indent}]`;
  }
  const members = Object.entries(value).map(([name, member]) => {
    const head = `${inner}${JSON.stringify(name)}: `;
    return `${head}${printJson(member, inner, head.length + 1)}`;
  });
  return members.length === 0 ? '{}' : `{\n${members.join(',\n')}\n${indent}}`;
}

function current(path: string): string | undefined {
  try {
    return readFileSync(join(ROOT, path), 'utf8');
  } catch {
    return undefined;
  }
}
