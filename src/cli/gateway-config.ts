/**
 * `duramen gateway-config`: the configuration of a gateway, filled in. Invariants: a key is taken from the environment
 * alone, and only where that was asked for; a file that is there is not overwritten.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type Command, Option } from 'commander';
import { z } from 'zod';
import { messageOf } from '../domain/errors.ts';
import { profileNameSchema } from '../domain/pep-profile.ts';
import { nearest } from '../domain/spelling.ts';
import { CliError, EXIT } from './exit-code.ts';
import { type GatewayEntry, gatewayCatalog, readTemplate } from './gateway-catalog.ts';
import {
  addressValues,
  checkValue,
  fillTemplate,
  insertScript,
  openPlaceholders,
  renameProfile,
  type TemplateValues,
} from './gateway-template.ts';
import type { Terminal } from './terminal.ts';

const options = z.object({
  listen: z.string(),
  pdp: z.string(),
  grpc: z.string(),
  upstream: z.string(),
  profile: profileNameSchema.optional(),
  keyEnv: z.string().optional(),
  callers: z.string().optional(),
  certificates: z.string().optional(),
  ask: z.string().optional(),
  modules: z.string().optional(),
  script: z.string().optional(),
  run: z.string().optional(),
  namespace: z.string(),
  gateway: z.string(),
  service: z.string(),
  out: z.string().optional(),
  template: z.boolean(),
  output: z.enum(['text', 'json']),
});
type Options = z.output<typeof options>;

interface ConfigFile {
  readonly path: string;
  readonly text: string;
}

/** Adds the command. */
export function addGatewayConfig(program: Command, terminal: Terminal): void {
  program
    .command('gateway-config')
    .description('print the configuration of a gateway that asks Duramen, and the profile that belongs to it')
    .argument('<kind>', 'which gateway')
    .option('--listen <host:port>', 'where clients connect', '127.0.0.1:8080')
    .option('--pdp <host:port>', 'the HTTP listener of Duramen', '127.0.0.1:8181')
    .option('--grpc <host:port>', 'the gRPC listener of Duramen', '127.0.0.1:8182')
    .option('--upstream <host:port>', 'the models', '127.0.0.1:8000')
    .option('--profile <name>', 'name of the profile; default: that of the file')
    .option('--key-env <variable>', 'fill in the key that stands in this environment variable')
    .option('--callers <file>', 'map of callers, for gateways that name them')
    .option('--certificates <dir>', 'folder of the certificates, for mutual TLS')
    .option('--ask <host:port>', 'where HAProxy listens for its own script')
    .option('--modules <dir>', "folder of nginx's modules")
    .option('--script <path>', 'where the script of the gateway lies')
    .option('--run <dir>', 'folder for temporary files')
    .option('--namespace <name>', 'namespace of the gateway in Kubernetes', 'default')
    .option('--gateway <name>', 'name of the Gateway in Kubernetes', 'eg')
    .option('--service <name>', 'Service of Duramen in Kubernetes', 'duramen')
    .option('--out <dir>', 'write all files into this folder')
    .option('--template', 'nothing filled in: the files of deploy/', false)
    .addOption(
      new Option('-o, --output <format>', 'form of the data on stdout')
        .choices(['text', 'json'])
        .default('text'),
    )
    .addHelpText('after', `\nKinds: ${[...gatewayCatalog().keys()].join(', ')}.`)
    .action((kind: string, given: unknown) => printGateway(terminal, kind, optionsOf(given)));
}

function optionsOf(given: unknown): Options {
  const parsed = options.safeParse(given);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new CliError(`--${String(issue?.path[0])}: ${issue?.message ?? 'is not valid'}`, {
    exitCode: EXIT.usage,
  });
}

async function printGateway(terminal: Terminal, kind: string, given: Options): Promise<void> {
  const entry = entryOf(kind);
  const values = given.template ? {} : valuesOf(terminal, given);
  const name = given.profile ?? entry.profileName;
  const render = (path: string): ConfigFile => ({ path, text: rendered(path, entry, name, values, given) });
  const files = entry.files.map(render);
  const profile = render(entry.profile);
  const open = [...new Set(files.flatMap(({ text }) => openPlaceholders(text)))];
  if (given.output === 'json') {
    const tested = entry.testedWith ?? null;
    const data = { kind, testedWith: tested, files, profile: { name, ...profile }, open };
    terminal.out(`${JSON.stringify(data, undefined, 2)}\n`);
  } else if (given.out === undefined) terminal.out(files[0]?.text ?? '');
  if (given.out !== undefined) await writeFiles(terminal, given.out, [...files, profile]);
  if (given.output === 'text') tell(terminal, { entry, files, profile, open, name }, given);
}

