/**
 * `duramen audit`: verifying an input and forgetting a principal. Invariant: the input stays on this machine: it is
 * hashed here as a gateway hashes it, and the hash alone is sent.
 */
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { z } from 'zod';
import { AppError, messageOf } from '../domain/errors.ts';
import { hashOfJson, hashOfText } from '../edge/admin/input-hash.ts';
import { parseJson } from '../edge/http/json-body.ts';
import { clientOf } from './client.ts';
import { CliError, EXIT, type ExitCode } from './exit-code.ts';
import { printData } from './table.ts';
import type { Terminal } from './terminal.ts';

const common = z.object({ url: z.string().optional(), output: z.enum(['table', 'json']) });
const verifySchema = common.extend({
  hash: z.string().optional(),
  json: z.string().optional(),
  text: z.string().optional(),
});
const eraseSchema = common.extend({
  reason: z.string(),
  legalBasis: z.string().optional(),
  deleteEntity: z.boolean(),
});

const matchSchema = z.looseObject({ matches: z.boolean() });
const erasedSchema = z.looseObject({
  pseudonym: z.string().optional(),
  entityDeleted: z.boolean(),
  erased: z.looseObject({ revisions: z.number(), answers: z.number() }),
  stillNamedBy: z.looseObject({
    entities: z.number(),
    bundles: z.number(),
    clearEntries: z.boolean().nullable(),
  }),
});

/** Adds both commands. @param withServer adds the options of a command that talks to a service */
export function addAudit(
  program: Command,
  terminal: Terminal,
  exit: (code: ExitCode) => void,
  withServer: (command: Command) => Command,
): void {
  const audit = program.command('audit').description('verify what was logged, and forget a principal');
  withServer(audit.command('verify-input'))
    .description('whether an input is the one of a decision; it is hashed here and not sent')
    .argument('<id>', 'the decisionId')
    .option('--json <file>', 'the input as JSON, `-` for stdin: hashed in its RFC 8785 form')
    .option('--text <file>', 'the input as it is, UTF-8, `-` for stdin')
    .option('--hash <hash>', 'the hash as the gateway gave it: sha256:…')
    .addHelpText('after', '\nExit codes: 0 it is, 5 it is not.')
    .action(async (id: string, options: unknown) =>
      exit(await verifyInput(terminal, id, verifySchema.parse(options))),
    );
  withServer(audit.command('erase'))
    .description('forget a principal: who its pseudonym was, its personal values and its history')
    .argument('<principal>', 'such as User:acme/alice')
    .requiredOption('--reason <text>', 'why, for the log, where it stays: a ticket, never a name')
    .option('--legal-basis <text>', 'for the log, such as "GDPR Art. 17(1)(b)"')
    .option('--delete-entity', 'delete the principal from the directory first', false)
    .action((principal: string, options: unknown) => erase(terminal, principal, eraseSchema.parse(options)));
}

async function verifyInput(
  terminal: Terminal,
  decisionId: string,
  options: z.output<typeof verifySchema>,
): Promise<ExitCode> {
  const { matches } = await clientOf(terminal, options.url).fetchJson(matchSchema, {
    method: 'POST',
    path: '/v1/audit/verify-input',
    json: { decisionId, hash: await hashOf(terminal, options) },
  });
  printData(terminal, options.output, { decisionId, matches }, () => ({
    columns: ['decision', 'matches'],
    rows: [[decisionId, matches ? 'yes' : 'no']],
  }));
  return matches ? EXIT.ok : EXIT.notVerified;
}

async function hashOf(
  terminal: Terminal,
  { hash, json, text }: z.output<typeof verifySchema>,
): Promise<string> {
  if ([hash, json, text].filter(one => one !== undefined).length !== 1) {
    throw new CliError('name one of --json, --text and --hash', { exitCode: EXIT.usage });
  }
  if (hash !== undefined) return hash;
  const file = json ?? text ?? '-';
  const content = await read(terminal, file);
  if (text !== undefined) return hashOfText(content);
  try {
    return hashOfJson(parseJson(Buffer.from(content, 'utf8')));
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    throw new CliError(`\`${file}\` is not JSON with one meaning: ${error.message}`, {
      exitCode: EXIT.usage,
      problems: error.problems,
    });
  }
}

async function read(terminal: Terminal, file: string): Promise<string> {
  if (file === '-') return terminal.readStdin();
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new CliError(`cannot read \`${file}\`: ${messageOf(error)}`, { exitCode: EXIT.usage });
  }
}

async function erase(
  terminal: Terminal,
  principal: string,
  { url, output, reason, legalBasis, deleteEntity }: z.output<typeof eraseSchema>,
): Promise<void> {
  const colon = principal.indexOf(':');
  if (colon < 1) {
    throw new CliError(`\`${principal}\` is not a principal`, {
      exitCode: EXIT.usage,
      hint: 'write its type, a colon and its id, such as User:acme/alice',
    });
  }
  const erased = await clientOf(terminal, url).fetchJson(erasedSchema, {
    method: 'POST',
    path: '/v1/audit/erase',
    json: {
      principal: { type: principal.slice(0, colon), id: principal.slice(colon + 1) },
      reason,
      deleteEntity,
      ...(legalBasis === undefined ? {} : { legalBasis }),
    },
  });
  printData(terminal, output, erased, () => ({
    columns: ['pseudonym', 'entity deleted', 'revisions', 'answers'],
    rows: [
      [
        erased.pseudonym ?? 'none',
        erased.entityDeleted ? 'yes' : 'no',
        String(erased.erased.revisions),
        String(erased.erased.answers),
      ],
    ],
  }));
  for (const rest of remainders(erased.stillNamedBy)) terminal.err(`${rest}\n`);
}

/** What the caller has still to look after. */
function remainders({
  entities,
  bundles,
  clearEntries,
}: z.output<typeof erasedSchema>['stillNamedBy']): readonly string[] {
  return [
    ...(entities > 0 ? [`${entities} other entities name it: change them`] : []),
    ...(bundles > 0 ? [`${bundles} stored bundles name it: they are kept as they were pushed`] : []),
    ...(clearEntries === true
      ? ['decisions of the former log format name it until retention removes them']
      : []),
    ...(clearEntries === null ? ['whether decisions of the former log format name it is not known now'] : []),
  ];
}
