/** The store that several servers share for their limits: the settings `limits.*`. */
import { z } from 'zod';
import { settingNotes } from './setting-notes.ts';

/** Most seed nodes of a cluster: one that answers is enough. */
const MAX_NODES = 16;

/** Where one Redis node is. */
export interface RedisAddress {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
}

const DEFAULT_PORT = 6379;

/** `redis://host:port` or, with TLS, `rediss://host:port`; undefined when it is none. Holds no credentials. */
export function parseRedisUrl(text: string): RedisAddress | undefined {
  if (!URL.canParse(text)) return undefined;
  const { protocol, hostname, port, username, password, pathname, search, hash } = new URL(text);
  if (protocol !== 'redis:' && protocol !== 'rediss:') return undefined;
  const plain = username + password + search + hash === '' && (pathname === '' || pathname === '/');
  if (!plain || hostname === '') return undefined;
  return {
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: port === '' ? DEFAULT_PORT : Number(port),
    tls: protocol === 'rediss:',
  };
}

const path = z.string().min(1).max(4096);

const redisSettings = z.strictObject({
  nodes: z
    .array(
      z
        .string()
        .refine(
          text => parseRedisUrl(text) !== undefined,
          'must be `redis://host:port` or, with TLS, `rediss://host:port`, without credentials, path or query',
        ),
    )
    .max(MAX_NODES)
    .refine(
      nodes => new Set(nodes.map(node => parseRedisUrl(node)?.tls)).size <= 1,
      'must use TLS for all nodes or for none',
    )
    .default([])
    .register(settingNotes, {
      description:
        'The Redis (7.0 or later) or Valkey in which all servers count limits together. Without any each server counts alone. One address, or the seeds of a cluster. Comma-separated in the environment.',
      unit: 'addresses',
    }),
  topology: z.enum(['single', 'cluster']).default('single').register(settingNotes, {
    description:
      '`single`: one address, which always leads to the primary. `cluster`: Redis Cluster; all limits are in one slot, since a decision checks them in one step.',
  }),
  username: z.string().min(1).max(256).optional().register(settingNotes, {
    description: 'User of the ACL. docs/limits.md lists the commands and keys that it needs.',
  }),
  password: z.string().min(1).max(1024).optional().register(settingNotes, {
    description: 'Password of that user, or of the server.',
    secret: true,
  }),
  authority: path.optional().register(settingNotes, {
    description:
      'Certificates of the authorities that sign the certificate of Redis, PEM. Without it those of Node.',
    unit: 'path',
  }),
  certificate: path.optional().register(settingNotes, {
    description: 'Certificate that the service shows to Redis, PEM, with the chain behind it.',
    unit: 'path',
  }),
  key: path.optional().register(settingNotes, {
    description: 'Private key of that certificate, PEM, without a passphrase.',
    unit: 'path',
  }),
  prefix: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'must be 1 to 32 small letters, digits and hyphens')
    .default('duramen')
    .register(settingNotes, {
      description:
        'First part of every key: `{duramen}:…`. Servers that count together have the same; different installations on one Redis different ones.',
    }),
  timeoutMs: z.int().min(5).max(5000).default(50).register(settingNotes, {
    description:
      'How long a decision waits for Redis. Then `onStoreFailure` of each limit decides, and after a few such failures nobody waits until Redis answers again.',
    unit: 'milliseconds',
  }),
  servers: z.int().min(1).max(1000).default(1).register(settingNotes, {
    description:
      'How many servers share the Redis. While it does not answer, a limit with `onStoreFailure: local` admits this fraction of its number on each, and at least 1.',
    unit: 'servers',
  }),
});

export const limitSettings = z.strictObject({
  holdSeconds: z.int().min(1).max(3600).default(300).register(settingNotes, {
    description:
      'How long what an allow reserved waits for the outcome of its call. Longer calls are extended by the gateway; leases have a time of their own.',
    unit: 'seconds',
  }),
  redis: redisSettings
    .refine(({ topology, nodes }) => topology === 'cluster' || nodes.length <= 1, {
      path: ['nodes'],
      message: 'must be one address, or `limits.redis.topology` be `cluster`',
    })
    .refine(({ certificate, key }) => (certificate === undefined) === (key === undefined), {
      path: ['key'],
      message: 'must be set together with `limits.redis.certificate`',
    })
    .refine(({ username, password }) => username === undefined || password !== undefined, {
      path: ['password'],
      message: 'must be set together with `limits.redis.username`',
    })
    .prefault({}),
});

export type RedisSettings = z.infer<typeof redisSettings>;
