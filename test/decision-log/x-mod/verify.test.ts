/**
 * A log of ours, written as c2sp.org/tlog-tiles and verified by the Go team's code (golang.org/x/mod/sumdb), which
 * Debian packages as golang-golang-x-mod-dev. Skipped where that is not installed, except in continuous integration.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { signCheckpoint } from '../../../src/decision-log/checkpoint.ts';
import { Frontier } from '../../../src/decision-log/frontier.ts';
import { leafHash } from '../../../src/decision-log/leaf-hash.ts';
import { consistencyProof, inclusionProof, tileHashes } from '../../../src/decision-log/proofs.ts';
import { ed25519Signer, formatSignerKey } from '../../../src/decision-log/signed-note.ts';
import { encodeEntryBundle, formatTilePath, TILE_WIDTH, tileWidth } from '../../../src/decision-log/tiles.ts';
import { sampleLeaves } from '../merkle.ts';
import { BUILD_MS, buildXMod, type Outcome, runXMod, withoutXMod } from './program.ts';

const SIZE = 10_000;
/** Has a full tile of level 1, which takes 65,536 entries. */
const LARGE = 66_000;

const signer = ed25519Signer(formatSignerKey('duramen.example/log', Buffer.alloc(32, 1)));

describe.skipIf(withoutXMod('the tree'))('golang.org/x/mod', () => {
  let root: string;
  let program: string;
  let small: string;

  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), 'duramen-x-mod-'));
    program = await buildXMod(root);
    small = join(root, 'small');
    await writeLog(small, SIZE, 1000, 100);
  }, BUILD_MS);

  afterAll(() => {
    rmSync(root, { recursive: true, force: true });
  });

  /** What it says of the small log with one file changed, which is put back. */
  async function verifyChanged(name: string, change: (bytes: Buffer) => Buffer): Promise<Outcome> {
    const path = join(small, name);
    const before = readFileSync(path);
    writeFileSync(path, change(Buffer.from(before)));
    const outcome = await runXMod(program, small);
    writeFileSync(path, before);
    return outcome;
  }

  test('verifies every entry, tile and proof of our log', async () => {
    const outcome = await runXMod(program, small);
    expect(outcome.output).toBe(
      `verified: ${SIZE} entries, 41 tiles, 1000 inclusion proofs, 100 consistency proofs\n`,
    );
    expect(outcome.code).toBe(0);
  });

  test('verifies a log with full tiles above level 0', async () => {
    const folder = join(root, 'large');
    await writeLog(folder, LARGE, 50, 20);
    expect((await runXMod(program, folder)).output).toContain(`verified: ${LARGE} entries, 261 tiles`);
  });

  test.each(['tile/entries/003', 'tile/0/003', 'tile/1/000.p/39', 'checkpoint'])(
    'refuses it when one bit of %s is flipped',
    async name => {
      const { code, output } = await verifyChanged(name, bytes => {
        bytes[40] = (bytes[40] ?? 0) ^ 1;
        return bytes;
      });
      expect(code).toBe(1);
      expect(output).toContain('refused');
    },
  );

  test('refuses one of our proofs once it was changed', async () => {
    const { output } = await verifyChanged('proofs.json', bytes => {
      const text = bytes.toString();
      const at = text.lastIndexOf('"hashes":["') + 11;
      const swapped = text.charAt(at) === 'A' ? 'B' : 'A';
      return Buffer.from(`${text.slice(0, at)}${swapped}${text.slice(at + 1)}`);
    });
    expect(output).toContain('refused: consistency');
  });
});

/** Writes a log of sample leaves with all its tiles and bundles, and proofs from all over it. */
async function writeLog(
  folder: string,
  size: number,
  inclusions: number,
  consistencies: number,
): Promise<void> {
  const leaves = sampleLeaves(size);
  const frontier = new Frontier();
  for (const leaf of leaves) frontier.append(leafHash(leaf));
  const tiles = new Map(frontier.takeTiles().map(({ level, n, data }) => [`${level}/${n}`, data]));
  for (const [level, partial] of frontier.partialTiles().entries()) {
    const n = Math.floor(size / TILE_WIDTH ** (level + 1));
    if (partial.length > 0) tiles.set(`${level}/${n}`, partial);
  }
  for (const [key, data] of tiles) {
    const [level = 0, n = 0] = key.split('/').map(Number);
    write(folder, formatTilePath({ level, n, width: tileWidth(size, level, n) }), data);
  }
  for (let n = 0; n * TILE_WIDTH < size; n++) {
    const entries = leaves.slice(n * TILE_WIDTH, (n + 1) * TILE_WIDTH);
    const path = formatTilePath({ level: 'entries', n, width: entries.length });
    write(folder, path, encodeEntryBundle(entries));
  }
  write(folder, 'log.vkey', Buffer.from(`${signer.verifierKey}\n`));
  const note = signCheckpoint({ origin: signer.name, size, root: frontier.root() }, [signer]);
  write(folder, 'checkpoint', Buffer.from(note));
  write(
    folder,
    'proofs.json',
    Buffer.from(JSON.stringify(await proofsOf(size, tiles, inclusions, consistencies))),
  );
}

async function proofsOf(
  size: number,
  tiles: ReadonlyMap<string, Uint8Array>,
  inclusions: number,
  consistencies: number,
): Promise<unknown> {
  // a tile of a smaller tree is the beginning of the one that is there
  const readerAt = (at: number) =>
    tileHashes(at, (level, n, width) => tiles.get(`${level}/${n}`)?.subarray(0, width * 32));
  const encode = (hashes: readonly Uint8Array[]): readonly string[] =>
    hashes.map(hash => Buffer.from(hash).toString('base64'));
  const inclusion: unknown[] = [];
  for (let at = 0; at < inclusions; at++) {
    // steps through pairs of index and size that have nothing in common with the tiles
    const tree = at % 2 === 0 ? size : 1 + ((at * 6_151) % size);
    const index = (at * 7_919) % tree;
    inclusion.push({ index, size: tree, hashes: encode(await inclusionProof(index, tree, readerAt(tree))) });
  }
  const consistency: unknown[] = [];
  for (let at = 1; at <= consistencies; at++) {
    const to = at % 2 === 0 ? size : 2 + ((at * 3_079) % (size - 2));
    const from = 1 + ((at * 1_543) % (to - 1));
    consistency.push({ from, to, hashes: encode(await consistencyProof(from, to, readerAt(to))) });
  }
  return { inclusion, consistency };
}

function write(folder: string, name: string, bytes: Uint8Array): void {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes);
}
