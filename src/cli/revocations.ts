/** `duramen revocation`: tokens that count no more before their end. Invariant: what is printed is what the service keeps. */
import { type Command, Option } from 'commander';
import { z } from 'zod';
import { REVOCATION_KINDS } from '../identity/ports.ts';
import type { CommandTools } from './caller-keys.ts';
import { clientOf } from './client.ts';
import { itemsOf } from './pages.ts';
import { printData, type Table } from './table.ts';
import type { Terminal } from './terminal.ts';

const PATH = '/v1/revocations';

const revocationSchema = z.looseObject({
  id: z.string(),
  issuer: z.string(),
  kind: z.string(),
  value: z.string(),
  at: z.string(),
  by: z.string(),
  reason: z.string(),
  forgetAt: z.string(),
});
const listSchema = z.looseObject({ items: z.array(revocationSchema), nextCursor: z.string().nullable() });
type Revocation = z.output<typeof revocationSchema>;

const common = z.object({ url: z.string().optional(), output: z.enum(['table', 'json']) });
const createOptions = common.extend({
  issuer: z.string(),
  kind: z.string(),
  value: z.string(),
  reason: z.string(),
});

/** Adds the commands. */
export function addRevocations(program: Command, terminal: Terminal, { withServer }: CommandTools): void {
  const revocation = program.command('revocation').description('revoke tokens of issuers');
  withServer(revocation.command('create'))
    .description('revoke a token, or all that were issued to a subject or a client until now')
    .requiredOption('--issuer <name>', 'name of the issuer in the configuration')
    .addOption(
      new Option('--kind <kind>', 'what the value names').choices(REVOCATION_KINDS).makeOptionMandatory(),
    )
    .requiredOption('--value <text>', '`jti` of the token, `sub` of the subject, or id of the client')
    .requiredOption('--reason <text>', 'why, for the log')
    .action(async (options: unknown) => {
      const { url, output, ...json } = createOptions.parse(options);
      const made = await clientOf(terminal, url).fetchJson(revocationSchema, {
        method: 'POST',
        path: PATH,
        json,
      });
      printData(terminal, output, made, () => tableOf([made]));
    });
  withServer(revocation.command('list'))
    .description('list revocations that still hit a token, newest first')
    .action(async (options: unknown) => {
      const { url, output } = common.parse(options);
      const items = await readAll(terminal, url);
      printData(terminal, output, { items }, () => tableOf(items));
    });
}

async function readAll(terminal: Terminal, url: string | undefined): Promise<readonly Revocation[]> {
  const client = clientOf(terminal, url);
  return itemsOf(client, listSchema, PATH, new URLSearchParams({ limit: '1000' }));
}

function tableOf(items: readonly Revocation[]): Table {
  return {
    columns: ['at', 'issuer', 'kind', 'value', 'until', 'by', 'reason'],
    rows: items.map(({ at, issuer, kind, value, forgetAt, by, reason }) => [
      at,
      issuer,
      kind,
      value,
      forgetAt,
      by,
      reason,
    ]),
  };
}
