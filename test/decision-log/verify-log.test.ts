/** Verification of a log: an undamaged one has no finding, and each damage is named with the entry that it hit. */
import { describe, expect, test } from 'vitest';
import { MAX_FINDINGS_PER_CODE } from '../../src/decision-log/log-findings.ts';
import { leafHash } from '../../src/decision-log/leaf-hash.ts';
import { ed25519Signer, ed25519Verifier, formatSignerKey } from '../../src/decision-log/signed-note.ts';
import { type LogReport, verifyLog } from '../../src/decision-log/verify-log.ts';
import {
  decisionLeaves,
  flip,
  leafText,
  ORIGIN,
  SmallLog,
  type SmallLogOptions,
  START,
  verifier,
} from './small-log.ts';

const SIZE = 1000;
const TEXTS = decisionLeaves(SIZE);

/** The codes of all findings with the entries that they name. */
function found({ findings }: LogReport): readonly string[] {
  return findings.map(({ code, index }) => (index === undefined ? code : `${code} ${index}`));
}

describe.each<[string, SmallLogOptions]>([
  ['a data folder', { rowHashes: true }],
  ['an exported copy', { rowHashes: false, partialTiles: true }],
  ['hashes that nothing stores', { rowHashes: false }],
])('a log with the hashes of %s', (_what, options) => {
  test.each([0, 1, 2, 255, 256, 257, 511, 512, 513, SIZE])('of %i entries is intact', async size => {
    const report = await new SmallLog(TEXTS.slice(0, size), options).verify();
    expect(report).toMatchObject({ intact: true, findings: [], errors: 0, warnings: 0, firstBad: undefined });
    expect(report).toMatchObject({ entries: size, checkpoints: 1, origin: ORIGIN });
    expect(report.checkpoint?.size).toBe(size);
  });

  test.each([0, 1, 255, 256, 511, 767])('names the entry of which one bit was flipped: %i', async index => {
    const log = new SmallLog(TEXTS, options);
    flip(log.leaf(index).bytes, 3);
    const report = await log.verify();
    expect(report.intact).toBe(false);
    expect(found(report)).toEqual([`ENTRY_CHANGED ${index}`]);
  });

  test('names the entry that was flipped in its last, incomplete tile', async () => {
    const log = new SmallLog(TEXTS, options);
    flip(log.leaf(SIZE - 1).bytes, 3);
    const report = await log.verify();
    // where nothing stores a hash of it, only the signed root tells that some entry is wrong
    const unlocated = options.rowHashes !== true && options.partialTiles !== true;
    expect(found(report)).toEqual([unlocated ? 'ROOT_MISMATCH 0' : `ENTRY_CHANGED ${SIZE - 1}`]);
  });

  test.each([0, 300, 511])('names the first of the entries that are missing: %i', async index => {
    const log = new SmallLog(TEXTS, options);
    log.leaves.splice(index, 3);
    const report = await log.verify();
    expect(found(report)).toEqual([`ENTRY_MISSING ${index}`]);
    expect(report.findings[0]?.message).toBe(`entries ${index} to ${index + 2} are missing`);
  });

  test('says where it ends too early', async () => {
    const log = new SmallLog(TEXTS, options);
    log.leaves.splice(700);
    const report = await log.verify();
    expect(report.firstBad).toBe(700);
    expect(found(report)).toContain('ENTRY_MISSING 700');
  });

  test('names entries that changed places', async () => {
    const log = new SmallLog(TEXTS, options);
    [log.leaf(260).bytes, log.leaf(270).bytes] = [log.leaf(270).bytes, log.leaf(260).bytes];
    const report = await log.verify();
    expect(found(report)).toEqual(['ENTRY_MOVED 260', 'ENTRY_MOVED 270']);
    expect(report.findings[0]?.message).toBe('entry 260 is the one that was logged as entry 270');
  });

  test('names the entry over which another was copied', async () => {
    const log = new SmallLog(TEXTS, options);
    log.leaf(300).bytes = log.leaf(299).bytes;
    expect(found(await log.verify())).toEqual(['ENTRY_MOVED 300']);
  });

  test('names the first entry after one was taken out and the rest moved up', async () => {
    const log = new SmallLog(TEXTS, options);
    for (let index = 600; index < SIZE - 1; index++) log.leaf(index).bytes = log.leaf(index + 1).bytes;
    log.leaves.pop();
    expect((await log.verify()).firstBad).toBe(600);
  });

  test('names an entry that is there twice', async () => {
    const log = new SmallLog(TEXTS, options);
    log.leaves.splice(300, 0, log.leaf(299));
    expect(found(await log.verify())).toEqual(['ENTRY_REPEATED 299']);
  });
});

