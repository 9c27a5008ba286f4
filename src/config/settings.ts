/**
 * Every setting of the service: one zod schema with default, range, unit and description. Invariant: nothing
 * else in the code base holds a default of a setting; docs/configuration.md is generated from here.
 */
import { isIP } from 'node:net';
import { z } from 'zod';
import { pepProfilesSchema } from '../domain/pep-profile.ts';
import { anchorSettings } from './anchor-settings.ts';
import { controlSettings } from './control-settings.ts';
import { grpcSettings } from './grpc-settings.ts';
import { identitySettings } from './identity-settings.ts';
import { limitSettings } from './limit-settings.ts';
import { parseListenAddress } from './listen-address.ts';
import { settingNotes } from './setting-notes.ts';
import { adminSettings, tlsSettings } from './tls-settings.ts';

/** Shortest secret that may be set by hand, in characters. */
const MIN_SECRET_LENGTH = 32;
/** Fewest different characters in such a secret: refuses `aaaa…`, passes any random hex string of 32. */
const MIN_DISTINCT_CHARACTERS = 8;
const MIB = 1024 * 1024;

/** Whether `text` is an address or `address/prefix`. */
export function isNetwork(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/');
  const version = isIP(address);
  if (version === 0 || rest.length > 0) return false;
  if (prefix === undefined) return true;
  return /^\d{1,3}$/.test(prefix) && Number(prefix) <= (version === 4 ? 32 : 128);
}

const secret = z
  .string()
  .min(MIN_SECRET_LENGTH, `must have at least ${MIN_SECRET_LENGTH} characters`)
  .max(512)
  .regex(/^[\x21-\x7e]+$/, 'must be printable ASCII without spaces')
  .refine(
    text => new Set(text).size >= MIN_DISTINCT_CHARACTERS,
    `must have at least ${MIN_DISTINCT_CHARACTERS} different characters`,
  );

const http = z.strictObject({
  listen: z
    .string()
    .refine(
      text => parseListenAddress(text) !== undefined,
      'must be `host:port`, with IPv6 hosts in brackets',
    )
    .default('127.0.0.1:8181')
    .register(settingNotes, {
      description: 'Address of the HTTP listener. Port 0 takes any free port.',
      unit: 'host:port',
    }),
  maxBodyBytes: z
    .int()
    .min(1024)
    .max(16 * MIB)
    .default(MIB)
    .register(settingNotes, {
      description: 'Largest request body, bundles and imports aside. A larger one is answered with 413.',
      unit: 'bytes',
    }),
  maxBundleBytes: z
    .int()
    .min(1024)
    .max(32 * MIB)
    .default(32 * MIB)
    .register(settingNotes, {
      description: 'Largest body of POST /v1/bundles as it is sent (compressed for an archive).',
      unit: 'bytes',
    }),
  maxImportBytes: z
    .int()
    .min(1024)
    .max(256 * MIB)
    .default(256 * MIB)
    .register(settingNotes, {
      description:
        'Largest body of POST /v1/directory/import. Its lines are held in memory until all have arrived.',
      unit: 'bytes',
    }),
  maxConnections: z.int().min(1).max(1_000_000).default(10_000).register(settingNotes, {
    description: 'Most open connections. A further one is closed at once.',
    unit: 'connections',
  }),
  requestTimeoutSeconds: z.int().min(1).max(3600).default(300).register(settingNotes, {
    description:
      'Longest time in which a request, its body included, may arrive. Later it is answered with 408.',
    unit: 'seconds',
  }),
  trustedProxies: z
    .array(z.string().refine(isNetwork, 'must be an IP address or a network such as `10.0.0.0/8`'))
    .max(64)
    .default([])
    .register(settingNotes, {
      description:
        'Peers whose `X-Forwarded-For` is believed when the source of a failed authentication is recorded. Comma-separated in the environment.',
      unit: 'addresses or networks',
    }),
});

const engine = z.strictObject({
  evaluator: z.enum(['compiled', 'wasm']).default('compiled').register(settingNotes, {
    description:
      'What decides: the compiled evaluator, or cedar-wasm alone (the reference, two orders of magnitude slower).',
  }),
  crossCheck: z.enum(['sampled', 'all', 'off']).default('sampled').register(settingNotes, {
    description:
      'Comparison of the compiled evaluator with cedar-wasm at run time: a sample off the request path, every decision before it is answered, or none.',
  }),
  crossCheckSampleRate: z.int().min(1).max(1_000_000).default(1000).register(settingNotes, {
    description:
      'With `engine.crossCheck` = `sampled`: one check in this many is compared, within about a second. A decision over three levels has three checks or more.',
    unit: 'checks',
  }),
});

