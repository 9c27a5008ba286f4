/** From claims to a principal: the mapping language, the limits of an issuer, chains of actors. */
import { describe, expect, test } from 'vitest';
import {
  type IssuerSettingsInput,
  issuerSettingsSchema,
  type ListMapping,
  type ValueMapping,
} from '../../../src/domain/issuer-settings.ts';
import type { JsonObject } from '../../../src/domain/json.ts';
import { mapAssurance, mapList, mapValue, meets } from '../../../src/identity/jwt/claim-mapping.ts';
import { resolveIssuers } from '../../../src/identity/jwt/issuer.ts';
import { mapPrincipal } from '../../../src/identity/jwt/principal-mapping.ts';

const ISSUER = 'https://idp.example';

function issuerOf(change: Partial<IssuerSettingsInput> = {}) {
  const settings = issuerSettingsSchema.parse({
    name: 'idp',
    issuer: ISSUER,
    audiences: ['api'],
    tenants: ['acme'],
    ...change,
  });
  const { issuers, problems } = resolveIssuers([settings]);
  expect(problems).toEqual([]);
  const issuer = issuers.get(ISSUER);
  if (issuer === undefined) throw new Error('no issuer');
  return issuer;
}

describe('a value', () => {
  const claims: JsonObject = {
    sub: 'system:serviceaccount:prod:api',
    email: 'Alice@Example.com',
    n: 7,
    empty: '',
    nested: { team: 'red', 'a.b': 'dotted' },
    'https://acme.example/tenant': 'acme',
    list: ['x'],
    long: 'x'.repeat(300),
    kelvin: '\u212aIM@example.com',
  };
  const rows: readonly (readonly [string, ValueMapping, string | undefined])[] = [
    ['a constant', { value: 'User' }, 'User'],
    ['a claim', { claim: 'sub' }, 'system:serviceaccount:prod:api'],
    ['a claim with dots in its name', { claim: 'https://acme.example/tenant' }, 'acme'],
    ['a nested claim', { claim: ['nested', 'team'] }, 'red'],
    ['a nested claim with a dot in its name', { claim: ['nested', 'a.b'] }, 'dotted'],
    ['a path through a text', { claim: ['sub', 'length'] }, undefined],
    ['a path through a list', { claim: ['list', '0'] }, undefined],
    ['a name of a prototype', { claim: 'constructor' }, undefined],
    ['a path into a prototype', { claim: ['nested', '__proto__'] }, undefined],
    ['an absent claim', { claim: 'none' }, undefined],
    ['an empty claim', { claim: 'empty' }, undefined],
    ['a number', { claim: 'n' }, undefined],
    ['a list', { claim: 'list' }, undefined],
    ['too long a text', { claim: 'long' }, undefined],
    ['a dropped prefix', { claim: 'sub', steps: [{ dropPrefix: 'system:serviceaccount:' }] }, 'prod:api'],
    ['a prefix that is not there', { claim: 'sub', steps: [{ dropPrefix: 'user:' }] }, undefined],
    ['a dropped suffix', { claim: 'sub', steps: [{ dropSuffix: ':api' }] }, 'system:serviceaccount:prod'],
    ['a part', { claim: 'sub', steps: [{ part: { separator: ':', index: 2 } }] }, 'prod'],
    ['a part from the end', { claim: 'sub', steps: [{ part: { separator: ':', index: -1 } }] }, 'api'],
    [
      'a part that is not there',
      { claim: 'sub', steps: [{ part: { separator: ':', index: 9 } }] },
      undefined,
    ],
    ['lower case', { claim: 'email', steps: [{ lowercase: true }] }, 'alice@example.com'],
    // U+212A: toLowerCase would make a k of it, and another subject's id of this one
    [
      'lower case of a Kelvin sign',
      { claim: 'kelvin', steps: [{ lowercase: true }] },
      '\u212aim@example.com',
    ],
    ['a table', { claim: ['nested', 'team'], steps: [{ lookup: { red: 'acme/red' } }] }, 'acme/red'],
    ['a table without the value', { claim: 'sub', steps: [{ lookup: { red: 'x' } }] }, undefined],
    ['a table and a prototype', { claim: ['nested', 'team'], steps: [{ lookup: {} }] }, undefined],
    [
      'a replacement that is no pattern',
      { claim: 'sub', steps: [{ replaceAll: { search: ':', with: '$&' } }] },
      'system$&serviceaccount$&prod$&api',
    ],
    [
      'joined texts',
      { join: [{ value: 'acme' }, { claim: ['nested', 'team'] }], separator: '/' },
      'acme/red',
    ],
    [
      'joined with an absent one',
      { join: [{ value: 'acme' }, { claim: 'none' }], separator: '/' },
      undefined,
    ],
    ['the first that is there', { first: [{ claim: 'none' }, { claim: ['nested', 'team'] }] }, 'red'],
  ];
  test.each(rows)('of %s', (_, mapping, expected) => {
    expect(mapValue(mapping, claims)).toBe(expected);
  });
});

