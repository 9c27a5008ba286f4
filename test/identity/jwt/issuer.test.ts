/** Settings of issuers that could let strangers in, or mix up subjects, do not start the service. */
import { describe, expect, test } from 'vitest';
import { type IssuerSettingsInput, issuerSettingsSchema } from '../../../src/domain/issuer-settings.ts';
import { resolveIssuers } from '../../../src/identity/jwt/issuer.ts';

const BASE: IssuerSettingsInput = {
  name: 'idp',
  issuer: 'https://idp.example',
  audiences: ['api'],
  tenants: ['acme'],
};

function problems(...settings: readonly Partial<IssuerSettingsInput>[]): readonly string[] {
  const parsed = settings.map(one => issuerSettingsSchema.parse({ ...BASE, ...one }));
  return resolveIssuers(parsed).problems.map(({ message }) => message);
}

describe('one issuer', () => {
  test('with the least that is needed is complete', () => {
    expect(problems({})).toEqual([]);
  });

  test.each<[string, Partial<IssuerSettingsInput>, string]>([
    ['without `iss`', { issuer: undefined }, 'needs `issuer`'],
    ['over plain http', { issuer: 'http://idp.example' }, 'must use https'],
    ['at a private address', { issuer: 'https://192.168.0.1' }, 'private address'],
    ['that is no URL, without the address of its keys', { issuer: 'idp' }, '`issuer` is no URL'],
    ['with keys elsewhere', { jwksUri: 'https://other.example/keys' }, 'keyHosts'],
    [
      'with introspection elsewhere',
      { introspection: { url: 'https://other.example', clientId: 'c', clientSecretFile: 'f' } },
      'keyHosts',
    ],
    ['for several tenants without a claim', { tenants: ['a', 'b'] }, 'needs `tenant`'],
    ['with unverified addresses as ids', { id: { claim: 'email' } }, 'email_verified'],
    ['google without a pin', { preset: 'google', issuer: undefined }, 'every customer'],
    [
      'google with a pin that pins nothing',
      { preset: 'google', require: [{ claim: 'hd', present: true }] },
      'every customer',
    ],
    [
      'azure for everybody',
      { preset: 'azure', issuer: 'https://login.microsoftonline.com/common/v2.0' },
      'one tenant',
    ],
    ['azure without an issuer', { preset: 'azure', issuer: undefined }, 'one tenant'],
    ['aws without an issuer', { preset: 'aws', issuer: undefined }, 'account-specific'],
  ])('%s is refused', (_, change, message) => {
    expect(problems(change).join()).toContain(message);
  });

  test.each<[string, Partial<IssuerSettingsInput>]>([
    [
      'that is no URL, with the address of its keys',
      { issuer: 'urn:idp', jwksUri: 'https://keys.example/', keyHosts: ['keys.example'] },
    ],
    [
      'with verified addresses as ids',
      {
        id: { join: [{ value: 'acme' }, { claim: 'email' }], separator: '/' },
        require: [{ claim: 'email_verified', equals: true }],
      },
    ],
    [
      'google with its domain',
      { preset: 'google', issuer: undefined, require: [{ claim: 'hd', equals: 'acme.example' }] },
    ],
  ])('%s is accepted', (_, change) => {
    expect(problems(change)).toEqual([]);
  });

  test.each<[string, Record<string, unknown>]>([
    ['a symmetric algorithm', { algorithms: ['HS256'] }],
    ['`none`', { algorithms: ['none'] }],
    ['no audience', { audiences: [] }],
    ['no tenant', { tenants: [] }],
    ['a lifetime of two days', { maxLifetimeSeconds: 172_800 }],
    ['a tolerance of two minutes', { clockToleranceSeconds: 120 }],
    ['a key that nobody knows', { verify: false }],
    ['a step that is code', { id: { claim: 'sub', steps: [{ regexp: '(a+)+$' }] } }],
    ['a name that is no name', { name: 'a/b' }],
  ])('%s is no setting', (_, change) => {
    expect(issuerSettingsSchema.safeParse({ ...BASE, ...change }).success).toBe(false);
  });
});

describe('several issuers', () => {
  const other = { name: 'other', issuer: 'https://other.example' };
  const id = { join: [{ value: 'acme' }, { claim: 'sub' }], separator: '/' };
  test('of one tenant keep their subjects apart by themselves', () => {
    expect(problems({}, other)).toEqual([]);
    expect(problems({ id }, other)).toEqual([]);
  });
  test('of one tenant with ids of their own making are refused, unless that is meant', () => {
    expect(problems({ id }, { ...other, id }).join()).toContain('both map to ids of tenant `acme`');
    expect(problems({ id, sharesIds: true }, { ...other, id, sharesIds: true })).toEqual([]);
    expect(problems({ id }, { ...other, id, tenants: ['globex'] })).toEqual([]);
  });
  test('with one name, or one `iss`, are refused', () => {
    expect(problems({}, { issuer: 'https://other.example' }).join()).toContain(
      'another issuer has this name',
    );
    expect(problems({}, { name: 'other' }).join()).toContain('the same `iss`');
  });
});
