/** The client of OpenSSL, which shares no line with Node's: a conversation over `openssl s_client`. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';

/** The program, where there is one. */
const PROGRAM = 'openssl';
/** Longest time for one step of a conversation, in milliseconds. */
const STEP_MS = 30_000;

/** Version text of the program; undefined: there is none. */
export function opensslVersion(): string | undefined {
  try {
    return execFileSync(PROGRAM, ['version'], { encoding: 'utf8' }).trim();
  } catch {
    return undefined;
  }
}

export interface Conversation {
  /** Everything that the program has printed. */
  readonly printed: () => string;
  /** Sends a request for a path and waits for the status of its answer. */
  ask(path: string, more?: string): Promise<number>;
  /** Sends a line as it is. */
  type(line: string): void;
  /** Waits until the program has printed this. */
  sees(pattern: RegExp): Promise<void>;
  /** Waits for its end. @returns all that was printed */
  ended(): Promise<string>;
  end(): Promise<void>;
}

/** Connects; the handshake may fail, which only the output tells. */
export function converse(url: string, args: readonly string[]): Conversation {
  const { host } = new URL(url);
  const child: ChildProcess = spawn(
    PROGRAM,
    ['s_client', '-connect', host, '-servername', 'localhost', '-verify_return_error', ...args],
    { stdio: ['pipe', 'pipe', 'pipe'] },
  );
  let text = '';
  const listeners = new Set<() => void>();
  const heard = (chunk: Buffer): void => {
    text += chunk.toString('latin1');
    for (const listener of listeners) listener();
  };
  child.stdout?.on('data', heard);
  child.stderr?.on('data', heard);
  // whoever writes into a conversation that is over hears of it by what was printed
  child.stdin?.on('error', () => undefined);
  const over = new Promise<void>(resolve => {
    child.once('close', () => resolve());
  });
  const until = (holds: () => boolean, what: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const check = (): void => {
        if (!holds()) return;
        clearTimeout(timer);
        listeners.delete(check);
        resolve();
      };
      const timer = setTimeout(() => reject(new Error(`${what} never came: ${text}`)), STEP_MS);
      listeners.add(check);
      check();
    });
  return {
    printed: () => text,
    async ask(path, more = '') {
      const from = text.length;
      child.stdin?.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\n${more}\r\n`);
      const status = /HTTP\/1\.1 (\d{3}) [^]*?\r\n\r\n[^]*?\n/;
      await until(() => status.test(text.slice(from)), `the answer of ${path}`);
      return Number(status.exec(text.slice(from))?.[1]);
    },
    type: line => void child.stdin?.write(`${line}\n`),
    sees: pattern => until(() => pattern.test(text), String(pattern)),
    async ended() {
      await over;
      return text;
    },
    async end() {
      child.stdin?.end();
      child.kill('SIGTERM');
      await over;
    },
  };
}
