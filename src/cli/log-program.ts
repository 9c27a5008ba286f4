/** The grammar of the commands that prove the log: `duramen log verify` and `duramen log export`. */
import type { Command } from 'commander';
import { z } from 'zod';
import { CliError, EXIT, type ExitCode } from './exit-code.ts';
import type { Terminal } from './terminal.ts';

const output = z.enum(['table', 'json']);
const files = z.array(z.string()).default([]);
const path = z.string().optional();
const verifySchema = z.object({
  output,
  url: path,
  data: path,
  tiles: path,
  proof: path,
  entry: path,
  key: path,
  checkpoint: files,
  gatewayLog: files,
});
const exportSchema = z.object({
  output,
  url: path,
  tiles: z.string(),
  key: path,
  acknowledge: path,
});

type Collect = (value: string, previous: unknown) => string[];

/**
 * Adds both commands.
 * @param withServer adds the options of a command that talks to a service @param collect gathers repeated values
 */
export function addLogEvidence(
  log: Command,
  terminal: Terminal,
  exit: (code: ExitCode) => void,
  { withServer, collect }: { withServer: (command: Command) => Command; collect: Collect },
): void {
  withServer(log.command('verify'))
    .description('verify the log of a running service, of a data folder or of a copy, or one proof')
    .option('--data <dir>', 'a data folder, with or without a service on it; it is not changed')
    .option('--tiles <dir>', 'a copy that `log export` wrote')
    .option('--proof <file>', 'a .tlog-proof of one entry')
    .option('--entry <file>', 'with --proof: the entry itself, where the proof does not carry it')
    .option('--key <file>', 'verifier key of the log, kept elsewhere; default: the one beside the log')
    .option('--checkpoint <file>', 'an earlier checkpoint that must fit; may be repeated', collect)
    .option('--gateway-log <file>', 'decisions seen elsewhere that must be in it; may be repeated', collect)
    .addHelpText('after', '\nExit codes: 0 verified, 5 not, 1 cannot be read, 64 usage.')
    .action(async (options: unknown) => exit(await verify(terminal, verifySchema.parse(options))));
  withServer(log.command('export'))
    .description('copy the log into static files that any tlog tool can check, or bring a copy up to date')
    .requiredOption('--tiles <dir>', 'folder of the copy')
    .option('--key <file>', 'verifier key of the log, kept elsewhere')
    .option('--acknowledge <name>', 'then let retention remove what the copy of that name holds')
    .action(async (options: unknown) => {
      const { runLogExport } = await import('./log-export.ts');
      exit(await runLogExport(terminal, exportSchema.parse(options)));
    });
}

async function verify(terminal: Terminal, options: z.output<typeof verifySchema>): Promise<ExitCode> {
  const { proof, entry, ...whole } = options;
  if (proof === undefined) {
    if (entry !== undefined) throw usage('--entry goes with --proof');
    const { runLogVerify } = await import('./log-verify.ts');
    return runLogVerify(terminal, whole);
  }
  const { data, tiles, checkpoint, gatewayLog } = whole;
  if (data !== undefined || tiles !== undefined || checkpoint.length > 0 || gatewayLog.length > 0) {
    throw usage(
      '--proof is verified alone: --data, --tiles, --checkpoint and --gateway-log are for whole logs',
    );
  }
  const { runProofVerify } = await import('./log-proof.ts');
  return runProofVerify(terminal, { output: whole.output, key: whole.key, proof, entry });
}

function usage(message: string): CliError {
  return new CliError(message, { exitCode: EXIT.usage });
}
