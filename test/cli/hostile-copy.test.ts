/** Copies of a log that a hostile operator made: each is refused with its reason, soon, and in little memory. */
import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { EXIT } from '../../src/cli/exit-code.ts';
import { LogFolder } from '../../src/cli/log-folder.ts';
import { runCli } from '../../src/cli/run.ts';
import { signCheckpoint } from '../../src/decision-log/checkpoint.ts';
import { formatTilePath } from '../../src/decision-log/tiles.ts';
import { formatTlogProof } from '../../src/decision-log/tlog-proof.ts';
import { leafHash } from '../../src/decision-log/leaf-hash.ts';
import { recordingTerminal } from './recording-terminal.ts';
import { ORIGIN, ordinaryLeaves, staticFiles, testSigner, writeFiles } from './static-log.ts';

const SIZE = 700;
const leaves = ordinaryLeaves(SIZE);
const signer = testSigner();
const files = staticFiles(leaves, signer);
/** Whatever is refused is refused within this time, in milliseconds. */
const SOON_MS = 20_000;

let root: string;
let folder: string;
let key: string;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'duramen-hostile-'));
  key = join(root, 'auditor.vkey');
  writeFileSync(key, `${signer.verifierKey}\n`);
});
beforeEach(() => {
  folder = mkdtempSync(join(root, 'copy-'));
  writeFiles(folder, files);
});
afterAll(() => rmSync(root, { recursive: true }));

const reportSchema = z.looseObject({
  verified: z.boolean(),
  firstBad: z.number().nullable(),
  findings: z.array(z.looseObject({ index: z.number().nullable(), code: z.string(), message: z.string() })),
});

async function cli(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const terminal = recordingTerminal();
  const code = await runCli(['log', 'verify', ...args], terminal, '0');
  return { code, stdout: terminal.stdout(), stderr: terminal.stderr() };
}

async function reported(...args: string[]) {
  const { code, stdout, stderr } = await cli('--tiles', folder, '--key', key, '-o', 'json', ...args);
  expect(stderr).toBe('');
  return { code, report: reportSchema.parse(JSON.parse(stdout)) };
}

/** Puts something else in the place of a file of the copy. */
function replace(name: string, make: (path: string) => void): void {
  const path = join(folder, name);
  rmSync(path, { recursive: true, force: true });
  mkdirSync(dirname(path), { recursive: true });
  make(path);
}

function signedFor(size: number): Buffer {
  return Buffer.from(signCheckpoint({ origin: ORIGIN, size, root: leafHash(Buffer.of()) }, [signer]));
}

describe('what is no file in the place of one', () => {
  const NAMES = ['checkpoint', 'log.vkey', 'pruned-below', 'tile/0/001', 'tile/entries/001'];

  const MAKERS: readonly [string, (path: string) => void][] = [
    ['a device without an end', path => symlinkSync('/dev/zero', path)],
    ['a pipe that nobody writes', path => execFileSync('/usr/bin/mkfifo', [path])],
    ['a folder', path => mkdirSync(path)],
    ['a link to itself', path => symlinkSync(path, path)],
  ];

  test.each(NAMES.flatMap(name => MAKERS.map(([what, make]) => ({ name, what, make }))))(
    '$name: $what is refused by its name',
    async ({ name, make }) => {
      replace(name, make);
      const { code, stdout, stderr } = await cli('--tiles', folder, '--key', key);
      expect(code).toBe(EXIT.failure);
      expect(stdout).toBe('');
      expect(stderr).toContain(`\`${join(folder, name)}\``);
      expect(stderr).not.toContain('unexpected');
    },
    SOON_MS,
  );

  test('a file of ten gigabytes is refused by its size', async () => {
    truncateSync(join(folder, 'tile/entries/001'), 10 * 2 ** 30);
    const { code, stderr } = await cli('--tiles', folder, '--key', key);
    expect(code).toBe(EXIT.failure);
    expect(stderr).toContain('has 10737418240 bytes');
  });
});

