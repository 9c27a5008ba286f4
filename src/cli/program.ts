/**
 * The command line's grammar: every command with its arguments and options. Invariant: commander parses, zod
 * checks, the files beside this one act. What brings the whole service along is loaded by the commands that run it,
 * so that a question to a running one does not wait for it.
 */
import { Command, Option } from 'commander';
import { z } from 'zod';
import { ROLES } from '../domain/credential.ts';
import { addAccess } from './access.ts';
import { addAudit } from './audit.ts';
import { runBench } from './bench.ts';
import { addCallerKeys } from './caller-keys.ts';
import { printConfig } from './config.ts';
import { decide, decideOptionsSchema } from './decide.ts';
import { addDoctor } from './doctor.ts';
import type { ExitCode } from './exit-code.ts';
import { addGatewayConfig } from './gateway-config.ts';
import { importFile } from './import.ts';
import { createKey, listKeys, revokeKey } from './keys.ts';
import { addLimitUsage } from './limit-usage.ts';
import { addLimits } from './limits.ts';
import { addLoad } from './load.ts';
import { addLogEvidence } from './log-program.ts';
import { getDecision, LOG_FILTER_HELP, LOG_FILTERS, queryDecisions, queryEvents } from './log.ts';
import { addPenalties } from './penalties.ts';
import { addProfiles } from './profiles.ts';
import { addRevocations } from './revocations.ts';
import type { Terminal } from './terminal.ts';

const output = z.enum(['table', 'json']);
const url = z.string().optional();
const common = z.object({ url, output });

/** Reports the exit code of a command that ends otherwise than with 0 and without an error. */
export type ExitReporter = (code: ExitCode) => void;

export function buildProgram(terminal: Terminal, version: string, exit: ExitReporter): Command {
  const program = new Command('duramen')
    .description('Policy decision point for AI model serving')
    .version(version)
    .showHelpAfterError('(duramen --help lists the commands)')
    .addHelpText(
      'after',
      '\nDURAMEN_URL and DURAMEN_KEY name the service and the API key.\n' +
        'Exit codes: 0 ok or allow, 1 failure, 2 deny, 3 not valid, 4 tests failed, 5 not verified or a target missed, 64 usage.',
    );
  addService(program, terminal, exit);
  addDecide(program, terminal, exit);
  addAccess(program, terminal, { withServer, collect });
  addBundles(program, terminal);
  addLog(program, terminal, exit);
  addKeys(program, terminal);
  addCallerKeys(program, terminal, { withServer, collect });
  addRevocations(program, terminal, { withServer, collect });
  addProfiles(program, terminal, { withServer });
  addPenalties(program, terminal, { withServer });
  addLoad(program, terminal, { withServer });
  addLimitUsage(addLimits(program, terminal, { withServer }), terminal, { withServer, collect });
  addGatewayConfig(program, terminal);
  addDoctor(program, terminal, exit, collect);
  addAudit(program, terminal, exit, withServer);
  return program;
}

function addService(program: Command, terminal: Terminal, exit: ExitReporter): void {
  program
    .command('serve')
    .description('run the service until SIGTERM')
    .action(async () => (await import('./serve.ts')).serve(terminal));
  program
    .command('demo')
    .description('run the service; an empty store gets the shipped bundles and a demo directory')
    .action(async () => (await import('./demo.ts')).runDemo(terminal));
  withReason(program.command('break-glass'))
    .description('make an admin key on the host of the service, when no key is left that could')
    .option('--data <dir>', 'data folder; default: that of the configuration')
    .option('--hours <number>', 'how long it works', '1')
    .action(async (options: unknown) => {
      const given = z.object({ data: z.string().optional(), reason: z.string(), hours: z.string() });
      const { breakGlass } = await import('./break-glass.ts');
      breakGlass(terminal, given.parse(options));
    });
  withOutput(program.command('config'))
    .description('print the settings in force and where each came from')
    .action((options: unknown) => printConfig(terminal, z.object({ output }).parse(options).output));
  program
    .command('bench')
    .description('measure this machine against the targets (from a clone)')
    .argument('[arguments...]', 'passed to bench/run.ts')
    .allowUnknownOption()
    .action(async (args: unknown) => exit(await runBench(z.array(z.string()).parse(args))));
}

