/** What a log says about the logs that it took the place of: it is read back as it was written, or not at all. */
import { describe, expect, test } from 'vitest';
import { parseLeaf } from '../../src/decision-log/logged-leaf.ts';
import {
  largestHeads,
  recordedSuccession,
  type Succession,
  successionDetails,
} from '../../src/decision-log/succession.ts';

const root = (byte: number) => Buffer.alloc(32, byte);
const succession: Succession = {
  request: '019ab000-0000-7000-8000-000000000000',
  reason: 'the disk died',
  by: 'ops',
  at: '2026-11-20T12:00:00.000Z',
  replaces: [
    { origin: 'test.example/a', size: 90, root: root(1) },
    { origin: 'test.example/b', size: 7, root: root(2) },
  ],
  remains: { origin: 'test.example/a', size: 40, root: undefined },
};

const entry = (details: unknown, kind = 'log.open') => parseLeaf(JSON.stringify({ kind, details }));

describe('the first entry of a log', () => {
  test('gives back what it took the place of', () => {
    const { request, replaces } = recordedSuccession(entry(successionDetails(succession)));
    expect(request).toBe(succession.request);
    expect(replaces).toEqual(succession.replaces);
  });

  test('says what the folder still held, its root when there was one', () => {
    expect(successionDetails(succession)['remains']).toEqual({
      origin: 'test.example/a',
      size: 40,
      root: null,
    });
    expect(successionDetails({ ...succession, remains: undefined })['remains']).toBeNull();
  });

  test.each<[string, ReturnType<typeof entry> | undefined]>([
    ['nothing', undefined],
    ['another kind', entry(successionDetails(succession), 'service.start')],
    ['no details', parseLeaf('{"kind":"log.open"}')],
    ['a list for details', entry([])],
    ['the link of a shard', entry({ shard: 'x', previous: { shard: 'w', size: 4, root: 'AAAA' } })],
    ['no list', entry({ replaces: 'test.example/a' })],
    ['no objects', entry({ replaces: [null, 'test.example/a', []] })],
    [
      'a size that no tree has',
      entry({ replaces: [{ origin: 'a', size: -1, root: root(1).toString('base64') }] }),
    ],
    ['a root that is none', entry({ replaces: [{ origin: 'a', size: 1, root: 'AAAA' }] })],
    ['no origin', entry({ replaces: [{ size: 1, root: root(1).toString('base64') }] })],
  ])('that is %s records nothing', (_name, content) => {
    expect(recordedSuccession(content)).toEqual({ request: undefined, replaces: [] });
  });
});

test('of several checkpoints of a log the largest counts', () => {
  const heads = [3, 9, 5].map(size => ({ origin: 'a', size, root: root(size) }));
  expect(
    largestHeads([...heads, { origin: 'b', size: 20, root: root(0) }]).map(({ origin, size }) => [
      origin,
      size,
    ]),
  ).toEqual([
    ['b', 20],
    ['a', 9],
  ]);
});