describe('a stored hash that was changed', () => {
  test.each([0, 255, 256, 700])('beside entry %i is told from a changed entry', async index => {
    const log = new SmallLog(TEXTS);
    flip(log.leaf(index).hash ?? Buffer.alloc(0), 0);
    expect(found(await log.verify())).toEqual([`LEAF_HASH_CHANGED ${index}`]);
  });

  test('beside an entry of the incomplete tile is told from a changed entry', async () => {
    const log = new SmallLog(TEXTS);
    flip(log.leaf(SIZE - 1).hash ?? Buffer.alloc(0), 0);
    expect(found(await log.verify())).toEqual([`LEAF_HASH_CHANGED ${SIZE - 1}`]);
  });

  test.each(['0/0', '0/2'])('in tile %s is told from a changed entry', async name => {
    const log = new SmallLog(TEXTS);
    flip(log.tile(name), 5 * 32);
    expect(found(await log.verify())).toEqual([`TILE_CHANGED ${name === '0/0' ? 5 : 517}`]);
  });

  test('in a partial tile of a copy is told from a changed entry', async () => {
    const log = new SmallLog(TEXTS, { rowHashes: false, partialTiles: true });
    flip(log.tile('0/3'), 0);
    flip(log.tile('1/0'), 2 * 32);
    expect(found(await log.verify())).toEqual(['TILE_CHANGED 512', 'TILE_CHANGED 768']);
  });

  test('together with its entry is told from a changed tile by the signed root', async () => {
    const log = new SmallLog(TEXTS);
    const leaf = log.leaf(40);
    flip(leaf.bytes, 1);
    leaf.hash = Buffer.from(leafHash(leaf.bytes));
    expect(found(await log.verify())).toEqual(['ENTRY_CHANGED 40']);
  });

  test('in two places is judged by the copies that are left when no root decides', async () => {
    const log = new SmallLog(TEXTS);
    flip(log.leaf(10).bytes, 1);
    flip(log.tile('0/1'), 0);
    expect(found(await log.verify())).toEqual(['ROOT_MISMATCH', 'ENTRY_CHANGED 10', 'TILE_CHANGED 256']);
  });

  test('without any copy left to decide names the entry and accuses neither', async () => {
    const log = new SmallLog(TEXTS, { rowHashes: false });
    flip(log.leaf(10).bytes, 1);
    flip(log.tile('0/1'), 0);
    const report = await log.verify();
    expect(found(report)).toEqual(['ROOT_MISMATCH', 'ENTRY_OR_TILE_CHANGED 10', 'ENTRY_OR_TILE_CHANGED 256']);
    expect(report.firstBad).toBe(10);
  });
});

describe('a tile', () => {
  test.each(['0/0', '0/2'])('%s that is missing is named by its first entry', async name => {
    const log = new SmallLog(TEXTS);
    log.tiles.delete(name);
    expect(found(await log.verify())).toEqual([`TILE_MISSING ${name === '0/0' ? 0 : 512}`]);
  });

  test('that is partial and missing is a fault in a copy alone', async () => {
    const copy = new SmallLog(TEXTS, { rowHashes: false, partialTiles: true });
    copy.tiles.delete('0/3');
    copy.tiles.delete('1/0');
    expect(found(await copy.verify())).toEqual(['TILE_MISSING 0', 'TILE_MISSING 768']);
  });

  test('of another length is named', async () => {
    const log = new SmallLog(TEXTS);
    log.tiles.set('0/1', log.tile('0/1').subarray(0, 40));
    expect(found(await log.verify())).toEqual(['TILE_CHANGED 257']);
    log.tiles.set('0/1', Buffer.alloc(9000));
    expect(found(await log.verify())).toEqual(['TILE_CHANGED 256']);
  });

  test('above level 0 is compared hash by hash', async () => {
    const texts = decisionLeaves(256 * 256 + 10);
    const log = new SmallLog(texts, { rowHashes: false });
    expect(found(await log.verify())).toEqual([]);
    flip(log.tile('1/0'), 200 * 32 + 7);
    expect(found(await log.verify())).toEqual([`TILE_CHANGED ${200 * 256}`]);
    log.tiles.delete('1/0');
    expect(found(await log.verify())).toEqual(['TILE_MISSING 0']);
  });
});

