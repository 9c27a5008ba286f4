/**
 * PEP profiles: what the service believes of one gateway, and how that gateway wants to be answered. Invariant:
 * a profile trusts what it names and nothing else; one without settings understands no request and allows none.
 */
import { z } from 'zod';
import { FORWARDING_FORMATS } from './certificate-settings.ts';
import { entityTypeSchema, ID_PATTERN, idSchema } from './ids.ts';
import { MAX_ASSURANCE } from './decision-request.ts';
import { REASON_CODES } from './reason.ts';

/** Families of AI APIs that a gateway can be allowed to send (edge/ai-requests). */
export const DIALECT_FAMILIES = [
  'openai',
  'azure-openai',
  'anthropic',
  'gemini',
  'vertex',
  'bedrock',
  'cohere',
  'ollama',
  'vllm',
  'huggingface',
  'kserve',
  'open-inference',
  'triton',
  'torchserve',
  'mlflow',
  'sagemaker',
] as const;
/** The Model Context Protocol is no family: its endpoints have paths of their own. */
export type DialectFamily = (typeof DIALECT_FAMILIES)[number];

/** Gateways whose contract is known. `envoy` stands for Istio, Envoy Gateway and every other Envoy as well. */
export const PEP_KINDS = [
  'envoy',
  'agentgateway',
  'nginx',
  'caddy',
  'traefik',
  'haproxy',
  'apisix',
  'kong',
  'portkey',
  'litellm',
] as const;
export type PepKind = (typeof PEP_KINDS)[number];

/** Most profiles of one service. */
export const MAX_PROFILES = 256;
const MAX_ENTRIES = 1024;
const MIB = 1024 * 1024;

/** Names of profiles, and of the rules for certificates. */
const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;
export const profileNameSchema = z
  .string()
  .regex(NAME, 'must be lower-case letters, digits and dashes')
  .meta({ description: 'part of the URL at which the gateway asks' });

const headerName = z
  .string()
  .max(64)
  .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, 'must be a header name in lower case, of letters, digits and dashes');
const shortText = z.string().min(1).max(256);
const path = z
  .string()
  .max(512)
  .regex(/^(\/[A-Za-z0-9._~-]+)+$/, 'must be a path without a slash at its end');
/** Servers of the protocol stand below a slash, too, and send those who leave it out elsewhere. */
const mcpPath = z
  .string()
  .max(512)
  .regex(/^(\/[A-Za-z0-9._~-]+)+\/?$/, 'must be a path such as `/mcp` or `/mcp/`');
const host = z
  .string()
  .max(253)
  .regex(/^(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/, 'must be a host in lower case, perhaps after `*.`');
const network = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()]);
const modelName = z.string().regex(ID_PATTERN, 'must be a name as requests write it');

/** How the gateway proves who it is. */
const authenticationSchema = z
  .discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('key'),
      header: headerName.default('x-duramen-key').meta({ description: 'header that carries the API key' }),
      keyIds: z
        .array(idSchema)
        .min(1)
        .max(64)
        .optional()
        .meta({ description: 'absent: any key with the role `pep`' }),
    }),
    z.strictObject({
      kind: z.literal('network'),
      networks: z.array(network).min(1).max(64).meta({ description: 'peers, as the socket sees them' }),
      tenants: z.union([z.literal('*'), z.array(idSchema).min(1).max(256)]),
    }),
    z.strictObject({
      kind: z.literal('certificate'),
      rules: z.array(z.string().regex(NAME)).min(1).max(64).optional().meta({
        description:
          'names of rules of `identity.certificates` whose holders may ask; absent: any with the role `pep`',
      }),
    }),
  ])
  .default({ kind: 'key', header: 'x-duramen-key' });

/** How the gateway tells who the caller is. */
const identitySchema = z
  .discriminatedUnion('mode', [
    z.strictObject({ mode: z.literal('none') }),
    z.strictObject({
      mode: z.literal('assert'),
      principal: shortText.meta({
        description:
          'header, or field of the metadata, that names the principal; over gRPC also `source:principal` or `metadata:<filter>/<field>`',
      }),
      principalType: entityTypeSchema.default('User'),
      principalPrefix: z.string().max(128).default('').meta({ description: 'put before the name: `acme/`' }),
      tenant: headerName.optional().meta({ description: 'header that names the tenant' }),
      onBehalfOf: headerName.optional(),
      method: shortText.default('asserted').meta({ description: '`context.auth.method`' }),
      assurance: z.int().min(0).max(MAX_ASSURANCE).default(0),
    }),
    z.strictObject({
      mode: z.literal('certificate'),
      format: z
        .enum(FORWARDING_FORMATS)
        .default('xfcc')
        .meta({ description: 'headers in which the gateway hands on the certificate of its client' }),
      hops: z.int().min(1).max(8).default(1).meta({ description: 'trusted proxies that add to the header' }),
    }),
    z.strictObject({
      mode: z.literal('verify'),
      header: headerName
        .default('authorization')
        .meta({ description: 'header with the bearer token of the caller' }),
    }),
  ])
  .default({ mode: 'none' });

