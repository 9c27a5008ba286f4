/**
 * The layer table of docs/architecture.md as data: what each folder of `src` may import. Changing the
 * architecture means changing this table, the page and, where a contract moved, an ADR.
 */

/** What one layer may import beside itself. */
export interface Layer {
  /** A folder below `src`, together with the file of its name (`config` and `config.ts`). */
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
  { name: 'control', layers: ['domain', 'cedar'], packages: [], node: [] },
  { name: 'directory', layers: ['domain'], packages: [], node: [CRYPTO] },
  { name: 'limits', layers: ['domain'], packages: [], node: [CRYPTO] },
  { name: 'decision-log', layers: ['domain'], packages: [], node: [CRYPTO] },
  {
    name: 'identity',
    layers: ['domain'],
    packages: ['jose'],
    // asks issuers for their keys (jwt/remote-documents.ts), and checks where those may be
    node: [CRYPTO, 'node:dns', 'node:http', 'node:https', 'node:net'],
  },
  {
    name: 'bundles',
    layers: ['domain', 'cedar', 'limits'],
    packages: ['tar-stream', 'zod'],
    node: [CRYPTO, 'node:worker_threads', 'node:zlib'],
  },
  {
    name: 'pdp',
    layers: ['domain', 'cedar', 'directory'],
    types: ['limits', 'decision-log'],
    // reads requests back out of log entries (replay.ts)
    packages: ['zod'],
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
    name: 'store/redis',
    layers: ['domain', 'limits'],
    packages: ['ioredis'],
    // reads its scripts, which are files beside it
    node: ['node:fs'],
  },
  {
    name: 'store/anchors',
    layers: ['domain', 'decision-log'],
    packages: [],
    node: ['node:fs/promises', 'node:path'],
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
    packages: [
      'hono',
      '@hono/node-server',
      'zod',
      'canonicalize',
      '@grpc/grpc-js',
      '@grpc/proto-loader',
      '@grpc/reflection',
      'grpc-health-check',
    ],
    node: [
      'node:buffer',
      'node:http',
      'node:https',
      'node:tls',
      'node:stream',
      'node:stream/web',
      'node:zlib',
      'node:net',
      // compares answers with what was decoded again (grpc/check-codec.ts)
      'node:util',
      CRYPTO,
    ],
  },
  { name: 'config', layers: ['domain'], packages: ['zod', 'yaml'], node: ['node:net'] },
  { name: 'demo', layers: ['domain', 'directory', 'bundles', 'identity'], packages: [], node: [] },
];

/** Wiring: these know every adapter. */
export const TOP_LEVEL = [
  /^src\/main\.ts$/,
  /^src\/cli\.ts$/,
  /^src\/cli\//,
  /^src\/wiring\//,
  /^src\/[a-z-]+-worker\.ts$/,
];

/** The only files that may use `node:crypto`, with what for. */
export const CRYPTO_FILES: Readonly<Record<string, string>> = {
  'src/bundles/digest.ts': 'content digest of a bundle',
  'src/cedar/recorded-answers.ts': 'digests that recorded texts are named by',
  'src/cedar/schema-parse.ts': 'digest of the schema text',
  'src/decision-log/commitment.ts': 'digests of disclosures',
  'src/decision-log/input-digest.ts': 'keyed digests of inputs and of unregistered names',
  'src/decision-log/opening.ts': 'constant-time comparison of the tag of sealed values',
  'src/decision-log/hmac.ts': 'keyed digests of names, inputs and keystreams',
  'src/decision-log/leaf-hash.ts': 'RFC 6962 leaf hash',
  'src/decision-log/signed-note.ts': 'Ed25519 signatures of notes, and the ids of their keys',
  'src/decision-log/tree-hash.ts': 'RFC 6962 inner nodes',
  'src/edge/admin/input-hash.ts': 'hash of an input that an auditor gives',
  'src/edge/ext-authz/input-hash.ts': 'digest of an input for the log',
  'src/edge/grpc/peer-certificate.ts': 'thumbprint of the certificate of a client',
  'src/edge/http/idempotent-requests.ts': 'fingerprint of a repeated request',
  'src/edge/http/tls-listener.ts': 'names of OpenSSL options',
  'src/identity/certificates/certificate.ts': 'thumbprints, and the reading of OpenSSL beside our own',
  'src/identity/certificates/signature.ts': 'signatures of certificates and revocation lists',
  'src/identity/caller-keys/pepper-hash.ts': 'keyed hash of the keys of callers',
  'src/identity/jwt/digest.ts': 'digest of tokens, which are remembered by nothing else',
  'src/store/sqlite/limit-snapshot-file.ts': 'checksums of a snapshot of limits',
  'src/store/sqlite/log-worker.ts': 'salts of commitments',
  'src/identity/key-hash.ts': 'keyed hash and constant-time comparison of API keys',
};
