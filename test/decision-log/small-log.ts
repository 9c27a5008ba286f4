/** A log in memory that is verified: whole at first, then damaged by a test in one place or several. */
import { signCheckpoint } from '../../src/decision-log/checkpoint.ts';
import { Frontier } from '../../src/decision-log/frontier.ts';
import { leafHash } from '../../src/decision-log/leaf-hash.ts';
import type { LogSource, StoredLeaf } from '../../src/decision-log/log-source.ts';
import { ed25519Signer, ed25519Verifier, formatSignerKey } from '../../src/decision-log/signed-note.ts';
import { tileWidth } from '../../src/decision-log/tiles.ts';
import { type LogReport, type VerifyOptions, verifyLog } from '../../src/decision-log/verify-log.ts';

export const ORIGIN = 'duramen.example/log';
export const signer = ed25519Signer(formatSignerKey(ORIGIN, Buffer.alloc(32, 1)));
export const verifier = ed25519Verifier(signer.verifierKey);
/** Time of the first leaf. */
export const START = Date.UTC(2026, 0, 1);

/** A leaf as far as the verification reads one. */
export function leafText(over: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({ kind: 'decision', time: START, v: 2, ...over });
}

/** Leaves that differ, one a second. */
export function decisionLeaves(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) =>
    leafText({ id: `decision ${index}`, time: START + index * 1000 }),
  );
}

interface MutableLeaf {
  index: number;
  bytes: Buffer;
  hash?: Buffer;
}

export interface SmallLogOptions {
  /** Stores the hash beside each leaf, as a data folder does. */
  readonly rowHashes?: boolean;
  /** Stores partial tiles, as an exported copy does. */
  readonly partialTiles?: boolean;
}

export class SmallLog {
  readonly leaves: MutableLeaf[];
  /** By `level/n`. */
  readonly tiles = new Map<string, Buffer>();
  note: string | undefined;
  head: { size: number; root: Uint8Array } | undefined;
  published: string[] = [];
  firstKept = 0;
  readonly #partialTiles: boolean;
  readonly #texts: readonly string[];

  constructor(texts: readonly string[], { rowHashes = true, partialTiles = false }: SmallLogOptions = {}) {
    this.#texts = texts;
    this.#partialTiles = partialTiles;
    const frontier = new Frontier();
    this.leaves = texts.map((text, index) => {
      const bytes = Buffer.from(text);
      const hash = Buffer.from(leafHash(bytes));
      frontier.append(hash);
      return { index, bytes, ...(rowHashes ? { hash } : {}) };
    });
    for (const { level, n, data } of frontier.takeTiles()) this.tiles.set(`${level}/${n}`, Buffer.from(data));
    for (const [level, data] of frontier.partialTiles().entries()) {
      const n = Math.floor(texts.length / 256 ** (level + 1));
      if (partialTiles && tileWidth(texts.length, level, n) > 0) {
        this.tiles.set(`${level}/${n}`, Buffer.from(data));
      }
    }
    this.note = this.checkpointAt(texts.length);
    this.head = { size: texts.length, root: frontier.root() };
  }

  /** The checkpoint that the undamaged log signs at a size. */
  checkpointAt(size: number, texts: readonly string[] = this.#texts): string {
    const frontier = new Frontier();
    for (const text of texts.slice(0, size)) frontier.append(leafHash(Buffer.from(text)));
    return signCheckpoint({ origin: ORIGIN, size, root: frontier.root() }, [signer]);
  }

  /** Removes entries before an index, and says so. */
  prune(firstKept: number): void {
    this.firstKept = firstKept;
    this.leaves.splice(0, firstKept);
  }

  leaf(index: number): MutableLeaf {
    const leaf = this.leaves[index];
    if (leaf === undefined) throw new Error(`there is no leaf ${index}`);
    return leaf;
  }

  tile(name: string): Buffer {
    const tile = this.tiles.get(name);
    if (tile === undefined) throw new Error(`there is no tile ${name}`);
    return tile;
  }

  verify(options: Partial<VerifyOptions> = {}): Promise<LogReport> {
    return verifyLog(this.source(), { verifier, ...options });
  }

  source(): LogSource {
    const { leaves, tiles, note, head, published } = this;
    return {
      firstKept: this.firstKept,
      hasPartialTiles: this.#partialTiles,
      leaves: () => batches(leaves),
      tile: (level, n) => Promise.resolve(tiles.get(`${level}/${n}`)),
      checkpoint: () => Promise.resolve(note),
      head: () => Promise.resolve(head),
      published: () => each(published),
    };
  }
}

/** Of sizes that share no divisor with that of a tile. */
async function* batches(leaves: readonly StoredLeaf[]): AsyncGenerator<readonly StoredLeaf[]> {
  for (let at = 0; at < leaves.length; at += 77) yield await Promise.resolve(leaves.slice(at, at + 77));
}

async function* each(texts: readonly string[]): AsyncGenerator<string> {
  for (const text of texts) yield await Promise.resolve(text);
}

/** One bit of a byte. */
export function flip(bytes: Buffer, at: number): void {
  bytes[at] = (bytes[at] ?? 0) ^ 0x01;
}