describe('a list', () => {
  const claims: JsonObject = {
    scope: 'a b  a',
    scp: ['x', 'y', 7],
    groups: ['eng', 'ops'],
    many: 's '.repeat(99),
  };
  const rows: readonly (readonly [string, ListMapping, readonly string[] | undefined])[] = [
    ['nothing', [], []],
    ['a text with spaces', [{ claim: 'scope', split: ' ' }], ['a', 'b']],
    ['a list, its texts alone', [{ claim: 'scp' }], ['x', 'y']],
    ['several sources', [{ claim: 'scp' }, { values: ['z'] }], ['x', 'y', 'z']],
    ['an absent claim', [{ claim: 'none' }], []],
    [
      'a table, what is not in it left out',
      [{ claim: 'groups', steps: [{ lookup: { eng: 'acme/dev' } }] }],
      ['acme/dev'],
    ],
  ];
  test.each(rows)('of %s', (_, mapping, expected) => {
    expect(mapList(mapping, claims)).toEqual(expected);
  });
  test('of too many texts is no list', () => {
    const many = Array.from({ length: 65 }, (_, at) => `s${at}`);
    expect(mapList([{ claim: 'many' }], { many })).toBeUndefined();
    expect(mapList([{ claim: 'many', split: ' ' }], { many: many.join(' ') })).toBeUndefined();
  });
});

describe('requirements and assurance', () => {
  test('compare exactly, type included', () => {
    const claims: JsonObject = { email_verified: 'true', hd: 'example.com', n: 1 };
    expect(meets({ claim: 'email_verified', equals: true }, claims)).toBe(false);
    expect(meets({ claim: 'hd', equals: 'example.com' }, claims)).toBe(true);
    expect(meets({ claim: 'hd', oneOf: ['other.com'] }, claims)).toBe(false);
    expect(meets({ claim: 'none', present: true }, claims)).toBe(false);
    expect(meets({ claim: 'none', present: false }, claims)).toBe(true);
    expect(meets({ claim: 'n', equals: '1' }, claims)).toBe(false);
  });
  test('the highest rule that holds is the assurance, and none of them the default', () => {
    const mapping = {
      default: 1,
      rules: [
        { claim: 'amr', value: 'mfa', level: 2 },
        { claim: 'amr', value: 'hwk', level: 3 },
        { claim: 'acr', value: '0', level: 0 },
      ],
    };
    expect(mapAssurance(mapping, { amr: ['pwd'] })).toBe(1);
    expect(mapAssurance(mapping, { amr: ['pwd', 'mfa'] })).toBe(2);
    expect(mapAssurance(mapping, { amr: ['hwk', 'mfa'] })).toBe(3);
    expect(mapAssurance(mapping, { amr: 'mfa' })).toBe(2);
    expect(mapAssurance(mapping, { acr: '0' })).toBe(0);
  });
});

