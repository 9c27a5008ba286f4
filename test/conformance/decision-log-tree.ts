/**
 * The tree, the checkpoints and the openings of a log (src/decision-log/ports.ts), for every backend. What is
 * expected is computed here from the leaves alone, by the definition of RFC 6962 §2.1.
 */
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openCheckpoint } from '../../src/decision-log/checkpoint.ts';
import { openOpening } from '../../src/decision-log/opening.ts';
import { consistencyFault, inclusionFault } from '../../src/decision-log/proofs.ts';
import { ed25519Verifier } from '../../src/decision-log/signed-note.ts';
import { decodeEntryBundle } from '../../src/decision-log/tiles.ts';
import { decisionEntry, eventEntry, fullDecisionEntry } from '../decision-log/entries.ts';
import { pseudonymOf, testPrivacy } from '../decision-log/test-privacy.ts';
import type { LogUnderTest } from './decision-log.ts';

/** A full tile, a part of the next, and no power of two. */
const ENTRIES = 600;
const WIDTH = 256;

export function decisionLogTreeConformance(name: string, open: () => Promise<LogUnderTest>): void {
  describe(`${name}: tree`, () => {
    let subject: LogUnderTest;
    beforeEach(async () => {
      subject = await open();
    });
    afterEach(() => subject.dispose());

    /** In batches, so that files are changed in between. @returns the leaves, from the reader */
    const fill = async (count = ENTRIES): Promise<Buffer[]> => {
      for (let at = 0; at < count; at += 50) {
        const batch = Array.from({ length: Math.min(50, count - at) }, (_, more) => eventEntry(at + more));
        await Promise.all(batch.map(entry => subject.log.append(entry)));
      }
      const leaves: Buffer[] = [];
      for (let index = 0; index < subject.log.size; index++) {
        leaves.push(Buffer.from((await subject.reader.leaf(index)) ?? []));
      }
      return leaves;
    };

    test('its root at every size is that of the leaves', async () => {
      const leaves = await fill(300);
      for (const size of [0, 1, 2, 3, 7, 8, 99, 100, 101, 255, 256, 257, leaves.length]) {
        expect(hex(await subject.tree.root(size))).toBe(hex(merkle(leaves.slice(0, size))));
      }
    });

    test('hash tiles hold the hashes of subtrees, at every width', async () => {
      const leaves = await fill();
      const tile = (level: number, n: number, width: number) => subject.tree.hashTile(level, n, width);
      const hashes = leaves.map(leaf => merkle([leaf]));
      expect(hex(await tile(0, 0, WIDTH))).toBe(hex(Buffer.concat(hashes.slice(0, WIDTH))));
      expect(hex(await tile(0, 0, 17))).toBe(hex(Buffer.concat(hashes.slice(0, 17))));
      expect(hex(await tile(0, 2, 40))).toBe(hex(Buffer.concat(hashes.slice(512, 552))));
      const roots = [0, 1].map(n => merkle(leaves.slice(n * WIDTH, (n + 1) * WIDTH)));
      expect(hex(await tile(1, 0, 2))).toBe(hex(Buffer.concat(roots)));
      expect(hex(await tile(1, 0, 1))).toBe(hex(roots[0] ?? Buffer.alloc(0)));
    });

    test('entry bundles hold the exact leaves', async () => {
      const leaves = await fill(300);
      for (const [n, width] of [
        [0, WIDTH],
        [0, 3],
        [1, 40],
      ] as const) {
        const bundle = await subject.tree.entryBundle(n, width);
        const found = decodeEntryBundle(bundle ?? Buffer.alloc(0)).map(leaf => hex(leaf));
        expect(found).toEqual(leaves.slice(n * WIDTH, n * WIDTH + width).map(hex));
      }
    });

    test('every entry can be proven in every later tree', async () => {
      const leaves = await fill(270);
      const count = leaves.length;
      for (const [index, size] of [
        [0, 1],
        [0, count],
        [99, 100],
        [100, 260],
        [255, 256],
        [256, count],
        [count - 1, count],
      ] as const) {
        const proof = await subject.tree.inclusionProof(index, size);
        const leaf = merkle(leaves.slice(index, index + 1));
        expect(inclusionFault(index, size, leaf, proof, merkle(leaves.slice(0, size)))).toBeUndefined();
      }
    });

    test('every tree can be proven to be the start of a later one', async () => {
      const leaves = await fill(270);
      const root = (size: number) => merkle(leaves.slice(0, size));
      for (const [from, to] of [
        [1, 270],
        [100, 257],
        [256, 270],
        [270, 270],
      ] as const) {
        const proof = await subject.tree.consistencyProof(from, to);
        expect(consistencyFault(from, to, root(from), root(to), proof)).toBeUndefined();
      }
      expect(await subject.tree.consistencyProof(0, 10)).toEqual([]);
      expect(await subject.tree.consistencyProof(10, 10)).toEqual([]);
    });

    test('what is beyond the durable size is refused', async () => {
      await fill(10);
      const beyond = subject.log.size + 1;
      const refused = { code: 'INVALID_REQUEST' };
      const { tree } = subject;
      await expect(tree.root(beyond)).rejects.toMatchObject(refused);
      await expect(tree.root(-1)).rejects.toMatchObject(refused);
      await expect(tree.root(1.5)).rejects.toMatchObject(refused);
      await expect(tree.hashTile(0, 0, beyond)).rejects.toMatchObject(refused);
      await expect(tree.hashTile(0, 0, 0)).rejects.toMatchObject(refused);
      await expect(tree.hashTile(0, 0, 257)).rejects.toMatchObject(refused);
      await expect(tree.hashTile(1, 0, 1)).rejects.toMatchObject(refused);
      await expect(tree.hashTile(63, 0, 1)).rejects.toMatchObject(refused);
      await expect(tree.entryBundle(0, beyond)).rejects.toMatchObject(refused);
      await expect(tree.entryBundle(1, 1)).rejects.toMatchObject(refused);
      await expect(tree.inclusionProof(0, beyond)).rejects.toMatchObject(refused);
      await expect(tree.inclusionProof(5, 5)).rejects.toMatchObject(refused);
      await expect(tree.consistencyProof(1, beyond)).rejects.toMatchObject(refused);
      await expect(tree.consistencyProof(3, 2)).rejects.toMatchObject(refused);
    });

    test('the shards follow each other, and the last one is open', async () => {
      await fill(300);
      const shards = await subject.tree.shards();
      let next = 0;
      for (const [at, { first, entries, sealed, kept, from, to, bytes }] of shards.entries()) {
        expect({ first, sealed, kept }).toEqual({ first: next, sealed: at < shards.length - 1, kept: true });
        expect([from > 0, to > 0, bytes > 0, entries > 0]).toEqual([true, true, true, true]);
        next += entries;
      }
      expect(next).toBe(subject.log.size);
      expect(await subject.tree.firstKept()).toBe(0);
    });
  });

  describe(`${name}: checkpoints and openings`, () => {
    let subject: LogUnderTest;
    beforeEach(async () => {
      subject = await open();
    });
    afterEach(() => subject.dispose());

    test('a checkpoint is signed by the key of the log, over the tree of all that was durable', async () => {
      const verifier = ed25519Verifier(subject.verifierKey);
      expect(verifier.name).toBe(subject.log.origin);
      for (let at = 0; at < 30; at++) {
        const { origin, size, root, note } = await subject.log.signCheckpoint();
        expect([origin, size]).toEqual([subject.log.origin, subject.log.size]);
        expect(hex(root)).toBe(hex(await subject.tree.root(size)));
        expect(openCheckpoint(note, verifier)).toMatchObject({ origin, size });
        expect(hex(openCheckpoint(note, verifier).root)).toBe(hex(root));
        await subject.log.append(eventEntry(at));
      }
    });

    test('checkpoints that are asked for while entries come cover what was durable then, and never contradict', async () => {
      const heads: { size: number; root: Uint8Array }[] = [];
      const work = Array.from({ length: 200 }, async (_, at) => {
        const { index } = await subject.log.append(eventEntry(at));
        const checkpoint = await subject.log.signCheckpoint();
        expect(checkpoint.size).toBeGreaterThan(index);
        heads.push(checkpoint);
      });
      await Promise.all(work);
      for (const { size, root } of heads) expect(hex(root)).toBe(hex(await subject.tree.root(size)));
    });

    test('the opening of an entry is sealed under the key of its subject and bound to its decision', async () => {
      const privacy = testPrivacy();
      const personal = fullDecisionEntry(1);
      const { asked } = personal.request;
      const entry = {
        ...personal,
        request: { ...personal.request, contextRead: true, asked: { ...asked, context: { ip: '10.1.2.3' } } },
      };
      const positions = await Promise.all(
        [decisionEntry(0), entry, eventEntry(2)].map(one => subject.log.append(one)),
      );
      const indexes = positions.map(({ index }) => index);
      const found = await subject.reader.openings([...indexes, 999]);
      expect([...found.keys()]).toEqual([indexes[1]]);
      const opening = found.get(indexes[1] ?? -1);
      expect(opening?.subject).toBe(pseudonymOf('AI::Agent::"acme/copilot"'));
      const sealed = opening?.sealed ?? new Uint8Array(0);
      expect(Buffer.from(sealed).includes('10.1.2.3')).toBe(false);
      const key = privacy.keyOf(opening?.subject ?? '');
      const disclosures = openOpening(sealed, key, entry.id) ?? '';
      expect(Buffer.from(disclosures, 'base64url').toString()).toContain('"ip","10.1.2.3"');
      expect(openOpening(sealed, key, 'another')).toBeUndefined();
      expect(openOpening(sealed, privacy.keyOf('p:another'), entry.id)).toBeUndefined();
      const changed = Buffer.from(sealed);
      changed[20] = (changed[20] ?? 0) ^ 1;
      expect(openOpening(changed, key, entry.id)).toBeUndefined();
    });

    test('a log that is closed signs nothing', async () => {
      await subject.log.append(eventEntry(0));
      await subject.log.close();
      await expect(subject.log.signCheckpoint()).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' });
    });
  });
}

/** RFC 6962 §2.1, word for word. */
function merkle(leaves: readonly Uint8Array[]): Buffer {
  const [leaf, ...more] = leaves;
  if (leaf === undefined) return createHash('sha256').digest();
  if (more.length === 0) return createHash('sha256').update(Buffer.of(0)).update(leaf).digest();
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return createHash('sha256')
    .update(Buffer.of(1))
    .update(merkle(leaves.slice(0, split)))
    .update(merkle(leaves.slice(split)))
    .digest();
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
