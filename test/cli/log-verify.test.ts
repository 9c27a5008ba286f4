/** `duramen log verify` on copies and proofs: what it accepts, what it names, how it ends. */
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { EXIT } from '../../src/cli/exit-code.ts';
import { runCli } from '../../src/cli/run.ts';
import { leafHash } from '../../src/decision-log/leaf-hash.ts';
import { inclusionProof } from '../../src/decision-log/proofs.ts';
import { formatTlogProof } from '../../src/decision-log/tlog-proof.ts';
import { packedRoot } from '../../src/decision-log/tree-hash.ts';
import { recordingTerminal } from './recording-terminal.ts';
import { decisionIdAt, ORIGIN, ordinaryLeaves, staticFiles, testSigner, writeFiles } from './static-log.ts';

const SIZE = 700;
const leaves = ordinaryLeaves(SIZE);
const signer = testSigner();
const files = staticFiles(leaves, signer);

let root: string;
let folder: string;
let key: string;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'duramen-verify-'));
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
  findings: z.array(z.looseObject({ index: z.number().nullable(), code: z.string(), severity: z.string() })),
  gatewayLogs: z.array(z.looseObject({ ids: z.number(), included: z.number(), missing: z.number() })),
});

async function cli(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const terminal = recordingTerminal();
  const code = await runCli(['log', 'verify', ...args], terminal, '0');
  return { code, stdout: terminal.stdout(), stderr: terminal.stderr() };
}

async function reported(...args: string[]) {
  const { code, stdout, stderr } = await cli('--tiles', folder, '-o', 'json', ...args);
  expect(stderr).toBe('');
  return { code, report: reportSchema.parse(JSON.parse(stdout)) };
}

function file(name: string, text: string | Uint8Array): string {
  const path = join(root, name);
  writeFileSync(path, text);
  return path;
}

/** Writes the copy of the first `size` entries. */
function copyOf(size: number, origin = ORIGIN, seed = 7): Map<string, Uint8Array> {
  return staticFiles(leaves.slice(0, size), testSigner(origin, seed), origin);
}

test('a key that is no file is told how to become one', async () => {
  const terminal = recordingTerminal();
  const args = ['log', 'verify', '--tiles', '.', '--key', `${ORIGIN}+00000000+AAAA`];
  expect(await runCli(args, terminal, '0')).toBe(EXIT.failure);
  expect(terminal.stderr()).toContain('hint: put the one line of GET /v1/log/key into a file');
});

describe('a copy that nobody touched', () => {
  test.each([1, 2, 255, 256, 257, 511, 512, 513, SIZE])('verifies with %i entries', async size => {
    rmSync(folder, { recursive: true });
    writeFiles(folder, copyOf(size));
    const { code, report } = await reported('--key', key);
    expect(report).toMatchObject({ verified: true, size, entries: size, firstBad: null, findings: [] });
    expect(code).toBe(EXIT.ok);
  });

  test('is summed up for people: origin, size, root, key, times, speed', async () => {
    const { code, stdout, stderr } = await cli('--tiles', folder, '--key', key);
    expect(code).toBe(EXIT.ok);
    expect(stderr).toBe('');
    expect(stdout).toContain('✓ the log is intact');
    expect(stdout).toContain(`origin        ${ORIGIN}`);
    expect(stdout).toContain(`root          ${Buffer.from(packedRoot(allHashes())).toString('base64')}`);
    expect(stdout).toMatch(/key {11}duramen\.test\/4f1c\+[0-9a-f]{8}, from file /);
    expect(stdout).toContain('first entry   0, 2026-01-01T00:00:00.000Z');
    expect(stdout).toMatch(/read {10}700 entries in [\d.]+ s, \d+ per second/);
    expect(stdout).not.toContain('note:');
  });

  test('verifies with its own key, and says what that is worth', async () => {
    const { code, stdout } = await cli('--tiles', folder);
    expect(code).toBe(EXIT.ok);
    expect(stdout).toContain('note: the key came with the log');
  });

  test('may hold partial tiles of an earlier copy, and files that are no part of it', async () => {
    const earlier = copyOf(600);
    for (const name of ['tile/0/002.p/88', 'tile/entries/002.p/88']) {
      writeFiles(folder, new Map([[name, earlier.get(name) ?? Buffer.alloc(0)]]));
    }
    writeFileSync(join(folder, 'README.md'), 'mine');
    writeFileSync(join(folder, 'tile', '.stray'), 'mine');
    const { code, report } = await reported('--key', key);
    expect(code).toBe(EXIT.ok);
    expect(report.findings).toMatchObject([{ code: 'STRAY_FILE', severity: 'warning' }]);
  });

  test('may begin where retention had removed entries, if an entry says so', async () => {
    const prune = { details: { firstKept: 250 }, id: decisionIdAt(690), kind: 'log.prune', v: 2 };
    const time = z.looseObject({ time: z.number() }).parse(JSON.parse(String(leaves[690]))).time;
    const pruned = leaves.with(690, Buffer.from(JSON.stringify({ ...prune, time })));
    for (const [from, code] of [
      [pruned, EXIT.ok],
      [leaves, EXIT.notVerified],
    ] as const) {
      rmSync(folder, { recursive: true });
      writeFiles(folder, staticFiles(from, signer));
      rmSync(join(folder, 'tile/entries/000'));
      writeFileSync(join(folder, 'pruned-below'), '256\n');
      const ended = await reported('--key', key);
      expect(ended.report).toMatchObject({ verified: code === EXIT.ok, firstKept: 256, entries: SIZE - 256 });
      expect(ended.code).toBe(code);
      expect(ended.report.findings.map(finding => finding.code)).toEqual(
        code === EXIT.ok ? [] : ['PRUNING_UNRECORDED'],
      );
    }
  });
});

