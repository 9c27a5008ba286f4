/** What the active schema makes of directory entities beyond their types. */
import { describe, expect, it } from 'vitest';
import { entityParser } from '../../src/pdp/directory-schema.ts';
import { schemaForTest } from './shipped-schema.ts';

const parser = entityParser(schemaForTest());
const body = { attributes: {}, parents: [], tags: {}, status: 'active' } as const;

describe('entityParser()', () => {
  it('lets a tenant belong only to itself', () => {
    const ref = { type: 'Tenant', id: 'acme' };
    const parse = (attributes: Record<string, string>) => parser.parse(ref, { ...body, attributes });
    expect(parse({ plan: 'x' })).toMatchObject({ ok: true });
    expect(parse({ plan: 'x', tenant: 'acme' })).toMatchObject({ ok: true });
    expect(parse({ plan: 'x', tenant: 'globex' })).toMatchObject({
      ok: false,
      problems: [{ pointer: '/attributes/tenant', message: 'a tenant belongs to itself, not to `globex`' }],
    });
  });

  it('lets only types be disabled that a request can name', () => {
    expect(parser.traits('User')).toMatchObject({ requestable: true });
    expect(parser.traits('Model')).toMatchObject({ requestable: true });
    expect(parser.traits('Role')).toMatchObject({ requestable: false });
    expect(parser.traits('Robot')).toBeUndefined();
  });
});
