/** What a credential reaches: layers of its tenants, and the platform's only without a limit. */
import { expect, test } from 'vitest';
import { layersInReach } from '../../src/identity/authority.ts';

test('a credential is told of the layers of its own tenants alone', () => {
  const layers = ['platform', 'tenant:acme', 'tenant:globex'] as const;
  expect(layersInReach({ tenants: undefined }, layers)).toEqual(layers);
  expect(layersInReach({ tenants: new Set(['globex']) }, layers)).toEqual(['tenant:globex']);
  expect(layersInReach({ tenants: new Set(['glob']) }, layers)).toEqual([]);
});
