/** `duramen log`: decisions and events out of the log, with the filters of the API. */
import { z } from 'zod';
import { DECISION_FILTERS } from '../decision-log/ports.ts';
import { timestamp } from '../domain/clock.ts';
import { clientOf } from './client.ts';
import { CliError, EXIT } from './exit-code.ts';
import { withSearch } from './pages.ts';
import { type OutputFormat, printData } from './table.ts';
import type { Terminal } from './terminal.ts';

const SECOND = 1000;
const UNITS: Readonly<Record<string, number>> = {
  s: SECOND,
  m: 60 * SECOND,
  h: 3600 * SECOND,
  d: 86_400 * SECOND,
};

/** Options that are query parameters of GET /v1/decisions under their own name. */
export const LOG_FILTERS = [...DECISION_FILTERS, 'from', 'to', 'order', 'limit', 'cursor'] as const;

/** What each of them, and `kind` of events, takes. */
export const LOG_FILTER_HELP: Readonly<Record<(typeof LOG_FILTERS)[number] | 'kind', string>> = {
  tenant: 'whose data was used, or owns the resource',
  principal: 'an id such as acme/alice, or User:acme/alice',
  model: 'id of a model',
  action: 'an action of the schema, such as generate',
  decision: 'allow or deny',
  code: 'reason code, such as NO_MATCHING_PERMIT',
  policy: 'full id of a policy that decided, such as platform/guard.tenant-isolation',
  bundle: 'digest of a bundle that decided',
  requestId: 'id that the gateway gave',
  level: 'endpoint, tenant or action',
  outcome: 'missing, reported or none',
  kind: 'such as bundle.activate; a comma means or',
  from: 'time in RFC 3339, inclusive',
  to: 'time in RFC 3339, exclusive',
  order: 'asc or desc, by time; default: desc',
  limit: 'entries of a page, 1000 at most; default: 100',
  cursor: '`nextCursor` of the page before',
};

export interface LogOptions {
  readonly url?: string | undefined;
  readonly output: OutputFormat;
  /** `15m`, `24h`, `7d`. */
  readonly since?: string | undefined;
  readonly filters: Readonly<Record<string, string | undefined>>;
}

const placeSchema = z.looseObject({ index: z.number() });
const refSchema = z.looseObject({ type: z.string(), id: z.string() });
const decisionSchema = z.looseObject({
  log: placeSchema,
  evaluatedAt: z.string(),
  decision: z.string(),
  reason: z.looseObject({ code: z.string(), level: z.string() }),
  request: z.looseObject({ principal: refSchema, action: z.string(), resource: refSchema }),
});
const eventSchema = z.looseObject({
  log: placeSchema,
  at: z.string(),
  kind: z.string(),
  actor: z.string(),
  subject: z.string(),
});
const decisionsSchema = z.looseObject({ items: z.array(decisionSchema), nextCursor: z.string().nullable() });
const eventsSchema = z.looseObject({ items: z.array(eventSchema), nextCursor: z.string().nullable() });

export async function queryDecisions(terminal: Terminal, options: LogOptions): Promise<void> {
  const path = withSearch('/v1/decisions', searchOf(terminal, options));
  const page = await clientOf(terminal, options.url).fetchJson(decisionsSchema, { path });
  printData(terminal, options.output, page, () => ({
    columns: ['index', 'time', 'decision', 'code', 'level', 'principal', 'action', 'resource'],
    rows: page.items.map(rowOf),
  }));
  tellMore(terminal, page.nextCursor);
}

export async function getDecision(
  terminal: Terminal,
  id: string,
  options: { readonly url?: string | undefined },
): Promise<void> {
  const path = `/v1/decisions/${encodeURIComponent(id)}`;
  const found = await clientOf(terminal, options.url).fetchJson(z.unknown(), { path });
  terminal.out(`${JSON.stringify(found, undefined, 2)}\n`);
}

export async function queryEvents(terminal: Terminal, options: LogOptions): Promise<void> {
  const path = withSearch('/v1/events', searchOf(terminal, options));
  const page = await clientOf(terminal, options.url).fetchJson(eventsSchema, { path });
  printData(terminal, options.output, page, () => ({
    columns: ['index', 'time', 'kind', 'actor', 'subject'],
    rows: page.items.map(({ log, at, kind, actor, subject }) => [
      String(log.index),
      at,
      kind,
      actor,
      subject,
    ]),
  }));
  tellMore(terminal, page.nextCursor);
}

/** @throws CliError when `--since` is malformed, or given beside `--from`. */
export function searchOf(terminal: Terminal, { since, filters }: LogOptions): URLSearchParams {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(filters)) if (value !== undefined) query.set(name, value);
  if (since !== undefined) {
    if (query.has('from')) {
      throw new CliError('--since and --from cannot be used together', { exitCode: EXIT.usage });
    }
    query.set('from', timestamp(terminal.clock.now() - durationOf(since)));
  }
  return query;
}

function durationOf(text: string): number {
  const match = /^(\d{1,6})([smhd])$/.exec(text);
  const unit = UNITS[match?.[2] ?? ''];
  if (match !== null && unit !== undefined) return Number(match[1]) * unit;
  throw new CliError(`--since \`${text}\` is not a length of time`, {
    exitCode: EXIT.usage,
    hint: 'write a number and s, m, h or d, such as 15m or 24h',
  });
}

function rowOf({ log, evaluatedAt, decision, reason, request }: z.output<typeof decisionSchema>): string[] {
  const { principal, action, resource } = request;
  return [
    String(log.index),
    evaluatedAt,
    decision,
    reason.code,
    reason.level,
    `${principal.type}:${principal.id}`,
    action,
    `${resource.type}:${resource.id}`,
  ];
}

function tellMore(terminal: Terminal, cursor: string | null): void {
  if (cursor !== null) terminal.err(`more: --cursor ${cursor}\n`);
}
