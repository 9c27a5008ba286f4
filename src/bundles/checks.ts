/**
 * Everything that a bundle must pass, in order: layout, policies against the schema, tests. Invariant: the
 * report of a step lists all of its problems, and a later step never runs on what an earlier one refused.
 */
import { parseSchema } from '../cedar/schema-parse.ts';
import type { CedarSchema } from '../cedar/schema.ts';
import { type CheckedPolicy, checkPolicies, readPolicies } from '../cedar/validate.ts';
import type { CedarParser, CedarWasm } from '../cedar/wasm.ts';
import type { BundleReport } from '../domain/bundle.ts';
import { AppError, type Problem } from '../domain/errors.ts';
import { invalidBundle } from './archive.ts';
import { type BundleLayout, readLayout } from './layout.ts';
import type { BuiltLayer, BundleContent } from './pipeline.ts';
import { checkLimits } from './limit-checks.ts';
import { checkReferences } from './limit-references.ts';
import { knownLimits } from './test-limits.ts';
import { runTests, type TestRunner } from './test-runner.ts';

/** What the bundle needs of the PDP: the schema's vocabulary. Empty when decisions can be planned with it. */
export type VocabularyCheck = (schema: CedarSchema) => readonly Problem[];

export interface ResolvedSchema {
  readonly schema: CedarSchema;
  readonly warnings: readonly Problem[];
}

/** A bundle whose policies passed. */
export interface CheckedBundle {
  readonly layout: BundleLayout;
  readonly policies: readonly CheckedPolicy[];
}

/** Resolves a schema that decisions can be planned with. @throws AppError BUNDLE_INVALID */
export function resolveSchema(
  text: string,
  parser: Pick<CedarParser, 'parseSchema'>,
  checkVocabulary: VocabularyCheck,
): ResolvedSchema {
  const result = parseSchema(text, parser);
  if (!result.ok) throw invalidBundle(result.problems);
  const problems = checkVocabulary(result.schema);
  if (problems.length > 0) throw invalidBundle(problems);
  return result;
}

/**
 * Lays out, hardens, type-checks and tries out the policies. A bundle that passed under the same schema before
 * is parsed and hardened again, and no more. @throws AppError BUNDLE_INVALID
 */
export function checkBundle(bundle: BundleContent, schema: CedarSchema, wasm: CedarWasm): CheckedBundle {
  const problems: Problem[] = [];
  const layout = readLayout(bundle.manifest, bundle.files, problems);
  const { layer, policies, templates, links } = layout;
  if (layout.limits !== undefined) checkLimits(layout.limits, layer, schema, problems);
  const sources = { layer, schema, policies, templates, links };
  const isKnown = bundle.checkedBy === schema.digest;
  const checked = isKnown ? readPolicies(sources, wasm) : checkPolicies(sources, wasm);
  if (!checked.ok) problems.push(...checked.problems);
  if (!checked.ok || problems.length > 0) throw invalidBundle(problems);
  return { layout, policies: checked.policies };
}

/** What a bundle and the layers beside it say of each other. @throws AppError BUNDLE_INVALID */
export function checkBeside({ layout, policies }: CheckedBundle, companions: readonly BuiltLayer[]): void {
  const { layer, limits } = layout;
  const problems = checkReferences({ layer, limits, policies }, companions);
  if (problems.length > 0) throw invalidBundle(problems);
}

/**
 * Runs the tests of a bundle that passed `checkBundle`.
 * @param layers the bundle's own, and those beside it
 * @throws AppError BUNDLE_TESTS_FAILED, or BUNDLE_INVALID when the evaluators disagree
 */
export async function testBundle(
  { layout, policies }: CheckedBundle,
  runner: TestRunner,
  { schema, warnings }: ResolvedSchema,
  layers: readonly BuiltLayer[],
): Promise<BundleReport> {
  const report = await runTests(layout.tests, runner, knownLimits(layout.layer, layers));
  const { passed, failed, problems, isDisputed } = report;
  if (isDisputed) throw invalidBundle(problems);
  if (failed > 0) {
    const count = `${failed} of ${failed + passed} tests`;
    throw new AppError('BUNDLE_TESTS_FAILED', `${count} failed`, {
      problems: invalidBundle(problems).problems,
    });
  }
  return {
    policies: policies.length,
    tests: { passed, failed },
    warnings: [...warnings, ...adviseOn(layout, policies.length), ...report.warnings],
    schema: schema.digest,
  };
}

/** What is allowed and probably not meant. */
function adviseOn(layout: BundleLayout, policies: number): Problem[] {
  const warnings: Problem[] = [];
  // counted, since a file may hold comments alone
  if (policies === 0) {
    warnings.push({ message: 'the bundle has no policies: the layer will permit nothing' });
  }
  if (layout.tests.length === 0) {
    warnings.push({
      message: 'the bundle has no tests',
      hint: 'add tests/*.json with cases that must be allowed and cases that must be denied',
    });
  }
  return warnings;
}
