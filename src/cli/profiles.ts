/** `duramen profile`: profiles of gateways. Invariant: a file that is not read whole and without a fault is not sent. */
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { messageOf } from '../domain/errors.ts';
import type { CommandTools } from './caller-keys.ts';
import { clientOf } from './client.ts';
import { itemsOf } from './pages.ts';
import { CliError, EXIT } from './exit-code.ts';
import { printData } from './table.ts';
import type { Terminal } from './terminal.ts';

const PATH = '/v1/pep-profiles';

const listedSchema = z.looseObject({
  profile: z.looseObject({
    name: z.string(),
    kind: z.string(),
    authentication: z.looseObject({ kind: z.string() }),
    identity: z.looseObject({ mode: z.string() }),
    dialects: z.array(z.string()),
  }),
  origin: z.string(),
  revision: z.number(),
});
const listSchema = z.looseObject({ items: z.array(listedSchema), nextCursor: z.string().nullable() });
type Listed = z.output<typeof listedSchema>;

const common = z.object({ url: z.string().optional(), output: z.enum(['table', 'json']) });
const conditional = common.extend({ revision: z.string().optional() });
const putOptions = conditional.extend({ file: z.string() });

export function addProfiles(
  program: Command,
  terminal: Terminal,
  { withServer }: Pick<CommandTools, 'withServer'>,
): void {
  const profile = program.command('profile').description('manage what is believed of gateways');
  withServer(profile.command('list'))
    .description('list the profiles, those of the configuration as well')
    .action((options: unknown) => list(terminal, common.parse(options)));
  withServer(profile.command('get'))
    .description('print one profile with every default')
    .argument('<name>', 'as in the URL at which the gateway asks')
    .action((name: string, options: unknown) => get(terminal, name, common.parse(options)));
  withServer(profile.command('put'))
    .description('create or replace a profile; the next question is judged by it')
    .argument('<name>', 'as in the URL at which the gateway asks')
    .requiredOption('-f, --file <file>', 'the profile as JSON or YAML, `-` for stdin')
    .option('--revision <number>', 'only if it is at this revision; 0: only if there is none')
    .action((name: string, options: unknown) => put(terminal, name, putOptions.parse(options)));
  withServer(profile.command('delete'))
    .description('remove a profile: its gateway is not answered any more')
    .argument('<name>', 'as in the URL at which the gateway asks')
    .option('--revision <number>', 'only if it is at this revision')
    .action((name: string, options: unknown) => remove(terminal, name, conditional.parse(options)));
}

async function list(terminal: Terminal, { url, output }: z.output<typeof common>): Promise<void> {
  const items = await itemsOf(clientOf(terminal, url), listSchema, PATH);
  printProfiles(terminal, output, { items }, items);
}

async function get(terminal: Terminal, name: string, options: z.output<typeof common>): Promise<void> {
  const listed = await clientOf(terminal, options.url).fetchJson(listedSchema, { path: pathOf(name) });
  printProfiles(terminal, options.output, listed, [listed]);
}

async function put(
  terminal: Terminal,
  name: string,
  { url, output, file, revision }: z.output<typeof putOptions>,
): Promise<void> {
  const json = parseProfile(file, await readInput(terminal, file), name);
  const listed = await clientOf(terminal, url).fetchJson(listedSchema, {
    method: 'PUT',
    path: pathOf(name),
    json,
    headers: conditionOf(revision),
  });
  printProfiles(terminal, output, listed, [listed]);
  terminal.err(`profile ${name} is in force at revision ${listed.revision}\n`);
}

async function remove(
  terminal: Terminal,
  name: string,
  { url, revision }: z.output<typeof conditional>,
): Promise<void> {
  const request = { method: 'DELETE', path: pathOf(name), headers: conditionOf(revision) } as const;
  await clientOf(terminal, url).fetch(request);
  terminal.err(`profile ${name} is removed\n`);
}

function printProfiles(
  terminal: Terminal,
  output: 'table' | 'json',
  value: unknown,
  items: readonly Listed[],
): void {
  printData(terminal, output, value, () => ({
    columns: ['name', 'kind', 'gateway proves itself by', 'caller', 'dialects', 'origin', 'revision'],
    rows: items.map(({ profile, origin, revision }) => [
      profile.name,
      profile.kind,
      profile.authentication.kind,
      profile.identity.mode,
      profile.dialects.join(','),
      origin,
      String(revision),
    ]),
  }));
}

function pathOf(name: string): string {
  return `${PATH}/${encodeURIComponent(name)}`;
}

function conditionOf(revision: string | undefined): Readonly<Record<string, string>> {
  if (revision === undefined) return {};
  if (!/^\d{1,15}$/.test(revision)) {
    throw new CliError(`\`${revision}\` is no revision`, {
      exitCode: EXIT.usage,
      hint: '`duramen profile get NAME` shows it',
    });
  }
  return revision === '0' ? { 'if-none-match': '*' } : { 'if-match': `"${revision}"` };
}

async function readInput(terminal: Terminal, file: string): Promise<string> {
  try {
    return file === '-' ? await terminal.readStdin() : await readFile(file, 'utf8');
  } catch (error) {
    throw new CliError(`cannot read \`${file}\`: ${messageOf(error)}`, { cause: error });
  }
}

/** JSON is YAML, too. A name in it must be that of the command. */
function parseProfile(file: string, text: string, name: string): unknown {
  const document = parseDocument(text, { uniqueKeys: true, strict: true });
  const faults: unknown[] = [...document.errors, ...document.warnings];
  let value: unknown;
  try {
    // nothing that a profile says needs an alias
    value = document.toJS({ maxAliasCount: 0 });
  } catch (error) {
    faults.push(error);
  }
  const [fault] = faults;
  if (fault !== undefined) {
    throw new CliError(`\`${file}\` is neither JSON nor YAML: ${messageOf(fault).split('\n', 1)[0] ?? ''}`, {
      exitCode: EXIT.invalid,
    });
  }
  const parsed = z.looseObject({ name: z.literal(name).optional() }).safeParse(value);
  if (!parsed.success) {
    throw new CliError(`\`${file}\` is not the profile \`${name}\``, {
      exitCode: EXIT.invalid,
      hint: 'one object with the fields of a profile; `name` may be left out',
    });
  }
  const { name: _, ...fields } = parsed.data;
  return fields;
}
