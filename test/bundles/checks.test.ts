/** What a push refuses and how it says so: policies, links, tests, isolation; and how tests of a bundle run. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DEFAULT_TEST_NOW } from '../../src/bundles/test-case.ts';
import type { Problem } from '../../src/domain/errors.ts';
import { failure, memoryDisk, type Pap, permit, push, startPap, startWorker } from './pap.ts';

const thread = startWorker();
let pap: Pap;

const GUARD = `@id("guard.tenant") @reason("the resource belongs to another tenant")
forbid (principal, action in AI::Action::"Tenanted", resource)
unless { resource.tenant == principal.tenant };\n`;
const WORLD = [
  { type: 'Tenant', id: 'acme', attributes: { plan: 'p' } },
  {
    type: 'User',
    id: 'acme/alice',
    attributes: { actsFor: [], org: 'acme', tier: 'gold', clearance: 1 },
    parents: [{ type: 'Tenant', id: 'acme' }],
  },
  {
    type: 'Model',
    id: 'acme/m',
    attributes: { org: '', stage: 'dev', risk: 1, tiers: [], contextWindow: 10, maxOutputTokens: 10 },
    parents: [{ type: 'Tenant', id: 'acme' }],
  },
];
const ALICE = { type: 'User', id: 'acme/alice' };
const MODEL = { type: 'Model', id: 'acme/m' };
const INVOKE = { principal: ALICE, action: 'invoke', resource: MODEL };

beforeAll(async () => {
  pap = await startPap(memoryDisk(), thread);
  await push(pap, { layer: 'platform', files: { 'policies/guard.cedar': GUARD } }, { activate: true });
});
afterAll(() => thread.close());

async function problemsOf(
  files: Record<string, string>,
  code = 'BUNDLE_INVALID',
): Promise<readonly Problem[]> {
  const error = await failure(push(pap, { layer: 'tenant:acme', files }, { dryRun: true }));
  expect(error.code).toBe(code);
  return error.problems;
}

function byText(a = '', b = ''): number {
  return a < b ? -1 : 1;
}

function tests(cases: readonly object[], directory: readonly unknown[] = WORLD): string {
  return JSON.stringify({
    directory,
    cases: cases.map((value, n) => ({ name: `case ${n}`, ...value })),
  });
}

describe('policies are refused with their place and a hint', () => {
  const refused: readonly (readonly [string, string, Partial<Problem>])[] = [
    [
      'no @id',
      'permit (principal, action, resource);',
      { line: 1, column: 1, message: 'the policy has no `@id`' },
    ],
    [
      'a second policy that does not parse',
      `${permit('a', 'acme')}permit (principal, action, resource when { true };`,
      { line: 3, column: 37 },
    ],
    [
      'an attribute that does not exist',
      permit('a', 'acme', '\nwhen { principal.clearence > 1 }'),
      { line: 3, column: 8, hint: 'did you mean `clearance`?' },
    ],
    [
      'a foreign resource',
      permit('a', 'acme').replace('resource in AI::Tenant::"acme"', 'resource == AI::Model::"globex/m"'),
      {
        line: 1,
        column: 1,
        hint: "a tenant's policies decide about its own resources: name one whose id begins with `acme/`",
      },
    ],
    ['a dead forbid by unknown()', permit('a', 'acme', ' when { unknown("x") }'), { line: 1, column: 1 }],
    [
      'a policy that can never apply',
      permit('a', 'acme', ' when { context.env == "a" && false }'),
      { line: 1 },
    ],
    [
      'the same id twice',
      permit('a', 'acme') + permit('a', 'acme'),
      { line: 3, column: 1, message: 'the policy id `a` is taken' },
    ],
    ['two thousand terms', permit('a', 'acme', ` when { ${'true || '.repeat(2000)} false }`), { line: 2 }],
    [
      'brackets two thousand deep',
      permit('a', 'acme', ` when { ${'('.repeat(2000)}true${')'.repeat(2000)} }`),
      { line: 2 },
    ],
  ];
  test.each(refused)('%s', async (_, text, problem) => {
    const problems = await problemsOf({ 'policies/x/a.cedar': text });
    expect(problems[0]).toMatchObject({ file: 'policies/x/a.cedar', ...problem });
  });

  const strays: readonly (readonly [string, string, string])[] = [
    ['may not hold `README.md`', 'README.md', '# about'],
    ['may not hold `policy/b.cedar`', 'policy/b.cedar', permit('b', 'acme')],
    ['starts with a byte order mark', 'policies/b.cedar', `\uFEFF${permit('b', 'acme')}`],
    ['leaves the bundle', '../b.cedar', permit('b', 'acme')],
  ];
  test.each(strays)('beside a file of which is said: it %s', async (said, path, text) => {
    const problems = await problemsOf({
      [path]: text,
      'policies/a.cedar': permit('a', 'acme', '\nwhen { principal.clearence > 1 }'),
      'links.json': '{}',
    });
    expect(problems[0]?.message).toContain(said);
    const found = problems.map(({ file, hint }) => `${file}: ${hint}`);
    expect(found).toContain('policies/a.cedar: did you mean `clearance`?');
    expect(problems.map(({ file }) => file)).toContain('links.json');
  });

  test('beside a stray file of a platform bundle too, by its own schema', async () => {
    const text = '@id("a") @reason("r") permit (principal is Nobody, action, resource);';
    const files = { 'README.md': '#', 'policies/a.cedar': text };
    const error = await failure(push(pap, { layer: 'platform', version: '9', files }, { dryRun: true }));
    expect([...new Set(error.problems.map(({ file }) => file))]).toEqual(['README.md', 'policies/a.cedar']);
    // by another schema than the meant one everything would be wrong
    const moved = { 'schema/model.cedarschema': 'entity Nobody;', 'policies/a.cedar': text };
    const misplaced = await failure(
      push(pap, { layer: 'platform', version: '9', files: moved }, { dryRun: true }),
    );
    expect(misplaced.problems.map(({ file }) => file)).toEqual(['schema/model.cedarschema']);
  });

  test('a foreign principal may be named: so models are shared', async () => {
    const text = permit('a', 'acme').replace(
      'principal in AI::Tenant::"acme"',
      'principal in AI::Tenant::"globex"',
    );
    expect(
      (await push(pap, { layer: 'tenant:acme', files: { 'policies/a.cedar': text } }, { dryRun: true }))
        .report.policies,
    ).toBe(1);
  });

  test('a link whose slot is filled with a foreign resource is refused at its place in links.json', async () => {
    const template = `@id("t") @reason("r")\npermit (principal == ?principal, action in AI::Action::"Use", resource == ?resource);`;
    const links = [
      { templateId: 't', id: 'l', values: { principal: ALICE, resource: { type: 'Model', id: 'globex/m' } } },
    ];
    const problems = await problemsOf({
      'templates/t.cedar': template,
      'links.json': `[\n${JSON.stringify(links[0])}]`,
    });
    expect(problems).toMatchObject([{ file: 'links.json', line: 2, column: 1 }]);
    expect(problems[0]?.message).toContain('globex/m');
  });

  test('all problems of all files come in one report', async () => {
    const problems = await problemsOf({
      'policies/a.cedar': 'permit (principal, action, resource);',
      'policies/b.cedar': 'permit (',
      'links.json': '{',
      'tests/t.json': '{"cases": [{}]}',
    });
    const files = new Set(problems.map(({ file }) => file));
    expect([...files].toSorted(byText)).toEqual([
      'links.json',
      'policies/a.cedar',
      'policies/b.cedar',
      'tests/t.json',
    ]);
  });
});

describe('the tests of a bundle', () => {
  const allow = permit('acme.members', 'acme');

  test('decide as the service does, and pass', async () => {
    const text = tests([
      {
        request: INVOKE,
        expect: { decision: 'allow', code: 'POLICY_ALLOW', policies: ['tenant:acme/acme.members'] },
      },
      {
        request: { ...INVOKE, principal: { type: 'User', id: 'acme/nobody' } },
        expect: { decision: 'deny', code: 'UNKNOWN_PRINCIPAL' },
      },
      {
        directory: [{ ...WORLD[1], status: 'disabled' }],
        request: INVOKE,
        expect: { decision: 'deny', code: 'PRINCIPAL_DISABLED', policies: [] },
      },
      {
        directory: [
          { ...WORLD[1], attributes: { ...WORLD[1]?.attributes, tenant: 'globex' } },
          { ...WORLD[0], id: 'globex' },
        ],
        request: INVOKE,
        expect: { decision: 'deny', code: 'FORBIDDEN_BY_POLICY', policies: ['platform/guard.tenant'] },
      },
    ]);
    const { report } = await push(
      pap,
      { layer: 'tenant:acme', files: { 'policies/a.cedar': allow, 'tests/t.json': text } },
      { dryRun: true },
    );
    expect(report).toMatchObject({ policies: 1, tests: { passed: 4, failed: 0 }, warnings: [] });
  });

  test('are hermetic: the live directory and the clock do not reach them', async () => {
    const timed = permit('a', 'acme', ` when { context.now == datetime("${DEFAULT_TEST_NOW}") }`);
    const text = tests([
      { request: INVOKE, expect: { decision: 'allow' } },
      {
        request: INVOKE,
        now: '2027-01-01T00:00:00Z',
        expect: { decision: 'deny', code: 'NO_MATCHING_PERMIT' },
      },
    ]);
    const files = { 'policies/a.cedar': timed, 'tests/t.json': text };
    expect((await push(pap, { layer: 'tenant:acme', files }, { dryRun: true })).report.tests.passed).toBe(2);
    const empty = {
      ...files,
      'tests/t.json': tests(
        [{ request: INVOKE, expect: { decision: 'deny', code: 'UNKNOWN_PRINCIPAL' } }],
        [],
      ),
    };
    expect(
      (await push(pap, { layer: 'tenant:acme', files: empty }, { dryRun: true })).report.tests.passed,
    ).toBe(1);
  });

  test('refuse the bundle when one fails, with expected, got, reason and near misses', async () => {
    const strict = permit('acme.members', 'acme', ' when { principal.tier == "platinum" }');
    const text = tests([{ request: INVOKE, expect: { decision: 'allow', code: 'POLICY_ALLOW' } }]);
    const problems = await problemsOf(
      { 'policies/a.cedar': strict, 'tests/t.json': text },
      'BUNDLE_TESTS_FAILED',
    );
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatchObject({
      file: 'tests/t.json',
      line: 1,
      message: 'test `case 0` expected allow, POLICY_ALLOW and got deny, NO_MATCHING_PERMIT',
    });
    expect(problems[0]?.hint).toContain('tenant:acme/acme.members');
    expect(problems[0]?.hint).toContain('principal.tier == "platinum"');
  });

  const wrong: readonly (readonly [string, object, string])[] = [
    [
      'another code',
      { decision: 'allow', code: 'NO_MATCHING_PERMIT' },
      'expected NO_MATCHING_PERMIT and got POLICY_ALLOW',
    ],
    [
      'another policy',
      { decision: 'allow', policies: ['tenant:acme/other'] },
      'expected `tenant:acme/other` and got `tenant:acme/acme.members`',
    ],
    [
      'no policy',
      { decision: 'allow', policies: [] },
      'expected no policies and got `tenant:acme/acme.members`',
    ],
    ['another decision', { decision: 'deny' }, 'expected deny and got allow'],
  ];
  test.each(wrong)('fail on %s', async (_, expectation, message) => {
    const text = tests([{ request: INVOKE, expect: expectation }]);
    const problems = await problemsOf(
      { 'policies/a.cedar': allow, 'tests/t.json': text },
      'BUNDLE_TESTS_FAILED',
    );
    expect(problems[0]?.message).toContain(message);
  });

  const unfit: readonly (readonly [string, object, string])[] = [
    [
      'an entity that does not fit the schema',
      { directory: [{ type: 'User', id: 'acme/b', attributes: { tier: 1 } }], request: INVOKE },
      'clearance',
    ],
    [
      'a type that the schema lacks',
      { directory: [{ type: 'Robot', id: 'acme/b' }], request: INVOKE },
      'Robot',
    ],
    [
      'a context key that nobody declared',
      { request: { ...INVOKE, context: { envv: 'x' } } },
      'unknown context key `envv`',
    ],
    [
      'an injected extension call',
      { request: { ...INVOKE, context: { env: { __extn: { fn: 'unknown', arg: 'x' } } } } },
      '/context/env',
    ],
  ];
  test.each(unfit)('cannot run with %s, and say so', async (_, value, message) => {
    const text = tests([{ ...value, expect: { decision: 'deny' } }]);
    const problems = await problemsOf(
      { 'policies/a.cedar': allow, 'tests/t.json': text },
      'BUNDLE_TESTS_FAILED',
    );
    expect(problems.map(problem => problem.message).join('\n')).toContain(message);
    expect(problems[0]?.message).toContain('test `case 0` cannot run');
  });

  test('of a platform bundle see the active tenant layers', async () => {
    await push(pap, { layer: 'tenant:acme', files: { 'policies/a.cedar': allow } }, { activate: true });
    const text = tests([
      { request: INVOKE, expect: { decision: 'allow', policies: ['tenant:acme/acme.members'] } },
    ]);
    const files = { 'policies/guard.cedar': GUARD, 'tests/t.json': text };
    const { report } = await push(pap, { layer: 'platform', version: '2', files }, { dryRun: true });
    expect(report.tests).toEqual({ passed: 1, failed: 0 });
  });
});
