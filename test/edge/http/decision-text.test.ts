/** The text of a decision says what JSON.stringify says of it, whatever was encoded before. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { decisionSchema } from '../../../src/domain/decision.ts';
import { CALENDAR_PERIODS, LIMIT_KINDS, LIMIT_UNITS } from '../../../src/domain/limit.ts';
import type { LimitResult } from '../../../src/domain/limit-answer.ts';
import { DecisionText } from '../../../src/edge/http/decision-text.ts';

const DECISION = decisionSchema.parse({
  decisionId: 'd"1',
  decision: 'allow',
  reason: { code: 'POLICY_ALLOW', level: 'action', message: 'ü', policies: [] },
  levels: {},
  obligations: [],
  auth: { mode: 'assert', method: 'asserted' },
  revision: { layers: {}, directory: 1, schema: 's' },
  log: { origin: 'o', index: 1, size: 2 },
  evaluatedAt: 't',
});

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

test('says what JSON.stringify says', () => {
  const text = new DecisionText();
  fc.assert(
    fc.property(fc.array(result, { maxLength: 6 }), limits => {
      const decision = { ...DECISION, limits };
      expect(JSON.parse(text.encode(decision))).toEqual(JSON.parse(JSON.stringify(decision)));
    }),
  );
});

test('is that of JSON.stringify where there are no limits', () => {
  expect(new DecisionText().encode(DECISION)).toBe(JSON.stringify(DECISION));
});