describe('a copy that somebody touched', () => {
  test('names the entry whose bytes changed', async () => {
    flip('tile/entries/001', offsetOf(256, 417) + 20);
    const { code, stdout } = await cli('--tiles', folder, '--key', key);
    expect(code).toBe(EXIT.notVerified);
    expect(stdout).toContain('✗ the log does not verify: entry 417 is the first that is wrong');
    expect(stdout).toContain('(ENTRY_CHANGED)');
  });

  test.each([
    ['a hash of a tile', () => flip('tile/0/001', 32 * 5 + 3), 261, 'TILE_CHANGED'],
    ['a hash of an upper tile', () => flip('tile/1/000.p/2', 40), 256, 'TILE_CHANGED'],
    ['a missing bundle', () => rmSync(join(folder, 'tile/entries/001')), 256, 'ENTRY_MISSING'],
    ['a missing tile', () => rmSync(join(folder, 'tile/0/002.p/188')), 512, 'TILE_MISSING'],
    ['two swapped bundles', () => swap('tile/entries/000', 'tile/entries/001'), 0, 'ENTRY_CHANGED'],
    [
      'a bundle cut short',
      () => cut('tile/entries/002.p/188', offsetOf(512, 530) + 9),
      530,
      'BUNDLE_DAMAGED',
    ],
    ['a bundle cut between entries', () => cut('tile/entries/000', offsetOf(0, 77)), 77, 'ENTRY_MISSING'],
    ['an older checkpoint', () => replay('checkpoint', 600), 512, 'COPY_EXCEEDS_CHECKPOINT'],
    ['a forged checkpoint', () => forge(), null, 'CHECKPOINT_INVALID'],
    ['no checkpoint', () => rmSync(join(folder, 'checkpoint')), null, 'CHECKPOINT_MISSING'],
    ['another key in it', () => otherKey(), null, 'KEY_INVALID'],
    ['a damaged key in it', () => flip('log.vkey', 40), null, 'KEY_INVALID'],
  ])('%s: names the first bad entry and why', async (_what, harm, index, reason) => {
    harm();
    const { code, report } = await reported('--key', key);
    expect(code).toBe(EXIT.notVerified);
    expect(report.verified).toBe(false);
    expect(report.firstBad).toBe(index);
    expect(report.findings.map(({ code: found }) => found)).toContain(reason);
  });

  test('a superseded partial tile that is not the beginning of its successor is found', async () => {
    const earlier = copyOf(600).get('tile/0/002.p/88') ?? Buffer.alloc(0);
    writeFiles(folder, new Map([['tile/0/002.p/88', earlier]]));
    flip('tile/0/002.p/88', 32 * 8);
    const { code, report } = await reported('--key', key);
    expect(code).toBe(EXIT.notVerified);
    expect(report.firstBad).toBe(520);
  });
});

test.each([512, SIZE, SIZE + 1, 90_000_000_000_000])(
  'a copy that says %i entries were removed is not believed',
  async below => {
    writeFileSync(join(folder, 'pruned-below'), `${below}\n`);
    const { code, report } = await reported('--key', key);
    expect(code).toBe(EXIT.notVerified);
    expect(report.firstBad).toBe(0);
    expect(report.findings).toContainEqual(expect.objectContaining({ index: 0, code: 'PRUNING_UNRECORDED' }));
  },
);

