/**
 * The Dockerfile without an engine: its final stage is laid out in a clean folder from what its COPY lines and
 * the lock file's production packages name, and its command and health check run there.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { readBundleFolder } from '../src/cli/bundle-folder.ts';

const ROOT = join(import.meta.dirname, '..');
const ADMIN_KEY = 'docker-test-admin-key-0123456789abcdefgh';
const START_MS = 90_000;
const run = promisify(execFile);

const instructions = readInstructions(readFileSync(join(ROOT, 'Dockerfile'), 'utf8'));
const finalStage = instructions.slice(instructions.findLastIndex(({ name }) => name === 'FROM'));
const copies = finalStage
  .filter(({ name, rest }) => name === 'COPY' && !rest.startsWith('--from='))
  .flatMap(({ rest }) => rest.split(/\s+/).slice(0, -1));

let folder: string;
let service: ChildProcess;
let url: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'duramen-image-'));
  for (const path of copies) cpSync(join(ROOT, path), join(folder, path), { recursive: true });
  for (const path of productionPackages()) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    symlinkSync(join(ROOT, path), join(folder, path));
  }
  const command = [...listOf('ENTRYPOINT'), ...listOf('CMD')];
  expectNode(command[0]);
  service = spawn(process.execPath, command.slice(1), {
    cwd: folder,
    env: {
      NODE_ENV: 'production',
      DURAMEN_HTTP_LISTEN: '127.0.0.1:0',
      DURAMEN_GRPC_LISTEN: '',
      DURAMEN_DATA_DIR: join(folder, 'data'),
      DURAMEN_BOOTSTRAP_KEY: ADMIN_KEY,
    },
  });
  url = await listening();
}, START_MS + 10_000);

afterAll(async () => {
  if (service.exitCode === null) {
    const ended = new Promise(resolve => service.once('exit', resolve));
    service.kill('SIGTERM');
    await ended;
  }
  rmSync(folder, { recursive: true, force: true });
});

describe('the image', () => {
  test('copies only what exists and what the build context lets through', () => {
    expect(copies.filter(path => !existsSync(join(ROOT, path)))).toEqual([]);
    const allowed = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n');
    expect(allowed[0]).toBe('*');
    expect(copies.filter(path => !allowed.includes(`!${path}`))).toEqual([]);
  });

  test('holds nothing of the development tree', () => {
    expect(copies).toEqual(expect.not.arrayContaining(['test', 'bench', 'scripts', 'docs', '.ci']));
    const install = instructions.find(({ name, rest }) => name === 'RUN' && rest.startsWith('npm ci'));
    expect(install?.rest).toBe('npm ci --omit=dev --omit=optional');
  });

  test('runs as an unprivileged user over a folder of its own', () => {
    expect(finalStage.find(({ name }) => name === 'USER')?.rest).toBe('node');
    expect(finalStage.find(({ name }) => name === 'VOLUME')?.rest).toBe('/data');
  });

  test('is unhealthy without policies, and healthy with them', async () => {
    expect((await fetch(`${url}/livez`)).status).toBe(200);
    expect(await healthCheck()).toBe(1);
    const { manifest, files } = await readBundleFolder(join(folder, 'policies/platform'));
    const pushed = await fetch(`${url}/v1/bundles?activate=true`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({ manifest, files }),
    });
    expect(pushed.status).toBe(201);
    expect(await healthCheck()).toBe(0);
  });
});

/** Exit code of the HEALTHCHECK's command against the port of the test. */
async function healthCheck(): Promise<number> {
  const [node, ...args] = listOf('HEALTHCHECK').map(part => part.replace('http://127.0.0.1:8181', url));
  expectNode(node);
  try {
    await run(process.execPath, args);
    return 0;
  } catch (error) {
    return z.object({ code: z.number() }).parse(error).code;
  }
}

/** The JSON list of an instruction of the final stage. */
function listOf(name: string): readonly string[] {
  const rest = finalStage.find(one => one.name === name)?.rest ?? '';
  return z.array(z.string()).parse(JSON.parse(rest.slice(rest.indexOf('['))));
}

function expectNode(command: string | undefined): void {
  if (command !== 'node') throw new Error(`the image runs ${command ?? 'nothing'}, this test runs node`);
}

/** Packages that `npm ci --omit=dev --omit=optional` installs, as the lock file has them. */
function productionPackages(): readonly string[] {
  const lock: unknown = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
  const flag = z.boolean().default(false);
  const { packages } = z
    .object({
      packages: z.record(z.string(), z.object({ dev: flag, optional: flag, devOptional: flag })),
    })
    .parse(lock);
  return Object.entries(packages)
    .filter(([path, { dev, optional, devOptional }]) => path !== '' && !dev && !optional && !devOptional)
    .map(([path]) => path)
    .filter(path => path.lastIndexOf('node_modules/') === 0);
}

/** Polls the output of the service for the address it listens on. */
async function listening(): Promise<string> {
  let output = '';
  service.stderr?.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  const deadline = performance.now() + START_MS;
  while (performance.now() < deadline && service.exitCode === null) {
    const match = /listening on (\S+),/.exec(output);
    if (match?.[1] !== undefined) return match[1];
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  throw new Error(`the service did not start: ${output}`);
}

function readInstructions(dockerfile: string): readonly { name: string; rest: string }[] {
  const lines = dockerfile.replaceAll('\\\n', ' ').split('\n');
  return lines
    .filter(line => /^[A-Z]+ /.test(line))
    .map(line => ({
      name: line.slice(0, line.indexOf(' ')),
      rest: line.slice(line.indexOf(' ') + 1).trim(),
    }));
}
