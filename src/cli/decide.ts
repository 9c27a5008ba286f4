/**
 * `duramen decide`: one decision over HTTP. Invariant: exit code 0 means allow and 2 means deny; nothing else
 * ends with them.
 */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { Decision } from '../domain/decision.ts';
import { decisionSchema } from '../domain/decision.ts';
import type { DecisionRequestInput } from '../domain/decision-request.ts';
import { messageOf } from '../domain/errors.ts';
import { LEVELS } from '../domain/names.ts';
import { clientOf } from './client.ts';
import { CliError, EXIT, type ExitCode } from './exit-code.ts';
import type { OutputFormat } from './table.ts';
import { colorsOf, printable, type Terminal } from './terminal.ts';

export const decideOptionsSchema = z.object({
  url: z.string().optional(),
  output: z.enum(['table', 'json']),
  file: z.string().optional(),
  principal: z.string().optional(),
  action: z.string().optional(),
  resource: z.string().optional(),
  tenant: z.string().optional(),
  onBehalfOf: z.string().optional(),
  partition: z.array(z.string()).default([]),
  tool: z.array(z.string()).default([]),
  scope: z.array(z.string()).default([]),
  context: z.string().optional(),
  explain: z.enum(['none', 'summary', 'full']).optional(),
});
export type DecideOptions = z.output<typeof decideOptionsSchema>;

export async function decide(terminal: Terminal, options: DecideOptions): Promise<ExitCode> {
  const request = options.file === undefined ? requestOf(options) : await readRequest(terminal, options.file);
  const client = clientOf(terminal, options.url);
  const decision = await client.fetchJson(decisionSchema, { method: 'POST', path: '/decide', json: request });
  printDecision(terminal, options.output, decision);
  return decision.decision === 'allow' ? EXIT.ok : EXIT.deny;
}

/** Builds the body of POST /decide from options. @throws CliError when one is missing or malformed. */
export function requestOf(options: DecideOptions): DecisionRequestInput {
  const { principal, action, resource, tenant, onBehalfOf, partition, tool, scope, context, explain } =
    options;
  if (principal === undefined || action === undefined || resource === undefined) {
    throw new CliError('a decision needs --principal, --action and --resource, or --file', {
      exitCode: EXIT.usage,
      hint: 'duramen decide --principal User:acme/alice --action generate --resource Model:acme/support-llm',
    });
  }
  return {
    principal: refOf('--principal', principal),
    action,
    resource: refOf('--resource', resource),
    ...(tenant === undefined ? {} : { tenant }),
    ...(onBehalfOf === undefined ? {} : { onBehalfOf }),
    ...(partition.length === 0 ? {} : { partitions: partition.map(partitionOf) }),
    ...(tool.length === 0 ? {} : { tools: tool.map(toolOf) }),
    ...(scope.length === 0 ? {} : { auth: { method: 'asserted', assurance: 0, scopes: scope } }),
    ...(context === undefined ? {} : { context: contextOf(context) }),
    ...(explain === undefined ? {} : { explain }),
  };
}

export function refOf(option: string, text: string): { type: string; id: string } {
  const match = /^([A-Za-z_]\w*):(?!:)(.+)$/.exec(text);
  if (match?.[1] !== undefined && match[2] !== undefined) return { type: match[1], id: match[2] };
  throw new CliError(`${option} \`${text}\` is not an entity`, {
    exitCode: EXIT.usage,
    hint: 'write type and id with one colon between them: User:acme/alice',
  });
}

/** `acme/payments`, or `acme/payments=write`. */
export function partitionOf(text: string): { id: string; access: 'read' | 'write' | 'export' } {
  const [id = '', access = 'read', ...rest] = text.split('=');
  if (rest.length === 0 && (access === 'read' || access === 'write' || access === 'export')) {
    return { id, access };
  }
  throw new CliError(`--partition \`${text}\` has no such access`, {
    exitCode: EXIT.usage,
    hint: 'write an id, or id=read, id=write, id=export',
  });
}

/** `acme/lookup`, or `acme/refund=1200` with an amount in cents. */
function toolOf(text: string): { id: string; amountCents?: number } {
  const match = /^([^=]+)(?:=(-?\d{1,15}))?$/.exec(text);
  if (match?.[1] === undefined) {
    throw new CliError(`--tool \`${text}\` is not an id, or an id and cents`, {
      exitCode: EXIT.usage,
      hint: 'write acme/order-lookup, or acme/refund=1200',
    });
  }
  return match[2] === undefined ? { id: match[1] } : { id: match[1], amountCents: Number(match[2]) };
}

export function contextOf(text: string): z.output<typeof jsonObjectSchema> {
  const parsed = jsonObjectSchema.safeParse(parseJson('--context', text));
  if (parsed.success) return parsed.data;
  throw new CliError('--context is not a JSON object', {
    exitCode: EXIT.usage,
    hint: `write --context '{"region": "eu"}'`,
  });
}

const jsonObjectSchema = z.record(z.string(), z.json());

async function readRequest(terminal: Terminal, file: string): Promise<unknown> {
  if (file === '-') return parseJson('stdin', await terminal.readStdin());
  try {
    return parseJson(file, await readFile(file, 'utf8'));
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(`cannot read \`${file}\`: ${messageOf(error)}`, { exitCode: EXIT.usage });
  }
}

function parseJson(source: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CliError(`${source} is not JSON: ${messageOf(error)}`, { exitCode: EXIT.usage });
  }
}

function printDecision(terminal: Terminal, format: OutputFormat, decision: Decision): void {
  if (format === 'json') {
    terminal.out(`${JSON.stringify(decision, undefined, 2)}\n`);
    return;
  }
  const colors = colorsOf(terminal);
  const mark = (verdict: string): string => (verdict === 'allow' ? colors.blue('✓') : colors.yellow('✗'));
  const { reason } = decision;
  const lines = [
    `${mark(decision.decision)} ${colors.bold(decision.decision)}  ${reason.code} at level ${reason.level}`,
    `  ${printable(reason.message)}`,
  ];
  for (const level of LEVELS) {
    for (const check of decision.levels[level]?.checks ?? []) {
      const because = check.policies.length > 0 ? check.policies.join(', ') : check.code;
      const what = printable(`${level.padEnd(8)} ${check.action} ${check.resource}  ${because}`);
      lines.push(`  ${mark(check.decision)} ${what}`);
      for (const miss of check.nearMisses) {
        lines.push(printable(`      nearest: ${miss.policy}: ${miss.missing}`));
      }
    }
  }
  for (const { type, policy } of decision.obligations) {
    lines.push(printable(`  obligation: ${type} (${policy})`));
  }
  lines.push(colors.dim(printable(`  decision ${decision.decisionId}, log entry ${decision.log.index}`)));
  terminal.out(`${lines.join('\n')}\n`);
}
