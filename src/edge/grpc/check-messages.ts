/**
 * Messages of `envoy.service.auth.v3` as they are read and written here. Invariant: what arrives is checked
 * before anything looks at it; an answer has the shape of an allow or of a deny, and no other.
 */
import { z } from 'zod';

const text = z.string().default('');
const bytes = z.instanceof(Buffer).optional();
const texts = z.record(z.string(), z.string()).default({});

/** One header of `header_map`. */
const headerValueSchema = z.object({ key: text, value: text, raw_value: bytes });

const httpRequestSchema = z.object({
  id: text,
  method: text,
  headers: texts,
  path: text,
  host: text,
  /** 0 is what a missing field decodes to. */
  size: z.number().default(0),
  body: bytes,
  raw_body: bytes,
  header_map: z.object({ headers: z.array(headerValueSchema).default([]) }).optional(),
});
/** The client's request as Envoy describes it. */
export type HttpRequest = z.output<typeof httpRequestSchema>;

/** google.protobuf.Value as it is decoded: one member, which names the kind. Its insides are read with care. */
const valueSchema = z.record(z.string(), z.unknown());
const structSchema = z.object({ fields: z.record(z.string(), valueSchema).default({}) });
/** google.protobuf.Struct as it is decoded. */
export type Struct = z.output<typeof structSchema>;

const peerSchema = z.object({ principal: text, certificate: text });

const attributesSchema = z.object({
  source: peerSchema.optional(),
  request: z.object({ http: httpRequestSchema.optional() }).optional(),
  context_extensions: texts,
  metadata_context: z.object({ filter_metadata: z.record(z.string(), structSchema).default({}) }).optional(),
});
export type CheckAttributes = z.output<typeof attributesSchema>;

/** CheckRequest as it is decoded. */
export const checkRequestSchema = z.object({ attributes: attributesSchema.optional() });

const headerOptionSchema = z.strictObject({
  header: z.strictObject({ key: z.string(), value: z.string() }),
  append: z.strictObject({ value: z.literal(false) }),
  append_action: z.literal(2),
});
/** A header that takes the place of every header of its name, for older versions of Envoy and for newer ones. */
export type HeaderOption = z.output<typeof headerOptionSchema>;

const metadataSchema = z.strictObject({ fields: z.record(z.string(), valueSchema) });

/** An allow. Code 0 is written out, and an `ok_response` says that it is meant. */
export const allowSchema = z.strictObject({
  status: z.strictObject({ code: z.literal(0), message: z.string() }),
  ok_response: z.strictObject({
    headers: z.array(headerOptionSchema).min(1),
    headers_to_remove: z.array(z.string()).min(1).optional(),
    response_headers_to_add: z.array(headerOptionSchema).min(1).optional(),
  }),
  dynamic_metadata: metadataSchema,
});

/** A deny: a code of google.rpc.Code that is not 0, and a status for the client: an error of its own, or 503. */
export const denySchema = z.strictObject({
  status: z.strictObject({ code: z.int().min(1).max(16), message: z.string() }),
  denied_response: z.strictObject({
    status: z.strictObject({ code: z.union([z.int().min(400).max(499), z.literal(503)]) }),
    headers: z.array(headerOptionSchema).min(1),
    body: z.string().min(1),
  }),
  dynamic_metadata: metadataSchema,
});

export type AllowResponse = z.output<typeof allowSchema>;
export type DenyResponse = z.output<typeof denySchema>;
