/**
 * The layer table of docs/architecture.md as data: what each folder of `src` may import. Changing the
 * architecture means changing this table, the page and, where a contract moved, an ADR.
 */

/** What one layer may import beside itself. */
export interface Layer {
  /** Folder or file below `src`. */
  readonly name: string;
  /** Layers whose values and types it may use. */
  readonly layers: readonly string[] | 'all' | 'all but store';
  /** Layers of which it may use types alone. */
  readonly types?: readonly string[];
  readonly packages: readonly string[];
  readonly node: readonly string[];
}

const CRYPTO = 'node:crypto';

export const LAYERS: readonly Layer[] = [
  { name: 'domain', layers: [], packages: ['zod'], node: [] },
  {
    name: 'cedar',
    layers: ['domain'],
    packages: ['@cedar-policy/cedar-wasm'],
    node: ['node:module', CRYPTO],
  },
  { name: 'directory', layers: ['domain'], packages: [], node: [CRYPTO] },
  { name: 'limits', layers: ['domain'], packages: [], node: [CRYPTO] },
  { name: 'decision-log', layers: ['domain'], packages: [], node: [CRYPTO] },
  { name: 'identity', layers: ['domain'], packages: [], node: [CRYPTO] },
  {
    name: 'bundles',
    layers: ['domain', 'cedar'],
    packages: ['tar-stream'],
    node: [CRYPTO, 'node:stream', 'node:stream/promises', 'node:zlib'],
  },
  {
    name: 'pdp',
    layers: ['domain', 'cedar', 'directory'],
    types: ['limits', 'decision-log'],
    packages: [],
    node: [],
  },
  {
    name: 'store/memory',
    layers: ['domain', 'directory', 'bundles', 'identity', 'limits', 'decision-log'],
    packages: [],
    node: [],
  },
  {
    name: 'store/sqlite',
    layers: ['domain', 'directory', 'bundles', 'identity', 'limits', 'decision-log'],
    packages: ['better-sqlite3'],
    node: ['node:fs', 'node:fs/promises', 'node:os', 'node:path', 'node:url', 'node:worker_threads', CRYPTO],
  },
  {
    name: 'telemetry',
    layers: ['domain'],
    packages: ['pino', 'prom-client'],
    node: ['node:perf_hooks', 'node:stream'],
  },
  {
    name: 'edge',
    layers: 'all but store',
    packages: ['hono', '@hono/node-server', 'zod'],
    node: ['node:http', 'node:stream', 'node:stream/web', 'node:zlib', 'node:net', CRYPTO],
  },
  { name: 'config.ts', layers: ['domain'], packages: ['zod', 'yaml'], node: ['node:fs', 'node:path'] },
  { name: 'demo', layers: ['domain', 'directory', 'bundles', 'identity'], packages: [], node: [] },
];

/** Wiring: these know every adapter. */
export const TOP_LEVEL = [/^src\/main\.ts$/, /^src\/cli\.ts$/, /^src\/cli\//, /^src\/[a-z-]+-worker\.ts$/];

/** The only files that may use `node:crypto`, with what for. */
export const CRYPTO_FILES: Readonly<Record<string, string>> = {
  'src/cedar/schema-parse.ts': 'digest of the schema text',
  'src/decision-log/leaf-hash.ts': 'RFC 6962 leaf hash',
};
