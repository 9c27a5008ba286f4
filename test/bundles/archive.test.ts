/** The archive is read one way or refused: hostile tables for tar, gzip and the JSON form. */
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import {
  type BundleForm,
  MAX_ARCHIVE_BYTES,
  MAX_FILES,
  MAX_PROBLEMS,
  MAX_UNPACKED_BYTES,
  openBundle,
} from '../../src/bundles/archive.ts';
import { AppError } from '../../src/domain/errors.ts';
import { paxRecord, tar, tarGz, type TarItem } from './tar-builder.ts';

const SHIPPED = 'the shipped schema';
const MANIFEST: TarItem = { name: 'manifest.json', data: '{"layer":"tenant:acme","version":"1"}' };
const POLICY: TarItem = { name: 'policies/a.cedar', data: 'permit (principal, action, resource);' };

async function refusal(form: BundleForm, body: Uint8Array): Promise<AppError> {
  const error: unknown = await openBundle(form, body, SHIPPED).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof AppError)) throw new Error(`expected a refusal, got ${String(error)}`);
  return error;
}

async function messages(form: BundleForm, body: Uint8Array): Promise<string> {
  const { problems } = await refusal(form, body);
  return problems
    .map(({ message, hint }) => `${message}${hint === undefined ? '' : ` [${hint}]`}`)
    .join('\n');
}

function json(value: unknown): Buffer {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
}

describe('a tar.gz that is accepted', () => {
  const forms: readonly (readonly [string, readonly TarItem[]])[] = [
    ['plain names', [MANIFEST, POLICY]],
    [
      'names with a leading ./ and folders',
      [
        { name: './', type: '5' },
        { ...MANIFEST, name: './manifest.json' },
        { name: './policies/', type: '5' },
        { ...POLICY, name: './policies/a.cedar' },
      ],
    ],
    ['a GNU header', [{ ...MANIFEST, magic: 'ustar  \0' }, POLICY]],
    [
      'a PAX path with times',
      [
        MANIFEST,
        { name: 'h', type: 'x', data: paxRecord('path', 'policies/a.cedar') + paxRecord('mtime', '1.5') },
        { ...POLICY, name: 'short' },
      ],
    ],
    [
      'a GNU long name',
      [
        MANIFEST,
        { name: '././@LongLink', type: 'L', data: 'policies/a.cedar\0' },
        { ...POLICY, name: 'short' },
      ],
    ],
    [
      'a global PAX comment, as git archive writes',
      [{ name: 'g', type: 'g', data: paxRecord('comment', 'abc') }, MANIFEST, POLICY],
    ],
    [
      'other owners, times and order',
      [
        { ...POLICY, mtime: 77, uid: 1000 },
        { ...MANIFEST, mtime: 99 },
      ],
    ],
  ];
  test.each(forms)('%s', async (_, items) => {
    const archive = tarGz(items);
    const opened = await openBundle('tar', archive, SHIPPED);
    expect(opened.manifest).toEqual({ layer: 'tenant:acme', version: '1', description: '' });
    expect(opened.files).toEqual({ 'policies/a.cedar': POLICY.data });
    expect(opened.archive).toBe(archive);
    expect(opened.digest).toBe((await openBundle('tar', tarGz([MANIFEST, POLICY]), SHIPPED)).digest);
  });
});

