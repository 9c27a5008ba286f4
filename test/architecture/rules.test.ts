/** The house rules can fail: for each rule, samples that it must refuse and samples that it must let pass. */
import { describe, expect, test } from 'vitest';
import {
  checkBans,
  checkFileLength,
  checkFunctionLength,
  checkLayers,
  checkMarkers,
  checkName,
  checkOpening,
  checkTopLevel,
  MAX_FILE_LINES,
  MAX_FUNCTION_LINES,
  p90,
  unusedExceptions,
} from './rules.ts';
import { parseSource, type SourceFile } from './source-file.ts';

const source = (text: string, path = 'src/pdp/sample.ts'): SourceFile => parseSource(path, text);
const lines = (count: number): string => 'void 0;\n'.repeat(count);

describe('layers', () => {
  test.each([
    ['src/domain/a.ts', "import { b } from '../cedar/b.ts';", '`domain` may not import `cedar`'],
    ['src/domain/a.ts', "import pino from 'pino';", '`domain` may not import `pino`'],
    ['src/domain/a.ts', "import { readFile } from 'node:fs';", '`domain` may not import `node:fs`'],
    ['src/pdp/a.ts', "import { append } from '../decision-log/writer.ts';", 'types alone'],
    ['src/pdp/a.ts', "export { b } from '../store/sqlite/b.ts';", '`pdp` may not import `store/sqlite`'],
    ['src/pdp/a.ts', "const b = await import('../edge/b.ts');", '`pdp` may not import `edge`'],
    ['src/store/sqlite/a.ts', "import { b } from '../memory/b.ts';", 'may not import `store/memory`'],
    [
      'src/edge/http/a.ts',
      "import type { B } from '../../store/sqlite/b.ts';",
      'may not import `store/sqlite`',
    ],
    ['src/edge/http/a.ts', "import { b } from '../../main.ts';", 'may not import `src/main.ts`'],
    ['src/directory/a.ts', "import { createHash } from 'node:crypto';", 'CRYPTO_FILES'],
    ['src/bundles/a.ts', "import { b } from './b';", 'write the `.ts`'],
    ['src/other/a.ts', 'export const b = 1;', 'belongs to no layer'],
  ])('%s refuses %s', (path, text, message) => {
    const [found] = checkLayers(source(text, path));
    expect(found?.message).toContain(message);
    expect(found?.line).toBe(1);
  });

  test.each([
    ['src/domain/a.ts', "import { z } from 'zod'; import { b } from './b.ts';"],
    ['src/pdp/a.ts', "import type { DecisionLog } from '../decision-log/ports.ts';"],
    ['src/cedar/a.ts', "import { x } from '@cedar-policy/cedar-wasm/nodejs';"],
    ['src/edge/admin/a.ts', "import { b } from '../http/b.ts'; import { c } from '../../pdp/c.ts';"],
    ['src/store/sqlite/a.ts', "import Database from 'better-sqlite3';"],
    ['src/main.ts', "import { b } from './store/sqlite/b.ts'; import pino from 'pino';"],
    ['src/policy-worker.ts', "import { b } from './store/sqlite/b.ts';"],
    ['src/pdp/a.ts', "const text = \"import { b } from '../edge/b.ts'\"; // import '../edge/c.ts'"],
  ])('%s accepts %s', (path, text) => expect(checkLayers(source(text, path))).toEqual([]));
});

describe('bans', () => {
  test.each([
    ['const a = () => Date.now();', 'clock'],
    ['const a = () => new Date();', 'clock'],
    ['const a = () => globalThis.performance.now();', 'clock'],
    ['const a = () => process.hrtime.bigint();', 'clock'],
    ['const a = () => Math.random();', 'randomness'],
    ["import { randomUUID } from 'node:crypto'; const a = () => randomUUID();", 'randomness'],
    ['const a = () => crypto.getRandomValues(b);', 'randomness'],
    ['const a = () => process.env.HOME;', 'environment'],
    ["const a = () => process['env'];", 'environment'],
    ['const a = () => process.exit(1);', 'environment'],
    ["const a = () => console.log('x');", 'console'],
    ["const a = () => process.stdout.write('x');", 'console'],
  ])('%s is refused (%s)', (text, ban) => {
    const [found] = checkBans(source(text), []);
    expect(found?.message).toContain(`(${ban})`);
  });

  test.each([
    'clock.now();',
    "const a = 'Date.now()';",
    '// console.log',
    'type D = Date;',
    'process.on("exit", f);',
  ])('%s is accepted', text => expect(checkBans(source(text), [])).toEqual([]));

  test('an exception covers its file and ban alone', () => {
    const file = source('const a = () => [Date.now(), Math.random()];');
    const exceptions = [{ file: file.path, ban: 'clock', reason: 'sample' }];
    expect(checkBans(file, exceptions)).toHaveLength(1);
    expect(checkBans(source('Date.now();', 'src/pdp/b.ts'), exceptions)).toHaveLength(1);
  });

  test('an exception that nothing needs is reported', () => {
    const exceptions = [
      { file: 'src/pdp/sample.ts', ban: 'clock', reason: 'used' },
      { file: 'src/pdp/sample.ts', ban: 'console', reason: 'not used' },
      { file: 'src/pdp/gone.ts', ban: 'clock', reason: 'no such file' },
    ];
    expect(unusedExceptions([source('Date.now();')], exceptions)).toEqual(exceptions.slice(1));
  });
});

