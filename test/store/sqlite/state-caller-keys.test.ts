/** A damaged key of a caller is damage, and never a key that may do more. */
import { expect, test } from 'vitest';
import { parseCallerKeys } from '../../../src/store/sqlite/state-caller-keys.ts';

const KEY = {
  id: 'a',
  hash: 'h',
  pepper: 1,
  owner: { type: 'User', id: 'acme/alice' },
  tenant: 'acme',
  description: '',
  scopes: [{ actions: ['generate'], models: ['acme/m'] }],
  networks: ['10.0.0.0/8'],
  oauthScopes: [],
  createdAt: '2026-01-02T03:04:05.678Z',
  createdBy: 'k1',
  expiresAt: '2026-04-02T03:04:05.678Z',
};
const parse = (...rows: readonly unknown[]) =>
  parseCallerKeys({ json: JSON.stringify(rows), next: undefined });

test('what was written is read', () => {
  expect(parse([KEY, null, null], [{ ...KEY, id: 'b' }, 7, '10.0.0.0/24'])).toEqual([
    { key: KEY },
    { key: { ...KEY, id: 'b' }, lastUse: { id: 'b', minute: 7, network: '10.0.0.0/24' } },
  ]);
});

test.each([
  ['scopes that are gone', { scopes: undefined }],
  ['scopes that are no list', { scopes: {} }],
  ['a scope that is empty', { scopes: [{}] }],
  ['a scope with a member of a later version', { scopes: [{ regions: ['eu'] }] }],
  ['a scope whose models are no list', { scopes: [{ models: 'acme/m' }] }],
  ['a scope whose models are no texts', { scopes: [{ models: [1] }] }],
  ['networks that are gone', { networks: undefined }],
  ['networks that are no texts', { networks: [null] }],
  ['an owner of another type', { owner: { type: 'Model', id: 'acme/m' } }],
  ['an owner without an id', { owner: { type: 'User' } }],
  ['a tenant that is no text', { tenant: 1 }],
  ['an expiry that is gone', { expiresAt: undefined }],
  ['an expiry that is no time', { expiresAt: 'never' }],
  ['a beginning that is no time', { notBefore: 'soon' }],
  ['a revocation that is no object', { revoked: true }],
  ['a version of the pepper that is no number', { pepper: '1' }],
  ['no hash', { hash: undefined }],
])('%s stop the start', (_, change) => {
  expect(() => parse([{ ...KEY, ...change }, null, null])).toThrow('a key of a caller cannot be read');
});
