/** Checkpoints and inclusion proofs of ours as another project's verifier judges them (@sigstore/verify). */
import { createPublicKey } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { verifyCheckpoint } from '@sigstore/verify/dist/tlog/checkpoint.js';
import { verifyMerkleInclusion } from '@sigstore/verify/dist/tlog/merkle.js';
import { signCheckpoint } from '../../src/decision-log/checkpoint.ts';
import { Frontier } from '../../src/decision-log/frontier.ts';
import { leafHash } from '../../src/decision-log/leaf-hash.ts';
import { inclusionProof, tileHashes } from '../../src/decision-log/proofs.ts';
import { ed25519Signer, formatSignerKey, parseVerifierKey } from '../../src/decision-log/signed-note.ts';
import { sampleLeaves } from './merkle.ts';

const SIZE = 700;
const leaves = sampleLeaves(SIZE);
const signer = ed25519Signer(formatSignerKey('duramen.example/log', Buffer.alloc(32, 1)));
const { keyId, publicKey } = parseVerifierKey(signer.verifierKey);
const log = {
  logID: Buffer.from(keyId, 'hex'),
  baseURL: signer.name,
  publicKey: createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(publicKey).toString('base64url') },
    format: 'jwk',
  }),
  validFor: { start: new Date(0), end: new Date(8.64e15) },
};

type Entry = Parameters<typeof verifyMerkleInclusion>[0];

/** Our proof of an entry, in the shape in which that verifier takes it. */
async function entryOf(index: number): Promise<Entry> {
  const frontier = new Frontier();
  for (const leaf of leaves) frontier.append(leafHash(leaf));
  const full = frontier.takeTiles();
  const reader = tileHashes(
    SIZE,
    (level, n) =>
      full.find(tile => tile.level === level && tile.n === n)?.data ?? frontier.partialTile(level),
  );
  const root = frontier.root();
  const proof = await inclusionProof(index, SIZE, reader);
  return {
    logIndex: String(index),
    logId: { keyId: log.logID },
    kindVersion: { kind: 'duramen', version: '2' },
    integratedTime: '0',
    inclusionPromise: undefined,
    canonicalizedBody: leaves[index] ?? Buffer.alloc(0),
    inclusionProof: {
      logIndex: String(index),
      rootHash: Buffer.from(root),
      treeSize: String(SIZE),
      hashes: proof.map(hash => Buffer.from(hash)),
      checkpoint: { envelope: signCheckpoint({ origin: signer.name, size: SIZE, root }, [signer]) },
    },
  };
}

describe('the other verifier', () => {
  test.each([0, 1, 255, 256, 300, 511, 512, 698, 699])('accepts our proof of entry %i', async index => {
    const entry = await entryOf(index);
    const checkpoint = verifyCheckpoint(entry, [log]);
    expect(checkpoint).toMatchObject({ origin: signer.name, logSize: BigInt(SIZE), rest: [] });
    expect(() => verifyMerkleInclusion(entry, checkpoint)).not.toThrow();
  });

  test('refuses our proof of one entry for another', async () => {
    const entry = await entryOf(300);
    const checkpoint = verifyCheckpoint(entry, [log]);
    const other = { ...entry, canonicalizedBody: leaves[301] ?? Buffer.alloc(0) };
    expect(() => verifyMerkleInclusion(other, checkpoint)).toThrow('calculated root hash does not match');
  });

  test('refuses our checkpoint once it was changed', async () => {
    const entry = await entryOf(300);
    const { inclusionProof: proof } = entry;
    const envelope = proof.checkpoint?.envelope.replace('\n700\n', '\n701\n') ?? '';
    const changed = { ...entry, inclusionProof: { ...proof, checkpoint: { envelope } } };
    expect(() => verifyCheckpoint(changed, [log])).toThrow('invalid checkpoint signature');
  });
});