describe('budgets', () => {
  test('a file may have as many lines as the cap, not one more', () => {
    expect(checkFileLength(source(lines(MAX_FILE_LINES)))).toEqual([]);
    expect(checkFileLength(source(lines(MAX_FILE_LINES + 1)))).toHaveLength(1);
  });

  test('the ninetieth percentile is that of the sorted lengths', () => {
    const sizes = [10, 1, 9, 2, 8, 3, 7, 4, 6, 5];
    expect(p90(sizes.map(size => source(lines(size))))).toBe(9);
  });

  const body = (count: number): string => `\n${lines(count - 2)}`;
  test.each([
    ['function', (count: number) => `function f(): void {${body(count)}}`],
    ['arrow', (count: number) => `const f = (a: { b: 1 }): { c: 2 } => {${body(count)}};`],
    ['method', (count: number) => `class A {\n  f(): void {${body(count)}}\n}`],
    ['nested function', (count: number) => `if (a) { run(async function f() {${body(count)}}) }`],
    ['getter', (count: number) => `const a = { get f() {${body(count)}} };`],
  ])('a %s may have as many lines as the cap, not one more', (_, make) => {
    expect(checkFunctionLength(source(make(MAX_FUNCTION_LINES)))).toEqual([]);
    const [found] = checkFunctionLength(source(make(MAX_FUNCTION_LINES + 1)));
    expect(found?.message).toContain('`f` has 61 lines');
  });

  test('a class, a table and a type may be longer than a function', () => {
    const rows = 'a: 1,\n'.repeat(80);
    const samples = [
      `class A {\n${'a = 1;\n'.repeat(80)}}`,
      `const t = {\n${rows}};`,
      `type T = {\n${rows}};`,
    ];
    for (const text of samples) expect(checkFunctionLength(source(text))).toEqual([]);
  });
});

describe('import time', () => {
  test.each([
    ['setTimeout(() => {}, 1);', 'statement'],
    ['if (a) b();', 'statement'],
    ['let a = 1;', 'mutable'],
    ['export let a = 1;', 'mutable'],
    ["import { readFileSync } from 'node:fs'; const a = readFileSync('x');", 'called at import time'],
    ["import pino from 'pino'; const a = { log: pino() };", 'called at import time'],
    ['const cache = new Map();', 'shared state'],
    ['export const list: string[] = [];', 'shared state'],
    ["export * from './b.ts';", 're-exports'],
    ["export { b } from './b.ts';", 're-exports'],
    ['export default function f() {}', 'default export'],
  ])('%s is refused', (text, message) => {
    const [found] = checkTopLevel(source(text));
    expect(found?.message).toContain(message);
  });

  test.each([
    "import { z } from 'zod'; export const a = z.strictObject({ b: z.string() });",
    'const A = new Set([1, 2]); export const b = Object.freeze({});',
    "import { readFileSync } from 'node:fs'; export const a = () => readFileSync('x');",
    "import { fileURLToPath } from 'node:url'; const a = fileURLToPath('file:///x');",
    'const NOTHING: readonly never[] = []; const none: ReadonlyMap<string, 1> = new Map();',
    'export class A { b = new Map(); } interface B { c: 1 } export type D = B;',
    'function f() {} export { f };',
  ])('%s is accepted', text => expect(checkTopLevel(source(text))).toEqual([]));

  test('an entry point may run, but exports nothing by default', () => {
    expect(checkTopLevel(source('await start();', 'src/main.ts'))).toEqual([]);
    expect(checkTopLevel(source('start();', 'src/log-worker.ts'))).toEqual([]);
    expect(checkTopLevel(source('export default 1;', 'src/main.ts'))).toHaveLength(1);
  });
});

describe('names and comments', () => {
  test.each([
    'src/pdp/utils.ts',
    'src/helpers/a.ts',
    'src/pdp/index.ts',
    'src/pdp/decideIt.ts',
    'src/common/b.ts',
  ])('%s is refused', path => expect(checkName(source('', path))).toHaveLength(1));
  test.each(['src/pdp/decide.ts', 'test/cedar/ip-value.test.ts', 'src/bundles/tar.ts'])(
    '%s is accepted',
    path => expect(checkName(source('', path))).toEqual([]),
  );

  test.each([
    ['/** What it is. */\nconst a = 1;', 0],
    ['#!/usr/bin/env node\n/** What it is. */', 0],
    ['/**\n * What it is.\n */', 0],
    ['// What it is.\nconst a = 1;', 1],
    ['const a = 1;', 1],
    ['/* What it is. */', 1],
  ])('%j opens with %d findings', (text, count) => expect(checkOpening(source(text))).toHaveLength(count));

  test.each([
    ['// oxlint-disable-next-line no-eval', 1],
    ['// oxlint-disable-next-line no-eval -- the sample needs it', 0],
    ['// @ts-ignore', 1],
    ['const a = 1; // TODO later', 1],
    ["const a = 'TODO';", 0],
  ])('%s has %d findings', (text, count) => expect(checkMarkers(source(text))).toHaveLength(count));
});
