/** Running the tests of a bundle: what passes, what fails, and that a dispute of the evaluators refuses. */
import { describe, expect, test } from 'vitest';
import { testBundle } from '../../src/bundles/checks.ts';
import type { TestCase } from '../../src/bundles/test-case.ts';
import type { KnownLimits } from '../../src/bundles/test-limits.ts';
import { type CaseOutcome, runTests, type TestRunner } from '../../src/bundles/test-runner.ts';
import { AppError } from '../../src/domain/errors.ts';
import type { LayerName } from '../../src/domain/ids.ts';
import { failure } from './pap.ts';

const ALLOWED: CaseOutcome = {
  decision: 'allow',
  code: 'POLICY_ALLOW',
  message: 'members may use models',
  policies: ['tenant:acme/a', 'tenant:acme/b'],
  nearMisses: [],
  disagreements: [],
  limits: { 'platform/burst': 20 },
};

/** What layers declare beside which the tests run. */
const KNOWN: KnownLimits = {
  layer: 'tenant:acme',
  ids: new Map<LayerName, ReadonlySet<string>>([
    ['platform', new Set(['burst', 'month'])],
    ['tenant:acme', new Set(['own'])],
  ]),
};

function caseOf(name: string, expect: TestCase['expect']): TestCase {
  return {
    file: 'tests/t.json',
    line: 3,
    column: 5,
    name,
    directory: [],
    request: {
      principal: { type: 'User', id: 'u' },
      action: 'invoke',
      resource: { type: 'Model', id: 'm' },
      explain: 'summary',
    },
    now: '2026-01-01T00:00:00Z',
    expect,
  };
}

/** A PDP that answers the same to everything. */
function always(outcome: CaseOutcome): TestRunner {
  return { decide: () => Promise.resolve(outcome) };
}

describe('runTests', () => {
  test('compares policies as a set, and only what is expected', async () => {
    const cases = [
      caseOf('decision alone', { decision: 'allow' }),
      caseOf('another order', {
        decision: 'allow',
        policies: ['tenant:acme/b', 'tenant:acme/a', 'tenant:acme/a'],
      }),
    ];
    expect(await runTests(cases, always(ALLOWED), KNOWN)).toEqual({
      passed: 2,
      failed: 0,
      problems: [],
      warnings: [],
      isDisputed: false,
    });
  });

  test('a case that misses one policy, or has one too many, fails', async () => {
    const cases = [
      caseOf('one', { decision: 'allow', policies: ['tenant:acme/a'] }),
      caseOf('three', { decision: 'allow', policies: ['tenant:acme/a', 'tenant:acme/b', 'tenant:acme/c'] }),
    ];
    const { failed, problems } = await runTests(cases, always(ALLOWED), KNOWN);
    expect(failed).toBe(2);
    expect(problems[0]).toEqual({
      file: 'tests/t.json',
      line: 3,
      column: 5,
      message: 'test `one` expected `tenant:acme/a` and got `tenant:acme/a` `tenant:acme/b`',
      hint: 'POLICY_ALLOW by `tenant:acme/a` `tenant:acme/b`: members may use models',
    });
  });

  const limits: readonly (readonly [string, Record<string, number | null>, string | undefined])[] = [
    ['the number', { 'platform/burst': 20 }, undefined],
    ['that another limit is not charged', { 'platform/month': null }, undefined],
    [
      'another number',
      { 'platform/burst': 24 },
      'limit `platform/burst` of 24 and got limit `platform/burst` of 20',
    ],
    [
      'that the limit is not charged',
      { 'platform/burst': null },
      'no limit `platform/burst` and got limit `platform/burst` of 20',
    ],
    [
      'a limit that is not charged',
      { 'platform/month': 1 },
      'limit `platform/month` of 1 and got no limit `platform/month`',
    ],
  ];
  test.each(limits)('compares the limits that a case expects: %s', async (_, expected, difference) => {
    const report = await runTests(
      [caseOf('n', { decision: 'allow', limits: expected })],
      always(ALLOWED),
      KNOWN,
    );
    const messages = difference === undefined ? [] : [`test \`n\` expected ${difference}`];
    expect(report.problems.map(({ message }) => message)).toEqual(messages);
  });

  const undeclared: readonly (readonly [string, string, number | null, KnownLimits['layer'], string])[] = [
    ['misspelt', 'platform/brust', null, 'tenant:acme', 'did you mean `platform/burst`?'],
    ['misspelt, with a number', 'platform/brust', 5, 'tenant:acme', 'did you mean `platform/burst`?'],
    ['of its own layer', 'tenant:acme/onw', null, 'tenant:acme', 'did you mean `tenant:acme/own`?'],
    ['without its layer', 'month', null, 'tenant:acme', 'did you mean `platform/month`?'],
    ['of another tenant', 'tenant:globex/zzz', null, 'tenant:acme', 'write `<layer>/<id>` of a limit of'],
    ['of no layer', 'constructor', null, 'platform', 'write `<layer>/<id>` of a limit of'],
    ['of a tenant that is active', 'tenant:acme/onw', null, 'platform', 'did you mean `tenant:acme/own`?'],
  ];
  test.each(undeclared)(
    'a limit that nobody declares fails a case: %s',
    async (_, name, number, layer, hint) => {
      const cases = [caseOf('n', { decision: 'allow', limits: { [name]: number } })];
      const { passed, failed, problems } = await runTests(cases, always(ALLOWED), { ...KNOWN, layer });
      expect([passed, failed, problems.length]).toEqual([0, 1, 1]);
      expect(problems[0]).toMatchObject({
        file: 'tests/t.json',
        line: 3,
        column: 5,
        message: `test \`n\` expects limit \`${name}\`, which nobody declares`,
      });
      expect(problems[0]?.hint).toContain(hint);
    },
  );

  test.each<[KnownLimits['layer'], string]>([
    ['platform', 'tenant:globex/x'],
    ['tenant:acme', 'platform/gone'],
  ])('a limit of a layer that is not active yet, beside %s, is a warning', async (layer, name) => {
    const cases = [caseOf('n', { decision: 'allow', limits: { [name]: null } })];
    const known = { layer, ids: new Map([[layer, new Set<string>()]]) };
    const { passed, warnings } = await runTests(cases, always(ALLOWED), known);
    expect(passed).toBe(1);
    expect(warnings).toMatchObject([{ file: 'tests/t.json', message: /of a layer that is not active$/ }]);
  });

  test('a case about which the evaluators disagree fails, even when it got what it expects', async () => {
    const disputed = { ...ALLOWED, disagreements: ['AI::User::"u" …: compiled allow, cedar-wasm deny'] };
    const report = await runTests([caseOf('n', { decision: 'allow' })], always(disputed), KNOWN);
    expect(report).toMatchObject({ passed: 0, failed: 1, isDisputed: true });
    expect(report.problems[0]?.message).toContain('compiled allow, cedar-wasm deny');
  });

  test('an error that is no failure of the case is not swallowed', async () => {
    const broken: TestRunner = { decide: () => Promise.reject(new Error('a bug')) };
    await expect(runTests([caseOf('n', { decision: 'allow' })], broken, KNOWN)).rejects.toThrow('a bug');
  });
});