describe('an earlier checkpoint', () => {
  const note = (size: number, seed = 7): Uint8Array =>
    copyOf(size, ORIGIN, seed).get('checkpoint') ?? Buffer.alloc(0);

  test.each([0, 1, 256, 300, SIZE])('of %i entries fits', async size => {
    const { code } = await reported('--key', key, '--checkpoint', file('c', note(size)));
    expect(code).toBe(EXIT.ok);
  });

  test('of a larger log is a rollback', async () => {
    rmSync(folder, { recursive: true });
    writeFiles(folder, copyOf(300));
    const { code, report } = await reported('--key', key, '--checkpoint', file('c', note(SIZE)));
    expect(code).toBe(EXIT.notVerified);
    expect(report.findings[0]).toMatchObject({ code: 'LOG_SHORTER', index: 300 });
    expect(report.findings[0]?.['message']).toContain(`the checkpoint \`${join(root, 'c')}\``);
  });

  test('of another history is a fork', async () => {
    const other = staticFiles([...leaves.slice(0, 299), Buffer.from('{}')], signer).get('checkpoint');
    const { code, report } = await reported('--key', key, '--checkpoint', file('c', other ?? ''));
    expect(code).toBe(EXIT.notVerified);
    expect(report.findings[0]).toMatchObject({ code: 'FORK' });
    expect(report.findings[0]?.['message']).toContain(`the root of the checkpoint \`${join(root, 'c')}\``);
  });

  test('that another key signed is refused, by its name', async () => {
    const kept = ['--checkpoint', file('c', note(300)), '--checkpoint', file('stranger', note(300, 9))];
    const { code, report } = await reported('--key', key, ...kept);
    expect(code).toBe(EXIT.notVerified);
    expect(report.findings).toMatchObject([{ code: 'CHECKPOINT_INVALID' }]);
    expect(report.findings[0]?.['message']).toContain(`the checkpoint \`${join(root, 'stranger')}\` cannot`);
  });
});

describe('decisions seen elsewhere', () => {
  const present = [3, 256, 699].map(decisionIdAt);

  test('are each proven to be in the log', async () => {
    const seen = file('seen', `${present.join('\n')}\n`);
    const { code, report } = await reported('--key', key, '--gateway-log', seen);
    expect(code).toBe(EXIT.ok);
    expect(report.gatewayLogs).toMatchObject([{ ids: 3, included: 3, missing: 0 }]);
  });

  test('that are missing are listed, and the log does not pass', async () => {
    const absent = decisionIdAt(100_000);
    // entry 6 is a heartbeat: its id is not that of a decision
    const seen = file('seen', [...present, absent, decisionIdAt(6)].join('\n'));
    const { code, stdout } = await cli('--tiles', folder, '--key', key, '--gateway-log', seen);
    expect(code).toBe(EXIT.notVerified);
    expect(stdout).toContain('3 of 5 decisions are in the log');
    expect(stdout).toContain(`${absent} (line 4): it is not in the log`);
    expect(stdout).toContain(`${decisionIdAt(6)} (line 5): it is not in the log`);
  });

  test('must be where they were answered, in a log that is as large as it was said to be', async () => {
    const line = (id: number, index: number, size: number): string =>
      `x-duramen-decision-id: ${decisionIdAt(id)} x-duramen-log: ${ORIGIN} ${index} ${size}\n`;
    const good = await reported(
      '--key',
      key,
      '--gateway-log',
      file('seen', line(4, 4, 9) + line(5, 5, SIZE)),
    );
    expect(good.code).toBe(EXIT.ok);
    const moved = await cli('--tiles', folder, '--key', key, '--gateway-log', file('seen', line(4, 5, 9)));
    expect(moved.code).toBe(EXIT.notVerified);
    expect(moved.stdout).toContain('it is entry 4, and was answered as entry 5');
    const larger = await cli('--tiles', folder, '--key', key, '--gateway-log', file('seen', line(4, 4, 701)));
    expect(larger.code).toBe(EXIT.notVerified);
    expect(larger.stdout).toContain('the log had 701 entries; this checkpoint covers 700');
    for (const text of [line(4, 4, 9) + line(4, 7, 9), line(4, 7, 9) + line(4, 4, 9)]) {
      const twice = await cli('--tiles', folder, '--key', key, '--gateway-log', file('seen', text));
      expect(twice.code).toBe(EXIT.notVerified);
      expect(twice.stdout).toContain('it is entry 4, and was answered as entry 7');
    }
  });

  test('prove nothing by a log that does not verify', async () => {
    flip('tile/entries/002.p/188', 30);
    const { report } = await reported('--key', key, '--gateway-log', file('seen', decisionIdAt(3)));
    expect(report.gatewayLogs).toMatchObject([{ included: 0, missing: 1 }]);
  });
});

