/** The policy gate as a whole: all problems at their places, links, and what it gives for what passes. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { MAX_POLICIES, type PolicyLink } from '../../src/cedar/policy-draft.ts';
import { checkPolicies, MAX_REPORTED_PROBLEMS } from '../../src/cedar/validate.ts';
import type { LayerName } from '../../src/domain/ids.ts';
import { schemaForTest, shippedSchemaText } from '../pdp/shipped-schema.ts';
import { annotated, Gate } from './layer-sources.ts';

const gate = new Gate();
const P = 'permit(principal, action == AI::Action::"generate", resource)';
const TEMPLATE =
  '@id("tpl") @reason("granted to ?principal")\npermit(principal in ?principal, action in AI::Action::"Use", resource == ?resource)\nwhen { principal.org != "?resource" }; // ?principal';

function link(parts: Partial<PolicyLink> = {}): PolicyLink {
  return {
    templateId: 'tpl',
    id: 'grant',
    values: { principal: { type: 'Role', id: 'globex/r' }, resource: { type: 'Model', id: 'acme/m' } },
    annotations: {},
    line: 3,
    column: 5,
    ...parts,
  };
}

it('names no policy by the number that cedar-wasm gave it', () => {
  const schema = schemaForTest(
    shippedSchemaText().replace('entity Role in [Role];', 'entity Role enum ["acme/r"];'),
  );
  const text = annotated(
    'permit(principal in AI::Role::"acme/s", action == AI::Action::"generate", resource);',
  );
  const policies = [{ path: 'policies/a.cedar', text }];
  const result = checkPolicies({ layer: 'platform', schema, policies, templates: [], links: [] }, gate.wasm);
  const [message] = result.ok ? [] : result.problems.map(problem => problem.message);
  expect(message).toMatch(/^entity `AI::Role::"acme\/s"` is of an enumerated entity type/);
});

describe('places of problems', () => {
  const bad = `@id("b") @reason("r") ${P} when { principal.nothing == 1 };`;
  it.each([
    [
      'at the token that does not parse',
      `${annotated(`${P};`)}\n\n@id("b") @reason("r")\n${P} when { 1 ++ 2 };`,
      '+ 2',
      'unexpected token `+`',
    ],
    [
      'behind policies and comments',
      `// one; "\n${annotated(`${P};`)}\n/* */${bad}`,
      '/* */',
      'unexpected token `/`',
    ],
    [
      'in a file with CR LF',
      `// a\r\n${annotated(`${P};`)}\r\n\r\n  ${bad}`,
      'principal.nothing',
      'attribute `nothing`',
    ],
    [
      'in a file with CR alone',
      `// a\r${annotated(`${P};`)}\r\r  ${bad}`,
      'principal.nothing',
      'attribute `nothing`',
    ],
    [
      'behind lines of several bytes a character',
      `// é😀\n// é\n${bad}`,
      'principal.nothing',
      'attribute `nothing`',
    ],
    [
      'behind such characters in the same line',
      `@id("b") @reason("é😀") ${P} when { "é😀" == "" || principal.nothing == 1 };`,
      'principal.nothing',
      'attribute `nothing`',
    ],
    ['at the end of an unfinished policy', `@id("b") @reason("r") permit( `, ' ', 'unexpected end of input'],
    [
      'where a template stands among policies',
      '@id("b") @reason("r")\npermit(principal == ?principal, action, resource);',
      '?principal',
      'expected a static policy',
    ],
  ])('are %s', (_, text, marker, message) => {
    const at = text.lastIndexOf(marker);
    const lines = text.slice(0, at).split(/\r\n|\r|\n/);
    const place = `${lines.length}:${(lines.at(-1)?.length ?? 0) + 1}`;
    expect(gate.complaints(text).join('\n')).toContain(`${place} ${message}`);
  });

  it('are those of the eleventh policy, too, in the order of the file', () => {
    const policies = Array.from(
      { length: 12 },
      (_, i) => `@id("p${i}") @reason("r") ${P} when { principal.nothing${i} == 1 };`,
    );
    const found = gate.problems({ policies: [{ path: 'a', text: policies.join('\n') }] });
    const names = found.map(({ line, message }) => `${line} ${/`(nothing\d+)`/.exec(message)?.[1]}`);
    expect([...new Set(names)]).toEqual(policies.map((_, i) => `${i + 1} nothing${i}`));
  });

  it('name each file, and every problem is listed at once', () => {
    const problems = gate.problems({
      policies: [
        { path: 'policies/b.cedar', text: `${P};\n${bad}` },
        { path: 'policies/a.cedar', text: `@id("b") @reason("r") ${P};\npermit(` },
      ],
      templates: [{ path: 'templates/t.cedar', text: `@id("t") ${P};` }],
      links: [link({ templateId: 'none' })],
    });
    const listed = problems.map(({ file, line, message }) => `${file}:${line} ${message}`);
    expect(listed.filter(line => !line.includes('attribute `nothing`'))).toEqual([
      'links.json:3 there is no template `none`',
      'policies/a.cedar:1 the policy id `b` is taken',
      'policies/a.cedar:2 unexpected end of input',
      'policies/b.cedar:1 the policy has no `@id`',
      'policies/b.cedar:1 the policy has no `@reason`',
      'templates/t.cedar:1 expected a template, got a static policy',
    ]);
    expect(listed).toContain('policies/b.cedar:2 attribute `nothing` on entity type `AI::User` not found');
  });

  it('are bounded in number', () => {
    const text = `${P};\n`.repeat(MAX_REPORTED_PROBLEMS);
    const problems = gate.problems({ policies: [{ path: 'a', text }] });
    expect(problems).toHaveLength(MAX_REPORTED_PROBLEMS + 1);
    expect(problems.at(-1)?.message).toBe(`and ${MAX_REPORTED_PROBLEMS} further problems`);
  });
});