function addDecide(program: Command, terminal: Terminal, exit: ExitReporter): void {
  withServer(program.command('decide'))
    .description('ask for one decision; exit code 0 is allow, 2 is deny')
    .option('-f, --file <file>', 'the request as JSON, `-` for stdin')
    .option('--principal <ref>', 'who, such as User:acme/alice')
    .option('--action <action>', 'what, such as generate')
    .option('--resource <ref>', 'on what, such as Model:acme/support-llm')
    .option('--tenant <id>', "whose data; default: the principal's own")
    .option('--on-behalf-of <id>', 'a tenant that the principal represents')
    .option('--partition <id[=access]>', 'data to reach: read, write or export; may be repeated', collect)
    .option('--tool <id[=cents]>', 'a tool to call; may be repeated', collect)
    .option('--scope <scope>', 'an asserted scope; may be repeated', collect)
    .option('--context <json>', 'further context as a JSON object')
    .addOption(new Option('--explain <how>', 'how much to explain').choices(['none', 'summary', 'full']))
    .action(async (options: unknown) => exit(await decide(terminal, decideOptionsSchema.parse(options))));
}

function addBundles(program: Command, terminal: Terminal): void {
  const checks = [
    ['validate', 'check a bundle without a server', false],
    ['test', 'check a bundle and run its tests without a server', true],
  ] as const;
  for (const [name, description, runTests] of checks) {
    withOutput(program.command(name))
      .description(description)
      .argument('<dir>', 'folder with manifest.json')
      .option('--platform <dir>', 'the platform bundle to check a tenant bundle beside')
      .action(async (dir: string, options: unknown) => {
        const given = z.object({ output, platform: z.string().optional() }).parse(options);
        const { checkFolder } = await import('./bundles.ts');
        await checkFolder(terminal, dir, { ...given, runTests });
      });
  }
  withServer(program.command('push'))
    .description('send a bundle to the service, which checks, tests and stages it')
    .argument('<dir>', 'folder with manifest.json')
    .option('--activate', 'make it the active one of its layer', false)
    .option('--dry-run', 'check and report, store nothing', false)
    .action(async (dir: string, options: unknown) => {
      const given = common.extend({ activate: z.boolean(), dryRun: z.boolean() }).parse(options);
      const { pushFolder } = await import('./bundles.ts');
      await pushFolder(terminal, dir, given);
    });
  withReason(withServer(program.command('activate')))
    .description('make a pushed bundle the active one of its layer')
    .argument('<digest>', 'sha256:…, as push printed it')
    .option('--expected-active <digest>', 'refuse when another bundle is active; `none`: when any is')
    .action(async (digest: string, options: unknown) => {
      const { activate } = await import('./bundles.ts');
      await activate(terminal, digest, activation.parse(options));
    });
  withReason(withServer(program.command('rollback')))
    .description('activate the bundle that was active before')
    .argument('<layer>', 'platform or tenant:<id>')
    .option('--expected-active <digest>', 'go back from this bundle alone: twice would be back again')
    .action(async (layer: string, options: unknown) => {
      const { rollback } = await import('./bundles.ts');
      await rollback(terminal, layer, activation.parse(options));
    });
  withServer(program.command('layers'))
    .description('list the active bundles, or the activations of one layer')
    .argument('[layer]', 'platform or tenant:<id>')
    .action(async (layer: string | undefined, options: unknown) => {
      const { listLayers } = await import('./bundles.ts');
      await listLayers(terminal, layer, common.parse(options));
    });
  withServer(program.command('import'))
    .description('create or replace entities of the directory, all or nothing')
    .argument('<file>', 'NDJSON, one entity per line')
    .action((file: string, options: unknown) => importFile(terminal, file, common.parse(options)));
}

const activation = common.extend({ reason: z.string(), expectedActive: z.string().optional() });