const decision = z.strictObject({
  defaultEnv: z
    .string()
    .regex(/^[\x21-\x7e]{1,64}$/, 'must be 1 to 64 printable ASCII characters')
    .default('production')
    .register(settingNotes, {
      description: 'Value of `context.env` for requests that name none.',
    }),
});

const auth = z.strictObject({
  maxFailuresPerMinute: z.int().min(1).max(100_000).default(60).register(settingNotes, {
    description:
      'Failed authentications per source and minute that are answered with 401; further ones get 429. Valid keys are never slowed.',
    unit: 'failures',
  }),
});

/** Six months: the least that logs of a high-risk AI system are kept (Regulation (EU) 2024/1689, Article 26(6)). */
const MIN_RETENTION_DAYS = 183;

const log = z.strictObject({
  level: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
    .default('info')
    .register(settingNotes, {
      description: 'Least severe message that is written to stderr.',
    }),
  requestSampleRate: z.int().min(1).max(1_000_000).default(1000).register(settingNotes, {
    description:
      'One successful /decide in this many is written to the request log. Failures and other routes always are.',
    unit: 'requests',
  }),
  heartbeatSeconds: z.int().min(10).max(3600).default(60).register(settingNotes, {
    description:
      'How often the decision log gets an entry that says that the service is running, so that silence in it is visible.',
    unit: 'seconds',
  }),
  signingKey: secret.optional().register(settingNotes, {
    description:
      'Key that signs the checkpoints of the decision log, as `PRIVATE+KEY+<name>+<id>+<key>`; its name is the name of a new log. Without it one is kept in `log-signing-key` in the data folder (mode 0600). A log has one key for its whole life.',
    secret: true,
  }),
  retentionDays: z.int().min(MIN_RETENTION_DAYS).max(3650).default(400).register(settingNotes, {
    description:
      'How long entries of the decision log are kept at least. They go by whole weeks, never before every export has taken them; hashes and checkpoints stay.',
    unit: 'days',
  }),
  shardEntries: z.int().min(4096).max(16_777_216).default(16_777_216).register(settingNotes, {
    description: 'Most entries in one file of the decision log. A new file is begun every week in any case.',
    unit: 'entries',
  }),
});

/** Most context keys that may be declared personal. */
const MAX_PERSONAL_KEYS = 64;

const privacy = z.strictObject({
  personalContextKeys: z
    .array(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/, 'must be a name of an attribute'))
    .max(MAX_PERSONAL_KEYS)
    .default(['ip', 'breakGlass'])
    .register(settingNotes, {
      description:
        'Keys of the context whose values the decision log commits to instead of showing them, beside those that the schema marks with `@personal`: the default serves schemas from before that mark. Their values can be erased. Comma-separated in the environment.',
      unit: 'names',
    }),
});

const shutdown = z.strictObject({
  graceSeconds: z.int().min(0).max(600).default(10).register(settingNotes, {
    description:
      'How long accepted requests may take to finish after SIGTERM before their connections are cut. Five seconds after twice this time the service ends whatever hangs.',
    unit: 'seconds',
  }),
});

export const configSchema = z.strictObject({
  dataDir: z.string().min(1).max(4096).default('./data').register(settingNotes, {
    description:
      'Folder of the stores: directory, bundles, keys, decision log. Made when it is absent, mode 0700.',
    unit: 'path',
  }),
  bootstrapKey: secret.optional().register(settingNotes, {
    description:
      'Admin key that is made when the store has no key. Without it a random one is made and printed once on stderr.',
    secret: true,
  }),
  keyPepper: secret.optional().register(settingNotes, {
    description:
      'Server secret under which API keys are hashed. Without it one is kept in `pepper` in the data folder (mode 0600). Changing it makes every key invalid.',
    secret: true,
  }),
  http: http.prefault({}),
  tls: tlsSettings.prefault({}),
  admin: adminSettings.prefault({}),
  grpc: grpcSettings.prefault({}),
  engine: engine.prefault({}),
  decision: decision.prefault({}),
  auth: auth.prefault({}),
  identity: identitySettings.prefault({}),
  control: controlSettings.prefault({}),
  limits: limitSettings.prefault({}),
  log: log.prefault({}),
  anchor: anchorSettings.prefault({}),
  privacy: privacy.prefault({}),
  pepProfiles: pepProfilesSchema.default([]).register(settingNotes, {
    description:
      'Gateways that ask at `/ext-authz/{name}` and `/hooks/{kind}/{name}`, and what is believed of each; docs/gateways.md has every field. In the environment a JSON array.',
    unit: 'profiles',
  }),
  shutdown: shutdown.prefault({}),
});

/** The configuration of one service, complete and valid. */
export type Config = Readonly<z.infer<typeof configSchema>>;
