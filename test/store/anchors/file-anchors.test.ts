/** Anchors in files and folders: they go forward only, they keep what they have, and they say why they refuse. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  AnchorConflict,
  type AnchorJudge,
  type AnchorTarget,
  MAX_ANCHOR_BYTES,
} from '../../../src/decision-log/anchor.ts';
import type { SignedCheckpoint } from '../../../src/decision-log/ports.ts';
import { DirectoryAnchor, folderNameOf } from '../../../src/store/anchors/directory-anchor.ts';
import { FileAnchor } from '../../../src/store/anchors/file-anchor.ts';
import { GrowingLog } from '../../decision-log/growing-log.ts';

let folder: string;
let log: GrowingLog;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'duramen-anchor-'));
  log = new GrowingLog().grow(5);
});
afterEach(() => rmSync(folder, { recursive: true }));

const live = () => new AbortController().signal;

/** Both kinds, and the file in which each keeps the newest checkpoint. */
const KINDS: readonly [string, (judge?: AnchorJudge) => AnchorTarget, () => string][] = [
  [
    'a file',
    (judge = log.judge()) => new FileAnchor('file', join(folder, 'checkpoint'), judge),
    () => join(folder, 'checkpoint'),
  ],
  [
    'a folder',
    (judge = log.judge()) => new DirectoryAnchor('directory', folder, judge),
    () => join(folder, 'latest'),
  ],
];

async function publish(anchor: AnchorTarget, of: GrowingLog): Promise<SignedCheckpoint> {
  const checkpoint = await of.signCheckpoint();
  expect(await anchor.publish(checkpoint, live())).toEqual([]);
  return checkpoint;
}

describe.each(KINDS)('%s', (_kind, make, newest) => {
  test('holds nothing at first', async () => {
    expect(await make().read?.()).toBeUndefined();
  });

  test('holds the exact note that was published last, and no draft of it', async () => {
    const anchor = make();
    await publish(anchor, log);
    const { note } = await publish(anchor, log.grow(1));
    expect(readFileSync(newest(), 'utf8')).toBe(note);
    expect(await anchor.read?.()).toBe(note);
    expect(readdirSync(folder, { recursive: true }).filter(name => String(name).endsWith('.new'))).toEqual(
      [],
    );
  });

  test('takes the same checkpoint again', async () => {
    const anchor = make();
    const first = await publish(anchor, log);
    expect((await publish(anchor, log)).note).toBe(first.note);
  });

  test.each<[string, (former: GrowingLog) => GrowingLog, RegExp]>([
    ['a smaller checkpoint', former => former.copy(4), /holds a checkpoint of 5 entries, the log has 4/],
    [
      'another history of the same size',
      former => former.copy(2).grow(3, 'other'),
      /another history of 5 entries/,
    ],
  ])('refuses %s as a conflict, and keeps what it has', async (_name, later, says) => {
    const anchor = make();
    const { note } = await publish(anchor, log);
    const attempt = anchor.publish(await later(log).signCheckpoint(), live());
    await expect(attempt).rejects.toThrow(AnchorConflict);
    await expect(attempt).rejects.toThrow(says);
    expect(readFileSync(newest(), 'utf8')).toBe(note);
  });

  test('belongs to one log', async () => {
    const other = new GrowingLog('test.example/other').grow(1);
    const { note } = await publish(make(other.judge()), other);
    await expect(make().publish(await log.signCheckpoint(), live())).rejects.toThrow(
      /another log, `test\.example\/other`: give each log its own anchor/,
    );
    expect(readFileSync(newest(), 'utf8')).toBe(note);
  });

  test('passes to a log that took the place of the one before, up to the size that it records', async () => {
    const former = new GrowingLog('test.example/former').grow(7);
    await publish(make(former.judge()), former);
    const head = { origin: former.origin, size: 7, root: await former.root(7) };
    const heir = new GrowingLog('test.example/heir').grow(1);
    const anchor = (size: number) => make(heir.judge([{ ...head, size }]));
    await expect(anchor(6).publish(await heir.signCheckpoint(), live())).rejects.toThrow(/another log/);
    const { note } = await publish(anchor(7), heir);
    expect(readFileSync(newest(), 'utf8')).toBe(note);
  });

  test.each<[string, (note: string) => string]>([
    ['cut', note => note.slice(0, -20)],
    ['empty', () => ''],
    ['changed in its size', note => note.replace('\n5\n', '\n4\n')],
    [
      'signed by another key',
      note => `${note.slice(0, note.lastIndexOf('\n\n') + 2)}— test.example/log AAAAAAAA\n`,
    ],
    ['too long', note => note + 'x'.repeat(MAX_ANCHOR_BYTES)],
  ])('that is %s is neither believed nor overwritten', async (_name, damage) => {
    const anchor = make();
    const { note } = await publish(anchor, log);
    const damaged = damage(note);
    writeFileSync(newest(), damaged);
    const attempt = anchor.publish(await log.grow(1).signCheckpoint(), live());
    await expect(attempt).rejects.toThrow(
      /malformed|is not over this text|not signed by the key|at most 65536/,
    );
    await expect(attempt).rejects.not.toThrow(AnchorConflict);
    expect(readFileSync(newest(), 'utf8')).toBe(damaged);
  });

  test('gives up before the replacement when it is stopped', async () => {
    const anchor = make();
    const { note } = await publish(anchor, log);
    const stopped = AbortSignal.abort(new Error('stopped'));
    await expect(anchor.publish(await log.grow(1).signCheckpoint(), stopped)).rejects.toThrow('stopped');
    expect(readFileSync(newest(), 'utf8')).toBe(note);
  });

  test('goes on over a draft that a crash left behind', async () => {
    writeFileSync(join(folder, `.${newest().split('/').at(-1)}.new`), 'half a che');
    const { note } = await publish(make(), log);
    expect(readFileSync(newest(), 'utf8')).toBe(note);
  });

  test('that cannot be written fails, and is not lost', async () => {
    const anchor = make();
    const { note } = await publish(anchor, log);
    mkdirSync(join(folder, `.${newest().split('/').at(-1)}.new`));
    await expect(anchor.publish(await log.grow(1).signCheckpoint(), live())).rejects.toThrow(/EISDIR/);
    expect(readFileSync(newest(), 'utf8')).toBe(note);
  });

  test('that is a folder where a file belongs cannot be read', async () => {
    mkdirSync(newest());
    await expect(make().read?.()).rejects.toThrow(/is not a file|EISDIR/);
  });
});

