/** The data folder: made for its owner alone, and refused with a reason where it cannot be. */
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { prepareFolder } from '../../src/wiring/data-folder.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'duramen-folder-'));
  writeFileSync(join(folder, 'file'), '');
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('the data folder', () => {
  test('is made with the folders above it, for its owner alone, and may be there already', () => {
    const deep = join(folder, 'a/b');
    prepareFolder(deep);
    prepareFolder(deep);
    expect([folder, join(folder, 'a'), deep].map(path => statSync(path).mode & 0o777)).toEqual([
      0o700, 0o700, 0o700,
    ]);
  });

  test.each([
    ['is a file', () => join(folder, 'file'), 'it is not a folder'],
    ['is to lie in a file', () => join(folder, 'file/data'), 'ENOTDIR'],
    ['is to lie where nothing can be made', () => '/proc/duramen/data', 'ENOENT'],
  ])('that %s is refused with what to do', (_, path, reason) => {
    const refusal = new RegExp(`cannot be written: .*${reason}.*set DURAMEN_DATA_DIR`);
    expect(() => prepareFolder(path())).toThrow(refusal);
  });
});
