/** Changed files are heard of: through links that are swapped, and where the file system tells nothing. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DEBOUNCE_MS, FileWatch, POLL_MS } from '../../src/wiring/file-watch.ts';

interface Turn {
  readonly ms: number;
  readonly action: () => void;
}

let folder: string;
let turns: Set<Turn>;
let changes: number;
let unwatched: string[];

/** Runs what waits for this long, as if the time had passed. */
function pass(ms: number): void {
  // what these start again waits for the next time
  const due = [...turns].filter(turn => turn.ms === ms);
  for (const turn of due) {
    turns.delete(turn);
    turn.action();
  }
}

function watchOf(...files: readonly string[]): FileWatch {
  return new FileWatch({
    files,
    timers: {
      after(ms, action) {
        const turn = { ms, action };
        turns.add(turn);
        return () => void turns.delete(turn);
      },
    },
    changed: () => {
      changes += 1;
    },
    unwatched: name => void unwatched.push(name),
  });
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'duramen-watch-'));
  turns = new Set();
  changes = 0;
  unwatched = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('the watch', () => {
  test('looks from time to time, and tells of a change once', () => {
    const file = join(folder, 'a');
    writeFileSync(file, '1');
    const watch = watchOf(file);
    watch.start();
    pass(POLL_MS);
    expect(changes).toBe(0);
    writeFileSync(file, '22');
    pass(POLL_MS);
    pass(POLL_MS);
    expect(changes).toBe(1);
    rmSync(file);
    pass(POLL_MS);
    expect(changes).toBe(2);
    watch.close();
    expect(turns.size).toBe(0);
  });

  test('sees that a link on the way was swapped', () => {
    for (const version of ['v1', 'v2']) {
      mkdirSync(join(folder, version));
      writeFileSync(join(folder, version, 'tls.crt'), version);
    }
    symlinkSync('v1', join(folder, 'data'));
    symlinkSync('data/tls.crt', join(folder, 'tls.crt'));
    const watch = watchOf(join(folder, 'tls.crt'));
    watch.start();
    symlinkSync('v2', join(folder, 'next'));
    renameSync(join(folder, 'next'), join(folder, 'data'));
    pass(POLL_MS);
    expect(changes).toBe(1);
    watch.close();
  });

  test('waits until writing has gone quiet', async () => {
    const file = join(folder, 'a');
    writeFileSync(file, '1');
    const watch = watchOf(file);
    watch.start();
    const waiting = (): boolean => [...turns].some(({ ms }) => ms === DEBOUNCE_MS);
    const end = performance.now() + 5000;
    for (let round = 0; !waiting() && performance.now() < end; round += 1) {
      writeFileSync(file, `round ${round}`);
      await new Promise(resolve => setTimeout(resolve, 5));
    }
    expect(waiting()).toBe(true);
    expect(changes).toBe(0);
    pass(DEBOUNCE_MS);
    expect(changes).toBe(1);
    watch.close();
  });

  test('says which folder it cannot watch, and looks all the same', () => {
    const file = join(folder, 'absent', 'a');
    const watch = watchOf(file);
    watch.start();
    expect(unwatched).toEqual([join(folder, 'absent')]);
    mkdirSync(join(folder, 'absent'));
    writeFileSync(file, '1');
    pass(POLL_MS);
    expect(changes).toBe(1);
    watch.close();
  });
});
