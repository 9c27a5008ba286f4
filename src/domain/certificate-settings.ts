/**
 * What an operator says about client certificates: who issues them, and whom they stand for. Invariant: names are
 * exact; there is no pattern and no wildcard, and a trust domain has CAs of its own.
 */
import { z } from 'zod';
import { callerRulesSchema } from './caller-rules.ts';
import { ROLES, roleSchema } from './credential.ts';
import { MAX_ASSURANCE } from './decision-request.ts';
import { entityTypeSchema, idSchema } from './ids.ts';

/** Proxies whose headers are understood. */
export const FORWARDING_FORMATS = ['xfcc', 'nginx', 'traefik', 'haproxy'] as const;
export type ForwardingFormat = (typeof FORWARDING_FORMATS)[number];

const MAX_AUTHORITIES = 64;
const MAX_RULES = 4096;

const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be lower-case letters, digits and dashes');
const path = z.string().min(1).max(4096);
const names = z.array(name).min(1).max(MAX_AUTHORITIES);
const assurance = z.int().min(0).max(MAX_ASSURANCE).default(2);
const scopes = z.array(z.string().min(1).max(256)).max(64).default([]);

const authoritySchema = z.strictObject({
  name,
  ca: z
    .array(path)
    .min(1)
    .max(16)
    .meta({ description: 'PEM files; self-signed certificates are trusted, others help' }),
  trustDomain: z
    .string()
    .regex(/^[a-z0-9._-]{1,255}$/, 'must be a SPIFFE trust domain')
    .optional()
    .meta({
      description:
        'certificates of this SPIFFE trust domain and no others; absent: certificates without SPIFFE ids',
    }),
  principals: z
    .strictObject({ type: entityTypeSchema.default('Service'), tenant: idSchema, assurance, scopes })
    .optional()
    .meta({ description: 'makes every id of the trust domain the caller `<tenant>/<trust domain><path>`' }),
});

const matchSchema = z.union([
  z.strictObject({ spiffe: z.string().max(2048) }),
  z.strictObject({ uri: z.string().min(1).max(2048) }),
  z.strictObject({
    dns: z
      .string()
      .max(253)
      .regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/, 'must be a host in lower case, without wildcards'),
  }),
  z.strictObject({
    subject: z.string().min(1).max(1024).meta({ description: 'RFC 4514: `CN=gateway,O=Acme`' }),
  }),
]);

const ruleSchema = z
  .strictObject({
    name,
    authority: name,
    match: matchSchema,
    credential: z
      .strictObject({
        roles: z.array(roleSchema).min(1).max(ROLES.length),
        tenants: z.array(idSchema).min(1).max(256).optional().meta({ description: 'absent: every tenant' }),
        mayAssert: z.boolean().default(false),
        callers: callerRulesSchema.optional(),
        mayForward: names
          .optional()
          .meta({ description: 'authorities of callers whose certificates it may forward' }),
      })
      .optional(),
    principal: z
      .strictObject({ type: entityTypeSchema, id: idSchema, tenant: idSchema, assurance, scopes })
      .optional(),
    proxy: z
      .strictObject({
        format: z.enum(FORWARDING_FORMATS),
        hops: z
          .int()
          .min(1)
          .max(8)
          .default(1)
          .meta({ description: 'trusted proxies that add to `X-Forwarded-Client-Cert`' }),
        authorities: names.meta({ description: 'whose certificates it may forward' }),
      })
      .optional(),
  })
  .refine(
    rule => (rule.proxy === undefined) !== (rule.credential === undefined && rule.principal === undefined),
    'must have `credential`, `principal` or both, or else `proxy`',
  );

export const authoritiesSchema = z
  .array(authoritySchema)
  .max(MAX_AUTHORITIES)
  .refine(all => isDistinct(all.map(one => one.name)), 'two have one name')
  .refine(
    all => isDistinct(all.flatMap(({ trustDomain }) => trustDomain ?? [])),
    'two have one trust domain: put their CAs into one',
  )
  .refine(
    all => all.every(({ principals, trustDomain }) => principals === undefined || trustDomain !== undefined),
    'only an authority with a trust domain makes principals of all its ids',
  );
export const certificateRulesSchema = z
  .array(ruleSchema)
  .max(MAX_RULES)
  .refine(all => isDistinct(all.map(one => one.name)), 'two have one name')
  .refine(
    all => isDistinct(all.map(({ authority, match }) => JSON.stringify([authority, match]))),
    'two match the same certificates',
  );

export type AuthoritySettings = Readonly<z.infer<typeof authoritySchema>>;
export type CertificateRule = Readonly<z.infer<typeof ruleSchema>>;

function isDistinct(values: readonly string[]): boolean {
  return new Set(values).size === values.length;
}
