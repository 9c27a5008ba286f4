/**
 * Reports of secret scanners. Invariants: only a credential that may revoke keys learns which reported texts are keys,
 * and of its own tenants alone; nothing of a reported text is kept, logged or answered but its digest.
 *
 * The body and the answer are those of GitHub's secret scanning partner programme, so that a relay that has checked
 * the signature of a report can pass it on as it is.
 */
import { z } from 'zod';
import { mayActFor } from '../../identity/authority.ts';
import { sha256 } from '../../identity/jwt/digest.ts';
import type { KeyEntry } from '../../identity/caller-keys/key-table.ts';
import { type Route, route } from '../http/route.ts';

/** Most texts in one report. */
const MAX_REPORTS = 1_000;
/** What a key is called where the report does not say. */
const TOKEN_TYPE = 'duramen_caller_key';
/** Kinds of places that are told to the log; others, whatever they say, are `other`. */
const SOURCES = [
  'content',
  'commit',
  'pull_request',
  'issue',
  'comment',
  'gist',
  'wiki',
  'package',
  'npm',
] as const;

const word = z.string().max(256).optional();
// unlike elsewhere, members that are not known are passed over: a scanner that says more must still be heard
const reportSchema = z
  .object({
    token: z.string().min(1).max(8_192).optional().meta({ description: 'the text that was found' }),
    hash: z
      .string()
      .regex(/^(?:[0-9A-Fa-f]{64}|[A-Za-z0-9+/_-]{43}=?)$/, 'must be a SHA-256 in hex or base64')
      .optional()
      .meta({ description: 'SHA-256 of the text, in hex or base64, where the text itself is not sent' }),
    type: word,
    url: z.string().max(8_192).optional().meta({ description: 'not kept: it may name people or hold keys' }),
    source: word,
  })
  .refine(
    ({ token, hash }) => (token === undefined) !== (hash === undefined),
    'must have a `token` or a `hash`',
  )
  .meta({ id: 'LeakReport' });

const verdictSchema = z
  .strictObject({
    token_hash: z.string().meta({ description: 'SHA-256 of the text, base64' }),
    token_type: z.string(),
    label: z.enum(['true_positive', 'false_positive']),
    keyId: z.string().optional(),
    outcome: z.enum(['revoked', 'flagged']).optional().meta({ description: 'what has become of the key' }),
  })
  .meta({ id: 'LeakVerdict' });

type Report = z.output<typeof reportSchema>;

export function callerKeyLeakRoutes(): readonly Route[] {
  return [
    route({
      method: 'POST',
      path: '/v1/caller-keys/leaks',
      operation: 'reportCallerKeyLeaks',
      tag: 'caller keys',
      summary: 'Report texts that leaked; those that are keys of callers are revoked, or flagged',
      access: ['keys'],
      body: { kind: 'json', schema: z.array(reportSchema).min(1).max(MAX_REPORTS) },
      keepsNothing: true,
      answers: {
        200: { description: 'one verdict for each, in the same order', schema: z.array(verdictSchema) },
      },
      failures: ['STORE_UNAVAILABLE'],
      async handle({ services, credential, body }) {
        const { callerKeys } = services;
        const found = callerKeys
          .recognise(body.map(readReport))
          .map(entry => (entry !== undefined && mayActFor(credential, entry.key.tenant) ? entry : undefined));
        const sources = new Map<KeyEntry, string>();
        for (const [at, entry] of found.entries()) {
          if (entry !== undefined) sources.set(entry, sourceOf(body[at]));
        }
        await callerKeys.leaked(sources, credential);
        return { status: 200, json: body.map((report, at) => verdictOf(report, found[at], callerKeys)) };
      },
    }),
  ];
}

/** SHA-256 of what was found. */
function readReport({ token, hash = '' }: Report): Buffer {
  if (token !== undefined) return Buffer.from(sha256(token), 'base64url');
  return /^[0-9A-Fa-f]{64}$/.test(hash) ? Buffer.from(hash, 'hex') : Buffer.from(hash, 'base64');
}

function sourceOf(report: Report | undefined): string {
  return SOURCES.find(one => one === report?.source) ?? 'other';
}

function verdictOf(
  report: Report,
  entry: KeyEntry | undefined,
  keys: { find(id: string): KeyEntry | undefined },
): z.output<typeof verdictSchema> {
  const common = {
    token_hash: readReport(report).toString('base64'),
    token_type: report.type ?? TOKEN_TYPE,
  };
  const now = entry === undefined ? undefined : keys.find(entry.key.id)?.key;
  if (now === undefined) return { ...common, label: 'false_positive' };
  return {
    ...common,
    label: 'true_positive',
    keyId: now.id,
    outcome: now.revoked === undefined ? 'flagged' : 'revoked',
  };
}