describe('a tar.gz that is refused', () => {
  const hostile: readonly (readonly [string, readonly TarItem[], string])[] = [
    [
      'symbolic link',
      [MANIFEST, { name: 'policies/a.cedar', type: '2', linkName: '/etc/passwd' }],
      'is a link',
    ],
    [
      'hard link',
      [MANIFEST, { name: 'policies/a.cedar', type: '1', linkName: 'manifest.json' }],
      'is a link',
    ],
    ['character device', [MANIFEST, { name: 'policies/a.cedar', type: '3' }], 'device or a pipe'],
    ['block device', [MANIFEST, { name: 'policies/a.cedar', type: '4' }], 'device or a pipe'],
    ['pipe', [MANIFEST, { name: 'policies/a.cedar', type: '6' }], 'device or a pipe'],
    [
      'sparse file',
      [MANIFEST, { name: 'policies/a.cedar', type: 'S' }],
      'of a kind that a bundle may not hold',
    ],
    ['parent folder', [MANIFEST, { ...POLICY, name: 'policies/../../a.cedar' }], 'leaves the bundle'],
    ['absolute path', [MANIFEST, { ...POLICY, name: '/policies/a.cedar' }], 'is absolute'],
    ['drive letter', [MANIFEST, { ...POLICY, name: 'C:/a.cedar' }], 'is absolute'],
    ['backslash', [MANIFEST, { ...POLICY, name: 'policies\\a.cedar' }], 'holds a backslash'],
    ['empty segment', [MANIFEST, { ...POLICY, name: 'policies//a.cedar' }], 'empty or dotted segment'],
    ['dot segment', [MANIFEST, { ...POLICY, name: 'policies/./a.cedar' }], 'empty or dotted segment'],
    ['hidden file', [MANIFEST, { ...POLICY, name: 'policies/.a.cedar' }], 'hidden or not made of'],
    ['macOS resource', [MANIFEST, { ...POLICY, name: './._manifest.json' }], 'COPYFILE_DISABLE=1'],
    ['control character', [MANIFEST, { ...POLICY, name: 'policies/a\n.cedar' }], '`policies/a\\u{a}.cedar`'],
    ['look-alike letter', [MANIFEST, { ...POLICY, name: 'policies/\u0430.cedar' }], '\\u{430}'],
    [
      'name that is not UTF-8',
      [MANIFEST, { ...POLICY, name: Buffer.from([0x70, 0xff]) }],
      'a file name is not UTF-8',
    ],
    [
      'text that is not UTF-8',
      [MANIFEST, { ...POLICY, data: Buffer.from([0xc3, 0x28]) }],
      'is not UTF-8 text',
    ],
    ['byte order mark', [MANIFEST, { ...POLICY, data: '\uFEFFpermit' }], 'byte order mark'],
    ['same name twice', [MANIFEST, POLICY, POLICY], 'holds `policies/a.cedar` twice'],
    [
      'file that is a folder too',
      [MANIFEST, { ...POLICY, name: 'policies/a.cedar/b/c.cedar' }, POLICY],
      '`policies/a.cedar` is a file of the bundle, and the folder of `policies/a.cedar/b/c.cedar`',
    ],
    ['same name in two spellings', [MANIFEST, POLICY, { ...POLICY, name: './policies/a.cedar' }], 'twice'],
    ['file with a final slash', [MANIFEST, { ...POLICY, name: 'policies/a.cedar/' }], 'ends with a slash'],
    ['folder with contents', [MANIFEST, { name: 'policies/', type: '5', data: 'x' }], 'has contents'],
    ['unknown file', [MANIFEST, { name: 'README.md', data: '' }], 'a bundle holds manifest.json'],
    [
      'folder misspelt',
      [MANIFEST, { ...POLICY, name: 'policy/a.cedar' }],
      'did you mean `policies/a.cedar`?',
    ],
    ['extension wrong', [MANIFEST, { ...POLICY, name: 'policies/a.json' }], 'end with `.cedar`'],
    ['no extension', [MANIFEST, { ...POLICY, name: 'policies/cedar' }], 'end with `.cedar`'],
    ['policy at the top', [MANIFEST, { ...POLICY, name: 'a.cedar' }], 'did you mean `policies/a.cedar`?'],
    ['folder above packed', [{ ...MANIFEST, name: 'acme/manifest.json' }], 'belongs at the top'],
    ['manifest misspelt', [{ ...MANIFEST, name: 'manifset.json' }], 'did you mean `manifest.json`?'],
    ['no manifest', [POLICY], 'the bundle has no manifest'],
    ['prototype key as a name', [MANIFEST, { ...POLICY, name: '__proto__' }], 'may not hold `__proto__`'],
    [
      'PAX size',
      [MANIFEST, { name: 'h', type: 'x', data: paxRecord('size', '3') }, POLICY],
      'PAX record `size`',
    ],
    [
      'PAX link',
      [MANIFEST, { name: 'h', type: 'x', data: paxRecord('linkpath', '/') }, POLICY],
      'PAX record `linkpath`',
    ],
    [
      'PAX sparse',
      [MANIFEST, { name: 'h', type: 'x', data: paxRecord('GNU.sparse.name', 'b') }, POLICY],
      'PAX record `GNU.sparse.name`',
    ],
    [
      'global PAX path',
      [{ name: 'g', type: 'g', data: paxRecord('path', 'b') }, MANIFEST, POLICY],
      'PAX record `path`',
    ],
    [
      'two PAX paths',
      [MANIFEST, { name: 'h', type: 'x', data: paxRecord('path', 'a') + paxRecord('path', 'b') }, POLICY],
      'PAX record `path`',
    ],
    [
      'PAX length wrong',
      [MANIFEST, { name: 'h', type: 'x', data: '99 path=a\n' }, POLICY],
      'PAX record is malformed',
    ],
    [
      'PAX without length',
      [MANIFEST, { name: 'h', type: 'x', data: 'path=a\n' }, POLICY],
      'PAX record has no length',
    ],
    [
      'PAX too long',
      [MANIFEST, { name: 'h', type: 'x', data: paxRecord('comment', 'x'.repeat(70_000)) }, POLICY],
      'too long',
    ],
    [
      'long name for nothing',
      [MANIFEST, { name: 'L', type: 'L', data: 'policies/b.cedar\0' }],
      'followed by no file',
    ],
    [
      'two long names',
      [MANIFEST, { name: 'L', type: 'L', data: 'a\0' }, { name: 'L', type: 'L', data: 'b\0' }, POLICY],
      'two long names',
    ],
    ['checksum wrong', [{ ...MANIFEST, checksum: 1 }], 'the checksum of a header is wrong'],
    ['no tar header', [{ ...MANIFEST, magic: 'zip' }], 'this is no tar header'],
    ['size beyond the end', [{ ...MANIFEST, size: 1_000_000 }], 'ends in the middle of an entry'],
  ];
  test.each(hostile)('%s', async (_, items, message) => {
    const error = await refusal('tar', tarGz(items));
    expect(error.code).toBe('BUNDLE_INVALID');
    expect(await messages('tar', tarGz(items))).toContain(message);
  });

  const whole = tarGz([MANIFEST, POLICY]);
  const broken: readonly (readonly [string, Uint8Array, string])[] = [
    [
      'a folder that is no folder of a bundle',
      tarGz([MANIFEST, { name: 'polices/', type: '5' }]),
      'did you mean `policies`?',
    ],
    ['truncated gzip', whole.subarray(0, whole.length - 10), 'not complete gzip data'],
    ['no gzip', Buffer.from('PK'), 'not complete gzip data'],
    ['empty body', Buffer.alloc(0), 'not complete gzip data'],
    [
      'garbage behind the gzip data',
      Buffer.concat([whole, Buffer.from('garbage')]),
      'not complete gzip data',
    ],
    ['zeros behind the gzip data', Buffer.concat([whole, Buffer.alloc(7)]), '7 bytes behind the gzip data'],
    ['no end mark', tarGz([MANIFEST], Buffer.alloc(0)), 'ends in the middle of an entry'],
    ['half an end mark', tarGz([MANIFEST], Buffer.alloc(512)), 'lacks its end mark'],
    [
      'entries behind the end mark',
      gzipSync(Buffer.concat([tar([MANIFEST]), tar([POLICY])])),
      'behind its end mark',
    ],
    [
      'manifest that is no JSON',
      tarGz([{ ...MANIFEST, data: '{"layer": }' }]),
      'expected a value, found `}`',
    ],
    [
      'manifest with an unknown key',
      tarGz([{ ...MANIFEST, data: '{"layer":"platform","version":"1","decription":""}' }]),
      'did you mean `description`?',
    ],
    [
      'manifest with a bad layer',
      tarGz([{ ...MANIFEST, data: '{"layer":"tenants:acme","version":"1"}' }]),
      'must be `platform`',
    ],
  ];
  test.each(broken)('%s', async (_, body, message) => {
    expect(await messages('tar', body)).toContain(message);
  });

  test('a tar bomb is stopped at the cap, before it is in memory', async () => {
    const bomb = gzipSync(Buffer.alloc(MAX_UNPACKED_BYTES + 1));
    expect(bomb.length).toBeLessThan(MAX_ARCHIVE_BYTES);
    expect((await refusal('tar', bomb)).code).toBe('PAYLOAD_TOO_LARGE');
  });

  test('an archive larger than the cap is not even unpacked', async () => {
    expect((await refusal('tar', Buffer.alloc(MAX_ARCHIVE_BYTES + 1))).code).toBe('PAYLOAD_TOO_LARGE');
  });

  test('too many files, or folders, are refused', async () => {
    const policies = Array.from({ length: MAX_FILES + 1 }, (_, n) => ({
      ...POLICY,
      name: `policies/${n}.cedar`,
    }));
    expect((await refusal('tar', tarGz([MANIFEST, ...policies]))).code).toBe('PAYLOAD_TOO_LARGE');
    const folders = Array.from({ length: 2 * MAX_FILES + 1 }, () => ({ name: 'policies/', type: '5' }));
    expect(await messages('tar', tarGz(folders))).toContain('more than 20000 entries');
  });

  test('every problem is reported at once, up to a cap that is counted', async () => {
    const bad = Array.from({ length: MAX_PROBLEMS + 5 }, (_, n) => ({ name: `x/${n}`, data: '' }));
    const { problems } = await refusal('tar', tarGz([MANIFEST, ...bad]));
    expect(problems).toHaveLength(MAX_PROBLEMS + 1);
    expect(problems.at(-1)?.message).toBe('and 5 more problems');
  });
});