describe('the signed checkpoint', () => {
  test('that is missing leaves the log without proof', async () => {
    const log = new SmallLog(TEXTS);
    log.note = undefined;
    expect(found(await log.verify())).toEqual(['CHECKPOINT_MISSING']);
  });

  test('of which any byte was changed is not believed, and no entry is accused', async () => {
    const log = new SmallLog(TEXTS.slice(0, 300));
    const note = Buffer.from(log.note ?? '');
    for (let at = 0; at < note.length; at += 17) {
      const changed = Buffer.from(note);
      flip(changed, at);
      log.note = changed.toString('latin1');
      expect(found(await log.verify())).toEqual(['CHECKPOINT_INVALID']);
    }
  });

  test('of another key or another log is not believed', async () => {
    const log = new SmallLog(TEXTS);
    const stranger = ed25519Signer(formatSignerKey(ORIGIN, Buffer.alloc(32, 2)));
    const other = await log.verify({ verifier: ed25519Verifier(stranger.verifierKey) });
    expect(found(other)).toEqual(['CHECKPOINT_INVALID']);
    expect(found(await log.verify({ origin: 'duramen.example/other' }))).toEqual(['CHECKPOINT_INVALID']);
  });

  test('finds a log that was rewritten as a whole', async () => {
    const log = new SmallLog(TEXTS.with(400, leafText({ time: START + 400_000 })));
    log.note = new SmallLog(TEXTS).note;
    log.head = undefined;
    const report = await log.verify();
    expect(found(report)).toEqual(['ROOT_MISMATCH 0']);
    expect(report.intact).toBe(false);
  });

  test('is narrowed down by what the log published before it', async () => {
    const rewritten = new SmallLog(TEXTS.with(400, leafText({ time: START + 400_000 })));
    const whole = new SmallLog(TEXTS);
    rewritten.note = whole.note;
    rewritten.head = undefined;
    rewritten.published = [100, 390, 395].map(size => whole.checkpointAt(size));
    const report = await rewritten.verify();
    expect(found(report)).toEqual(['ROOT_MISMATCH 395']);
    expect(report.checkpoints).toBe(4);
  });

  test('is held against the head that is stored beside it', async () => {
    const log = new SmallLog(TEXTS);
    log.head = { size: SIZE - 1, root: Buffer.alloc(32) };
    expect(found(await log.verify())).toEqual(['HEAD_MISMATCH']);
    log.head = { size: SIZE, root: Buffer.alloc(32) };
    expect(found(await log.verify())).toEqual(['HEAD_MISMATCH']);
  });
});

describe('an earlier checkpoint', () => {
  const whole = new SmallLog(TEXTS);
  const kept = (size: number) => ({ name: `the one of ${size}`, note: whole.checkpointAt(size) });

  test.each([0, 1, 256, 500, SIZE])('of %i entries is confirmed', async size => {
    const report = await whole.verify({ earlier: [kept(size), kept(10)] });
    expect(report).toMatchObject({ intact: true, checkpoints: 3 });
  });

  test('finds a log that was forked, signed or not, from the last size that both have', async () => {
    const forked = new SmallLog(TEXTS.with(400, leafText({ time: START + 400_000 })));
    const earlier = [900, 300, 399].map(kept);
    expect(found(await forked.verify({ earlier }))).toEqual(['FORK 399']);
  });

  test('finds a log that was put back to an earlier state', async () => {
    const back = new SmallLog(TEXTS.slice(0, 600));
    const report = await back.verify({ earlier: [kept(900)] });
    expect(found(report)).toEqual(['LOG_SHORTER 600']);
  });

  test('that the log did not sign says nothing about it', async () => {
    const forged = whole.checkpointAt(500).replace('\n500\n', '\n501\n');
    const earlier = [forged, 'no note'].map(note => ({ name: 'a note', note }));
    expect(found(await whole.verify({ earlier }))).toEqual(['CHECKPOINT_INVALID', 'CHECKPOINT_INVALID']);
  });

  test('that the log published itself is compared too, and must be in order', async () => {
    const log = new SmallLog(TEXTS);
    log.published = [10, 10, 700].map(size => log.checkpointAt(size));
    expect(await log.verify()).toMatchObject({ intact: true, checkpoints: 4 });
    log.published.push(log.checkpointAt(600));
    expect(found(await log.verify())).toEqual(['CHECKPOINT_INVALID']);
    log.published = [log.checkpointAt(500, TEXTS.with(3, 'x')), log.checkpointAt(600, TEXTS.with(3, 'x'))];
    expect(found(await log.verify())).toEqual(['FORK 0']);
  });
});

