/**
 * Messages of `envoy.service.ratelimit.v3`, and what their descriptors mean here. Invariants: a descriptor with an entry
 * that means nothing is refused, since a limit that is not found is no limit; an answer has a code, since in proto3 a
 * missing one is read as none.
 */
import { z } from 'zod';
import { AppError } from '../../domain/errors.ts';
import { ENTITY_TYPE_PATTERN, type EntityRef, ID_PATTERN } from '../../domain/ids.ts';
import { LIMIT_UNITS } from '../../domain/limit.ts';
import type { Descriptor } from '../../pdp/descriptor-limits.ts';

/** Most descriptors of one request, and most entries of one of them. */
const MAX_DESCRIPTORS = 64;
const MAX_ENTRIES = 32;
/** Most that a request may count: Envoy's own bound of an addend. */
const MAX_HITS = 1_000_000_000;
const MAX_TEXT = 512;

const text = z.string().max(MAX_TEXT).default('');
const entrySchema = z.object({ key: text, value: text });
const descriptorSchema = z.object({
  entries: z.array(entrySchema).max(MAX_ENTRIES).default([]),
  hits_addend: z.object({ value: z.int().min(0).max(MAX_HITS).default(0) }).optional(),
});
type WireDescriptor = z.output<typeof descriptorSchema>;

export const rateLimitRequestSchema = z.object({
  domain: text,
  descriptors: z.array(descriptorSchema).max(MAX_DESCRIPTORS).default([]),
  hits_addend: z.int().min(0).max(MAX_HITS).default(0),
});
export type RateLimitRequest = z.output<typeof rateLimitRequestSchema>;

export const OK = 1;
export const OVER_LIMIT = 2;

const code = z.union([z.literal(OK), z.literal(OVER_LIMIT)]);
const count = z.int().min(1).max(4_294_967_295);
const statusSchema = z.strictObject({
  code,
  current_limit: z
    .strictObject({
      requests_per_unit: count.optional(),
      unit: z.int().min(1).max(7).optional(),
      name: z.string().min(1),
    })
    .optional(),
  limit_remaining: count.optional(),
  duration_until_reset: z
    .strictObject({ seconds: z.int().min(1).optional(), nanos: z.int().min(1).optional() })
    .optional(),
});
export type DescriptorStatus = z.output<typeof statusSchema>;

/** An answer as it is encoded. Members whose value is 0 are left out: they are decoded so. */
export const rateLimitResponseSchema = z.strictObject({
  overall_code: code,
  statuses: z.array(statusSchema).min(1).optional(),
  response_headers_to_add: z
    .array(z.strictObject({ key: z.string().min(1), value: z.string().min(1) }))
    .min(1)
    .optional(),
});
export type RateLimitResponse = z.output<typeof rateLimitResponseSchema>;

/** Keys of entries, beside `unit` and `limit_set`. */
const MEANINGS = {
  principal: 'principal',
  tenant: 'tenant',
  model: 'model',
  action: 'operation',
  operation: 'operation',
  address: 'address',
  remote_address: 'address',
  key: 'key',
} as const;
type Meaning = (typeof MEANINGS)[keyof typeof MEANINGS];

/** @throws AppError INVALID_REQUEST */
export function describe(wire: WireDescriptor, { hits_addend: shared }: RateLimitRequest): Descriptor {
  const told: Partial<Record<Meaning, string>> = {};
  const limitSets: string[] = [];
  let unit: Descriptor['unit'] | undefined;
  for (const { key, value } of wire.entries) {
    if (key === 'limit_set') limitSets.push(value);
    else if (key === 'unit') unit = unitOf(value, unit);
    else {
      const meaning = isMeaning(key)
        ? MEANINGS[key]
        : refuse(`a descriptor has an entry \`${key.slice(0, 64)}\``);
      if (told[meaning] !== undefined) refuse(`a descriptor names \`${key}\` twice`);
      told[meaning] = value;
    }
  }
  const { principal, tenant, model, operation, address, key } = told;
  for (const id of [tenant, model, operation, key]) {
    if (id !== undefined && !ID_PATTERN.test(id)) refuse('a descriptor has a value that is no id');
  }
  return {
    principal: principal === undefined ? undefined : principalOf(principal),
    tenant,
    model,
    operation,
    address,
    key,
    limitSets,
    unit: unit ?? 'requests',
    // an addend of a descriptor counts as it is; that of a request is 1 where it is left out
    hits: wire.hits_addend?.value ?? Math.max(1, shared),
  };
}

function isMeaning(key: string): key is keyof typeof MEANINGS {
  return Object.hasOwn(MEANINGS, key);
}

function unitOf(value: string, known: Descriptor['unit'] | undefined): Descriptor['unit'] {
  const unit = LIMIT_UNITS.find(one => one === value);
  if (unit === undefined || known !== undefined)
    refuse(`a descriptor has no unit of ${LIMIT_UNITS.join(', ')}`);
  return unit;
}

/** `User:acme/alice`, `User::acme/alice`, or the id of a user. */
function principalOf(value: string): EntityRef {
  const colon = value.indexOf(':');
  const type = colon === -1 ? 'User' : value.slice(0, colon);
  const id = value.slice(colon + 1).replace(/^:/, '');
  if (!ENTITY_TYPE_PATTERN.test(type) || !ID_PATTERN.test(id))
    refuse('a descriptor has a value that is no principal');
  return { type, id };
}

function refuse(message: string): never {
  throw new AppError('INVALID_REQUEST', message);
}
