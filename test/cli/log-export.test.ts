/** The log of a running service: verified over its API, copied, verified again from the copy and from its folder. */
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { EXIT } from '../../src/cli/exit-code.ts';
import { runCli } from '../../src/cli/run.ts';
import { loadConfig } from '../../src/config.ts';
import { type RunningService, startService } from '../../src/main.ts';
import { BUILD_MS, buildXMod, runXMod, withoutXMod } from '../decision-log/x-mod/program.ts';
import { recordingTerminal } from './recording-terminal.ts';

const ADMIN_KEY = 'export-test-admin-key-0123456789abcdefg';
/** More than a bundle, so that there are full tiles and partial ones. */
const DECISIONS = 300;

let root: string;
let data: string;
let copy: string;
let service: RunningService;
const answered: string[] = [];

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'duramen-export-'));
  data = join(root, 'data');
  copy = join(root, 'copy');
  const { config } = loadConfig({
    env: {
      DURAMEN_DATA_DIR: data,
      DURAMEN_HTTP_LISTEN: '127.0.0.1:0',
      DURAMEN_GRPC_LISTEN: '',
      DURAMEN_BOOTSTRAP_KEY: ADMIN_KEY,
      DURAMEN_LOG_LEVEL: 'silent',
    },
    readFile: () => '',
  });
  service = await startService(config, { writeLog: () => undefined });
  const pushed = await cli('push', join(import.meta.dirname, '../../policies/platform'), '--activate');
  if (pushed.code !== EXIT.ok) throw new Error(pushed.stderr);
  await decide(DECISIONS);
});

afterAll(async () => {
  await service.close();
  rmSync(root, { recursive: true });
});

/** Decides, and keeps of each answer what a gateway would log. */
async function decide(count: number): Promise<void> {
  for (let done = 0; done < count; done++) {
    const response = await fetch(`${service.url}/decide`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        principal: { type: 'User', id: 'acme/alice' },
        action: 'generate',
        resource: { type: 'Model', id: 'acme/support-llm' },
      }),
    });
    const { decisionId } = z.looseObject({ decisionId: z.string() }).parse(await response.json());
    const position = response.headers.get('x-duramen-log') ?? '';
    answered.push(`POST /v1/chat 403 x-duramen-decision-id: ${decisionId} x-duramen-log: ${position}`);
  }
}

async function cli(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { DURAMEN_URL: service.url, DURAMEN_KEY: ADMIN_KEY };
  const terminal = recordingTerminal({ env, now: Date.now() });
  const code = await runCli(args, terminal, '0.0.0-test');
  return { code, stdout: terminal.stdout(), stderr: terminal.stderr() };
}

async function json(...args: string[]): Promise<{ code: number; answer: unknown }> {
  const { code, stdout, stderr } = await cli(...args, '-o', 'json');
  expect(stderr).toBe('');
  return { code, answer: JSON.parse(stdout) };
}

const exportedSchema = z.object({ size: z.number(), added: z.number(), files: z.number() });

async function exported(...args: string[]) {
  const { code, answer } = await json('log', 'export', '--tiles', copy, ...args);
  expect(code).toBe(EXIT.ok);
  return exportedSchema.parse(answer);
}

function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}

