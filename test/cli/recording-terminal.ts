/** A terminal that keeps what is written to it, with an environment and a clock of the test's choosing. */
import type { Terminal } from '../../src/cli/terminal.ts';

export interface RecordingTerminal extends Terminal {
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Whether the process was to be ended although a thread hangs. */
  readonly isCutShort: () => boolean;
}

export function recordingTerminal(
  options: {
    env?: Readonly<Record<string, string>>;
    stdin?: string;
    color?: boolean;
    interactive?: boolean;
    now?: number;
    stop?: Promise<void>;
  } = {},
): RecordingTerminal {
  const { env = {}, stdin = '', color = false, interactive = false, now = 0 } = options;
  const out: string[] = [];
  const err: string[] = [];
  let elapsed = 0;
  let isCutShort = false;
  return {
    env,
    interactive,
    color,
    clock: {
      now: () => now,
      monotonic: () => {
        elapsed += 1000;
        return elapsed;
      },
    },
    out: text => void out.push(text),
    err: text => void err.push(text),
    readStdin: async () => stdin,
    stopRequested: () => options.stop ?? Promise.resolve(),
    endWithoutThreads: () => {
      isCutShort = true;
    },
    isCutShort: () => isCutShort,
    stdout: () => out.join(''),
    stderr: () => err.join(''),
  };
}
