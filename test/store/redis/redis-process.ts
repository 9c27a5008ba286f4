/**
 * A redis-server of its own for each test file: on a free loopback port, with a temporary folder and nothing
 * kept on disk. Invariant: it is stopped and its folder removed, also when the test fails.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PROGRAM = 'redis-server';
/** How long the server may take to listen, in milliseconds. */
const START_DEADLINE_MS = 20_000;

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

async function waitForPort(port: number, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + START_DEADLINE_MS;
  while (!(await isListening(port))) {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
    if (Date.now() > deadline) throw new Error('it does not listen');
    await new Promise(resolve => setTimeout(resolve, 10));
  }
}

function isListening(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function end(child: ChildProcess, signal: 'SIGKILL'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise(resolve => {
    child.once('exit', () => resolve());
    child.kill(signal);
  });
}

/** A port that was free a moment ago. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        if (address === null || typeof address === 'string') reject(new Error('no port'));
        else resolve(address.port);
      });
    });
  });
}
