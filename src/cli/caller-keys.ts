/**
 * `duramen caller-key`: keys of end callers. Invariants: a new key goes to stdout alone, once; texts that leaked are
 * read from a file or stdin and never from the command line, where others could see them.
 */
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { z } from 'zod';
import { messageOf } from '../domain/errors.ts';
import { clientOf } from './client.ts';
import { itemsOf } from './pages.ts';
import { CliError, EXIT } from './exit-code.ts';
import { type OutputFormat, printData } from './table.ts';
import type { Terminal } from './terminal.ts';

/** Most texts in one request, as the service takes them. */
const MAX_REPORTS = 1_000;

const PATH = '/v1/caller-keys';

const keySchema = z.looseObject({
  id: z.string(),
  owner: z.object({ type: z.string(), id: z.string() }),
  tenant: z.string().optional(),
  description: z.string(),
  expiresAt: z.string(),
  supersededBy: z.string().optional(),
  revoked: z.looseObject({ at: z.string() }).optional(),
  leakedAt: z.string().optional(),
  lastUse: z.looseObject({ at: z.string() }).optional(),
});
const madeSchema = z.looseObject({ ...keySchema.shape, key: z.string() });
const listSchema = z.looseObject({ items: z.array(keySchema), nextCursor: z.string().nullable() });
const bulkSchema = z.looseObject({ revoked: z.number() });
const verdictsSchema = z.array(
  z.looseObject({
    token_hash: z.string(),
    label: z.string(),
    keyId: z.string().optional(),
    outcome: z.string().optional(),
  }),
);

type Key = z.output<typeof keySchema>;

const common = z.object({ url: z.string().optional(), output: z.enum(['table', 'json']) });
const names = z.array(z.string()).default([]);
const createOptions = common.extend({
  owner: z.string(),
  expires: z.string(),
  description: z.string().optional(),
  action: names,
  model: names,
  modelGroup: names,
  tenant: names,
  network: names,
  oauthScope: names,
  notBefore: z.string().optional(),
});
const listOptions = common.extend({
  owner: z.string().optional(),
  tenant: z.string().optional(),
  state: z.string().optional(),
  unusedSince: z.string().optional(),
  expiresBefore: z.string().optional(),
});
const rotateOptions = common.extend({ overlap: z.string().optional(), expires: z.string().optional() });
const revokeOptions = common.extend({ reason: z.string().optional() });
const bulkOptions = common.extend({
  owner: z.string().optional(),
  tenant: z.string().optional(),
  reason: z.string(),
});
const reportOptions = common.extend({ file: z.string(), source: z.string().optional() });

/** How commands are given their options, by the program. */
export interface CommandTools {
  /** Adds the options of a command that talks to a service. */
  readonly withServer: (command: Command) => Command;
  /** Gathers the values of an option that may be repeated. */
  readonly collect: (value: string, previous: unknown) => string[];
}