describe('a proof', () => {
  const index = 301;
  const note = Buffer.from(files.get('checkpoint') ?? '').toString();
  const proofText = async (over: { extra?: Uint8Array; index?: number } = {}): Promise<string> => {
    const hashes = await inclusionProof(index, SIZE, { hash: (height, at) => subtree(height, at) });
    return formatTlogProof({
      index,
      hashes,
      checkpoint: note,
      extra: leaves[index] ?? Buffer.alloc(0),
      ...over,
    });
  };

  test('shows its entry with nothing but the key', async () => {
    const proof = file('one.tlog-proof', await proofText());
    const { code, stdout } = await cli('--proof', proof, '--key', key);
    expect(code).toBe(EXIT.ok);
    expect(stdout).toContain('✓ the entry is in the log');
    expect(stdout).toContain(decisionIdAt(index));
    const json = await cli('--proof', proof, '--key', key, '-o', 'json');
    expect(JSON.parse(json.stdout)).toMatchObject({ verified: true, index, size: SIZE, origin: ORIGIN });
  });

  test('of another entry, place or key does not hold', async () => {
    const cases = [
      await proofText({ extra: leaves[index + 1] ?? Buffer.alloc(0) }),
      await proofText({ index: index + 1 }),
      (await proofText()).replace(/\n700\n/, '\n701\n'),
      'no proof at all',
    ];
    for (const text of cases) {
      const { code, stdout } = await cli('--proof', file('bad.tlog-proof', text), '--key', key);
      expect(code).toBe(EXIT.notVerified);
      expect(stdout).toContain('✗ the proof does not hold');
    }
    const other = file('other.vkey', testSigner(ORIGIN, 9).verifierKey);
    expect((await cli('--proof', file('one.tlog-proof', await proofText()), '--key', other)).code).toBe(
      EXIT.notVerified,
    );
  });

  test('takes the entry from a file where it carries none', async () => {
    const entry = file('entry.json', leaves[index] ?? '');
    const proof = file('bare.tlog-proof', (await proofText()).replace(/\nextra [^\n]*/, ''));
    expect((await cli('--proof', proof, '--key', key)).code).toBe(EXIT.usage);
    expect((await cli('--proof', proof, '--key', key, '--entry', entry)).code).toBe(EXIT.ok);
  });
});

describe('usage', () => {
  test.each([
    [['--data', 'a', '--tiles', 'b'], EXIT.usage],
    [['--proof', 'a', '--tiles', 'b'], EXIT.usage],
    [['--proof', 'a'], EXIT.usage],
    [['--entry', 'a'], EXIT.usage],
    [['--tiles', '/nonexistent'], EXIT.failure],
    [['--data', '/nonexistent'], EXIT.failure],
    [['--tiles', '/nonexistent', '--key', '/nonexistent'], EXIT.failure],
    [['--tiles', '/nonexistent', '--checkpoint', '/nonexistent'], EXIT.failure],
  ])('%j ends with %i', async (args, code) => {
    const ended = await cli(...args);
    expect(ended.code).toBe(code);
    expect(ended.stdout).toBe('');
  });
});

function allHashes(): Buffer {
  return Buffer.concat(leaves.map(leafHash));
}

function subtree(height: number, index: number): Uint8Array {
  const span = 2 ** height * 32;
  return packedRoot(allHashes().subarray(index * span, (index + 1) * span));
}

/** Where the length of an entry stands in the bundle that begins at `first`. */
function offsetOf(first: number, index: number): number {
  return leaves.slice(first, index).reduce((sum, leaf) => sum + 2 + leaf.length, 0);
}

function flip(name: string, at: number): void {
  const bytes = readFileSync(join(folder, name));
  bytes[at] = (bytes[at] ?? 0) ^ 0x01;
  writeFileSync(join(folder, name), bytes);
}

function cut(name: string, length: number): void {
  writeFileSync(join(folder, name), readFileSync(join(folder, name)).subarray(0, length));
}

function swap(one: string, other: string): void {
  renameSync(join(folder, one), join(folder, 'swapped'));
  renameSync(join(folder, other), join(folder, one));
  renameSync(join(folder, 'swapped'), join(folder, other));
}

function replay(name: string, size: number): void {
  writeFileSync(join(folder, name), copyOf(size).get(name) ?? '');
}

function forge(): void {
  const text = readFileSync(join(folder, 'checkpoint'), 'utf8');
  writeFileSync(join(folder, 'checkpoint'), text.replace('\n700\n', '\n699\n'));
}

function otherKey(): void {
  writeFileSync(join(folder, 'log.vkey'), `${testSigner(ORIGIN, 9).verifierKey}\n`);
}
