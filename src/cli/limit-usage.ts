/** `duramen limits usage` and `reset`: where limits stand for somebody, and forgetting what one has counted. */
import type { Command } from 'commander';
import { z } from 'zod';
import type { CommandTools } from './caller-keys.ts';
import { clientOf } from './client.ts';
import { refOf } from './decide.ts';
import { CliError, EXIT } from './exit-code.ts';
import { printData } from './table.ts';
import type { Terminal } from './terminal.ts';

const usageSchema = z.looseObject({
  name: z.string(),
  unit: z.string(),
  mode: z.string(),
  limit: z.number(),
  used: z.number(),
  remaining: z.number(),
  resetSeconds: z.number(),
  scope: z.array(z.string()),
  source: z.string(),
  degraded: z.boolean().optional(),
  varies: z.array(z.string()).default([]),
  dependsOn: z.array(z.string()).default([]),
  sets: z.array(z.string()).optional(),
});
type Usage = z.output<typeof usageSchema>;
const otherSchema = z.looseObject({
  name: z.string(),
  needs: z.array(z.string()),
  sets: z.array(z.string()).optional(),
});
type Other = z.output<typeof otherSchema>;
const answerSchema = z.looseObject({
  items: z.array(usageSchema),
  others: z.array(otherSchema).default([]),
});

const names = z.array(z.string()).default([]);
const usageOptions = z.object({
  url: z.string().optional(),
  output: z.enum(['table', 'json']),
  principal: z.string().optional(),
  model: z.string().optional(),
  action: z.string().optional(),
  tenant: z.string().optional(),
  ip: z.string().optional(),
  key: z.string().optional(),
  pep: z.string().optional(),
  limitSet: names,
});
const resetOptions = usageOptions.extend({ principal: z.string(), model: z.string(), reason: z.string() });

/** @param limits the command `limits` */
export function addLimitUsage(
  limits: Command,
  terminal: Terminal,
  { withServer, collect }: Pick<CommandTools, 'withServer' | 'collect'>,
): void {
  const withRest = (command: Command): Command =>
    command
      .option('--action <name>', 'by which operation; default of a call: generate')
      .option('--tenant <id>', "whose data; default: the principal's own")
      .option('--ip <address>', 'from which address')
      .option('--key <id>', 'with which credential: the id of a key, or sso:client:app')
      .option('--pep <id>', 'through which gateway, by the id of its key')
      .option(
        '--limit-set <name>',
        'a set that a permit names, such as platform/gold; repeatable',
        collect,
        [],
      );
  withRest(
    withServer(limits.command('usage'))
      .option('--principal <principal>', 'whose, such as User:acme/alice')
      .option('--model <id>', 'of which model, such as acme/support-llm'),
  )
    .description('show where the limits stand of a principal, a model, a tenant, or of a call to a model')
    .action((options: unknown) => showUsage(terminal, usageOptions.parse(options)));
  withRest(
    withServer(limits.command('reset'))
      .requiredOption('--principal <principal>', 'whose call, such as User:acme/alice')
      .requiredOption('--model <id>', 'to which model, such as acme/support-llm'),
  )
    .argument('<limit>', 'such as platform/user-burst')
    .requiredOption('--reason <text>', 'why; it stays in the log')
    .description('forget what a limit has counted for such calls, holds and leases included')
    .action((limit: string, options: unknown) => reset(terminal, limit, resetOptions.parse(options)));
}

async function showUsage(terminal: Terminal, options: z.output<typeof usageOptions>): Promise<void> {
  const { url, output, principal, limitSet, ...call } = options;
  if (principal === undefined && call.model === undefined && call.tenant === undefined) {
    throw new CliError('say whose limits: `--principal`, `--model`, `--tenant` or several of them', {
      exitCode: EXIT.usage,
    });
  }
  const search = new URLSearchParams();
  if (principal !== undefined) {
    const { type, id } = refOf('principal', principal);
    search.set('principal', `${type}:${id}`);
  }
  for (const [name, value] of Object.entries(call)) if (value !== undefined) search.set(name, value);
  if (limitSet.length > 0) search.set('limitSets', limitSet.join(','));
  const path = `/v1/limits/usage?${search.toString()}`;
  const answer = await clientOf(terminal, url).fetchJson(answerSchema, { path });
  print(terminal, output, answer, answer.items);
  if (output === 'json') return;
  for (const other of answer.others) terminal.err(`${other.name}: ${whatIsMissing(other)}\n`);
}

function whatIsMissing({ needs, sets }: Other): string {
  const notes = [
    ...(needs.length === 0 ? [] : [`say the ${needs.join(', ')} to see where it stands`]),
    ...(sets === undefined ? [] : ['holds only where a permit names it (`--limit-set`)']),
  ];
  return notes.join('; ');
}

async function reset(
  terminal: Terminal,
  limit: string,
  { url, output, principal, limitSet, ...call }: z.output<typeof resetOptions>,
): Promise<void> {
  const json = { limit, principal: refOf('principal', principal), ...call, limitSets: limitSet };
  const before = await clientOf(terminal, url).fetchJson(usageSchema, {
    method: 'POST',
    path: '/v1/limits/reset',
    json,
  });
  print(terminal, output, before, [before]);
  if (output === 'table') terminal.err('forgotten: the limit stood like this before\n');
}

function print(terminal: Terminal, output: 'table' | 'json', answer: unknown, items: readonly Usage[]): void {
  printData(terminal, output, answer, () => ({
    columns: ['limit', 'used', 'of', 'unit', 'left', 'empty in', 'counted by', 'where the number comes from'],
    rows: items.map(rowOf),
  }));
}

function rowOf({
  name,
  unit,
  mode,
  limit,
  used,
  remaining,
  resetSeconds,
  scope,
  source,
  degraded,
  varies,
  dependsOn,
  sets,
}: Usage): string[] {
  const notes = [
    ...(varies.length === 0 ? [] : [`the number depends on the ${varies.join(', ')}`]),
    ...(dependsOn.length === 0 ? [] : [`for some calls only, by ${dependsOn.join(', ')}`]),
    ...(sets === undefined ? [] : ['only where a permit names it']),
    ...(mode === 'shadow' ? ['a shadow: denies nothing'] : []),
    ...(degraded === true ? ['counted by this server alone'] : []),
  ];
  return [
    name,
    String(used),
    String(limit),
    unit,
    String(remaining),
    used === 0 ? '' : `${resetSeconds} s`,
    scope.length === 0 ? 'all together' : scope.join(' '),
    [source, ...notes].join('; '),
  ];
}
