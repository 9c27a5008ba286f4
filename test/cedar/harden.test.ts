/** Every policy that Duramen refuses though Cedar may accept it, with the complaint that its author reads. */
import { describe, expect, it } from 'vitest';
import { annotated, Gate, when } from './layer-sources.ts';

const gate = new Gate();
const P = 'permit(principal, action == AI::Action::"generate", resource);';

describe('a policy is refused', () => {
  it.each([
    ['without an id', `@reason("r") ${P}`, '1:1 the policy has no `@id`'],
    ['with an empty id', `@id("") @reason("r") ${P}`, '1:1 the policy has no `@id`'],
    ['with an id annotation without a value', `@id @reason("r") ${P}`, '1:1 the policy has no `@id`'],
    ['with a misspelt id annotation', `@Id("a") @reason("r") ${P}`, '`@Id` is not `@id`'],
    [
      'with a slash in its id',
      `@id("platform/guard") @reason("r") ${P}`,
      'the policy id `platform/guard` is malformed',
    ],
    ['with a space in its id', `@id("a b") @reason("r") ${P}`, 'malformed'],
    [
      'with a control character in its id',
      `@id("a\\nb") @reason("r") ${P}`,
      'the policy id `a·b` is malformed',
    ],
    ['with a letter beyond ASCII in its id', `@id("\u0430cme") @reason("r") ${P}`, 'malformed'],
    ['with an id that is too long', `@id("${'a'.repeat(129)}") @reason("r") ${P}`, 'malformed'],
    ['without a reason', `@id("a") ${P}`, '1:1 the policy has no `@reason`'],
    ['with a blank reason', `@id("a") @reason(" ") ${P}`, 'the policy has no `@reason`'],
    ['with a misspelt reason', `@id("a") @reasn("r") ${P}`, '`@reasn` is not `@reason`'],
    ['with a reason of several lines', `@id("a") @reason("a\\nb") ${P}`, 'control character'],
    [
      'with an endless reason',
      `@id("a") @reason("${'a'.repeat(513)}") ${P}`,
      'the reason has 513 characters',
    ],
    [
      'with a malformed obligation',
      `@id("a") @reason("r") @obligation("Log!") ${P}`,
      'the obligation `Log!` is malformed',
    ],
    [
      'with an empty obligation',
      `@id("a") @reason("r") @obligation("log,") ${P}`,
      'the obligation `` is malformed',
    ],
    ['that calls `unknown`', when('unknown("x")'), '1:1 `unknown` would silently disable the policy'],
    ['that hides `unknown` in a branch', when('if true then true else unknown("x")'), '`unknown`'],
    [
      'with an integer that JSON cannot hold',
      when('resource.risk < 9007199254740993'),
      '1:1 an integer literal lies beyond',
    ],
    [
      'with 2,000 terms',
      when(`${'principal.clearance > 1 || '.repeat(1_999)}true`),
      'characters, the most is 16384',
    ],
    ['with 500 short terms', when(`${'true || '.repeat(499)}true`), 'operator characters'],
    [
      'that nests deeper than 64 expressions',
      when(`${'true || '.repeat(70)}true`),
      '1:1 the policy nests deeper than 64 expressions',
    ],
    [
      'with more than 500 expressions',
      when(`[${'1, '.repeat(499)}1].contains(resource.risk)`),
      'too many expressions',
    ],
    ['with 2,000 brackets', when(`${'('.repeat(2_000)}true${')'.repeat(2_000)}`), 'nested deeper'],
    ['with a text beyond 16 KiB', when(`principal.org == "${'a'.repeat(16_384)}"`), 'characters'],
    [
      'that follows four references',
      when('principal.tenant.tenant.tenant.plan == ""'),
      'follows 4 references',
    ],
    [
      'that reads an entity that it names',
      when('AI::Tenant::"acme".plan == "pro"'),
      '1:1 the policy reads the data of `AI::Tenant::"acme"`',
    ],
    [
      'that reads it through a branch',
      when('(if principal.clearance > 1 then resource.tenant else AI::Tenant::"acme") has plan'),
      'reads the data of `AI::Tenant::"acme"`',
    ],
    [
      'that asks what it is in',
      when('AI::Tenant::"acme" in AI::Tenant::"globex"'),
      'reads the data of `AI::Tenant::"acme"`',
    ],
    [
      'with text that runs backwards',
      `// \u202e evil\n${annotated(P)}`,
      '1:4 the file holds a character that reverses',
    ],
  ])('%s', (_, text, complaint) => {
    expect(gate.complaints(text).join('\n')).toContain(complaint);
    expect(gate.wasm.traps).toBe(0);
  });
});

describe("Cedar's warnings are errors", () => {
  it.each([
    [
      'a policy that is never satisfied',
      when('resource.risk > 1 && resource.stage == "a" && false'),
      'impossible',
    ],
    [
      'a scope without an action',
      annotated('permit(principal is AI::Tenant, action, resource);'),
      'unable to find an applicable action',
    ],
    [
      'an unknown action',
      annotated('permit(principal, action == AI::Action::"genrate", resource);'),
      'genrate',
    ],
    ['an identifier of mixed scripts', when('principal.org == "s\u0441ript"'), 'mixed scripts'],
    ['a comparison of types', when('principal.clearance == "high"'), 'the types'],
    ['an unknown attribute', when('principal.clearence > 1'), '`clearence`'],
    ['an unguarded optional attribute', when('resource.regions.isEmpty()'), 'optional'],
    [
      'an unknown entity type',
      annotated('permit(principal is AI::Usr, action == AI::Action::"generate", resource);'),
      'Usr',
    ],
    ['a malformed extension literal', when('context.now > datetime("yesterday")'), 'datetime'],
  ])('%s', (_, text, complaint) => {
    expect(gate.complaints(text).join('\n')).toContain(complaint);
  });
});

describe("a tenant's policy stays within the tenant", () => {
  const about = (resource: string): string =>
    annotated(`permit(principal, action in AI::Action::"Use", ${resource});`);
  it.each([
    ['a model of its own', 'resource == AI::Model::"acme/m"', true],
    ['a group of its own', 'resource in AI::ModelGroup::"acme/g"', true],
    ['the tenant itself', 'resource in AI::Tenant::"acme"', true],
    ['any resource', 'resource', true],
    ['any resource of a type', 'resource is AI::Model', true],
    ['a foreign model', 'resource == AI::Model::"globex/m"', false],
    ['a foreign group', 'resource in AI::ModelGroup::"globex/g"', false],
    ['a foreign group and type', 'resource is AI::Model in AI::ModelGroup::"globex/g"', false],
    ['a foreign tenant', 'resource in AI::Tenant::"globex"', false],
    ['a tenant whose id only begins like its own', 'resource in AI::Tenant::"acme/x"', false],
    ['a model whose id only begins like its own', 'resource == AI::Model::"acmeer/m"', false],
    ['a model of no tenant', 'resource == AI::Model::"m"', false],
  ])('naming %s', (_, resource, allowed) => {
    const complaints = gate
      .complaints(about(resource))
      .filter(text => text.includes('which is not of tenant `acme`'));
    expect(complaints).toHaveLength(allowed ? 0 : 1);
    expect(gate.complaints(about(resource), 'platform')).toEqual([]);
  });

  it('while principals of others may be named, for that is how models are shared', () => {
    const text = annotated(
      'permit(principal in AI::Tenant::"globex", action in AI::Action::"Use", resource in AI::Tenant::"acme");',
    );
    expect(gate.complaints(text)).toEqual([]);
  });
});
