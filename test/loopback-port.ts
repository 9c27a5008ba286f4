/**
 * Ports of programs that tests start on loopback. Invariant: what is given out is none that the system gives to clients or
 * to servers that ask for any port, so that nothing takes it before it is used, or while what it is for is down.
 */
import type { ChildProcess } from 'node:child_process';
import { connect, createServer } from 'node:net';

/** Below 32768, where Linux begins with those that it gives out itself. */
const FIRST_PORT = 12_000;
/** Ports of one process, and how many processes have ports of their own; test files run in one each. */
const OWN_PORTS = 50;
const PROCESSES = 400;
/** How long a program may take to listen, in milliseconds. */
const START_DEADLINE_MS = 40_000;
const POLL_MS = 10;

const candidates = ownPorts();

/** The ports of this process, one after the other and round again. */
function* ownPorts(): Generator<number, never> {
  const first = FIRST_PORT + (process.pid % PROCESSES) * OWN_PORTS;
  for (let at = 0; ; at = (at + 1) % OWN_PORTS) yield first + at;
}

/** A port that nothing listened on a moment ago. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < OWN_PORTS; tries += 1) {
    const { value: port } = candidates.next();
    if (await canBind(port)) return port;
  }
  throw new Error('every port of this process is taken');
}

function canBind(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** Rejects when the process ends, or does not listen in time. */
export async function waitForPort(port: number, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + START_DEADLINE_MS;
  while (!(await isListening(port))) {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
    if (Date.now() > deadline) throw new Error('it does not listen');
    await new Promise(resolve => setTimeout(resolve, POLL_MS));
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