/** Where the request of the client is described. */
const sourceSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('url') }),
  z.strictObject({
    kind: z.literal('headers'),
    method: headerName,
    uri: headerName,
    host: headerName,
    normalizedUri: headerName
      .optional()
      .meta({ description: 'the path as the gateway matched it: a request in which it differs is refused' }),
  }),
]);

/** Name of a Kubernetes object. */
const objectiveName = z
  .string()
  .regex(/^[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?$/, 'must be the name of an InferenceObjective');
const inferenceSchema = z.strictObject({
  fairness: z
    .enum(['tenant', 'principal'])
    .default('tenant')
    .meta({ description: 'whose calls are queued together: `x-gateway-inference-fairness-id`' }),
  objectives: z
    .record(shortText, objectiveName)
    .refine(names => Object.keys(names).length <= 64, 'must have at most 64 entries')
    .default({})
    .meta({ description: 'by tier of the principal: `x-gateway-inference-objective`' }),
  defaultObjective: objectiveName.optional().meta({ description: 'of every other tier, and of none' }),
});

const fields = {
  kind: z.enum(PEP_KINDS),
  authentication: authenticationSchema,
  identity: identitySchema,
  source: sourceSchema.optional().meta({ description: 'absent: as the kind does it' }),
  body: z.enum(['none', 'whole', 'flagged']).default('none').meta({
    description: 'what is sent: nothing, the whole body, or a body of which a header says whether it was cut',
  }),
  bodyLength: headerName
    .optional()
    .meta({ description: 'header with the length of the body at the gateway' }),
  maxBodyBytes: z
    .int()
    .min(1024)
    .max(16 * MIB)
    .default(MIB),
  ip: headerName.optional().meta({ description: 'header with the address of the client: `context.ip`' }),
  region: headerName.optional().meta({ description: 'header with the region: `context.region`' }),
  env: z
    .string()
    .regex(/^[\x21-\x7e]{1,64}$/)
    .optional(),
  hosts: z
    .record(host, z.strictObject({ tenant: idSchema.optional(), model: modelName.optional() }))
    .refine(hosts => Object.keys(hosts).length <= MAX_ENTRIES, `must have at most ${MAX_ENTRIES} entries`)
    .default({})
    .meta({ description: 'when there are any, requests for other hosts are refused' }),
  dialects: z.array(z.enum(DIALECT_FAMILIES)).max(DIALECT_FAMILIES.length).default([]),
  pathPrefix: z.union([z.literal(''), path]).default(''),
  mcp: z
    .array(z.strictObject({ path: mcpPath, server: idSchema, trustsHeaders: z.boolean().default(false) }))
    .max(256)
    .default([]),
  models: z
    .record(modelName, idSchema)
    .refine(names => Object.keys(names).length <= MAX_ENTRIES, `must have at most ${MAX_ENTRIES} entries`)
    .default({})
    .meta({ description: 'ids of registered models by the names that requests give them' }),
  tools: z.enum(['all', 'server', 'none']).default('all').meta({
    description: 'which tools that a request offers to a model are decided; called ones always are',
  }),
  toolIds: z
    .record(shortText, idSchema)
    .refine(names => Object.keys(names).length <= MAX_ENTRIES, `must have at most ${MAX_ENTRIES} entries`)
    .default({}),
  severalModels: z.enum(['deny', 'decide']).default('deny'),
  accounts: z.enum(['deny', 'allow']).default('deny').meta({
    description:
      'whether clients may choose who pays: headers such as `OpenAI-Project`, and `inference_geo` of a body',
  }),
  assumedMaxOutputTokens: z
    .int()
    .min(0)
    .optional()
    .meta({ description: '`params.maxOutputTokens` of requests that set no bound' }),
  denyStatus: z.partialRecord(z.enum(REASON_CODES), z.int().min(400).max(499)).default({}),
  onFailure: z.enum(['deny', 'error']).optional().meta({
    description: 'what is answered when no decision can be made; absent: as is safe for the kind',
  }),
  removeHeaders: z.array(headerName).max(32).default([]).meta({
    description: 'headers that the gateway takes from an allowed request, where it can',
  }),
  inference: inferenceSchema.optional().meta({
    description:
      'issues the headers that a scheduler of the Gateway API Inference Extension trusts; what clients send under their names is refused',
  }),
};

const {
  kind,
  inference,
  removeHeaders,
  denyStatus,
  authentication,
  identity,
  source,
  bodyLength,
  ip,
  region,
  mcp,
} = fields;
/** The fields that are held against each other. */
const related = z.object({
  kind,
  denyStatus,
  authentication,
  identity,
  source,
  bodyLength,
  ip,
  region,
  mcp,
  inference,
  removeHeaders,
});
type Related = z.infer<typeof related>;
/** Also while other fields have faults, so that all are told at once. */
const WHENEVER_THEY_ARE_RIGHT = {
  when: ({ value }: { readonly value: unknown }) => related.safeParse(value).success,
};

/** What is wrong with fields that are right one by one. */
function checkFields(profile: Related, context: z.core.$RefinementCtx): void {
  const report = (path: PropertyKey[], message: string): void =>
    context.addIssue({ code: 'custom', path, message });
  if (profile.kind === 'nginx') {
    for (const [code, status] of Object.entries(profile.denyStatus)) {
      if (status === 401 || status === 403) continue;
      report(['denyStatus', code], 'nginx takes 401 and 403 alone: anything else becomes a 500');
    }
  }
  for (const [at, name] of profile.removeHeaders.entries()) {
    if (profile.inference === undefined || !name.startsWith('x-gateway-inference-')) continue;
    report(['removeHeaders', at], 'would take away what `inference` issues');
  }
  if (profile.inference !== undefined && (profile.kind === 'portkey' || profile.kind === 'litellm')) {
    report(['inference'], 'hooks set no headers: the gateway in front of the scheduler has to ask');
  }
  const meanings = new Map<string, string>();
  for (const [path, name] of namedHeaders(profile)) {
    const place = path.join('.');
    const other = meanings.get(name);
    if (other !== undefined) report(path, `names the header of \`${other}\`: a header has one meaning`);
    else meanings.set(name, place);
  }
  const paths = new Set<string>();
  for (const [at, one] of profile.mcp.entries()) {
    if (paths.has(one.path)) report(['mcp', at, 'path'], 'is that of another endpoint');
    paths.add(one.path);
  }
}

/** The headers that a profile believes, with the fields that name them. */
function namedHeaders(profile: Related): [PropertyKey[] & string[], string][] {
  const { authentication: own, identity: caller, source: place } = profile;
  const named: [string[], string | undefined][] = [
    [['bodyLength'], profile.bodyLength],
    [['ip'], profile.ip],
    [['region'], profile.region],
  ];
  if (own.kind === 'key') named.push([['authentication', 'header'], own.header]);
  if (place?.kind === 'headers') {
    const { kind: _, ...headers } = place;
    for (const [field, name] of Object.entries(headers)) named.push([['source', field], name]);
  }
  if (caller.mode === 'verify') named.push([['identity', 'header'], caller.header]);
  if (caller.mode === 'assert') {
    const { principal, tenant, onBehalfOf } = caller;
    named.push([['identity', 'tenant'], tenant], [['identity', 'onBehalfOf'], onBehalfOf]);
    // hooks name a field of their body there
    const isHeader = profile.kind !== 'portkey' && profile.kind !== 'litellm';
    named.push([['identity', 'principal'], isHeader ? principal.toLowerCase() : undefined]);
  }
  return named.flatMap(([path, name]) => (name === undefined ? [] : [[path, name]]));
}

export const pepProfileSchema = z
  .strictObject({ name: profileNameSchema, ...fields })
  .superRefine(checkFields, WHENEVER_THEY_ARE_RIGHT)
  .meta({ id: 'PepProfile' });

/** A profile without its name, which stands in the path of the request that writes it. */
export const pepProfileBodySchema = z
  .strictObject(fields)
  .superRefine(checkFields, WHENEVER_THEY_ARE_RIGHT)
  .meta({ id: 'PepProfileBody' });

/** One gateway. */
export type PepProfile = Readonly<z.infer<typeof pepProfileSchema>>;
export type PepProfileInput = z.input<typeof pepProfileSchema>;
export type PepProfileBody = Readonly<z.infer<typeof pepProfileBodySchema>>;

/** The profiles of a service, each name once. */
export const pepProfilesSchema = z
  .array(pepProfileSchema)
  .max(MAX_PROFILES)
  .refine(
    profiles => new Set(profiles.map(({ name }) => name)).size === profiles.length,
    'two have one name',
  );
