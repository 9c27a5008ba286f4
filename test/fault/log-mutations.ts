/**
 * Damage to a stored log, one piece at a time: to the files of a copy, and to the databases of a data folder. Each
 * mutation says which entry is the first that it harms, where it harms one. Invariant: a mutation changes something
 * that the log vouches for; one that would change nothing is not made.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A seeded source of numbers (mulberry32), so that a failure can be repeated. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** An integer from 0 to `below - 1`. */
  roll(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let bits = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return Math.floor((((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32) * below);
  }

  pick<T>(list: readonly T[]): T {
    const picked = list[this.roll(list.length)];
    if (picked === undefined) throw new Error('there is nothing to pick from');
    return picked;
  }

  /** Two different numbers below `below`. */
  pair(below: number): readonly [number, number] {
    const one = this.roll(below);
    return [one, (one + 1 + this.roll(below - 1)) % below];
  }
}

/** What was done, and which entry is the first that is harmed; undefined where no entry is. */
export interface Mutation {
  readonly what: string;
  readonly index: number | undefined;
  /** Where nothing but signed roots can tell: the earliest entry that may be named instead. */
  readonly atLeast?: number;
}

/** Flips one bit of a copy of `bytes`. */
export function flipped(bytes: Uint8Array, at: number, dice: Dice): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ (1 << dice.roll(8));
  return copy;
}

/** A copy of a log that can be harmed and mended. */
export class HarmedCopy {
  readonly folder: string;
  readonly leaves: readonly Uint8Array[];
  /** By name, whole. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Files of an earlier copy. */
  readonly older: ReadonlyMap<string, Uint8Array>;
  #touched = new Set<string>();

  constructor(
    folder: string,
    leaves: readonly Uint8Array[],
    files: ReadonlyMap<string, Uint8Array>,
    older: ReadonlyMap<string, Uint8Array>,
  ) {
    this.folder = folder;
    this.leaves = leaves;
    this.files = files;
    this.older = older;
  }

  bytes(name: string): Buffer {
    const bytes = this.files.get(name);
    if (bytes === undefined) throw new Error(`the copy has no ${name}`);
    return Buffer.from(bytes);
  }

  write(name: string, bytes: Uint8Array): void {
    this.#touched.add(name);
    writeFileSync(join(this.folder, name), bytes);
  }

  remove(name: string): void {
    this.#touched.add(name);
    rmSync(join(this.folder, name));
  }

  swap(one: string, other: string): void {
    const first = readFileSync(join(this.folder, one));
    this.write(one, this.bytes(other));
    this.write(other, first);
  }

  /** Gives a file another name. */
  rename(from: string, to: string): void {
    this.#touched.add(from).add(to);
    renameSync(join(this.folder, from), join(this.folder, to));
  }

  /** Makes it whole again. */
  mend(): void {
    for (const name of this.#touched) {
      const bytes = this.files.get(name);
      if (bytes === undefined) rmSync(join(this.folder, name));
      else writeFileSync(join(this.folder, name), bytes);
    }
    this.#touched = new Set();
  }
}

/** One way to harm a copy; undefined when the dice chose what would change nothing. */
export type CopyMutator = (copy: HarmedCopy, dice: Dice) => Mutation | undefined;

const BUNDLES = ['tile/entries/000', 'tile/entries/001', 'tile/entries/002.p/188'] as const;
const TILES = ['tile/0/000', 'tile/0/001', 'tile/0/002.p/188'] as const;
const UPPER = 'tile/1/000.p/2';
const WIDTH = 256;
const HASH = 32;