function rendered(
  path: string,
  entry: GatewayEntry,
  name: string,
  values: TemplateValues,
  { template }: Options,
): string {
  const text = renameProfile(readTemplate(path), entry.profileName, name);
  const script = entry.files.find(file => file.endsWith('.lua'));
  const whole = template || script === undefined ? text : insertScript(text, readTemplate(script));
  return fillTemplate(whole, values);
}

function entryOf(kind: string): GatewayEntry {
  const catalog = gatewayCatalog();
  const entry = catalog.get(kind);
  if (entry !== undefined) return entry;
  const kinds = [...catalog.keys()];
  const near = nearest(kind, kinds);
  throw new CliError(`there is no configuration for \`${kind}\``, {
    exitCode: EXIT.usage,
    hint: `${near === undefined ? '' : `did you mean \`${near}\`? `}there are ${kinds.join(', ')}`,
  });
}

function valuesOf(terminal: Terminal, given: Options): TemplateValues {
  const { keyEnv, callers, certificates, ask, modules, script, run, namespace, gateway, service } = given;
  const plain = { callers, certificates, ask, modules, script, run, namespace, gateway, service };
  return {
    ...addressValues('listen', 'LISTEN', given.listen),
    ...addressValues('pdp', 'PDP', given.pdp),
    ...addressValues('grpc', 'GRPC', given.grpc),
    ...addressValues('upstream', 'UPSTREAM', given.upstream),
    ...Object.fromEntries(
      Object.entries(plain).map(([option, value]) => [
        option.toUpperCase(),
        value === undefined ? undefined : checkValue(option, value),
      ]),
    ),
    KEY: keyEnv === undefined ? undefined : keyFrom(terminal, keyEnv),
  };
}

function keyFrom(terminal: Terminal, variable: string): string {
  const key = terminal.env[variable] ?? '';
  // the key itself is not shown
  if (/^[A-Za-z0-9_-]{1,512}$/.test(key)) return key;
  throw new CliError(`the environment variable \`${variable}\` holds no key`, {
    exitCode: EXIT.usage,
    hint: 'make one with `duramen key create --role pep`',
  });
}

async function writeFiles(terminal: Terminal, folder: string, files: readonly ConfigFile[]): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    for (const { path, text } of files) {
      const target = join(folder, basename(path));
      // a key may stand in it
      await writeFile(target, text, { flag: 'wx', mode: 0o600 });
      terminal.err(`wrote ${target}\n`);
    }
  } catch (error) {
    throw new CliError(`cannot write into \`${folder}\`: ${messageOf(error)}`, {
      cause: error,
      hint: 'files that are there are not overwritten: choose another folder',
    });
  }
}

interface Told {
  readonly entry: GatewayEntry;
  readonly files: readonly ConfigFile[];
  readonly profile: ConfigFile;
  readonly open: readonly string[];
  readonly name: string;
}

/** What else there is to do, on stderr. */
function tell(
  terminal: Terminal,
  { entry, files, profile, open, name }: Told,
  { out, template }: Options,
): void {
  const tested =
    entry.testedWith === undefined
      ? 'not loaded by this gateway in the tests: try it out first'
      : `tested with ${entry.testedWith}`;
  terminal.err(`${tested}\n`);
  const [, ...others] = files;
  if (out === undefined && others.length > 0) {
    terminal.err(
      `needs ${others.map(({ path }) => basename(path)).join(', ')} too: --out writes all files\n`,
    );
  }
  if (!template && open.length > 0) terminal.err(`still to fill in: ${open.join(' ')}\n`);
  terminal.err(`the profile, for \`duramen profile put ${name} -f FILE\`:\n${profile.text}`);
  terminal.err('then: `duramen doctor URL` probes the gateway\n');
}
