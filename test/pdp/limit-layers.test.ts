/** Whose limits hold for a request: the platform's, and those of every tenant that it concerns, each once. */
import { describe, expect, test } from 'vitest';
import type { LayerName } from '../../src/domain/ids.ts';
import { LimitLayerLists } from '../../src/pdp/limit-layers.ts';
import { layerOf, WINDOW } from '../limits/charges/planning-world.ts';

function listsOf(...names: readonly LayerName[]): LimitLayerLists {
  const written = { limits: [WINDOW] };
  return new LimitLayerLists(
    new Map<LayerName, { limits: ReturnType<typeof layerOf> | undefined }>([
      ['tenant:bare', { limits: undefined }],
      ...names.map(name => [name, { limits: layerOf(name, written) }] as const),
    ]),
  );
}

const NOBODY = { principalEntity: undefined, resourceEntity: undefined };
const lists = listsOf('platform', 'tenant:a', 'tenant:b');

function namesOf(...asked: Parameters<LimitLayerLists['of']>): readonly LayerName[] {
  return lists.of(...asked).map(({ layer }) => layer);
}

describe('LimitLayerLists', () => {
  test.each([
    ['', undefined, ['platform']],
    ['a', undefined, ['platform', 'tenant:a']],
    ['bare', undefined, ['platform']],
    ['unknown', undefined, ['platform']],
    ['a', { platform: 'x', 'tenant:a': 'y' }, ['platform', 'tenant:a']],
    // the owner of a partition or a tool
    ['a', { platform: 'x', 'tenant:a': 'y', 'tenant:b': 'z' }, ['platform', 'tenant:a', 'tenant:b']],
    ['', { 'tenant:b': 'z', 'tenant:bare': 'z', 'tenant:gone': 'z' }, ['platform', 'tenant:b']],
  ])('of tenant %j with deciding layers %j', (tenant, used, expected) => {
    expect(namesOf({ tenant, ...NOBODY }, used)).toEqual(expected);
    expect(namesOf({ tenant, ...NOBODY }, used)).toEqual(expected);
  });

  test('are the same list for the same tenants', () => {
    const used = { platform: 'x', 'tenant:a': 'y' };
    const asked = { tenant: 'a', ...NOBODY };
    expect(lists.of(asked, used)).toBe(lists.of(asked, { ...used }));
    expect(lists.of(asked)).toBe(lists.of(asked));
  });

  test('hold without a platform layer', () => {
    const own = listsOf('tenant:a');
    expect(own.of({ tenant: 'a', ...NOBODY }).map(({ layer }) => layer)).toEqual(['tenant:a']);
    expect(own.of({ tenant: 'b', ...NOBODY })).toEqual([]);
  });
});