describe('testBundle', () => {
  const schema = {
    text: '',
    digest: 'sha256:0',
    entityTypes: new Map(),
    actions: new Map(),
    personalKeys: new Set<string>(),
  };
  const bundleWith = (cases: readonly TestCase[]) => ({
    layout: {
      layer: 'tenant:acme',
      schema: undefined,
      policies: [],
      templates: [],
      links: [],
      tests: cases,
      limits: undefined,
    } as const,
    policies: [],
  });

  test('reports what passed, with the schema and advice', async () => {
    const bundle = bundleWith([caseOf('n', { decision: 'allow' })]);
    const report = await testBundle(bundle, always(ALLOWED), { schema, warnings: [{ message: 'w' }] }, []);
    expect(report).toMatchObject({ policies: 0, tests: { passed: 1, failed: 0 }, schema: 'sha256:0' });
    expect(report.warnings.map(({ message }) => message)).toEqual([
      'w',
      'the bundle has no policies: the layer will permit nothing',
    ]);
  });

  test('says that a bundle of comments has no policies', async () => {
    const bundle = bundleWith([caseOf('n', { decision: 'allow' })]);
    const files = [{ path: 'policies/a.cedar', text: '// none yet' }];
    const commented = { ...bundle, layout: { ...bundle.layout, policies: files } };
    const report = await testBundle(commented, always(ALLOWED), { schema, warnings: [] }, []);
    expect(report.warnings).toMatchObject([{ message: /no policies/ }]);
  });

  const refusals: readonly (readonly [string, CaseOutcome, string])[] = [
    ['a failed test', { ...ALLOWED, decision: 'deny' }, 'BUNDLE_TESTS_FAILED'],
    ['a dispute', { ...ALLOWED, disagreements: ['x'] }, 'BUNDLE_INVALID'],
  ];
  test.each(refusals)('refuses for %s', async (_, outcome, code) => {
    const bundle = bundleWith([caseOf('n', { decision: 'allow' })]);
    const error = await failure(testBundle(bundle, always(outcome), { schema, warnings: [] }, []));
    expect(error).toBeInstanceOf(AppError);
    expect(error.code).toBe(code);
    expect(error.problems).toHaveLength(1);
  });
});