describe('a principal', () => {
  test('is named by its issuer and subject, within its tenant', () => {
    expect(mapPrincipal(issuerOf(), { sub: 'auth0|5f' }).value).toMatchObject({
      principal: { type: 'User', id: 'acme/idp:auth0|5f' },
      tenant: 'acme',
    });
  });

  const several: Partial<IssuerSettingsInput> = { tenants: ['acme', 'globex'], tenant: { claim: 'org' } };
  test.each<[string, Partial<IssuerSettingsInput>, JsonObject, string]>([
    ['a tenant beyond the issuer', several, { sub: 'a', org: 'initech' }, 'tenant'],
    ['a tenant in other case', several, { sub: 'a', org: 'Acme' }, 'tenant'],
    ['no tenant', several, { sub: 'a' }, 'mapping'],
    ['an id of another tenant', { id: { claim: 'sub' } }, { sub: 'globex/a' }, 'mapping'],
    ['an id that only begins like the tenant', { id: { claim: 'sub' } }, { sub: 'acme-evil/a' }, 'mapping'],
    ['an id that is the tenant', { id: { claim: 'sub' } }, { sub: 'acme/' }, 'mapping'],
    ['a type beyond the issuer', { type: { claim: 't' } }, { sub: 'a', t: 'Service' }, 'principal_type'],
    ['a type that is none', { type: { claim: 't' } }, { sub: 'a', t: 'User::X' }, 'mapping'],
    ['a scope that is missing', { requiredScopes: ['model'] }, { sub: 'a', scope: 'models' }, 'scope'],
  ])('with %s is refused', (_, change, claims, cause) => {
    expect(mapPrincipal(issuerOf(change), claims)).toEqual({ cause });
  });

  test('never has an id that another issuer gives, whatever its mapping makes of the claims', () => {
    const base = { audiences: ['api'], tenants: ['acme'] };
    const { issuers } = resolveIssuers(
      [
        {
          ...base,
          name: 'hr',
          issuer: ISSUER,
          id: { join: [{ value: 'acme' }, { claim: 'sub' }], separator: '/' },
        },
        { ...base, name: 'okta', issuer: 'https://okta.example' },
      ].map(one => issuerSettingsSchema.parse(one)),
    );
    const issuer = issuers.get(ISSUER);
    if (issuer === undefined) throw new Error('no issuer');
    expect(mapPrincipal(issuer, { sub: 'okta:alice' })).toEqual({ cause: 'mapping' });
    expect(mapPrincipal(issuer, { sub: 'hr:alice' }).value?.principal.id).toBe('acme/hr:alice');
    expect(mapPrincipal(issuer, { sub: 'other:alice' }).value?.principal.id).toBe('acme/other:alice');
    expect(mapPrincipal(issuer, { sub: 'okta' }).value?.principal.id).toBe('acme/okta');
  });

  test('has roles of its tenant alone, whatever groups the issuer names', () => {
    const issuer = issuerOf({ roles: [{ claim: 'groups' }] });
    const groups = ['acme/dev', 'globex/admin', 'admin', 'acme/', 'acme/a b'];
    expect(mapPrincipal(issuer, { sub: 'a', groups }).value?.roles).toEqual(['acme/dev']);
  });
});

describe('actors', () => {
  const act = (depth: number): JsonObject => ({
    sub: `a${depth}`,
    ...(depth > 1 ? { act: act(depth - 1) } : {}),
  });
  test('become a chain, the one who acts now first', () => {
    const issuer = issuerOf({ delegation: { humanApproved: 'approved' } });
    const claims: JsonObject = {
      sub: 'alice',
      approved: true,
      act: { sub: 'copilot', act: { sub: 'planner' } },
    };
    expect(mapPrincipal(issuer, claims).value?.actors).toEqual({
      chain: ['acme/idp:copilot', 'acme/idp:planner'],
      humanApproved: true,
    });
  });
  test.each<[string, JsonObject]>([
    ['deeper than may be', { act: act(6) }],
    ['that are a text', { act: 'copilot' }],
    ['that are a list', { act: [{ sub: 'a' }] }],
    ['without a name', { act: {} }],
    ['of another issuer', { act: { sub: 'a', iss: 'https://other.example' } }],
    ['whose last is null', { act: { sub: 'a', act: null } }],
    ['with a name that is no id', { act: { sub: 'a b' } }],
  ])('%s are refused', (_, claims) => {
    expect(mapPrincipal(issuerOf({ delegation: {} }), { sub: 'alice', ...claims })).toEqual({
      cause: 'delegation',
    });
  });
  test('of five are the most', () => {
    expect(
      mapPrincipal(issuerOf({ delegation: {} }), { sub: 'alice', act: act(5) }).value?.actors?.chain,
    ).toHaveLength(5);
  });
  test('by name of the directory where the mapping says so', () => {
    const issuer = issuerOf({
      delegation: { agent: { join: [{ value: 'acme' }, { claim: 'client_id' }], separator: '/' } },
    });
    const claims: JsonObject = { sub: 'alice', act: { client_id: 'copilot' } };
    expect(mapPrincipal(issuer, claims).value?.actors).toEqual({
      chain: ['acme/copilot'],
      humanApproved: false,
    });
  });
});