/** Adds the commands. */
export function addCallerKeys(
  program: Command,
  terminal: Terminal,
  { withServer, collect }: CommandTools,
): void {
  const key = program.command('caller-key').description('manage keys of end callers');
  withServer(key.command('create'))
    .description('make a key for a caller and print it once')
    .requiredOption('--owner <principal>', 'as whom the key decides, such as User:acme/alice')
    .requiredOption('--expires <time>', 'RFC 3339 time of its end')
    .option('--description <text>', 'what it is for')
    .option('--action <name>', 'limit it to an action or a group of them; may be repeated', collect)
    .option('--model <id>', 'limit it to a model; may be repeated', collect)
    .option('--model-group <id>', 'limit it to a group of models; may be repeated', collect)
    .option('--tenant <id>', 'limit it to a tenant; may be repeated', collect)
    .option('--network <network>', 'limit it to a network such as 10.0.0.0/8; may be repeated', collect)
    .option('--oauth-scope <scope>', 'a scope that decisions with it have; may be repeated', collect)
    .option('--not-before <time>', 'RFC 3339 time of its beginning')
    .action((options: unknown) => create(terminal, createOptions.parse(options)));
  withServer(key.command('list'))
    .description('list keys: unused ones, ending ones, those of an owner or a tenant')
    .option('--owner <principal>', 'such as User:acme/alice')
    .option('--tenant <id>', 'those of one tenant')
    .option('--state <state>', 'active, expired, revoked or leaked')
    .option('--unused-since <time>', 'active keys, made before, that were not used since')
    .option('--expires-before <time>', 'active keys that end before')
    .action((options: unknown) => list(terminal, listOptions.parse(options)));
  withServer(key.command('rotate'))
    .description('make a successor and print it once; the key works on for a while')
    .argument('<id>', 'id of the key')
    .option('--overlap <seconds>', 'how long the old key goes on working; default: a day')
    .option('--expires <time>', 'RFC 3339 time of the end of the new key')
    .action((id: string, options: unknown) => rotate(terminal, id, rotateOptions.parse(options)));
  withServer(key.command('revoke'))
    .description('revoke a key at once, and the keys that it made for itself')
    .argument('<id>', 'id of the key')
    .option('--reason <text>', 'why, for the log')
    .action((id: string, options: unknown) => revoke(terminal, id, revokeOptions.parse(options)));
  withServer(key.command('revoke-all'))
    .description('revoke every key of an owner or of a tenant at once')
    .option('--owner <principal>', 'such as User:acme/alice')
    .option('--tenant <id>', 'every key of this tenant')
    .requiredOption('--reason <text>', 'why, for the log')
    .action((options: unknown) => revokeAll(terminal, bulkOptions.parse(options)));
  withServer(key.command('report-leak'))
    .description('report texts that leaked; those that are keys are revoked, or flagged')
    .requiredOption('-f, --file <file>', 'one text on each line, `-` for stdin')
    .option('--source <kind>', 'where they were found, such as content, commit or issue')
    .action((options: unknown) => reportLeaks(terminal, reportOptions.parse(options)));
}

async function create(terminal: Terminal, options: z.output<typeof createOptions>): Promise<void> {
  const { owner, expires, description, notBefore, network, oauthScope } = options;
  const made = await clientOf(terminal, options.url).fetchJson(madeSchema, {
    method: 'POST',
    path: PATH,
    json: {
      owner: principalOf(owner),
      expiresAt: expires,
      ...(description === undefined ? {} : { description }),
      ...(notBefore === undefined ? {} : { notBefore }),
      scopes: scopesOf(options),
      networks: network,
      oauthScopes: oauthScope,
    },
  });
  printMade(terminal, made, options.output);
}

/** The options make one alternative; several are for the API. */
function scopesOf({ action, model, modelGroup, tenant }: z.output<typeof createOptions>): object[] {
  const lists = { actions: action, models: model, modelGroups: modelGroup, tenants: tenant };
  const given = Object.entries(lists).filter(([, values]) => values.length > 0);
  return given.length === 0 ? [] : [Object.fromEntries(given)];
}

async function list(
  terminal: Terminal,
  { url, output, ...filter }: z.output<typeof listOptions>,
): Promise<void> {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(filter)) if (value !== undefined) search.set(name, value);
  const items = await itemsOf(clientOf(terminal, url), listSchema, PATH, search);
  printData(terminal, output, { items }, () => ({
    columns: ['id', 'state', 'owner', 'last used', 'description'],
    rows: items.map(key => [
      key.id,
      stateOf(key),
      `${key.owner.type}:${key.owner.id}`,
      key.lastUse?.at ?? 'never',
      key.description,
    ]),
  }));
}

async function rotate(
  terminal: Terminal,
  id: string,
  options: z.output<typeof rotateOptions>,
): Promise<void> {
  const { overlap, expires, url, output } = options;
  const made = await clientOf(terminal, url).fetchJson(madeSchema, {
    method: 'POST',
    path: `${PATH}/${encodeURIComponent(id)}/rotate`,
    json: {
      ...(overlap === undefined ? {} : { overlapSeconds: secondsOf(overlap) }),
      ...(expires === undefined ? {} : { expiresAt: expires }),
    },
  });
  printMade(terminal, made, output);
}

