/** NDJSON import: all or nothing, every problem with its line, in any order of lines, without blocking. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { ImportProgress } from '../../src/directory/import.ts';
import { MAX_LINE_BYTES } from '../../src/directory/lines.ts';
import type { EntityBody } from '../../src/domain/entity.ts';
import {
  ACME,
  ADMIN,
  body,
  line,
  NOW,
  openDirectory,
  parseLine,
  shippedParser,
  type TestDirectory,
  tenant,
  user,
} from './directory-fixture.ts';
import { key, ref } from './graph-edits.ts';

const parser = shippedParser();
let directory: TestDirectory;

beforeEach(async () => {
  directory = await openDirectory(parser);
});

type Entities = readonly (readonly [string, EntityBody])[];
const text = (entities: Entities): string => entities.map(([name, state]) => line(ref(name), state)).join('');

async function* pieces(
  ...parts: readonly (string | Uint8Array)[]
): AsyncIterableIterator<string | Uint8Array> {
  yield* parts;
}

const run = (
  content: string,
  caller = ADMIN,
  onProgress: (progress: ImportProgress) => void = () => undefined,
) => directory.service.import(pieces(content), caller, { parseLine, onProgress });

describe('an import', () => {
  test('adds and replaces as one revision, with one event', async () => {
    await directory.service.put(ref('User/acme/a'), user(), ADMIN);
    const result = await run(
      text([
        ['User/acme/a', user({ attributes: { tier: 'new' } })],
        ['User/acme/b', user()],
      ]),
    );
    expect(result).toEqual({ created: 1, replaced: 1, revision: 2 });
    expect(directory.service.get(ref('User/acme/a'), ADMIN)).toMatchObject({
      revision: 2,
      attributes: { tier: 'new' },
    });
    expect(directory.published.map(({ revision }) => revision)).toEqual([1, 2]);
    expect(directory.announced.at(-1)).toEqual({
      kind: 'entity.import',
      id: 'event-2',
      time: NOW,
      actor: 'admin-key',
      tenant: 'acme',
      subject: 'directory',
      details: { created: 1, replaced: 1, before: 1, after: 2 },
    });
  });

  test('stores exactly what it shows', async () => {
    await run(text([['User/acme/a', user({ parents: ['Team/acme/y', 'Team/acme/x', 'Team/acme/y'] })]]));
    const shown = directory.service.get(ref('User/acme/a'), ADMIN);
    expect(await directory.state.directory.at(ref('User/acme/a'), 1)).toEqual(shown);
    expect(shown.parents).toEqual([ref('Team/acme/x'), ref('Team/acme/y')]);
  });

  test('may name members before their groups and tenants', async () => {
    await run(
      text([
        ['User/acme/a', user({ parents: ['Team/acme/t'] })],
        ['Team/acme/t', body({ parents: ['Tenant/acme'] })],
        ['Tenant/acme', tenant()],
      ]),
    );
    expect(directory.service.graph.get(key('User/acme/a'))?.ancestors).toEqual(
      new Set([key('Team/acme/t'), key('Tenant/acme')]),
    );
  });

  test('may turn a hierarchy round', async () => {
    await run(
      text([
        ['Team/a', body({ parents: ['Team/b'] })],
        ['Team/b', body({})],
      ]),
    );
    await run(
      text([
        ['Team/b', body({ parents: ['Team/a'] })],
        ['Team/a', body({})],
      ]),
    );
    expect(directory.service.graph.get(key('Team/b'))?.ancestors).toEqual(new Set([key('Team/a')]));
  });

  test('of nothing is a revision of its own', async () => {
    expect(await run('\n  \n')).toEqual({ created: 0, replaced: 0, revision: 1 });
  });

  test('takes CRLF, blank lines and a last line without an end', async () => {
    const content = text([
      ['User/acme/a', user()],
      ['User/acme/b', user()],
    ])
      .replaceAll('\n', '\r\n\r\n')
      .trimEnd();
    expect((await run(content)).created).toBe(2);
  });

  test('takes input that is cut anywhere, also within a character', async () => {
    const content = Buffer.from(
      text([
        ['User/acme/a', user({ attributes: { org: 'é€😀' } })],
        ['User/acme/b', user()],
      ]),
    );
    for (const size of [1, 2, 3, 7, 64]) {
      directory = await openDirectory(parser);
      const parts = Array.from({ length: Math.ceil(content.length / size) }, (_, at) =>
        content.subarray(at * size, (at + 1) * size),
      );
      const result = await directory.service.import(pieces(...parts), ADMIN, { parseLine });
      expect(result.created).toBe(2);
      expect(directory.service.get(ref('User/acme/a'), ADMIN).attributes['org']).toBe('é€😀');
    }
  });

  test('reports its progress phase by phase', async () => {
    const seen: ImportProgress[] = [];
    const roles: Entities = Array.from({ length: 2_500 }, (_, n) => [`Role/r${n}`, body({})]);
    await run(text(roles), ADMIN, progress => seen.push(progress));
    expect(seen).toEqual([
      { phase: 'reading', done: 1_000 },
      { phase: 'reading', done: 2_000 },
      { phase: 'checking', done: 1_000 },
      { phase: 'checking', done: 2_000 },
      { phase: 'checking', done: 2_500 },
      { phase: 'linking', done: 2_500 },
      { phase: 'storing', done: 2_500 },
    ]);
  });

  test('lets the event loop run many times', async () => {
    const roles: Entities = Array.from({ length: 2_000 }, (_, n) => [
      `Role/r${n}`,
      body({ parents: [`Role/p${n % 7}`] }),
    ]);
    let turns = 0;
    let done = false;
    const count = (): void => {
      turns += 1;
      if (!done) setImmediate(count);
    };
    setImmediate(count);
    await run(text(roles));
    done = true;
    // The clock of the fixture passes a slice of 8 ms with every eighth look at it.
    expect(turns).toBeGreaterThan(200);
  });

  test('does not hold up other writes while its lines arrive', async () => {
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    async function* slow(): AsyncIterableIterator<string> {
      yield line(ref('Role/first'), body({}));
      await gate;
      yield line(ref('Role/last'), body({}));
    }
    const imported = directory.service.import(slow(), ADMIN, { parseLine });
    expect((await directory.service.put(ref('Role/other'), body({}), ADMIN)).record.revision).toBe(1);
    open();
    expect((await imported).revision).toBe(2);
  });
});

describe('a faulty import changes nothing and names the line of', () => {
  const good: Entities = [['User/acme/good', user()]];
  const long = `{"type":"User","id":"acme/l","attributes":{"org":"${'x'.repeat(MAX_LINE_BYTES)}"}}\n`;

  test.each<[string, string, readonly object[]]>([
    ['bad JSON', `${text(good)}{"type":\n`, [{ line: 2, pointer: '/x', column: 7, message: 'not JSON' }]],
    ['another shape', `\n${text(good)}[]\n`, [{ line: 3, message: 'not an entity' }]],
    [
      'an entity that does not fit',
      text([...good, ['User/acme/x', user({ attributes: { clearance: 'x', tier: 2 } })]]),
      [
        { line: 2, pointer: '/attributes/clearance' },
        { line: 2, pointer: '/attributes/tier' },
      ],
    ],
    [
      'an entity that is named twice',
      text([...good, ['Role/r', body({})], ...good]),
      [{ line: 3, message: '`User` `acme/good` was named in line 1 already' }],
    ],
    [
      'a line that is too long',
      long + text(good),
      [{ line: 1, message: `the line is longer than ${MAX_LINE_BYTES} bytes` }],
    ],
    ['a last line that is too long', text(good) + long.trimEnd(), [{ line: 2 }]],
    [
      'a parent that must exist',
      text([...good, ['Team/t', body({ parents: ['Tenant/none'] })]]),
      [{ line: 2, pointer: '/parents/0', message: 'the parent `Tenant` `none` does not exist' }],
    ],
    [
      'a cycle',
      text([['Team/a', body({ parents: ['Team/b'] })], ...good, ['Team/b', body({ parents: ['Team/a'] })]]),
      [
        {
          line: 1,
          pointer: '/parents',
          message: 'the parents form a cycle: `AI::Team::"a"` in `AI::Team::"b"` in `AI::Team::"a"`',
        },
      ],
    ],
    ['a disabled group', text([['Team/a', body({ status: 'disabled' })]]), [{ line: 1, pointer: '/status' }]],
  ])('%s', async (_name, content, problems) => {
    await expect(run(content)).rejects.toMatchObject({ code: 'ENTITY_INVALID', problems });
    expect([directory.service.graph.size, directory.service.graph.revision]).toEqual([0, 0]);
    expect(await directory.state.directory.revision()).toBe(0);
    expect([directory.published, directory.announced]).toEqual([[], []]);
    expect((await run(text(good))).created).toBe(1);
  });

  test('a cycle through what is there already', async () => {
    await run(text([['Team/a', body({ parents: ['Team/b'] })]]));
    await expect(
      run(
        text([
          ['Role/r', body({})],
          ['Team/b', body({ parents: ['Team/a'] })],
        ]),
      ),
    ).rejects.toMatchObject({
      problems: [{ line: 2 }],
    });
  });

  test('every line, up to 100 problems', async () => {
    const lines = Array.from({ length: 250 }, () => '{}\n').join('');
    const error: unknown = await run(lines).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ message: 'the import has at least 100 problems and changed nothing' });
    expect(error).toHaveProperty('problems.length', 100);
    expect(error).toHaveProperty('problems.99.line', 100);
  });

  test('what a limited caller may not write', async () => {
    const content = text([
      ['User/acme/mine', user()],
      ['User/globex/theirs', user()],
      ['User/acme/x', user({ parents: ['Role/global'] })],
      ['User/acme/y', user({ attributes: { tenant: 'globex' } })],
    ]);
    await expect(run(content, ACME)).rejects.toMatchObject({
      code: 'ENTITY_INVALID',
      problems: [
        { line: 2, pointer: '/id' },
        { line: 3, pointer: '/parents/0' },
        { line: 4, pointer: '/attributes/tenant' },
      ],
    });
    expect((await run(text([['User/acme/mine', user()]]), ACME)).created).toBe(1);
  });
});
