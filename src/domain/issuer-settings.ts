/**
 * What an operator says about a token issuer: whom it may speak for, which tokens it makes, and how its claims
 * become a principal. Invariant: a closed language; it holds no code and no pattern, only names and tables.
 */
import { z } from 'zod';
import { entityTypeSchema, idSchema } from './ids.ts';

/** Signature algorithms that a token may carry: asymmetric ones alone, so that no verifier can mint a token. */
export const SIGNATURE_ALGORITHMS = [
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
] as const;
export type SignatureAlgorithm = (typeof SIGNATURE_ALGORITHMS)[number];

/** Issuers whose usual tokens are known; a preset fills in what the operator leaves out. */
export const ISSUER_PRESETS = ['kubernetes', 'aws', 'google', 'azure', 'auth0', 'keycloak', 'okta'] as const;
export type IssuerPreset = (typeof ISSUER_PRESETS)[number];

/** Longest lifetime of a token that can be configured, in seconds: a day. */
export const MAX_TOKEN_LIFETIME_SECONDS = 86_400;
/** Most issuers of one service. */
export const MAX_ISSUERS = 64;
/** Deepest chain of actors that can be configured. */
export const MAX_ACTORS = 5;

const text = z.string().min(1).max(256);
const url = z.string().min(1).max(2048);

/** One claim by its exact name, or a path of exact names into nested objects. */
const claimPathSchema = z.union([text, z.array(text).min(1).max(8)]);

/** One step from a text to a text. A step that does not apply makes the value absent. */
const stepSchema = z.union([
  z.strictObject({ dropPrefix: text }),
  z.strictObject({ dropSuffix: text }),
  z.strictObject({ part: z.strictObject({ separator: text.max(8), index: z.int().min(-16).max(15) }) }),
  z.strictObject({ replaceAll: z.strictObject({ search: text.max(8), with: z.string().max(8) }) }),
  z.strictObject({ lookup: z.record(z.string().max(256), text) }),
  z.strictObject({ lowercase: z.literal(true) }),
]);
export type MappingStep = z.infer<typeof stepSchema>;

const stepsSchema = z.array(stepSchema).max(8);
const atomSchema = z.union([
  z.strictObject({ value: text }),
  z.strictObject({ claim: claimPathSchema, steps: stepsSchema.optional() }),
]);
const joinSchema = z.strictObject({
  join: z.array(atomSchema).min(1).max(8),
  separator: z.string().max(8).default(''),
});
/** One text of the claims: a constant, a claim after steps, several joined, or the first that is there. */
export const valueMappingSchema = z.union([
  atomSchema,
  joinSchema,
  z.strictObject({
    first: z
      .array(z.union([atomSchema, joinSchema]))
      .min(1)
      .max(8),
  }),
]);
export type ValueMapping = z.infer<typeof valueMappingSchema>;

/** Texts of the claims: of each claim its items, or its parts when `split` is given; what a step drops is left out. */
export const listMappingSchema = z
  .array(
    z.union([
      z.strictObject({ values: z.array(text).min(1).max(64) }),
      z.strictObject({
        claim: claimPathSchema,
        split: text.max(8).optional(),
        steps: stepsSchema.optional(),
      }),
    ]),
  )
  .max(8);
export type ListMapping = z.infer<typeof listMappingSchema>;

const scalarSchema = z.union([z.string().max(2048), z.number(), z.boolean()]);

/** What a token must say beside its standard claims: a claim with this value, with one of these, or at all. */
const requirementSchema = z.union([
  z.strictObject({ claim: claimPathSchema, equals: scalarSchema }),
  z.strictObject({ claim: claimPathSchema, oneOf: z.array(scalarSchema).min(1).max(256) }),
  z.strictObject({ claim: claimPathSchema, present: z.boolean() }),
]);
export type Requirement = z.infer<typeof requirementSchema>;

const assuranceSchema = z.strictObject({
  default: z.int().min(0).max(3).default(1),
  /** The highest level whose claim equals `value`, or holds it in a list. */
  rules: z
    .array(z.strictObject({ claim: claimPathSchema, value: scalarSchema, level: z.int().min(0).max(3) }))
    .max(32)
    .default([]),
});
export type AssuranceMapping = z.infer<typeof assuranceSchema>;