describe('a log of which the first entries were pruned', () => {
  test.each([1, 256, 300, 800])('is intact by its tiles: %i', async firstKept => {
    const log = new SmallLog(TEXTS, { partialTiles: true });
    log.prune(firstKept);
    expect(await log.verify()).toMatchObject({ intact: true, entries: SIZE - firstKept, firstKept });
  });

  test('needs the tiles of what was pruned', async () => {
    const log = new SmallLog(TEXTS);
    log.prune(512);
    log.tiles.delete('0/1');
    expect(found(await log.verify())).toEqual(['TILE_MISSING 256']);
    const partial = new SmallLog(TEXTS);
    partial.prune(900);
    expect(found(await partial.verify())).toEqual(['TILE_MISSING 768']);
  });

  test('is not intact when a tile of what was pruned was changed', async () => {
    const log = new SmallLog(TEXTS);
    log.prune(512);
    flip(log.tile('0/1'), 0);
    expect(found(await log.verify())).toEqual(['ROOT_MISMATCH 0']);
  });

  test('is not intact when an entry is missing that should be kept', async () => {
    const log = new SmallLog(TEXTS);
    log.prune(512);
    log.leaves.splice(0, 2);
    expect(found(await log.verify())).toEqual(['ENTRY_MISSING 512']);
  });
});

describe('entries after the newest checkpoint', () => {
  test.each([999, 700, 256, 1, 0])('are read and said to be unsigned: from %i', async size => {
    const log = new SmallLog(TEXTS);
    log.note = log.checkpointAt(size);
    log.head = undefined;
    const report = await log.verify();
    expect(report).toMatchObject({ intact: true, entries: SIZE, warnings: 1 });
    expect(found(report)).toEqual([`UNSIGNED_TAIL ${size}`]);
  });

  test('are held against the hashes that are stored with them', async () => {
    const log = new SmallLog(TEXTS);
    log.note = log.checkpointAt(700);
    log.head = undefined;
    flip(log.leaf(990).bytes, 1);
    flip(log.leaf(710).bytes, 1);
    log.leaves.splice(800, 1);
    expect(found(await log.verify())).toEqual([
      'ENTRY_CHANGED 710',
      'ENTRY_MISSING 800',
      'ENTRY_CHANGED 990',
      'UNSIGNED_TAIL 700',
    ]);
  });

  test('far beyond the rest end the verification', async () => {
    const log = new SmallLog(TEXTS);
    log.leaves.push({ index: 2 ** 50, bytes: Buffer.from('x') });
    expect(found(await log.verify())).toEqual(['ENTRY_MISSING 1000']);
  });
});

test('the findings of a log that is damaged all over are bounded, and all are counted', async () => {
  const log = new SmallLog(TEXTS);
  for (const leaf of log.leaves) flip(leaf.bytes, 0);
  const report = await log.verify();
  expect(report.errors).toBe(SIZE);
  expect(report.findings).toHaveLength(MAX_FINDINGS_PER_CODE);
  expect(report.firstBad).toBe(0);
});

test('progress and entries are told as they stream by', async () => {
  const progress: number[] = [];
  const ids: unknown[] = [];
  const log = new SmallLog(TEXTS.slice(0, 600));
  flip(log.leaf(5).bytes, 0);
  await log.verify({
    onProgress: (entries, size) => progress.push(entries, size ?? 0),
    onEntry: (index, content) => ids.push([index, content?.['id']]),
  });
  expect(progress).toEqual([256, 600, 512, 600, 600, 600]);
  // what was changed is not told as an entry of the log
  expect(ids).toHaveLength(599);
  expect(ids[5]).toEqual([6, 'decision 6']);
});

test('the source is let go of when it fails', async () => {
  let ended = false;
  const log = new SmallLog(TEXTS);
  const source = log.source();
  const leaves = async function* () {
    try {
      for await (const batch of source.leaves()) yield batch;
    } finally {
      ended = true;
    }
  };
  const tile = () => Promise.reject(new Error('the disk is gone'));
  const failing = verifyLog({ ...source, leaves, tile }, { verifier });
  await expect(failing).rejects.toThrow('the disk is gone');
  expect(ended).toBe(true);
});
