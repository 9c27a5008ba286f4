/**
 * Routes of audits: verifying an input, forgetting a principal. Invariant: nothing of what these requests say is
 * kept: no answer for a repetition, no hash of a body that could be guessed.
 */
import { z } from 'zod';
import { PRINCIPAL_TYPES } from '../../decision-log/subject-name.ts';
import { HASH_PATTERN } from '../../domain/decision-request.ts';
import { ownerByName } from '../../directory/tenancy.ts';
import { idSchema } from '../../domain/ids.ts';
import type { JsonValue } from '../../domain/json.ts';
import { keylessText } from '../../domain/keyless-text.ts';
import { type Route, route } from '../http/route.ts';
import type { InputClaim } from '../http/services.ts';
import { hashOfJson, hashOfText } from './input-hash.ts';

/** Longest hash that /decide takes, in characters. */
const MAX_HASH = 256;
/** Longest reason, in characters. */
const MAX_REASON = 1_000;

const claimSchema = z
  .strictObject({
    decisionId: z.string().min(1).max(64),
    hash: z
      .string()
      .min(1)
      .max(MAX_HASH)
      .regex(HASH_PATTERN, 'must be printable ASCII')
      .optional()
      .meta({ description: 'the hash as the gateway gave it' }),
    input: z
      .json()
      .optional()
      .meta({ description: 'the input, when it was JSON: hashed as RFC 8785 writes it' }),
    text: z.string().optional().meta({ description: 'the input as text: its UTF-8 bytes are hashed' }),
  })
  .refine(
    ({ hash, input, text }) => [hash, input, text].filter(one => one !== undefined).length === 1,
    'must have exactly one of `hash`, `input` and `text`',
  )
  .meta({ id: 'InputClaim' });

const erasureSchema = z
  .strictObject({
    principal: z.strictObject({ type: z.enum(PRINCIPAL_TYPES), id: idSchema }),
    reason: keylessText(MAX_REASON).min(1).meta({ description: 'stays in the log: a ticket, never a name' }),
    legalBasis: keylessText(MAX_REASON)
      .min(1)
      .optional()
      .meta({ description: 'such as `GDPR Art. 17(1)(b)`' }),
    deleteEntity: z
      .boolean()
      .default(false)
      .meta({ description: 'deletes the principal from the directory first, where it is there' }),
  })
  .meta({ id: 'ErasureRequest' });

const erasedSchema = z
  .strictObject({
    pseudonym: z.string().optional().meta({ description: 'absent: the principal was never registered' }),
    entityDeleted: z.boolean(),
    erased: z.strictObject({
      revisions: z.int().meta({ description: 'earlier states of the entity' }),
      answers: z.int().meta({ description: 'answers kept for an Idempotency-Key' }),
    }),
    stillNamedBy: z
      .strictObject({
        entities: z.int(),
        bundles: z.int(),
        clearEntries: z
          .boolean()
          .nullable()
          .meta({ description: 'decisions of the former leaf format name it; null: unknown now' }),
      })
      .meta({ description: 'what was not touched, and what can be done about it is in docs/privacy.md' }),
  })
  .meta({ id: 'ErasedPrincipal' });

export function auditRoutes(): readonly Route[] {
  return [verifyInput(), erasePrincipal()];
}

function verifyInput(): Route {
  return route({
    method: 'POST',
    path: '/v1/audit/verify-input',
    operation: 'verifyInput',
    tag: 'audit',
    summary: 'Whether an input is the one of a decision. Logged, and limited to 60 per minute.',
    access: ['auditor'],
    body: { kind: 'json', schema: claimSchema },
    keepsNothing: true,
    answers: {
      200: { description: 'the comparison', schema: z.strictObject({ matches: z.boolean() }) },
    },
    failures: ['NOT_FOUND', 'INPUT_NOT_VERIFIABLE', 'TOO_MANY_VERIFICATIONS', 'LOG_UNAVAILABLE'],
    async handle({ services, credential, body }) {
      const matches = await services.audit.inputMatches(claimOf(body), credential);
      return { status: 200, json: { matches } };
    },
  });
}

function erasePrincipal(): Route {
  return route({
    method: 'POST',
    path: '/v1/audit/erase',
    operation: 'erasePrincipal',
    tag: 'audit',
    summary: 'Forget one principal: who its pseudonym was, its personal values and its history',
    access: ['admin'],
    body: { kind: 'json', schema: erasureSchema },
    keepsNothing: true,
    answers: { 200: { description: 'it is forgotten', schema: erasedSchema } },
    failures: ['TENANT_NOT_ALLOWED', 'PRINCIPAL_EXISTS', 'LOG_UNAVAILABLE', 'STORE_UNAVAILABLE', 'NOT_READY'],
    async handle({ services, credential, body }) {
      const { principal: ref } = body;
      const object = { kind: 'entity', ref, tenant: ownerByName(ref) } as const;
      services.control.require({ credential, operation: 'erasePrincipal', object });
      return { status: 200, json: await services.audit.erase(body, credential) };
    },
  });
}

function claimOf({ decisionId, hash, input, text }: z.output<typeof claimSchema>): InputClaim {
  if (hash !== undefined) return { decisionId, hash, given: 'hash' };
  if (text !== undefined) return { decisionId, hash: hashOfText(text), given: 'text' };
  const json: JsonValue = input ?? null;
  return { decisionId, hash: hashOfJson(json), given: 'input' };
}
