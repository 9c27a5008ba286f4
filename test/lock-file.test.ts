/**
 * The lock file names every package that a dependency may bring along on any platform. Invariant: `npm ci`
 * refuses an incomplete lock, and a registry that lacks a platform's package writes one.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';

const entrySchema = z.object({
  optionalDependencies: z.record(z.string(), z.string()).default({}),
  optional: z.boolean().default(false),
  integrity: z.string().optional(),
  resolved: z.string().optional(),
});
const lock: unknown = JSON.parse(readFileSync(join(import.meta.dirname, '../package-lock.json'), 'utf8'));
const { packages } = z.object({ packages: z.record(z.string(), entrySchema) }).parse(lock);

test('the lock file has an entry for every optional package', () => {
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies }]) =>
    Object.keys(optionalDependencies).filter(
      name =>
        packages[`node_modules/${name}`] === undefined &&
        packages[`${path}/node_modules/${name}`] === undefined,
    ),
  );
  expect(missing).toEqual([]);
});

test('what every host installs is pinned by its hash, and no address is', () => {
  const everywhere = Object.entries(packages).filter(([path, entry]) => path !== '' && !entry.optional);
  expect(everywhere.length).toBeGreaterThan(50);
  expect(everywhere.filter(([, { integrity }]) => integrity === undefined).map(([path]) => path)).toEqual([]);
  expect(Object.keys(packages).filter(path => packages[path]?.resolved !== undefined)).toEqual([]);
});