async function revoke(
  terminal: Terminal,
  id: string,
  options: z.output<typeof revokeOptions>,
): Promise<void> {
  const { reason, url } = options;
  const search = reason === undefined ? '' : `?${new URLSearchParams({ reason }).toString()}`;
  const path = `${PATH}/${encodeURIComponent(id)}${search}`;
  await clientOf(terminal, url).fetch({ method: 'DELETE', path });
  terminal.err(`key ${id} is revoked\n`);
}

async function revokeAll(terminal: Terminal, options: z.output<typeof bulkOptions>): Promise<void> {
  const { owner, tenant, reason, url, output } = options;
  const answer = await clientOf(terminal, url).fetchJson(bulkSchema, {
    method: 'POST',
    path: `${PATH}/revoke`,
    json: {
      ...(owner === undefined ? {} : { owner: principalOf(owner) }),
      ...(tenant === undefined ? {} : { tenant }),
      reason,
    },
  });
  printData(terminal, output, answer, () => ({ columns: ['revoked'], rows: [[String(answer.revoked)]] }));
}

async function reportLeaks(terminal: Terminal, options: z.output<typeof reportOptions>): Promise<void> {
  const { file, source, url, output } = options;
  const tokens = (await readText(terminal, file)).split('\n').map(line => line.trim());
  const reports = tokens
    .filter(token => token !== '')
    .map(token => ({ token, ...(source === undefined ? {} : { source }) }));
  if (reports.length === 0) throw new CliError(`\`${file}\` holds no text`, { exitCode: EXIT.usage });
  const client = clientOf(terminal, url);
  const verdicts: z.output<typeof verdictsSchema> = [];
  for (let start = 0; start < reports.length; start += MAX_REPORTS) {
    const json = reports.slice(start, start + MAX_REPORTS);
    verdicts.push(
      ...(await client.fetchJson(verdictsSchema, { method: 'POST', path: `${PATH}/leaks`, json })),
    );
  }
  printData(terminal, output, verdicts, () => ({
    columns: ['sha-256', 'verdict', 'key', 'outcome'],
    rows: verdicts.map(({ token_hash, label, keyId, outcome }) => [
      token_hash,
      label,
      keyId ?? '',
      outcome ?? '',
    ]),
  }));
}

async function readText(terminal: Terminal, file: string): Promise<string> {
  if (file === '-') return terminal.readStdin();
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new CliError(`cannot read \`${file}\`: ${messageOf(error)}`, { cause: error });
  }
}

function printMade(terminal: Terminal, made: z.output<typeof madeSchema>, output: OutputFormat): void {
  if (output === 'json') terminal.out(`${JSON.stringify(made, undefined, 2)}\n`);
  else terminal.out(`${made.key}\n`);
  terminal.err(
    `key ${made.id} of ${made.owner.type}:${made.owner.id} until ${made.expiresAt}: it is shown this once, keep it now\n`,
  );
}

function stateOf({ revoked, supersededBy, expiresAt, leakedAt }: Key): string {
  if (revoked !== undefined) return `revoked ${revoked.at}`;
  const marks = [leakedAt === undefined ? '' : 'leaked, ', supersededBy === undefined ? '' : 'superseded, '];
  return `${marks.join('')}until ${expiresAt}`;
}

/** Type and id of `User:acme/alice`. @throws CliError for what is none */
export function principalOf(text: string): { type: string; id: string } {
  const colon = text.indexOf(':');
  if (colon > 0) return { type: text.slice(0, colon), id: text.slice(colon + 1) };
  throw new CliError(`\`${text}\` is no principal`, {
    exitCode: EXIT.usage,
    hint: 'write it as User:acme/alice',
  });
}

function secondsOf(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new CliError(`\`${text}\` is no number of seconds`, { exitCode: EXIT.usage });
}
