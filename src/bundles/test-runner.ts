/**
 * Runs the tests of a bundle and says what came out otherwise. Invariant: a case passes only when the decision,
 * and everything else it expects, is exactly what the service would answer, and both evaluators agree on it.
 */
import { AppError, type Problem } from '../domain/errors.ts';
import type { ReasonCode } from '../domain/reason.ts';
import { printable } from './paths.ts';
import type { TestCase } from './test-case.ts';
import { checkLimitNames, type KnownLimits } from './test-limits.ts';

/** What the service would answer to the request of a case. */
export interface CaseOutcome {
  readonly decision: 'allow' | 'deny';
  readonly code: ReasonCode;
  readonly message: string;
  /** Of the reason, sorted. */
  readonly policies: readonly string[];
  /** What was missing, one line for each permit that nearly applied. */
  readonly nearMisses: readonly string[];
  /** The number of each limit that the request is charged to, by full name; empty for a deny by policies. */
  readonly limits: Readonly<Record<string, number>>;
  /** Checks about which the compiled evaluator and cedar-wasm gave different answers. */
  readonly disagreements: readonly string[];
}

/** Decides cases as the service would. Implemented by the policy worker over the PDP. */
export interface TestRunner {
  /** Rejects with AppError ENTITY_INVALID or INVALID_REQUEST when directory or request do not fit the schema. */
  decide(testCase: TestCase): Promise<CaseOutcome>;
}

export interface TestReport {
  readonly passed: number;
  readonly failed: number;
  /** What is wrong with each failed case, at its place. */
  readonly problems: readonly Problem[];
  /** What passed and says less than it seems to. */
  readonly warnings: readonly Problem[];
  /** Whether the evaluators disagreed anywhere: then the bundle is refused whatever it expects. */
  readonly isDisputed: boolean;
}

/** Runs all cases, one after the other. @param known the limits that they may name */
export async function runTests(
  cases: readonly TestCase[],
  runner: TestRunner,
  known: KnownLimits,
): Promise<TestReport> {
  const problems: Problem[] = [];
  const warnings: Problem[] = [];
  let failed = 0;
  let isDisputed = false;
  for (const testCase of cases) {
    const names = checkLimitNames(testCase, known);
    warnings.push(...names.warnings);
    const found =
      names.problems.length > 0
        ? { problems: names.problems, isDisputed: false }
        : await runCase(testCase, runner);
    if (found.problems.length === 0) continue;
    failed++;
    isDisputed ||= found.isDisputed;
    problems.push(...found.problems);
  }
  return { passed: cases.length - failed, failed, problems, warnings, isDisputed };
}

async function runCase(
  testCase: TestCase,
  runner: TestRunner,
): Promise<{ problems: Problem[]; isDisputed: boolean }> {
  const { file, line, column, name } = testCase;
  const place = { file, line, column };
  try {
    const outcome = await runner.decide(testCase);
    const disputes = outcome.disagreements.map(message => ({
      ...place,
      message: `test \`${name}\`: the compiled evaluator and cedar-wasm disagree: ${message}`,
      hint: 'this is a fault of the service: please report it with this bundle',
    }));
    if (disputes.length > 0) return { problems: disputes, isDisputed: true };
    const difference = compare(testCase, outcome);
    return { problems: difference === undefined ? [] : [{ ...place, ...difference }], isDisputed: false };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const causes = error.problems.length > 0 ? error.problems : [{ message: error.message }];
    const problems = causes.map(({ message, pointer, hint }) => ({
      ...place,
      message: `test \`${name}\` cannot run: ${pointer === undefined ? '' : `${pointer}: `}${message}`,
      ...(hint === undefined ? {} : { hint }),
    }));
    return { problems, isDisputed: false };
  }
}

/** The first expectation that was not met, with what explains the outcome. */
function compare({ name, expect }: TestCase, outcome: CaseOutcome): Problem | undefined {
  const expected: string[] = [];
  const got: string[] = [];
  if (expect.decision !== outcome.decision) {
    expected.push(expect.decision);
    got.push(outcome.decision);
  }
  if (expect.code !== undefined && expect.code !== outcome.code) {
    expected.push(expect.code);
    got.push(outcome.code);
  }
  if (expect.policies !== undefined && !isSameList(expect.policies, outcome.policies)) {
    expected.push(listed(expect.policies));
    got.push(listed(outcome.policies));
  }
  for (const [name, number] of Object.entries(expect.limits ?? {})) {
    const actual = Object.hasOwn(outcome.limits, name) ? (outcome.limits[name] ?? null) : null;
    if (actual === number) continue;
    expected.push(limitOf(name, number));
    got.push(limitOf(name, actual));
  }
  if (expected.length === 0) return undefined;
  const why = outcome.decision === 'deny' ? [outcome.message, ...outcome.nearMisses] : [outcome.message];
  return {
    message: `test \`${name}\` expected ${expected.join(', ')} and got ${got.join(', ')}`,
    hint: `${outcome.code}${outcome.policies.length > 0 ? ` by ${listed(outcome.policies)}` : ''}: ${why.join('; ')}`,
  };
}

function limitOf(name: string, number: number | null): string {
  return number === null ? `no limit \`${printable(name)}\`` : `limit \`${printable(name)}\` of ${number}`;
}

function isSameList(expected: readonly string[], actual: readonly string[]): boolean {
  const wanted = [...new Set(expected)].sort();
  return wanted.length === actual.length && wanted.every((id, position) => id === actual[position]);
}

function listed(policies: readonly string[]): string {
  return policies.length === 0 ? 'no policies' : policies.map(id => `\`${id}\``).join(' ');
}
