/** TLS of the listeners: the settings `tls.*`, `admin.*` and `grpc.tls.*`. */
import { z } from 'zod';
import { parseListenAddress } from './listen-address.ts';
import { settingNotes } from './setting-notes.ts';

const path = z.string().min(1).max(4096);

/** @param what these settings are for, in descriptions. */
export function tlsOf(what: string) {
  return z.strictObject({
    certificate: path.optional().register(settingNotes, {
      description: `Certificate of ${what}, PEM, with the chain behind it. Without it there is no TLS. Read again when the file changes and at SIGHUP.`,
      unit: 'path',
    }),
    key: path.optional().register(settingNotes, {
      description: `Private key of ${what}, PEM, without a passphrase.`,
      unit: 'path',
    }),
    minVersion: z
      .enum(['TLSv1.3', 'TLSv1.2'])
      .default('TLSv1.3')
      .register(settingNotes, {
        description: `Oldest version of TLS that ${what} speaks.`,
      }),
    clientCertificates: z
      .enum(['none', 'optional', 'required'])
      .default('none')
      .register(settingNotes, {
        description: `Whether ${what} asks clients for a certificate of \`identity.authorities\`. \`required\`: there is no connection without a valid one.`,
      }),
    clientAuthorities: z
      .array(z.string().min(1).max(63))
      .max(64)
      .default([])
      .register(settingNotes, {
        description: `Names of the authorities whose certificates ${what} takes. Without any: all. Comma-separated in the environment.`,
        unit: 'names',
      }),
  });
}

export const tlsSettings = tlsOf('the HTTP listener');

export const adminSettings = z.strictObject({
  listen: z
    .string()
    .refine(
      text => text === '' || parseListenAddress(text) !== undefined,
      'must be `host:port`, with IPv6 hosts in brackets, or empty',
    )
    .default('')
    .register(settingNotes, {
      description:
        'Address of a listener for management alone. When it is set, decisions are answered at `http.listen` alone and management here alone. Port 0 takes any free port.',
      unit: 'host:port',
    }),
  tls: tlsOf('the management listener').prefault({}),
});

export type TlsSettings = z.infer<typeof tlsSettings>;
