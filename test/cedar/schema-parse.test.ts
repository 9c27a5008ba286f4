/** Schemas from Cedar text: names resolved, types shared, problems placed. */
import { describe, expect, it } from 'vitest';
import type { CedarSchema, CedarType } from '../../src/cedar/schema.ts';
import { parseSchema } from '../../src/cedar/schema-parse.ts';
import { CedarWasm } from '../../src/cedar/wasm.ts';
import { schemaForTest } from '../pdp/shipped-schema.ts';

const wasm = new CedarWasm();

function attribute(schema: CedarSchema, entity: string, name: string): CedarType | undefined {
  return schema.entityTypes.get(entity)?.shape.attributes.get(name)?.type;
}

describe('the shipped schema', () => {
  const schema = schemaForTest();

  it('gives actions all their groups', () => {
    expect([...(schema.actions.get('AI::Action::"generate"')?.ancestors ?? [])].sort()).toEqual(
      ['Any', 'Inference', 'ModelAction', 'Tenanted', 'Use'].map(id => `AI::Action::"${id}"`),
    );
    expect(schema.actions.get('AI::Action::"Any"')).toMatchObject({
      principalTypes: new Set(),
      resourceTypes: new Set(),
    });
  });

  it('makes equal types the same object across actions and entities', () => {
    const context = (id: string) => schema.actions.get(`AI::Action::"${id}"`)?.context;
    expect(context('generate')).toBe(context('embed'));
    expect(context('invoke')).not.toBe(context('generate'));
    expect(context('invoke')?.attributes.get('auth')?.type).toBe(
      context('callTool')?.attributes.get('auth')?.type,
    );
    expect(attribute(schema, 'AI::User', 'tenant')).toBe(attribute(schema, 'AI::Model', 'tenant'));
    expect(attribute(schema, 'AI::Model', 'regions')).toBe(
      attribute(schema, 'AI::DataPartition', 'residency'),
    );
  });

  it('knows what is optional, who may be in what, and tags', () => {
    expect(schema.entityTypes.get('AI::Model')?.shape.attributes.get('regions')?.required).toBe(false);
    expect(schema.entityTypes.get('AI::Model')?.shape.attributes.get('org')?.required).toBe(true);
    expect(schema.entityTypes.get('AI::User')?.memberOf).toEqual(
      new Set(['AI::Team', 'AI::Role', 'AI::Tenant']),
    );
    expect(schema.entityTypes.get('AI::Model')?.tags).toEqual({ kind: 'string' });
  });
});

describe('names and types', () => {
  it.each([
    ['built-in', 'entity A = { x: Bool };', 'A', { kind: 'boolean' }],
    ['built-in by its full name', 'entity A = { x: __cedar::Long };', 'A', { kind: 'long' }],
    [
      'hidden by an entity type',
      'entity Long; entity A = { x: Long };',
      'A',
      { kind: 'entity', name: 'Long' },
    ],
    ['hidden by a common type', 'type decimal = String; entity A = { x: decimal };', 'A', { kind: 'string' }],
    [
      'reached past a common type',
      'type decimal = String; entity A = { x: __cedar::decimal };',
      'A',
      { kind: 'extension', name: 'decimal' },
    ],
    ['common of a common type', 'type T = U; type U = Long; entity A = { x: T };', 'A', { kind: 'long' }],
    [
      'in a namespace',
      'namespace N::M { entity B; entity A = { x: B }; }',
      'N::M::A',
      { kind: 'entity', name: 'N::M::B' },
    ],
    [
      'of another namespace',
      'entity B; namespace N { entity A = { x: B }; }',
      'N::A',
      { kind: 'entity', name: 'B' },
    ],
    [
      'enumerated',
      'entity E enum ["a", "b"]; entity A = { x: E };',
      'A',
      { kind: 'entity', name: 'E', enumeration: new Set(['a', 'b']) },
    ],
    [
      'a set of sets',
      'entity A = { x: Set<Set<ipaddr>> };',
      'A',
      { kind: 'set', element: { kind: 'set', element: { kind: 'extension', name: 'ipaddr' } } },
    ],
    ['named `__proto__`', 'entity A = { "__proto__": Long, x: Long };', 'A', { kind: 'long' }],
  ])('a type is %s', (_, text, entity, type) => {
    expect(attribute(schemaForTest(text), entity, 'x')).toEqual(type);
  });

  it('an attribute named `__proto__` is an attribute', () => {
    expect(attribute(schemaForTest('entity A = { "__proto__": Long };'), 'A', '__proto__')).toEqual({
      kind: 'long',
    });
  });
});

describe('a schema is refused', () => {
  it.each([
    [
      'where it does not parse',
      '// é😀\n entity A = { x: Long;',
      { line: 2, column: 22, message: 'unexpected token `;`' },
    ],
    [
      'where a type is unknown',
      'entity A = {\r\n  x: Strin };',
      { line: 2, column: 6, message: 'failed to resolve type: Strin' },
    ],
    ['when common types are cyclic', 'type T = { a: U }; type U = { b: T };', { message: 'cycle' }],
    ['when actions are cyclic', 'action a in [b]; action b in [a];', { message: 'cycle' }],
    [
      'when an attribute has a reserved name',
      'entity A = { "__extn": Long };',
      { message: 'entity type `A`: the attribute name `__extn` is reserved' },
    ],
    [
      'when types nest too deeply',
      `entity A = { x: ${'Set<'.repeat(20)}Long${'>'.repeat(20)} };`,
      { message: 'nested deeper than 16' },
    ],
    [
      'when records nest hostilely',
      `entity A = { x: ${'{a:'.repeat(2_000)}Long${'}'.repeat(2_000)} };`,
      { message: 'nested deeper' },
    ],
    [
      'when sets nest hostilely',
      `entity A = { x: ${'Set<'.repeat(2_000)}Long${'>'.repeat(2_000)} };`,
      { message: 'operator characters' },
    ],
    ['when it is too long', `// ${'a'.repeat(300_000)}`, { message: 'characters' }],
  ])('%s', (_, text, { message, ...place }) => {
    const result = parseSchema(text, wasm);
    const [problem] = result.ok ? [] : result.problems;
    expect(problem).toMatchObject({ file: 'schema.cedarschema', ...place });
    expect(problem?.message).toContain(message);
    expect(wasm.traps).toBe(0);
  });

  it('never silently: shadowing a built-in name is a warning', () => {
    const result = parseSchema('entity Long;', wasm);
    const [warning] = result.ok ? result.warnings : [];
    expect(warning).toMatchObject({ line: 1, column: 8 });
    expect(warning?.message).toContain('shadows');
  });
});
