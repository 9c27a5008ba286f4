/** The listener for gateways that ask over gRPC: the settings `grpc.*`. */
import { z } from 'zod';
import { parseListenAddress } from './listen-address.ts';
import { settingNotes } from './setting-notes.ts';
import { tlsOf } from './tls-settings.ts';

const MIB = 1024 * 1024;

export const grpcSettings = z.strictObject({
  listen: z
    .string()
    .refine(
      text => text === '' || parseListenAddress(text) !== undefined,
      'must be `host:port`, with IPv6 hosts in brackets, or empty',
    )
    .default('127.0.0.1:8182')
    .register(settingNotes, {
      description:
        'Address of the gRPC listener (ext_authz, health, reflection). Port 0 takes any free port; an empty text turns it off.',
      unit: 'host:port',
    }),
  maxMessageBytes: z
    .int()
    .min(MIB)
    .max(64 * MIB)
    .default(17 * MIB)
    .register(settingNotes, {
      description:
        'Largest message. A larger one is an error, which a gateway that fails open takes for an allow: keep it above the largest body that gateways send, and 1 MiB more.',
      unit: 'bytes',
    }),
  maxConnections: z.int().min(1).max(1_000_000).default(10_000).register(settingNotes, {
    description: 'Most open connections. A further one is closed at once.',
    unit: 'connections',
  }),
  tls: tlsOf('the gRPC listener').prefault({}),
  maxConcurrentStreams: z.int().min(1).max(10_000).default(256).register(settingNotes, {
    description: 'Most open calls of one connection. Gateways queue further ones.',
    unit: 'calls',
  }),
  timeoutMs: z.int().min(10).max(60_000).default(5000).register(settingNotes, {
    description:
      'Longest time of one check, from its first byte to the answer. Later it is an error (DEADLINE_EXCEEDED). Gateways have a timeout of their own, which is to be shorter.',
    unit: 'milliseconds',
  }),
});
