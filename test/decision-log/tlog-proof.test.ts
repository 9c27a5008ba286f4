/** Proofs of single entries as files (c2sp.org/tlog-proof): written, read back, and refused when anything is off. */
import { describe, expect, test } from 'vitest';
import { signCheckpoint } from '../../src/decision-log/checkpoint.ts';
import { leafHash } from '../../src/decision-log/leaf-hash.ts';
import { ed25519Signer, ed25519Verifier, formatSignerKey } from '../../src/decision-log/signed-note.ts';
import {
  formatTlogProof,
  MAX_EXTRA_BYTES,
  openTlogProof,
  parseTlogProof,
  type TlogProof,
} from '../../src/decision-log/tlog-proof.ts';
import { naiveInclusion, naiveRoot, sampleHashes, sampleLeaves } from './merkle.ts';

const SIZE = 11;
const INDEX = 6;
const hashes = sampleHashes(SIZE);
const signer = ed25519Signer(formatSignerKey('example.com/log', Buffer.alloc(32, 1)));
const verifier = ed25519Verifier(signer.verifierKey);
const checkpoint = signCheckpoint({ origin: signer.name, size: SIZE, root: naiveRoot(hashes) }, [signer]);
const proof: TlogProof = { index: INDEX, hashes: naiveInclusion(INDEX, hashes), checkpoint };
const leaf = leafHash(sampleLeaves(SIZE)[INDEX] ?? new Uint8Array(0));
const text = formatTlogProof(proof);

test('a proof has the published form', () => {
  const lines = text.split('\n');
  expect(lines.slice(0, 2)).toEqual(['c2sp.org/tlog-proof@v1', `index ${INDEX}`]);
  expect(lines.slice(2, 6)).toEqual(proof.hashes.map(hash => Buffer.from(hash).toString('base64')));
  expect(lines[6]).toBe('');
  expect(text.endsWith(`\n\n${checkpoint}`)).toBe(true);
});

test('extra data stand before the index', () => {
  const extra = Buffer.from('context');
  const lines = formatTlogProof({ ...proof, extra }).split('\n');
  expect(lines.slice(0, 3)).toEqual(['c2sp.org/tlog-proof@v1', 'extra Y29udGV4dA==', `index ${INDEX}`]);
});

test.each<[string, TlogProof]>([
  ['with hashes', proof],
  ['of the only entry', { ...proof, index: 0, hashes: [] }],
  ['with extra data', { ...proof, extra: Buffer.from([0, 1, 2, 255]) }],
  ['with empty extra data', { ...proof, extra: Buffer.alloc(0) }],
  ['of a large index', { ...proof, index: Number.MAX_SAFE_INTEGER }],
])('a proof %s is read as it was written', (_what, one) => {
  expect(parseTlogProof(formatTlogProof(one))).toEqual(one);
});

test('a proof opens for its entry', () => {
  expect(openTlogProof(parseTlogProof(text), leaf, verifier)).toMatchObject({
    size: SIZE,
    origin: signer.name,
  });
});

describe('a proof is not believed', () => {
  const refused = (over: Partial<TlogProof>, hash = leaf): (() => unknown) => {
    return () => openTlogProof({ ...proof, ...over }, hash, verifier);
  };

  test('for another entry', () => {
    expect(refused({}, hashes[INDEX + 1])).toThrow('leads to another root');
    expect(refused({ index: INDEX + 1 })).toThrow('is not proven to be entry 7');
    expect(refused({ index: SIZE })).toThrow('has no leaf 11');
  });

  test('with hashes missing, added or changed', () => {
    expect(refused({ hashes: proof.hashes.slice(1) })).toThrow('not proven');
    expect(refused({ hashes: [...proof.hashes, leaf] })).toThrow('too long');
    expect(refused({ hashes: [leaf, ...proof.hashes.slice(1)] })).toThrow('another root');
  });

  test('with a checkpoint that the log did not sign', () => {
    const other = ed25519Signer(formatSignerKey('example.com/log', Buffer.alloc(32, 2)));
    const forged = signCheckpoint({ origin: signer.name, size: SIZE, root: naiveRoot(hashes) }, [other]);
    expect(refused({ checkpoint: forged })).toThrow('not signed by');
    expect(refused({ checkpoint: checkpoint.replace('\n11\n', '\n12\n') })).toThrow('not over this text');
    expect(() => openTlogProof(proof, leaf, verifier, 'example.com/other')).toThrow(
      'is of `example.com/log`',
    );
  });
});

test.each([
  ['', 'no checkpoint'],
  [text.replace('@v1', '@v2'), 'does not start with'],
  [text.replace('c2sp.org/tlog-proof@v1\n', ''), 'does not start with'],
  [`\ufeff${text}`, 'does not start with'],
  [text.replaceAll('\n', '\r\n'), 'no checkpoint'],
  [text.replace('index 6\n', ''), 'no index'],
  [text.replace('index 6', 'index 06'), 'no index'],
  [text.replace('index 6', 'index -6'), 'no index'],
  [text.replace('index 6', 'index 6 '), 'no index'],
  [text.replace('index 6', 'index x'), 'no index'],
  [text.replace('index 6', 'index 9007199254740992'), 'no index'],
  [text.replace('index 6', 'extra %%%\nindex 6'), 'not base64'],
  [text.replace('index 6', 'extra YQ\nindex 6'), 'not base64'],
  [text.replace('index 6', 'extra YQ==\nextra YQ==\nindex 6'), 'no index'],
  [text.replace('index 6\n', 'index 6\nAAAA\n'), 'not a hash'],
  [text.replace('index 6\n', 'index 6\nnot base64\n'), 'not a hash'],
  [text.replace('index 6\n', `index 6\n${`${'A'.repeat(43)}=\n`.repeat(60)}`), 'more than 54 hashes'],
  [text.slice(0, text.indexOf('\n\n') + 1), 'no checkpoint'],
  [text + 'x'.repeat(400_000), 'too long'],
])('a malformed proof is refused: %#', (malformed, why) => {
  expect(() => parseTlogProof(malformed)).toThrow(why);
});

test('what cannot be read back is not written', () => {
  expect(() => formatTlogProof({ ...proof, index: -1 })).toThrow('not the index');
  expect(() => formatTlogProof({ ...proof, hashes: [new Uint8Array(31)] })).toThrow('32 bytes');
  expect(() => formatTlogProof({ ...proof, extra: new Uint8Array(MAX_EXTRA_BYTES + 1) })).toThrow('at most');
});