function addLog(program: Command, terminal: Terminal, exit: ExitReporter): void {
  const log = program.command('log').description('read the decision log');
  const query = withServer(log.command('query'))
    .description('find decisions; a leading `!` negates a value, a comma means or')
    .option('--since <time>', 'as long ago as 15m, 24h or 7d');
  for (const name of LOG_FILTERS) query.option(`--${kebab(name)} <value>`, LOG_FILTER_HELP[name]);
  query.action((options: unknown) => queryDecisions(terminal, logOptions(options)));
  withUrl(log.command('get'))
    .description('print one decision with its place in the log')
    .argument('<id>', 'the decisionId of an answer')
    .action((id: string, options: unknown) => getDecision(terminal, id, z.object({ url }).parse(options)));
  const events = withServer(log.command('events'))
    .description('find administrative changes')
    .option('--since <time>', 'as long ago as 15m, 24h or 7d');
  for (const name of ['kind', 'from', 'to', 'order', 'limit', 'cursor'] as const) {
    events.option(`--${name} <value>`, LOG_FILTER_HELP[name]);
  }
  events.action((options: unknown) => queryEvents(terminal, logOptions(options)));
  addLogEvidence(log, terminal, exit, { withServer, collect });
  withReason(log.command('open-new'))
    .description('set the log of a stopped service aside, so that the next start makes a new one')
    .option('--data <dir>', 'data folder; default: that of the configuration')
    .action(async (options: unknown) => {
      const given = z.object({ data: z.string().optional(), reason: z.string() }).parse(options);
      const { openNewLog } = await import('./log-open-new.ts');
      await openNewLog(terminal, given);
    });
}

function addKeys(program: Command, terminal: Terminal): void {
  const key = program.command('key').description('manage API keys');
  withServer(key.command('create'))
    .description('make a key and print it once')
    .addOption(
      new Option('--role <role>', 'what it may do; may be repeated')
        .argParser((value, previous: unknown) => collect(value, previous))
        .makeOptionMandatory(),
    )
    .option('--tenant <id>', 'limit it to a tenant; may be repeated', collect)
    .option('--description <text>', 'what it is for')
    .option('--expires <time>', 'RFC 3339 time of its end')
    .addHelpText('after', `\nRoles: ${ROLES.join(', ')}.`)
    .action((options: unknown) => {
      const { role, tenant, ...given } = newKey.parse(options);
      return createKey(terminal, { ...given, roles: role, tenants: tenant });
    });
  withServer(key.command('list'))
    .description('list the keys')
    .action((options: unknown) => listKeys(terminal, common.parse(options)));
  withServer(key.command('revoke'))
    .description('revoke a key at once')
    .argument('<id>', 'id of the key')
    .action((id: string, options: unknown) => revokeKey(terminal, id, common.parse(options)));
}

const newKey = common.extend({
  role: z.array(z.string()),
  tenant: z.array(z.string()).default([]),
  description: z.string().optional(),
  expires: z.string().optional(),
});

function logOptions(options: unknown): Parameters<typeof queryDecisions>[1] {
  const given = common.extend({ since: z.string().optional() }).parse(options);
  const filters = z.partialRecord(z.enum([...LOG_FILTERS, 'kind']), z.string()).parse(known(options));
  return { ...given, filters };
}

/** The options that are filters. */
function known(options: unknown): Record<string, unknown> {
  const all = z.record(z.string(), z.unknown()).parse(options);
  const names: readonly string[] = [...LOG_FILTERS, 'kind'];
  return Object.fromEntries(Object.entries(all).filter(([name]) => names.includes(name)));
}

function withUrl(command: Command): Command {
  return command.option('--url <url>', 'address of the service; default: DURAMEN_URL, else 127.0.0.1:8181');
}

function withOutput(command: Command): Command {
  const format = new Option('-o, --output <format>', 'form of the data on stdout');
  return command.addOption(format.choices(['table', 'json']).default('table'));
}

function withServer(command: Command): Command {
  return withOutput(withUrl(command));
}

function withReason(command: Command): Command {
  return command.requiredOption('--reason <text>', 'why, for the log');
}

/** Gathers the values of an option that may be repeated. */
function collect(value: string, previous: unknown): string[] {
  return [...z.array(z.string()).catch([]).parse(previous), value];
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`);
}
