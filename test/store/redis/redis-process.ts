/**
 * A redis-server of its own for each test file: on a free loopback port, with a temporary folder and nothing
 * kept on disk. Invariant: it is stopped and its folder removed, also when the test fails.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, waitForPort } from '../../loopback-port.ts';

const PROGRAM = 'redis-server';

export interface RedisProcess {
  readonly port: number;
  /** Settings for a client of this server. */
  readonly url: string;
  /** SIGKILL: connections break as they do when the host goes. */
  kill(): Promise<void>;
  /** Starts again on the same port, empty. */
  restart(): Promise<void>;
  /** SIGSTOP: it accepts connections and answers nothing. */
  freeze(): void;
  thaw(): void;
  stop(): Promise<void>;
}

/**
 * Whether the tests with Redis have to be skipped. In continuous integration they never are: what is missing
 * fails them.
 * @param what is not tested then
 */
export function withoutRedis(what: string): boolean {
  if (spawnSync(PROGRAM, ['--version']).error === undefined) return false;
  if (process.env['CI'] === 'true') throw new Error(`${what} must be tested here: install ${PROGRAM}`);
  process.stderr.write(`skipped: ${what}, for want of ${PROGRAM}\n`);
  return true;
}

/** Starts a server. @param options further options of its command line; `@PORT@` stands for its port */
export async function startRedis(options: readonly string[] = []): Promise<RedisProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'duramen-redis-'));
  const port = await freePort();
  let child = await launch(port, folder, options);
  const kill = async (): Promise<void> => end(child, 'SIGKILL');
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    kill,
    async restart() {
      await kill();
      child = await launch(port, folder, options);
    },
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    async stop() {
      // a frozen process ends with nothing else
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function launch(port: number, folder: string, options: readonly string[]): Promise<ChildProcess> {
  const settings = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', ''];
  const more = options.map(option => option.replace('@PORT@', String(port)));
  const child = spawn(PROGRAM, [...settings, '--appendonly', 'no', '--daemonize', 'no', ...more], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const said: string[] = [];
  child.stdout.on('data', (chunk: Buffer) => said.push(chunk.toString('utf8')));
  try {
    await waitForPort(port, child);
  } catch (error) {
    await end(child, 'SIGKILL');
    throw new Error(`${PROGRAM} did not start: ${said.join('')}`, { cause: error });
  }
  return child;
}

function end(child: ChildProcess, signal: 'SIGKILL'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise(resolve => {
    child.once('exit', () => resolve());
    child.kill(signal);
  });
}
