/** Faults of system calls, injected by strace into a child process. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';

const STRACE = 'strace';

/** Why faults cannot be injected here; undefined when they can. */
export function whyNoStrace(): string | undefined {
  const probe = spawnSync(STRACE, ['-f', '-qq', '-e', 'inject=fsync:error=EIO', 'true'], {
    encoding: 'utf8',
  });
  if (probe.error !== undefined) return 'strace is not installed';
  return probe.status === 0 ? undefined : `strace may not trace here: ${probe.stderr.trim().slice(0, 200)}`;
}

export interface Injected {
  readonly stdout: string;
  readonly stderr: string;
  /** Undefined when a signal ended it. */
  readonly code: number | undefined;
}

/**
 * Runs node under strace. @param inject `fsync:error=EIO:when=3`, or several
 * @param args of node
 */
export async function runInjected(inject: readonly string[], args: readonly string[]): Promise<Injected> {
  const rules = inject.flatMap(rule => ['-e', `inject=${rule}`]);
  const calls = inject.map(rule => rule.slice(0, rule.indexOf(':'))).join(',');
  const child = spawn(
    STRACE,
    ['-f', '-qq', '-o', '/dev/null', '-e', `trace=${calls}`, ...rules, process.execPath, ...args],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  await once(child, 'close');
  return { stdout, stderr, code: child.exitCode ?? undefined };
}