describe('the JSON form', () => {
  const manifest = { layer: 'tenant:acme', version: '1' };

  test('gives the digest and the files of the same tar', async () => {
    const opened = await openBundle(
      'json',
      json({ manifest, files: { './policies/a.cedar': POLICY.data } }),
      SHIPPED,
    );
    expect(opened.digest).toBe((await openBundle('tar', tarGz([MANIFEST, POLICY]), SHIPPED)).digest);
  });

  test('makes an archive that depends on the content alone and unpacks to it', async () => {
    const files = { 'policies/b.cedar': 'b', 'policies/a.cedar': 'a' };
    const one = await openBundle('json', json({ manifest, files }), SHIPPED);
    const other = await openBundle(
      'json',
      json({
        files: { 'policies/a.cedar': 'a', 'policies/b.cedar': 'b' },
        manifest: { ...manifest, description: '' },
      }),
      SHIPPED,
    );
    expect(Buffer.compare(one.archive, other.archive)).toBe(0);
    expect([...one.archive.subarray(0, 10)]).toEqual([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255]);
    const unpacked = await openBundle('tar', one.archive, SHIPPED);
    expect(unpacked.files).toEqual(files);
    expect(unpacked.digest).toBe(one.digest);
  });

  const refused: readonly (readonly [string, Uint8Array, string])[] = [
    ['no JSON', json('{'), 'expected a key in double quotes, found the end'],
    ['not UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'the body is not UTF-8'],
    ['no object', json('[]'), 'the body must be a JSON object'],
    ['unknown key', json({ manifest, files: {}, file: {} }), 'unknown key `file`'],
    ['no files', json({ manifest }), '`files` must be an object'],
    ['no manifest', json({ files: {} }), 'the bundle has no manifest'],
    ['text that is no string', json({ manifest, files: { 'policies/a.cedar': 1 } }), 'must be a string'],
    ['manifest as a file', json({ manifest, files: { 'manifest.json': '{}' } }), 'stands under `manifest`'],
    ['path with ..', json({ manifest, files: { '../a.cedar': '' } }), 'leaves the bundle'],
    [
      'duplicate key',
      json('{"manifest":{},"files":{"policies/a.cedar":"","policies/a.cedar":""}}'),
      'duplicate key',
    ],
    [
      'duplicate path',
      json({ manifest, files: { 'policies/a.cedar': '', './policies/a.cedar': '' } }),
      'twice',
    ],
    ['prototype key', json('{"manifest":{},"files":{"__proto__":{}}}'), 'the key `__proto__` is not allowed'],
    [
      'half a surrogate pair',
      json('{"manifest":{},"files":{"policies/a.cedar":"\\ud800"}}'),
      'half a surrogate pair',
    ],
    ['deep nesting', json('['.repeat(100_000)), 'nested deeper than 64 levels'],
  ];
  test.each(refused)('is refused: %s', async (_, body, message) => {
    const error = await refusal('json', body);
    expect(error.code).toBe('BUNDLE_INVALID');
    expect(error.problems.map(problem => problem.message).join('\n')).toContain(message);
  });

  test('larger than the cap is refused', async () => {
    expect((await refusal('json', Buffer.alloc(MAX_UNPACKED_BYTES + 1, 0x20))).code).toBe(
      'PAYLOAD_TOO_LARGE',
    );
  });
});
