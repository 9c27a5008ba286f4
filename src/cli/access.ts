/**
 * `duramen access`: what a principal may do on which models, and who may use a model. Invariant: what is printed says
 * whether it is complete, in the table on stderr as well.
 */
import type { Command } from 'commander';
import { z } from 'zod';
import type { CommandTools } from './caller-keys.ts';
import { clientOf } from './client.ts';
import { pagesOf } from './pages.ts';
import { contextOf, partitionOf, refOf } from './decide.ts';
import { printData } from './table.ts';
import { printable, type Terminal } from './terminal.ts';

/** Items of one page. */
const PAGE = 1_000;

const ref = z.object({ type: z.string(), id: z.string() });
const itemSchema = z.looseObject({
  principal: ref.optional(),
  model: ref.optional(),
  allowed: z.array(z.looseObject({ action: z.string() })),
  conditional: z.array(z.looseObject({ action: z.string(), policies: z.array(z.string()) })),
});
const conditionSchema = z.looseObject({ effect: z.string(), clauses: z.array(z.string()) });
const pageSchema = z.looseObject({
  standing: z.object({ code: z.string(), message: z.string() }).nullable(),
  items: z.array(itemSchema),
  conditions: z.record(z.string(), conditionSchema),
  complete: z.boolean(),
  incomplete: z.array(z.object({ code: z.string(), message: z.string() })),
  nextCursor: z.string().nullable(),
});

type Page = z.output<typeof pageSchema>;

const options = z.object({
  url: z.string().optional(),
  output: z.enum(['table', 'json']),
  operation: z.array(z.string()).default([]),
  tenant: z.string().optional(),
  onBehalfOf: z.string().optional(),
  partition: z.array(z.string()).default([]),
  scope: z.array(z.string()).default([]),
  context: z.string().optional(),
});

/** Adds the commands. */
export function addAccess(program: Command, terminal: Terminal, { withServer, collect }: CommandTools): void {
  const access = program.command('access').description('who may do what on which models');
  const withQuestion = (command: Command): Command =>
    withServer(command)
      .option('--operation <action>', 'ask for this operation alone; may be repeated', collect)
      .option('--tenant <id>', "whose data; default: the principal's own")
      .option('--on-behalf-of <id>', 'a tenant that the principal represents')
      .option('--partition <id[=access]>', 'data to reach: read, write or export; may be repeated', collect)
      .option('--scope <scope>', 'an asserted scope; may be repeated', collect)
      .option('--context <json>', 'context as a JSON object; what is not in it is left open');
  withQuestion(access.command('principal'))
    .description('what one principal may do on which models now')
    .argument('<principal>', 'such as User:acme/alice')
    .action((name: string, given: unknown) => {
      const { type, id } = refOf('principal', name);
      const path = `/v1/principals/${encodeURIComponent(type)}/${encodeURIComponent(id)}/access`;
      return printAccess(terminal, path, options.parse(given));
    });
  withQuestion(access.command('model'))
    .description('who may do what on one model now')
    .argument('<model>', 'its id, such as acme/support-llm')
    .action((id: string, given: unknown) =>
      printAccess(terminal, `/v1/models/${encodeURIComponent(id)}/access`, options.parse(given)),
    );
}

async function printAccess(terminal: Terminal, path: string, given: z.output<typeof options>): Promise<void> {
  const pages: Page[] = [];
  const client = clientOf(terminal, given.url);
  for await (const page of pagesOf(client, pageSchema, path, searchOf(given))) pages.push(page);
  const last = pages.at(-1);
  if (last === undefined) throw new Error('an answer without a page');
  const items = pages.flatMap(page => page.items);
  const conditions: Page['conditions'] = Object.fromEntries(
    pages.flatMap(page => Object.entries(page.conditions)),
  );
  const whole = { ...last, items, conditions };
  printData(terminal, given.output, whole, () => ({
    columns: [path.startsWith('/v1/models') ? 'principal' : 'model', 'allowed', 'in another context'],
    rows: items.map(({ principal, model, allowed, conditional }) => [
      principal === undefined ? (model?.id ?? '') : `${principal.type}:${principal.id}`,
      allowed.map(({ action }) => action).join(' '),
      conditional.map(({ action }) => action).join(' '),
    ]),
  }));
  if (given.output === 'json') return;
  if (last.standing !== null)
    terminal.err(printable(`${last.standing.code}: ${last.standing.message}`) + '\n');
  for (const { message } of last.incomplete) terminal.err(printable(`not complete: ${message}`) + '\n');
  const decisive = new Set(items.flatMap(item => item.conditional.flatMap(({ policies }) => policies)));
  for (const id of [...decisive].toSorted()) {
    for (const clause of whole.conditions[id]?.clauses ?? []) {
      terminal.err(printable(`  ${id}: ${clause}`) + '\n');
    }
  }
}

function searchOf(given: z.output<typeof options>): URLSearchParams {
  const { operation, tenant, onBehalfOf, partition, scope, context } = given;
  const search = new URLSearchParams({ limit: String(PAGE) });
  const set = (name: string, value: string | undefined): void => {
    if (value !== undefined) search.set(name, value);
  };
  set('operations', operation.length === 0 ? undefined : operation.join(','));
  set('tenant', tenant);
  set('onBehalfOf', onBehalfOf);
  set('partitions', partition.length === 0 ? undefined : JSON.stringify(partition.map(partitionOf)));
  const auth = { method: 'asserted', assurance: 0, scopes: scope };
  set('auth', scope.length === 0 ? undefined : JSON.stringify(auth));
  set('context', context === undefined ? undefined : JSON.stringify(contextOf(context)));
  return search;
}