describe('a file', () => {
  test('in a folder that is not there fails, and nothing is made', async () => {
    const anchor = new FileAnchor('file', join(folder, 'volume', 'checkpoint'), log.judge());
    expect(await anchor.read()).toBeUndefined();
    await expect(anchor.publish(await log.signCheckpoint(), live())).rejects.toThrow(/ENOENT/);
    expect(existsSync(join(folder, 'volume'))).toBe(false);
  });

  test('is replaced, not written through a link', async () => {
    writeFileSync(join(folder, 'elsewhere'), 'untouched');
    symlinkSync(join(folder, 'elsewhere'), join(folder, 'checkpoint'));
    const anchor = new FileAnchor('file', join(folder, 'checkpoint'), log.judge());
    await expect(anchor.publish(await log.signCheckpoint(), live())).rejects.toThrow(/malformed/);
    expect(readFileSync(join(folder, 'elsewhere'), 'utf8')).toBe('untouched');
  });
});

describe('a folder', () => {
  const kept = () => join(folder, folderNameOf(log.origin), '2026-11-20');
  const anchorOf = () => new DirectoryAnchor('directory', folder, log.judge());

  test('keeps every checkpoint as a file of its own, by log, day and size', async () => {
    const anchor = anchorOf();
    await publish(anchor, log);
    const { note } = await publish(anchor, log.grow(1));
    expect(readdirSync(kept())).toEqual(['0000000000000005.checkpoint', '0000000000000006.checkpoint']);
    expect(readFileSync(join(kept(), '0000000000000006.checkpoint'), 'utf8')).toBe(note);
  });

  test('never changes a checkpoint that it has, whatever `latest` says', async () => {
    const anchor = anchorOf();
    const { note } = await publish(anchor, log);
    rmSync(join(folder, 'latest'));
    const fork = log.copy(2).grow(3, 'other');
    await expect(anchor.publish(await fork.signCheckpoint(), live())).rejects.toThrow(AnchorConflict);
    expect(readFileSync(join(kept(), '0000000000000005.checkpoint'), 'utf8')).toBe(note);
    expect(existsSync(join(folder, 'latest'))).toBe(false);
  });

  test('answers with the largest checkpoint, also when `latest` was lost or put back', async () => {
    const anchor = anchorOf();
    const early = await publish(anchor, log);
    log.time += 86_400_000;
    const { note } = await publish(anchor, log.grow(3));
    writeFileSync(join(folder, 'latest'), early.note);
    expect(await anchor.read()).toBe(note);
    rmSync(join(folder, 'latest'));
    expect(await anchor.read()).toBe(note);
  });

  test('tells a damaged checkpoint beside `latest` from none', async () => {
    const anchor = anchorOf();
    await publish(anchor, log);
    writeFileSync(join(kept(), '0000000000000009.checkpoint'), 'nonsense');
    await expect(anchor.read()).rejects.toThrow(/malformed/);
  });
});