export const COPY_MUTATORS: Readonly<Record<string, CopyMutator>> = {
  'flip a bit of a bundle': (copy, dice) => {
    const n = dice.roll(BUNDLES.length);
    const name = BUNDLES[n] ?? '';
    const at = dice.roll(copy.bytes(name).length);
    copy.write(name, flipped(copy.bytes(name), at, dice));
    return { what: `byte ${at} of ${name}`, index: n * WIDTH + entryAt(copy, n, at) };
  },
  'flip a bit of a tile': (copy, dice) => {
    const n = dice.roll(TILES.length);
    const name = TILES[n] ?? '';
    const at = dice.roll(copy.bytes(name).length);
    copy.write(name, flipped(copy.bytes(name), at, dice));
    return { what: `byte ${at} of ${name}`, index: n * WIDTH + Math.floor(at / HASH) };
  },
  'flip a bit of an upper tile': (copy, dice) => {
    const at = dice.roll(copy.bytes(UPPER).length);
    copy.write(UPPER, flipped(copy.bytes(UPPER), at, dice));
    return { what: `byte ${at} of ${UPPER}`, index: Math.floor(at / HASH) * WIDTH };
  },
  'flip a bit of the checkpoint': (copy, dice) => harmText(copy, dice, 'checkpoint'),
  'flip a bit of the key': (copy, dice) => harmText(copy, dice, 'log.vkey'),
  'delete a file': (copy, dice) => {
    const n = dice.roll(3);
    const name = dice.pick([BUNDLES[n] ?? '', TILES[n] ?? '']);
    copy.remove(name);
    return { what: name, index: n * WIDTH };
  },
  'delete the upper tile or the checkpoint': (copy, dice) => {
    const name = dice.pick([UPPER, 'checkpoint']);
    copy.remove(name);
    return { what: name, index: name === UPPER ? 0 : undefined };
  },
  'swap two bundles': (copy, dice) => {
    const [one, other] = dice.pair(BUNDLES.length);
    copy.swap(BUNDLES[one] ?? '', BUNDLES[other] ?? '');
    return { what: `${one} and ${other}`, index: Math.min(one, other) * WIDTH };
  },
  'swap two tiles': (copy, dice) => {
    const [one, other] = dice.pair(TILES.length);
    copy.swap(TILES[one] ?? '', TILES[other] ?? '');
    return { what: `${one} and ${other}`, index: Math.min(one, other) * WIDTH };
  },
  'rename a bundle': (copy, dice) => {
    const n = dice.roll(BUNDLES.length);
    copy.rename(BUNDLES[n] ?? '', `tile/entries/${String(3 + dice.roll(9)).padStart(3, '0')}`);
    return { what: BUNDLES[n] ?? '', index: n * WIDTH };
  },
  'cut a file short': (copy, dice) => {
    const n = dice.roll(3);
    const isBundle = dice.roll(2) === 0;
    const name = (isBundle ? BUNDLES[n] : TILES[n]) ?? '';
    const length = dice.roll(copy.bytes(name).length);
    copy.write(name, copy.bytes(name).subarray(0, length));
    const place = isBundle ? entryAt(copy, n, length) : Math.floor(length / HASH);
    return { what: `${name} to ${length} bytes`, index: n * WIDTH + place };
  },
  'lengthen a file': (copy, dice) => {
    const n = dice.roll(3);
    const name = dice.pick([BUNDLES[n] ?? '', TILES[n] ?? '']);
    const more = Buffer.alloc(1 + dice.roll(300), dice.roll(256));
    copy.write(name, Buffer.concat([copy.bytes(name), more]));
    const width = n === 2 ? 188 : WIDTH;
    return {
      what: `${name} by ${more.length} bytes`,
      index: name.includes('entries') ? n * WIDTH + width : n * WIDTH,
    };
  },
  'delete an entry': (copy, dice) =>
    reorder(copy, dice, entries => entries.toSpliced(dice.roll(entries.length), 1)),
  'repeat an entry': (copy, dice) =>
    reorder(copy, dice, entries => entries.toSpliced(dice.roll(entries.length), 0, dice.pick(entries))),
  'replace an entry by another': (copy, dice) =>
    reorder(copy, dice, entries => entries.with(dice.roll(entries.length), dice.pick(entries))),
  'swap two entries': (copy, dice) =>
    reorder(copy, dice, entries => {
      const [one, other] = dice.pair(entries.length);
      const [a = Buffer.alloc(0), b = Buffer.alloc(0)] = [entries[one], entries[other]];
      return entries.with(one, b).with(other, a);
    }),
  'replay an older checkpoint': copy => {
    copy.write('checkpoint', Buffer.from(copy.older.get('checkpoint') ?? ''));
    return { what: 'checkpoint', index: undefined };
  },
  'replay an older tile': (copy, dice) => {
    const bundle = dice.roll(2) === 0;
    const name = bundle ? 'tile/entries/002.p/188' : 'tile/0/002.p/188';
    copy.write(name, Buffer.from(copy.older.get(name.replace('188', '88')) ?? ''));
    return { what: name, index: 2 * WIDTH + 88 };
  },
};

function harmText(copy: HarmedCopy, dice: Dice, name: string): Mutation {
  const at = dice.roll(copy.bytes(name).length - 1);
  copy.write(name, flipped(copy.bytes(name), at, dice));
  return { what: `byte ${at} of ${name}`, index: undefined };
}

/** Place in bundle `n` of the entry that a byte belongs to, its length in front included. */
function entryAt({ leaves }: HarmedCopy, n: number, at: number): number {
  let end = 0;
  let place = -1;
  for (const leaf of leaves.slice(n * WIDTH, (n + 1) * WIDTH)) {
    if (end > at) break;
    end += 2 + leaf.length;
    place += 1;
  }
  return place;
}

/** Writes a bundle with its entries in another way; the first place that differs is the one harmed. */
function reorder(
  copy: HarmedCopy,
  dice: Dice,
  change: (entries: readonly Uint8Array[]) => readonly Uint8Array[],
): Mutation | undefined {
  const n = dice.roll(BUNDLES.length);
  const before = copy.leaves.slice(n * WIDTH, (n + 1) * WIDTH);
  const after = change(before);
  let place = 0;
  while (place < before.length && after[place] === before[place]) place += 1;
  if (place === before.length && after.length === before.length) return undefined;
  copy.write(
    BUNDLES[n] ?? '',
    Buffer.concat(after.flatMap(entry => [Buffer.of(entry.length >> 8, entry.length & 0xff), entry])),
  );
  return { what: `bundle ${n}`, index: n * WIDTH + place };
}
