/** The version of this build, from package.json. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';

export function readVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const content: unknown = JSON.parse(text);
  return z.object({ version: z.string() }).parse(content).version;
}