/** RFC 7662: asks the issuer whether a verified token is still active, and what an opaque token is. */
const introspectionSchema = z.strictObject({
  url,
  clientId: text,
  /** File with the client's secret: the configuration holds none. */
  clientSecretFile: z.string().min(1).max(4096),
  /** How long an answer is believed. */
  cacheSeconds: z.int().min(0).max(30).default(30),
  /** Whether JWTs are asked about, beside what they say themselves. Some issuers do not answer for these. */
  jwt: z.boolean().default(true),
  /** Whether tokens that are no JWT are taken: the answer is then all that is known of them. */
  opaque: z.boolean().default(false),
  /** Whether an opaque token without `sub` is that of its client, whose `client_id` is then the subject. */
  clientSubjects: z.boolean().default(false),
});

/** Makes a principal of an unknown subject. */
const justInTimeSchema = z.strictObject({
  /** What the schema requires of the principal's type beside `tenant`. */
  attributes: z.record(z.string().max(256), z.json()).default({}),
  /** Whether a later token with other roles changes the principal's parents. */
  updateRoles: z.boolean().default(false),
});

const delegationSchema = z.strictObject({
  /** The agent's id, of the claims of one `act` object. */
  agent: valueMappingSchema.optional(),
  maxDepth: z.int().min(1).max(MAX_ACTORS).default(MAX_ACTORS),
  /** A claim that is true when a person approved. */
  humanApproved: claimPathSchema.optional(),
});

export const issuerSettingsSchema = z.strictObject({
  /** Short name of the issuer: part of the ids of its subjects, so it must not change. */
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'must be 1 to 32 of `a-z0-9-`'),
  preset: z.enum(ISSUER_PRESETS).optional(),
  /** The `iss` of its tokens, compared byte for byte. */
  issuer: text.optional(),
  audiences: z.array(text).min(1).max(16),
  algorithms: z.array(z.enum(SIGNATURE_ALGORITHMS)).min(1).optional(),
  /** The header `typ`; an empty list takes any, also none. */
  typ: z.array(text).max(8).optional(),
  maxLifetimeSeconds: z.int().min(1).max(MAX_TOKEN_LIFETIME_SECONDS).optional(),
  clockToleranceSeconds: z.int().min(0).max(60).default(30),
  /** Tenants that it may speak for. */
  tenants: z.array(idSchema).min(1).max(1024),
  /** Subjects that are accepted; absent: all. */
  subjects: z.array(text).min(1).max(4096).optional(),
  require: z.array(requirementSchema).max(16).default([]),
  requiredScopes: z.array(text).max(16).default([]),
  /** Refuses plain bearer tokens: every token must be bound to a key (RFC 9449) or a certificate (RFC 8705). */
  binding: z.enum(['optional', 'required']).default('optional'),
  principalTypes: z.array(entityTypeSchema).min(1).max(8).optional(),
  type: valueMappingSchema.optional(),
  id: valueMappingSchema.optional(),
  /** Another issuer of the same tenant maps to the same ids on purpose. */
  sharesIds: z.boolean().default(false),
  tenant: valueMappingSchema.optional(),
  client: valueMappingSchema.optional(),
  roles: listMappingSchema.optional(),
  scopes: listMappingSchema.optional(),
  assurance: assuranceSchema.prefault({}),
  delegation: delegationSchema.optional(),
  justInTime: justInTimeSchema.optional(),
  introspection: introspectionSchema.optional(),
  /** Where its keys are; absent: what its discovery document says. */
  jwksUri: url.optional(),
  /** Hosts beside the issuer's own from which documents and keys may come. */
  keyHosts: z.array(z.string().min(1).max(255)).max(8).default([]),
  /** Hosts (`name` or `name:port`) that may have private or loopback addresses; loopback ones may use http. */
  privateHosts: z.array(z.string().min(1).max(262)).max(8).default([]),
  /** How long keys are used after the last good answer when the issuer is down. */
  staleKeysHours: z.int().min(0).max(168).default(24),
});
/** One issuer as it is configured, defaults filled in. */
export type IssuerSettings = Readonly<z.infer<typeof issuerSettingsSchema>>;
export type IssuerSettingsInput = z.input<typeof issuerSettingsSchema>;