describe('a checkpoint that the log has signed over more than there is', () => {
  test.each([SIZE + 1, 769, 1_000_000, 2 ** 40, Number.MAX_SAFE_INTEGER])(
    'names the first entry that is missing: %i',
    async size => {
      writeFileSync(join(folder, 'checkpoint'), signedFor(size));
      const { code, report } = await reported();
      expect(code).toBe(EXIT.notVerified);
      expect(report.verified).toBe(false);
      expect(report.findings.map(finding => finding.code)).toContain('ENTRY_MISSING');
      expect(report.firstBad).toBeGreaterThanOrEqual(512);
      expect(report.firstBad).toBeLessThanOrEqual(768);
    },
    SOON_MS,
  );

  test(
    'ends as well where all before is said to be removed',
    async () => {
      writeFileSync(join(folder, 'checkpoint'), signedFor(Number.MAX_SAFE_INTEGER));
      writeFileSync(join(folder, 'pruned-below'), '900000000000000\n');
      writeFiles(
        folder,
        new Map([[formatTilePath({ level: 0, n: 5_000_000, width: 256 }), Buffer.alloc(8192)]]),
      );
      expect((await reported()).report.verified).toBe(false);
    },
    SOON_MS,
  );
});

test('a folder that is deeper than any of a log is named, not looked into', async () => {
  const deep = Array.from({ length: 40 }, () => 'x001').join('/');
  writeFiles(folder, new Map([[`tile/0/${deep}/000`, Buffer.of()]]));
  const { code, report } = await reported();
  expect(code).toBe(EXIT.ok);
  expect(report.findings).toMatchObject([{ code: 'STRAY_FILE' }]);
});

test('a link where a file is about to be written is not followed', async () => {
  const outside = join(root, 'outside');
  writeFileSync(outside, 'mine');
  symlinkSync(outside, join(folder, 'checkpoint.new'));
  const copy = new LogFolder(folder);
  await expect(copy.write('checkpoint', Buffer.from('theirs'))).rejects.toThrow('cannot write');
  expect(readFileSync(outside, 'utf8')).toBe('mine');
});

test(
  'harm in very many files is counted, and the first is named',
  async () => {
    const tile = Buffer.alloc(32, 1);
    const stale = new Map<string, Uint8Array>();
    for (let width = 1; width < 256; width++) {
      stale.set(`tile/0/001.p/${width}`, tile);
      stale.set(`tile/0/stray-${width}`, tile);
    }
    writeFiles(folder, stale);
    const { code, report } = await reported();
    expect(code).toBe(EXIT.notVerified);
    expect(report.firstBad).toBe(256);
    expect(report.findings.filter(finding => finding.code === 'TILE_CHANGED').length).toBe(101);
    expect(report.findings.filter(finding => finding.code === 'STRAY_FILE').length).toBe(101);
  },
  SOON_MS,
);

describe('a proof of a hostile entry', () => {
  async function proven(entry: string, ...args: string[]) {
    const bytes = Buffer.from(entry);
    const own = staticFiles([bytes], signer).get('checkpoint') ?? Buffer.of();
    const proof = join(root, 'hostile.tlog-proof');
    const text = formatTlogProof({
      index: 0,
      hashes: [],
      checkpoint: Buffer.from(own).toString(),
      extra: bytes,
    });
    writeFileSync(proof, text);
    return cli('--proof', proof, '--key', key, ...args);
  }

  test.each(['1e300', '-1e18', '8.64e15', '1e999'])('is shown whatever its time: %s', async time => {
    const { code, stdout, stderr } = await proven(`{"kind":"decision","id":"x","time":${time}}`);
    expect(stderr).toBe('');
    expect(code).toBe(EXIT.ok);
    expect(stdout).toContain('✓ the entry is in the log');
  });

  test('is shown as JSON however deep it is', async () => {
    const deep = `{"kind":"decision","a":${'['.repeat(20_000)}${']'.repeat(20_000)}}`;
    const { code, stdout, stderr } = await proven(deep, '-o', 'json');
    expect(stderr).not.toContain('unexpected');
    expect(code).toBe(EXIT.notVerified);
    expect(stdout).toContain('"verified": false');
  });
});
