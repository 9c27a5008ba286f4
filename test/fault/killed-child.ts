/** A child that says line by line what is done, and is killed in the middle of it. */
import { spawn } from 'node:child_process';

/**
 * Starts a program of this folder and kills it (SIGKILL) when it has told `killAt` lines.
 * @returns the whole lines that it told before it ended: a kill may cut the last one
 */
export function tellUntilKilled(
  script: string,
  args: readonly string[],
  killAt: number,
): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    const told = () =>
      output
        .slice(0, output.lastIndexOf('\n') + 1)
        .split('\n')
        .slice(0, -1);
    child.stdout.on('data', (text: Buffer) => {
      output += text.toString();
      if (told().length >= killAt) child.kill('SIGKILL');
    });
    child.once('error', reject);
    child.once('close', () => resolve(told()));
  });
}