describe('the log of a running service', () => {
  test('verifies over the API, with every decision that was answered', async () => {
    const gateway = join(root, 'gateway.log');
    writeFileSync(gateway, `${answered.join('\n')}\n`);
    const { code, answer } = await json('log', 'verify', '--gateway-log', gateway);
    expect(answer).toMatchObject({
      verified: true,
      findings: [],
      gatewayLogs: [{ ids: DECISIONS, included: DECISIONS, missing: 0, linesWithout: 0 }],
    });
    expect(code).toBe(EXIT.ok);
  });

  test('is copied, and the copy grows; the checkpoint that was kept still fits', async () => {
    const first = await exported();
    expect(first).toMatchObject({ added: first.size });
    const kept = join(root, 'kept.checkpoint');
    cpSync(join(copy, 'checkpoint'), kept);
    expect(filesOf(copy).filter(name => name.endsWith('.new'))).toEqual([]);

    await decide(3);
    const second = await exported('--acknowledge', 'audit');
    expect(second.size).toBeGreaterThanOrEqual(first.size + 3);
    // full files are not fetched again, and superseded ones are gone
    expect(second.files).toBeLessThan(first.files);
    expect(filesOf(join(copy, 'tile')).filter(name => name.startsWith('entries/'))).toHaveLength(2);

    const key = join(copy, 'log.vkey');
    const { code, answer } = await json('log', 'verify', '--tiles', copy, '--key', key, '--checkpoint', kept);
    expect(answer).toMatchObject({ verified: true, size: second.size, findings: [], checkpoints: 2 });
    expect(code).toBe(EXIT.ok);
    const exports = await fetch(`${service.url}/v1/log/exports/audit`, {
      headers: { authorization: `Bearer ${ADMIN_KEY}` },
    });
    expect(await exports.json()).toMatchObject({ name: 'audit', acknowledged: second.size });
  });

  test('an interrupted run is continued, and what it left behind is verified', async () => {
    const other = join(root, 'interrupted');
    // what a run that was killed leaves: some files, no checkpoint, a file that was being written
    cpSync(join(copy, 'tile/0'), join(other, 'tile/0'), { recursive: true });
    writeFileSync(join(other, 'tile/0/000.new'), 'half');
    const harmed = readFileSync(join(other, 'tile/0/000'));
    harmed[7] = (harmed[7] ?? 0) ^ 1;
    writeFileSync(join(other, 'tile/0/000'), harmed);
    const refused = await cli('log', 'export', '--tiles', other);
    expect(refused.code).toBe(EXIT.notVerified);
    expect(refused.stderr).toContain('the log does not verify, so nothing was added to the copy');
    expect(existsSync(join(other, 'checkpoint'))).toBe(false);
    cpSync(join(copy, 'tile/0/000'), join(other, 'tile/0/000'));
    expect((await cli('log', 'export', '--tiles', other)).code).toBe(EXIT.ok);
    expect((await cli('log', 'verify', '--tiles', other)).code).toBe(EXIT.ok);
  });

  test('is not copied over a copy of another history', async () => {
    const other = join(root, 'forked');
    cpSync(copy, other, { recursive: true });
    const note = readFileSync(join(other, 'checkpoint'), 'utf8');
    writeFileSync(join(other, 'checkpoint'), note.replace(/\n\d+\n/, '\n1\n'));
    const { code, stderr } = await cli('log', 'export', '--tiles', other);
    expect(code).toBe(EXIT.notVerified);
    expect(stderr).toContain('the checkpoint of the copy');
  });

  test('verifies in its folder while it runs, and in a backup of it; neither is changed', async () => {
    const running = await json('log', 'verify', '--data', data);
    expect(running.answer).toMatchObject({ verified: true });
    expect(running.code).toBe(EXIT.ok);
    const backup = join(root, 'backup');
    // without drafts, which have their final names a moment later
    cpSync(data, backup, { recursive: true, filter: file => !file.endsWith('.new') });
    const before = filesOf(backup);
    const copied = await json('log', 'verify', '--data', backup, '--key', join(copy, 'log.vkey'));
    expect(copied.answer).toMatchObject({ verified: true });
    expect(filesOf(backup)).toEqual(before);
  });

  test('gives out proofs that hold offline', async () => {
    const id = /decision-id: (\S+)/.exec(answered[0] ?? '')?.[1] ?? '';
    const response = await fetch(`${service.url}/v1/decisions/${id}/proof`, {
      headers: { authorization: `Bearer ${ADMIN_KEY}` },
    });
    const proof = join(root, 'one.tlog-proof');
    writeFileSync(proof, await response.text());
    const { code, stdout } = await cli('log', 'verify', '--proof', proof, '--key', join(copy, 'log.vkey'));
    expect(code).toBe(EXIT.ok);
    expect(stdout).toContain(id);
  });

  test.skipIf(withoutXMod('an exported copy'))(
    'is accepted by the Go implementation of tlog, and refused by it when harmed',
    async () => {
      const program = await buildXMod(root);
      const accepted = await runXMod(program, copy);
      expect(accepted).toMatchObject({ code: 0 });
      const harmed = join(root, 'harmed');
      cpSync(copy, harmed, { recursive: true });
      const bundle = readFileSync(join(harmed, 'tile/entries/000'));
      bundle[100] = (bundle[100] ?? 0) ^ 1;
      writeFileSync(join(harmed, 'tile/entries/000'), bundle);
      expect((await runXMod(program, harmed)).code).not.toBe(0);
    },
    BUILD_MS,
  );

  test('cannot be read without a key', async () => {
    const terminal = recordingTerminal({ env: { DURAMEN_URL: service.url } });
    expect(await runCli(['log', 'verify'], terminal, '0')).toBe(EXIT.failure);
    expect(terminal.stderr()).toContain('DURAMEN_KEY');
  });
});
