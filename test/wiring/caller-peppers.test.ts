/** The file of the peppers: made once, never guessed, and refused when it is lost, damaged or open to others. */
import {
  appendFileSync,
  chmodSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { PEPPERS_FILE, readCallerPeppers } from '../../src/wiring/caller-peppers.ts';

const LINE = Buffer.alloc(32, 7).toString('base64url');
let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'duramen-peppers-'));
  file = join(folder, PEPPERS_FILE);
});
afterEach(() => rmSync(folder, { recursive: true }));

const read = (keysExist = false) => readCallerPeppers(folder, undefined, keysExist, randomBytes);

test('the first start makes one, for its owner alone; later starts read it', () => {
  const first = read();
  expect([...first.keys()]).toEqual([1]);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(read(true)).toEqual(first);
});

test('a further version is added by a line, and the first stays', () => {
  const [[, first] = []] = [...read()];
  appendFileSync(file, `2 ${LINE}\n`);
  expect(read(true)).toEqual(
    new Map([
      [1, first],
      [2, Buffer.alloc(32, 7)],
    ]),
  );
});

test('those of the configuration win, and no file is made', () => {
  const secret = 'a'.repeat(43);
  const peppers = readCallerPeppers(folder, [{ version: 3, secret }], true, randomBytes);
  expect(peppers).toEqual(new Map([[3, Buffer.from(secret)]]));
  expect(() => readFileSync(file)).toThrow('ENOENT');
});

test('a lost file is a loss where keys exist, and is not made anew', () => {
  expect(() => read(true)).toThrow('is missing');
  expect(() => readFileSync(file)).toThrow('ENOENT');
});

test.each([
  ['empty', ''],
  ['without a version', `${LINE}\n`],
  ['with version 0', `0 ${LINE}\n`],
  ['with a version twice', `1 ${LINE}\n1 ${LINE}\n`],
  ['too short', `1 ${LINE.slice(0, 20)}\n`],
  ['in another base64', `1 ${'+'.repeat(43)}\n`],
  ['with an empty line inside', `1 ${LINE}\n\n2 ${LINE}\n`],
  ['with something after the pepper', `1 ${LINE} #\n`],
])('a file that is %s is refused, and its content is not told', (_, text) => {
  writeFileSync(file, text, { mode: 0o600 });
  expect(() => read(true)).toThrow(/^line \d+ of /);
  expect(() => read(true)).not.toThrow(LINE);
});

test('a file that others can read is refused', () => {
  read();
  chmodSync(file, 0o640);
  expect(() => read(true)).toThrow('chmod 600');
});
