/**
 * The README, executed: the service is started as it says, every `bash` block runs as it stands there (with
 * the port of the test), and the output holds what the `json` block after it shows.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';

const ROOT = join(import.meta.dirname, '..');
const ADMIN_KEY = 'readme-test-admin-key-0123456789abcdefgh';
/** Longest time for the demo to come up on a slow machine, in milliseconds. */
const START_MS = 120_000;
const run = promisify(execFile);

interface Snippet {
  readonly title: string;
  readonly command: string;
  /** What the output must hold, from the `json` block that follows. */
  readonly shown: Record<string, unknown> | undefined;
}

const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
const snippets = readSnippets(readme);
const INSTALL = ['npm ci && npm start', 'npm ci && npm test'];

let folder: string;
let demo: ChildProcess;
let stdout = '';
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'duramen-readme-'));
  const settings = {
    DURAMEN_DATA_DIR: folder,
    DURAMEN_HTTP_LISTEN: '127.0.0.1:0',
    DURAMEN_GRPC_LISTEN: '',
    DURAMEN_BOOTSTRAP_KEY: ADMIN_KEY,
    DURAMEN_LOG_LEVEL: 'silent',
  };
  // the process group of npm, so that its child ends with it
  demo = spawn('npm', ['start'], { cwd: ROOT, env: { ...process.env, ...settings }, detached: true });
  demo.stdout?.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  const [, url = '', key = ''] = await printed(
    /export DURAMEN_URL=(\S+) DURAMEN_KEY=(\S+)[^]*humanApproved.*\n/,
  );
  env = { ...process.env, TMPDIR: folder, DURAMEN_URL: url, DURAMEN_KEY: key, ADMIN_KEY };
}, START_MS + 10_000);

afterAll(async () => {
  if (demo.pid !== undefined && demo.exitCode === null) {
    const ended = new Promise(resolve => demo.once('exit', resolve));
    process.kill(-demo.pid, 'SIGTERM');
    await ended;
  }
  // npm can end before the service that it started, which still closes its files
  rmSync(folder, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 });
});

describe('the README', () => {
  test('begins with the two commands', () => {
    expect(snippets.slice(0, 2).map(({ command }) => command)).toEqual(INSTALL);
  });

  test('shows an allow first and a deny second', () => {
    const shown = snippets.filter(({ shown: json }) => json !== undefined);
    expect(shown.slice(0, 2).map(({ shown: json }) => json?.['decision'])).toEqual(['allow', 'deny']);
  });

  const runnable = snippets.filter(({ command }) => !INSTALL.includes(command));
  test.each(runnable)('does what it says: $title', async ({ command, shown }) => {
    const { output, code } = await execute(command);
    expect({ output, code }).toMatchObject({ code: 0 });
    expect(output).not.toBe('');
    expect(shown === undefined ? {} : JSON.parse(output)).toMatchObject(shown ?? {});
  });
});

describe('the lines that the start prints', () => {
  test('can be pasted: an allow with its reason, a deny that says what was missing, an obligation', async () => {
    const lines = stdout.split('\n').filter(line => line.startsWith('curl '));
    const answers = [];
    for (const line of lines) answers.push(JSON.parse((await execute(line)).output));
    expect(answers).toMatchObject([
      { decision: 'allow', reason: { message: 'data scientists may use the shared models' } },
      { decision: 'deny', reason: { message: expectMissing() } },
      { decision: 'deny', obligations: [{ type: 'require_approval' }] },
    ]);
  });
});

function expectMissing(): unknown {
  return expect.stringContaining('principal.clearance >= resource.risk');
}

async function execute(command: string): Promise<{ output: string; code: number }> {
  const text = command.replaceAll('http://127.0.0.1:8181', env['DURAMEN_URL'] ?? '');
  try {
    const { stdout: output } = await run('bash', ['-euo', 'pipefail', '-c', text], { cwd: ROOT, env });
    return { output, code: 0 };
  } catch (error) {
    const { code, stdout: output, stderr } = failureSchema.parse(error);
    return { output: output + stderr, code };
  }
}

const failureSchema = z.object({ code: z.number(), stdout: z.string(), stderr: z.string() });

/** Polls what the demo printed. */
async function printed(pattern: RegExp): Promise<RegExpExecArray> {
  const deadline = performance.now() + START_MS;
  while (performance.now() < deadline) {
    const match = pattern.exec(stdout);
    if (match !== null) return match;
    if (demo.exitCode !== null) throw new Error(`the demo ended with ${demo.exitCode}: ${stdout}`);
    await new Promise(resolve => setTimeout(resolve, 50));
  }
  throw new Error(`the demo did not print its lines within ${START_MS} ms: ${stdout}`);
}

function readSnippets(markdown: string): readonly Snippet[] {
  const blocks = [...markdown.matchAll(/^```(\w*)\n([^]*?)^```$/gm)].map(([, kind = '', text = '']) => ({
    kind,
    text: text.trim(),
  }));
  return blocks.flatMap(({ kind, text }, at) => {
    if (kind !== 'bash') return [];
    const next = blocks[at + 1];
    const shown =
      next?.kind === 'json' ? z.record(z.string(), z.unknown()).parse(JSON.parse(next.text)) : undefined;
    return [{ title: (text.split('\n')[0] ?? '').slice(0, 80), command: text, shown }];
  });
}