describe('the size of a layer is bounded', () => {
  it('before anything is parsed', () => {
    const text = 'x;'.repeat(MAX_POLICIES);
    expect(gate.problems({ policies: [{ path: 'a', text }], links: [link()] })).toEqual([
      {
        message: `the layer has ${MAX_POLICIES + 1} policies, templates and links, the most is ${MAX_POLICIES}`,
      },
    ]);
  });
});

describe('what passes', () => {
  it('is named by its layer, with the text that the oracle evaluates', () => {
    const text = `// about\n@id("one")\n@reason("r") @obligation("log")\n${P} when { ";" != "" };\n\n@id("two") @reason("s") forbid(principal, action, resource is AI::Model);`;
    const policies = gate.accepted({ policies: [{ path: 'policies/a.cedar', text }] });
    expect(policies.map(({ id, effect, file, line, column }) => [id, effect, file, line, column])).toEqual([
      ['tenant:acme/one', 'permit', 'policies/a.cedar', 2, 1],
      ['tenant:acme/two', 'forbid', 'policies/a.cedar', 6, 1],
    ]);
    expect(policies[0]?.annotations).toEqual(
      new Map([
        ['id', 'one'],
        ['reason', 'r'],
        ['obligation', 'log'],
      ]),
    );
    expect(policies[0]?.text).toBe(text.slice(text.indexOf('@id("one")'), text.indexOf('\n\n@id("two")')));
    expect(gate.wasm.parsePolicy(policies[0]?.text ?? '')).toEqual({ ok: true, value: policies[0]?.est });
  });

  it.each<[LayerName, string]>([
    ['platform', 'platform'],
    ['tenant:acme', 'tenants/acme'],
    ['tenant:globex', 'tenants/globex'],
  ])('is what is shipped as layer %s', (layer, folder) => {
    const directory = new URL(`../../policies/${folder}/policies/`, import.meta.url);
    const policies = readdirSync(directory).map(path => ({
      path,
      text: readFileSync(new URL(path, directory), 'utf8'),
    }));
    expect(gate.accepted({ layer, policies }).length).toBeGreaterThan(8);
  });

  it('is nothing for no files', () => expect(gate.accepted({})).toEqual([]));
});

