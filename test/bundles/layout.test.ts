/** Files of a bundle to its parts: every problem with file, line, column and hint. */
import { describe, expect, test } from 'vitest';
import { readLayout } from '../../src/bundles/layout.ts';
import { DEFAULT_TEST_NOW } from '../../src/bundles/test-case.ts';
import type { BundleManifest } from '../../src/domain/bundle.ts';
import type { Problem } from '../../src/domain/errors.ts';

const ACME: BundleManifest = { layer: 'tenant:acme', version: '1', description: '' };
const CASE = `{"name": "n", "request": {"principal": {"type": "User", "id": "acme/a"}, "action": "invoke",
  "resource": {"type": "Model", "id": "acme/m"}}, "expect": {"decision": "deny"}}`;

function problemsOf(files: Record<string, string>, manifest = ACME): Problem[] {
  const problems: Problem[] = [];
  readLayout(manifest, files, problems);
  return problems;
}

describe('readLayout', () => {
  test('sorts the files into their parts, with defaults', () => {
    const problems: Problem[] = [];
    const layout = readLayout(
      { ...ACME, layer: 'platform' },
      {
        'tests/t.json': `{"directory": [{"type": "Tenant", "id": "acme"}], "cases": [\n${CASE}]}`,
        'policies/x/b.cedar': 'b',
        'policies/a.cedar': 'a',
        'templates/t.cedar': 't',
        'schema.cedarschema': 's',
        'links.json':
          '[\n  {"templateId": "t", "id": "l", "values": {"principal": {"type": "User", "id": "u"}}}\n]',
      },
      problems,
    );
    expect(problems).toEqual([]);
    expect(layout.policies.map(file => file.path)).toEqual(['policies/a.cedar', 'policies/x/b.cedar']);
    expect(layout.templates.map(file => file.text)).toEqual(['t']);
    expect(layout.schema?.text).toBe('s');
    expect(layout.links).toEqual([
      {
        templateId: 't',
        id: 'l',
        values: { principal: { type: 'User', id: 'u' } },
        annotations: {},
        line: 2,
        column: 3,
      },
    ]);
    expect(layout.tests).toMatchObject([
      {
        file: 'tests/t.json',
        line: 2,
        column: 1,
        name: 'n',
        now: DEFAULT_TEST_NOW,
        directory: [{ type: 'Tenant', id: 'acme', attributes: {}, parents: [], tags: {}, status: 'active' }],
      },
    ]);
  });

  test('lays the entities of a case over those of the file', () => {
    const problems: Problem[] = [];
    const own = CASE.replace(
      '"request"',
      '"directory": [{"type": "User", "id": "a", "status": "disabled"}, {"type": "User", "id": "c"}], "request"',
    );
    const text = `{"directory": [{"type": "User", "id": "a"}, {"type": "User", "id": "b"}], "cases": [${own}]}`;
    const [only] = readLayout(ACME, { 'tests/t.json': text }, problems).tests;
    expect(problems).toEqual([]);
    expect(only?.directory.map(({ id, status }) => `${id} ${status}`)).toEqual([
      'a disabled',
      'b active',
      'c active',
    ]);
  });

  const wrong: readonly (readonly [string, Record<string, string>, Partial<Problem>])[] = [
    [
      'a tenant bundle with a schema',
      { 'schema.cedarschema': '' },
      {
        file: 'schema.cedarschema',
        line: 1,
        column: 1,
        message: 'a bundle of layer `tenant:acme` may not bring a schema',
        hint: 'the platform layer holds the schema of all layers; remove the file',
      },
    ],
    [
      'links that are no JSON',
      { 'links.json': '[\n{"id": }]' },
      { file: 'links.json', line: 2, column: 8, message: 'expected a value, found `}`' },
    ],
    [
      'links that are no list',
      { 'links.json': '{}' },
      { file: 'links.json', line: 1, column: 1, pointer: '' },
    ],
    [
      'an unknown key of a link',
      { 'links.json': '[{"templateId": "t", "id": "l", "values": {},\n"anotations": {}}]' },
      {
        file: 'links.json',
        line: 2,
        column: 1,
        pointer: '/0/anotations',
        message: 'unknown key `anotations`',
        hint: 'did you mean `annotations`?',
      },
    ],
    [
      'a link value with a namespace',
      {
        'links.json':
          '[{"templateId": "t", "id": "l",\n "values": {"principal": {"type": "AI::User", "id": "u"}}}]',
      },
      { file: 'links.json', line: 2, column: 35, pointer: '/0/values/principal/type' },
    ],
    [
      'two links of one id',
      {
        'links.json':
          '[{"templateId": "t", "id": "l", "values": {}},\n{"templateId": "t", "id": "l", "values": {}}]',
      },
      { file: 'links.json', line: 2, column: 27, message: 'two links have the id `l`' },
    ],
    [
      'a test without cases',
      { 'tests/t.json': '{"cases": []}' },
      { file: 'tests/t.json', line: 1, column: 11, pointer: '/cases' },
    ],
    [
      'an unknown key of a request',
      { 'tests/t.json': `{"cases": [${CASE.replace('"action"', '"actoin": 1, "action"')}]}` },
      {
        file: 'tests/t.json',
        line: 1,
        column: 85,
        message: 'unknown key `actoin`',
        hint: 'did you mean `action`?',
      },
    ],
    [
      'an unknown reason code',
      { 'tests/t.json': `{"cases": [${CASE.replace('"deny"', '"deny", "code": "FORBIDDEN"')}]}` },
      { file: 'tests/t.json', line: 2, column: 90, pointer: '/cases/0/expect/code' },
    ],
    [
      'an entity without an id',
      { 'tests/t.json': `{"directory": [{"type": "User"}],\n"cases": [${CASE}]}` },
      { file: 'tests/t.json', line: 1, column: 16, pointer: '/directory/0/id' },
    ],
    [
      'a clock that is no instant',
      { 'tests/t.json': `{"cases": [${CASE.replace('"request"', '"now": "noon", "request"')}]}` },
      { file: 'tests/t.json', line: 1, column: 33, pointer: '/cases/0/now' },
    ],
    [
      'two entities of one name in the directory of a file',
      {
        'tests/t.json': `{"directory": [{"type": "User", "id": "a"},\n {"type": "User", "id": "a"}], "cases": [${CASE}]}`,
      },
      {
        file: 'tests/t.json',
        line: 2,
        column: 2,
        pointer: '/directory/1',
        message: '`User::a` is twice in one directory',
      },
    ],
    [
      'two entities of one name in the directory of a case',
      {
        'tests/t.json': `{"cases": [${CASE.replace('"request"', '"directory": [{"type": "User", "id": "a"}, {"type": "User", "id": "a", "status": "disabled"}], "request"')}]}`,
      },
      { file: 'tests/t.json', line: 1, pointer: '/cases/0/directory/1' },
    ],
    [
      'two cases of one name',
      { 'tests/t.json': `{"cases": [${CASE},\n${CASE}]}` },
      { file: 'tests/t.json', line: 3, column: 10, message: 'two cases of this file have the name `n`' },
    ],
  ];
  test.each(wrong)('reports: %s', (_, files, problem) => {
    const problems = problemsOf(files);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatchObject(problem);
  });

  test('reports the problems of all files at once', () => {
    const problems = problemsOf({
      'links.json': '[',
      'tests/a.json': '{',
      'tests/b.json': '{"cases": 1, "case": 2}',
    });
    expect(problems.map(({ file, line, column }) => `${file}:${line}:${column}`)).toEqual([
      'links.json:1:2',
      'tests/a.json:1:2',
      'tests/b.json:1:11',
      'tests/b.json:1:14',
    ]);
  });
});
