/** `duramen bench`: runs the benchmark of the source tree, which is no part of an installed service. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CliError, EXIT, type ExitCode } from './exit-code.ts';

const SCRIPT = new URL('../../bench/run.ts', import.meta.url);

/** Passes `args` on. @returns the exit code of the benchmark: 5 when a target was missed. */
export async function runBench(args: readonly string[]): Promise<ExitCode> {
  if (!existsSync(SCRIPT)) {
    throw new CliError('the benchmark is not part of this installation', {
      hint: 'run it from a clone of the repository: npm run bench',
    });
  }
  const child = spawn(process.execPath, [fileURLToPath(SCRIPT), ...args], { stdio: 'inherit' });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', resolve);
  });
  if (code === EXIT.ok || code === EXIT.gateFailed) return code;
  throw new CliError(`the benchmark ended with code ${code ?? 'none'}`);
}
