/** `duramen penalties`: who is blocked after violations of limits. Invariant: nobody is let in again without a reason. */
import type { Command } from 'commander';
import { z } from 'zod';
import { type CommandTools, principalOf } from './caller-keys.ts';
import { clientOf } from './client.ts';
import { itemsOf } from './pages.ts';
import { CliError, EXIT } from './exit-code.ts';
import { printData } from './table.ts';
import type { Terminal } from './terminal.ts';

const PATH = '/v1/penalties';

const penaltySchema = z.looseObject({
  kind: z.string(),
  principal: z.object({ type: z.string(), id: z.string() }).optional(),
  address: z.string().optional(),
  since: z.string(),
  until: z.string(),
  level: z.number(),
  limit: z.string(),
});
const listSchema = z.looseObject({ items: z.array(penaltySchema), nextCursor: z.string().nullable() });
type Penalty = z.output<typeof penaltySchema>;

const common = z.object({ url: z.string().optional(), output: z.enum(['table', 'json']) });
const liftOptions = common.extend({
  principal: z.string().optional(),
  address: z.string().optional(),
  reason: z.string(),
});

export function addPenalties(
  program: Command,
  terminal: Terminal,
  { withServer }: Pick<CommandTools, 'withServer'>,
): void {
  const penalties = program.command('penalties').description('who is blocked after violations of limits');
  withServer(penalties.command('list'))
    .description('list the blocks, those that end first in front')
    .action((options: unknown) => list(terminal, common.parse(options)));
  withServer(penalties.command('lift'))
    .description('end a block, and forget the blocks before it')
    .option('--principal <principal>', 'such as User:acme/alice')
    .option('--address <address>', 'such as 192.0.2.1, or a network as it is listed')
    .requiredOption('--reason <text>', 'why, for the log')
    .action((options: unknown) => lift(terminal, liftOptions.parse(options)));
}

async function list(terminal: Terminal, { url, output }: z.output<typeof common>): Promise<void> {
  const items = await itemsOf(clientOf(terminal, url), listSchema, PATH);
  print(terminal, output, { items }, items);
}

async function lift(
  terminal: Terminal,
  { url, output, principal, address, reason }: z.output<typeof liftOptions>,
): Promise<void> {
  if ((principal === undefined) === (address === undefined)) {
    throw new CliError('say whose block it is: `--principal` or `--address`', { exitCode: EXIT.usage });
  }
  const of = principal === undefined ? { address } : { principal: principalOf(principal) };
  const lifted = await clientOf(terminal, url).fetchJson(penaltySchema, {
    method: 'POST',
    path: `${PATH}/lift`,
    json: { ...of, reason },
  });
  print(terminal, output, lifted, [lifted]);
  terminal.err(`the block is lifted; it would have lasted until ${lifted.until}\n`);
}

function print(
  terminal: Terminal,
  output: 'table' | 'json',
  value: unknown,
  items: readonly Penalty[],
): void {
  printData(terminal, output, value, () => ({
    columns: ['blocked', 'since', 'until', 'level', 'limit'],
    rows: items.map(({ principal, address, since, until, level, limit }) => [
      principal === undefined ? (address ?? '') : `${principal.type}:${principal.id}`,
      since,
      until,
      String(level),
      limit,
    ]),
  }));
}
