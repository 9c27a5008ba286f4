#!/usr/bin/env node
/** The command `duramen`: hands the process' streams, environment and signals to src/cli. */
import { readFileSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { runCli } from './cli/run.ts';
import { wantsColor, type Terminal } from './cli/terminal.ts';

// Compiled code is kept beside the packages, which saves a start a third of its time; threads hear of it by the
// environment. Where the folder cannot be written, every start compiles.
process.env['NODE_COMPILE_CACHE'] ??= fileURLToPath(
  new URL('../node_modules/.cache/duramen', import.meta.url),
);
enableCompileCache(process.env['NODE_COMPILE_CACHE']);

const STOP_SIGNALS = ['SIGINT', 'SIGTERM'] as const;
/** How long the threads of a service that has failed may take to end, in milliseconds. */
const LINGER_MS = 2_000;

const terminal: Terminal = {
  env: process.env,
  interactive: process.stderr.isTTY,
  color: wantsColor(process.env, process.stdout.isTTY),
  width: process.stdout.isTTY ? process.stdout.columns : undefined,
  clock: { now: () => Date.now(), monotonic: () => performance.now() },
  out: data => void process.stdout.write(data),
  err: talk => void process.stderr.write(talk),
  readStdin: () => text(process.stdin),
  stopRequested: () =>
    new Promise(resolve => {
      const stop = (): void => {
        // whoever asks again, in whichever way, does not want to wait: the system ends the process
        for (const signal of STOP_SIGNALS) process.off(signal, stop);
        resolve();
      };
      for (const signal of STOP_SIGNALS) process.on(signal, stop);
    }),
  // an exit would wait for such a thread as well
  endWithoutThreads: () => void setTimeout(() => process.kill(process.pid, 'SIGKILL'), LINGER_MS).unref(),
};

const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const { version } = z.object({ version: z.string() }).parse(manifest);

// a reader that went away (`| head`) is not a failure
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(process.exitCode ?? 0);
  throw error;
});

process.exitCode = await runCli(process.argv.slice(2), terminal, version);
