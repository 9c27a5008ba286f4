/** The text of a decision says what JSON.stringify says of it, whatever was encoded before. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { callerAuthSchema } from '../../../src/domain/caller-authentication.ts';
import {
  checkResultSchema,
  type Decision,
  decisionSchema,
  levelResultSchema,
  reasonSchema,
  revisionSchema,
} from '../../../src/domain/decision.ts';
import { CALENDAR_PERIODS, LIMIT_KINDS, LIMIT_UNITS } from '../../../src/domain/limit.ts';
import type { LimitResult } from '../../../src/domain/limit-answer.ts';
import { LEVELS } from '../../../src/domain/names.ts';
import { REASON_CODES } from '../../../src/domain/reason.ts';
import { DecisionText } from '../../../src/edge/http/decision-text.ts';

const count = fc.nat();
/** Few lists, so that different results share one. */
const SCOPES: readonly string[][] = [[], ['tenant'], ['principal', 'model']];
const result: fc.Arbitrary<LimitResult> = fc
  .record(
    {
      name: fc.constantFrom('platform/a', 'platform/b', 'te"nant:ü/c'),
      kind: fc.constantFrom(...LIMIT_KINDS),
      unit: fc.constantFrom(...LIMIT_UNITS),
      scope: fc.constantFrom(...SCOPES),
      mode: fc.constantFrom('enforce', 'shadow'),
      limit: fc.constantFrom(1, 2),
      source: fc.constantFrom('base 1', 'base "2"'),
      used: count,
      remaining: count,
      resetSeconds: count,
      reserved: count,
      windowSeconds: fc.constantFrom(0.5, 60),
      period: fc.constantFrom(...CALENDAR_PERIODS),
      violated: fc.constant(true as const),
      retryAfterMs: fc.option(count),
      degraded: fc.constant(true as const),
    },
    {
      requiredKeys: [
        'name',
        'kind',
        'unit',
        'scope',
        'mode',
        'limit',
        'source',
        'used',
        'remaining',
        'resetSeconds',
        'reserved',
      ],
    },
  )
  .map(fields => fields);

/** Every kind of character that JSON writes otherwise, and a half of a surrogate pair. */
const text = fc.oneof(
  fc.string(),
  fc.constantFrom('plain', 'q"', 'b\\', 'l\n', '\u0001', '\u007f', 'ü', '\u2028', '😀', '\ud800', ''),
);
const texts = fc.array(text, { maxLength: 3 });
const verdict = fc.constantFrom('allow' as const, 'deny' as const);
const code = fc.constantFrom(...REASON_CODES);
const clause = fc.record(
  {
    kind: fc.constantFrom('when' as const, 'unless' as const),
    text,
    result: fc.constantFrom('true' as const, 'error' as const),
    observed: fc.dictionary(text, text),
  },
  { requiredKeys: ['kind', 'text', 'result'] },
);
const nearMiss = fc.record(
  { policy: text, reason: text, missing: text, clauses: fc.array(clause, { maxLength: 2 }) },
  { requiredKeys: ['policy', 'reason', 'missing'] },
);
const checkMembers = {
  action: text,
  resource: text,
  decision: verdict,
  code,
  message: text,
  policies: texts,
  errors: texts,
  cedarDecision: verdict,
  nearMisses: fc.array(nearMiss, { maxLength: 2 }),
};
const check = fc.record(checkMembers, {
  requiredKeys: ['action', 'resource', 'decision', 'code', 'message', 'policies', 'nearMisses'],
});
const levelMembers = { decision: verdict, checks: fc.array(check, { maxLength: 3 }) };
const level = fc.record(levelMembers);
const reasonMembers = { code, level: fc.constantFrom(...LEVELS), message: text, policies: texts };
const revisionMembers = {
  layers: fc.constantFrom<Decision['revision']['layers']>({}, { platform: 'sha256:ü"' }, { 'tenant:a': 's' }),
  directory: count,
  schema: text,
};
const authMembers = { mode: fc.constantFrom('assert' as const, 'verify' as const), method: text };
const decisionMembers = {
  decisionId: text,
  decision: verdict,
  reason: fc.record(reasonMembers),
  levels: fc.record({ endpoint: level, tenant: level, action: level }, { requiredKeys: [] }),
  obligations: fc.array(fc.record({ type: text, policy: text }), { maxLength: 2 }),
  revision: fc.record(revisionMembers),
  evaluatedAt: text,
  requestId: text,
  limits: fc.array(result, { maxLength: 6 }),
  reservation: fc.record({ expiresAt: text, outcome: text, extend: text }),
  headers: fc.dictionary(text, text, { maxKeys: 3 }),
  problem: fc.record(
    { type: text, title: text, status: count, detail: text, 'violated-policies': texts },
    { requiredKeys: ['type', 'title', 'status', 'detail'] },
  ),
  auth: fc.record(authMembers),
  log: fc.record({ origin: text, index: count, size: count }),
};
const decision: fc.Arbitrary<Decision> = fc.record(decisionMembers, {
  requiredKeys: [
    'decisionId',
    'decision',
    'reason',
    'levels',
    'obligations',
    'revision',
    'evaluatedAt',
    'auth',
    'log',
  ],
});

test('says what JSON.stringify says', () => {
  const encoder = new DecisionText();
  fc.assert(
    fc.property(decision, asked => {
      expect(JSON.parse(encoder.encode(asked))).toEqual(JSON.parse(JSON.stringify(asked)));
    }),
    { numRuns: 1_000 },
  );
});

test('is that of JSON.stringify, byte for byte, where there are no limits', () => {
  const encoder = new DecisionText();
  fc.assert(
    fc.property(decision, asked => {
      const plain = { ...asked };
      delete plain.limits;
      expect(encoder.encode(plain)).toBe(JSON.stringify(plain));
    }),
  );
});

test.each([
  ['a decision', decisionSchema, decisionMembers],
  ['a reason', reasonSchema, reasonMembers],
  ['a level', levelResultSchema, levelMembers],
  ['a check', checkResultSchema, checkMembers],
  ['a revision', revisionSchema, revisionMembers],
  ['the caller', callerAuthSchema, authMembers],
  ['a place in the log', decisionSchema.shape.log, { origin: text, index: count, size: count }],
])('no member of %s is left out of these tests', (_what, { shape }, members) => {
  expect(Object.keys(members).toSorted()).toEqual(Object.keys(shape).toSorted());
});