describe('links', () => {
  const templates = [{ path: 'templates/t.cedar', text: TEMPLATE }];

  it('make policies of templates, with annotations of their own', () => {
    const [policy] = gate.accepted({
      templates,
      links: [link({ annotations: { reason: 'agreed', ticket: 'T-1' } })],
    });
    expect(policy).toMatchObject({ id: 'tenant:acme/grant', file: 'links.json', line: 3, column: 5 });
    expect(policy?.annotations).toEqual(
      new Map([
        ['id', 'grant'],
        ['reason', 'agreed'],
        ['ticket', 'T-1'],
      ]),
    );
    expect(policy?.text).toContain(
      'permit(principal in AI::Role::"globex/r", action in AI::Action::"Use", resource == AI::Model::"acme/m")',
    );
    // Only slots are replaced: what looks like one in a string or a comment stays.
    expect(policy?.text).toContain('@reason("granted to ?principal")');
    expect(policy?.text).toContain('"?resource" };');
    expect(policy?.ast.scope.resource).toMatchObject({ kind: 'equal', uid: { key: 'AI::Model::"acme/m"' } });
  });

  it.each([
    ['a template that is not there', link({ templateId: 'tlp' }), 'there is no template `tlp`'],
    [
      'a slot without a value',
      link({ values: { principal: { type: 'Role', id: 'r' } } }),
      'no value for the slot `?resource`',
    ],
    [
      'a foreign resource',
      link({ values: { principal: { type: 'Role', id: 'r' }, resource: { type: 'Model', id: 'globex/m' } } }),
      'not of tenant `acme`',
    ],
    ['a malformed id', link({ id: 'a/b' }), 'the policy id `a/b` is malformed'],
    ['an emptied reason', link({ annotations: { reason: '' } }), 'the policy has no `@reason`'],
    [
      'a type that the schema lacks',
      link({ values: { principal: { type: 'Roll', id: 'r' }, resource: { type: 'Model', id: 'acme/m' } } }),
      'Roll',
    ],
    [
      'a resource that the action does not take',
      link({ values: { principal: { type: 'Role', id: 'r' }, resource: { type: 'Tool', id: 'acme/t' } } }),
      'unable to find an applicable action',
    ],
  ])('with %s are refused, at their place in links.json', (_, bad, message) => {
    const problems = gate.problems({ templates, links: [bad] });
    expect(problems[0]).toMatchObject({ file: 'links.json', line: 3, column: 5 });
    expect(problems.map(problem => problem.message).join('\n')).toContain(message);
  });

  it('and a value for a slot that the template lacks', () => {
    const text =
      '@id("tpl") @reason("r") permit(principal == ?principal, action == AI::Action::"generate", resource);';
    expect(gate.problems({ templates: [{ path: 't', text }], links: [link()] })[0]?.message).toContain(
      'no slot `?resource`',
    );
  });

  it('of a template that is wrong are not complained about one by one', () => {
    const text = TEMPLATE.replace('principal.org', 'principal.orgg');
    const links = ['a', 'b', 'c'].map(id => link({ id }));
    const problems = gate.problems({ templates: [{ path: 'templates/t.cedar', text }], links });
    expect(new Set(problems.map(({ file, line }) => `${file}:${line}`))).toEqual(
      new Set(['templates/t.cedar:3']),
    );
  });

  it('may not take the id of a policy', () => {
    const policies = [{ path: 'policies/a.cedar', text: `@id("grant") @reason("r") ${P};` }];
    expect(gate.problems({ policies, templates, links: [link()] })[0]).toMatchObject({
      file: 'links.json',
      message: 'the policy id `grant` is taken',
      hint: 'it is used first in policies/a.cedar:1; ids are unique in a layer',
    });
  });
});
