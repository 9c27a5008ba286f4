/** Listings equal a naive filter and sort, page by page, for any filters and callers. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { DirectoryGraph } from '../../src/directory/graph.ts';
import { type EntityFilter, listEntities } from '../../src/directory/listing.ts';
import { edit, key, ref } from '../directory/graph-edits.ts';

const TYPES = ['Tool', 'ToolGroup', 'User', 'Agent'];
const name = fc
  .tuple(
    fc.constantFrom(...TYPES),
    fc.constantFrom('', 'a/', 'b/', 'ab/'),
    fc.stringMatching(/^[!#A-Za-c~]{1,3}$/),
  )
  .map(([type, tenant, id]) => `${type}/${tenant}${id}`);
const parent = fc.constantFrom('Team/x', 'Team/a/y', 'Team/b/z');
const entities = fc.dictionary(name, fc.uniqueArray(parent, { maxLength: 2 }), { maxKeys: 30 });
const filter: fc.Arbitrary<EntityFilter> = fc.record(
  {
    types: fc.uniqueArray(fc.constantFrom(...TYPES, 'Nope'), { minLength: 1 }),
    tenant: fc.constantFrom('a', 'b', 'ab', 'none'),
    parent: parent.map(ref),
    prefix: fc.constantFrom('a', 'a/', 'b/', 'A', '~'),
  },
  { requiredKeys: [] },
);
const allowed = fc.option(
  fc.uniqueArray(fc.constantFrom('a', 'b', 'ab')).map(tenants => new Set(tenants)),
  { nil: undefined },
);

test('following the cursors gives every match once, in the order of keys', () => {
  fc.assert(
    fc.property(
      entities,
      filter,
      allowed,
      fc.integer({ min: 1, max: 7 }),
      (written, wanted, tenants, limit) => {
        const graph = edit(DirectoryGraph.empty(), written);
        const expected = Object.entries(written)
          .filter(([text, parents]) => matches(text, parents, wanted, tenants))
          .map(([text]) => key(text))
          .sort();
        const found: string[] = [];
        let cursor: string | null | undefined;
        do {
          const page = listEntities(
            graph,
            { ...wanted, limit, ...(typeof cursor === 'string' ? { cursor } : {}) },
            tenants,
          );
          expect(page.items.length).toBeLessThanOrEqual(limit);
          found.push(...page.items.map(({ uid }) => uid.key));
          cursor = page.nextCursor;
        } while (cursor !== null);
        expect(found).toEqual(expected);
      },
    ),
    { numRuns: 500 },
  );
});

test('a cursor that this service did not give is refused', () => {
  for (const cursor of ['', 'x', 'QUk6OlVzZXI6OiJhIg=', Buffer.from('AI::User').toString('base64url')]) {
    expect(() => listEntities(DirectoryGraph.empty(), { limit: 1, cursor }, undefined)).toThrow(
      'the cursor is not',
    );
  }
});

function matches(
  text: string,
  parents: readonly string[],
  { types, tenant, parent: wantedParent, prefix }: EntityFilter,
  tenants: ReadonlySet<string> | undefined,
): boolean {
  const { type, id } = ref(text);
  const owner = id.includes('/') ? id.slice(0, id.indexOf('/')) : undefined;
  return (
    (types === undefined || types.includes(type)) &&
    (tenant === undefined || owner === tenant) &&
    (wantedParent === undefined ||
      parents.some(one => key(one) === `AI::${wantedParent.type}::"${wantedParent.id}"`)) &&
    (prefix === undefined || id.startsWith(prefix)) &&
    (tenants === undefined || (owner !== undefined && tenants.has(owner)))
  );
}
