/**
 * The golden corpus through every evaluator: compiled with the scope index, compiled one policy after the
 * other, and cedar-wasm alone. All must give the decision that the case expects, and the same answer.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { REASON_CODES } from '../../src/domain/reason.ts';
import { type Evaluated, evaluateDecision } from '../../src/pdp/decide.ts';
import type { ModalEvaluator } from '../../src/pdp/evaluator.ts';
import type { Snapshot } from '../../src/pdp/snapshot.ts';
import { type CorpusCase, readCases } from './corpus.ts';
import { expected, observe } from './expectation.ts';
import { buildEvaluator, buildSnapshot, type IndexKind } from './scene.ts';

const cases = readCases();

const EVALUATORS = [
  {
    name: 'compiled, indexed and compared with cedar-wasm',
    index: 'index',
    engine: 'compiled',
    check: 'all',
  },
  { name: 'compiled, indexed', index: 'index', engine: 'compiled', check: 'off' },
  { name: 'compiled, one policy after the other', index: 'linear', engine: 'compiled', check: 'off' },
  { name: 'cedar-wasm alone', index: 'index', engine: 'wasm', check: 'off' },
] as const satisfies readonly { index: IndexKind; [key: string]: string }[];

describe.each(EVALUATORS)('$name', ({ index, engine, check }) => {
  let snapshot: Snapshot;
  let evaluator: ModalEvaluator;
  beforeAll(async () => {
    snapshot = await buildSnapshot(index);
    evaluator = buildEvaluator(engine, check);
  });

  test.each(cases)('$title', one => {
    const { decision } = decideCase(snapshot, evaluator, one);
    expect(observe(decision, one.expect)).toEqual(expected(one.expect));
  });
});

describe('the corpus', () => {
  test('has at least 150 decisions', () => expect(cases.length).toBeGreaterThanOrEqual(150));

  test('names each case once', () => {
    expect(new Set(cases.map(({ title }) => title)).size).toBe(cases.length);
  });

  test('shows every reason that requests can bring about', () => {
    const shown = new Set(cases.map(one => one.expect.code));
    expect(REASON_CODES.filter(code => !shown.has(code) && !ELSEWHERE.has(code))).toEqual([]);
  });

  test('answers alike, whatever evaluates', async () => {
    const indexed = await buildSnapshot('index');
    const linear = await buildSnapshot('linear');
    const compiled = buildEvaluator('compiled', 'off');
    const wasm = buildEvaluator('wasm', 'off');
    const answers = (snapshot: Snapshot, evaluator: ModalEvaluator): unknown =>
      cases.map(one => ({ title: one.title, ...decideCase(snapshot, evaluator, one), engine: 'any' }));
    const answered = answers(indexed, compiled);
    expect(answers(linear, compiled)).toEqual(answered);
    expect(answers(indexed, wasm)).toEqual(answered);
  });
});

/** Codes of the contract that no request over a working service leads to: other parts of it, or faults. */
const ELSEWHERE = new Set([
  'UNAUTHENTICATED',
  'CREDENTIAL_EXPIRED',
  'CREDENTIAL_REVOKED',
  'CREDENTIAL_SCOPE',
  'MODEL_UNKNOWN',
  'MODEL_AMBIGUOUS',
  'BODY_INCOMPLETE',
  'BODY_UNREADABLE',
  'INPUT_REJECTED',
  'RATE_LIMITED',
  'BUDGET_EXHAUSTED',
  'CONCURRENCY_LIMITED',
  'PENALTY_BLOCKED',
  'OVERLOADED',
  'INTERNAL_ERROR',
]);

function decideCase(snapshot: Snapshot, evaluator: ModalEvaluator, { request, now }: CorpusCase): Evaluated {
  return evaluateDecision(snapshot, evaluator, request, { id: 'corpus', now, defaultEnv: 'production' });
}
