/** `duramen limits`: which limits hold, and which ones a log suggests. */
import { type Command, Option } from 'commander';
import { z } from 'zod';
import type { CommandTools } from './caller-keys.ts';
import { clientOf } from './client.ts';
import { refOf } from './decide.ts';
import { CliError, EXIT } from './exit-code.ts';
import { suggest, suggestOptions } from './limit-suggestion.ts';
import { printData } from './table.ts';
import type { Terminal } from './terminal.ts';

const limitSchema = z.looseObject({
  name: z.string(),
  kind: z.string(),
  unit: z.string(),
  mode: z.string(),
  limit: z.number(),
  source: z.string(),
  varies: z.array(z.string()),
  scope: z.array(z.string()),
  seconds: z.number().optional(),
  period: z.string().optional(),
  sets: z.array(z.string()).optional(),
});
type Limit = z.output<typeof limitSchema>;

const answerSchema = z.looseObject({
  items: z.array(limitSchema),
  prices: z.array(
    z.looseObject({ list: z.string(), inputPerMillion: z.number(), outputPerMillion: z.number() }),
  ),
});

const showOptions = z.object({
  url: z.string().optional(),
  output: z.enum(['table', 'json']),
  principal: z.string().optional(),
  model: z.string().optional(),
  action: z.string().optional(),
  tenant: z.string().optional(),
});

/** Adds the command and answers it, for those who add to it. */
export function addLimits(
  program: Command,
  terminal: Terminal,
  { withServer }: Pick<CommandTools, 'withServer'>,
): Command {
  const limits = program.command('limits').description('limits: which hold, and which a log suggests');
  withServer(limits.command('show'))
    .description(
      'show which limits hold for a principal, a model or a tenant, with where each number comes from',
    )
    .option('--principal <principal>', 'such as User:acme/alice')
    .option('--model <id>', 'such as acme/support-llm')
    .option('--action <name>', 'only those for this operation')
    .option('--tenant <id>', "whose data; default: the principal's own")
    .action((options: unknown) => show(terminal, showOptions.parse(options)));
  withServer(limits.command('suggest'))
    .description('propose a limits.json from a period of the log, and say what it would have denied')
    .requiredOption('--since <time>', 'how far back, such as 24h or 30d')
    .option('--percentile <number>', "which of the callers' peaks fits under a limit", '99')
    .option('--headroom <percent>', 'how much more than that is allowed', '150')
    .option('--high-value-risk <number>', 'models of at least this risk get tighter limits', '3')
    .option('--max-calls <number>', 'read no more calls than this, the newest', '200000')
    .addOption(
      new Option('--mode <mode>', 'of the proposed limits').choices(['enforce', 'shadow']).default('enforce'),
    )
    .action((options: unknown) => suggest(terminal, suggestOptions.parse(options)));
  return limits;
}

async function show(terminal: Terminal, options: z.output<typeof showOptions>): Promise<void> {
  const { url, output, principal, model, action, tenant } = options;
  if (principal === undefined && model === undefined && tenant === undefined) {
    throw new CliError('say whose limits: `--principal`, `--model`, `--tenant` or several of them', {
      exitCode: EXIT.usage,
    });
  }
  const search = new URLSearchParams();
  if (principal !== undefined) {
    const { type, id } = refOf('principal', principal);
    search.set('principal', `${type}:${id}`);
  }
  for (const [name, value] of Object.entries({ model, action, tenant })) {
    if (value !== undefined) search.set(name, value);
  }
  const path = `/v1/limits?${search.toString()}`;
  const answer = await clientOf(terminal, url).fetchJson(answerSchema, { path });
  printData(terminal, output, answer, () => ({
    columns: ['limit', 'kind', 'per', 'number', 'unit', 'counted by', 'where the number comes from'],
    rows: answer.items.map(rowOf),
  }));
  if (output === 'json') return;
  for (const { list, inputPerMillion, outputPerMillion } of answer.prices) {
    terminal.err(
      `prices ${list}: ${inputPerMillion} and ${outputPerMillion} micro-dollars per million tokens in and out\n`,
    );
  }
}

function rowOf(limit: Limit): string[] {
  const { name, kind, unit, mode, limit: number, source, varies, scope, seconds, period, sets } = limit;
  const notes = [
    ...(mode === 'shadow' ? ['a shadow: denies nothing'] : []),
    ...(sets === undefined
      ? []
      : [`only where a permit names ${[name.split('/').at(-1), ...sets].join(' or ')}`]),
    ...(varies.length === 0 ? [] : [`depends on the ${varies.join(', ')}`]),
  ];
  return [
    name,
    kind,
    period ?? (seconds === undefined ? '' : `${seconds} s`),
    String(number),
    unit,
    scope.length === 0 ? 'all together' : scope.join(' '),
    [source, ...notes].join('; '),
  ];
}
