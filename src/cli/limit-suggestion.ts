/**
 * `duramen limits suggest`: reads allowed calls out of the log, proposes limits, and tries them on the same calls.
 * Invariant: stdout has the file and nothing else; what it rests on, and what it would have denied, is on stderr.
 */
import { z } from 'zod';
import { NAMESPACE } from '../domain/ids.ts';
import { type ModelFacts, NO_VERSION } from '../domain/limit-facts.ts';
import { EntityUid } from '../domain/value.ts';
import { type TrialResult, tryLimits } from '../limits/charges/limit-trial.ts';
import { type LoggedModelCall, type Suggestion, suggestLimits } from '../limits/charges/suggestion.ts';
import { type ApiClient, clientOf } from './client.ts';
import { pagesOf } from './pages.ts';
import { CliError, EXIT } from './exit-code.ts';
import { searchOf } from './log.ts';
import { renderTable } from './table.ts';
import { colorsOf, type Terminal } from './terminal.ts';

/** Entries of one page. */
const PAGE = 1_000;

function numberFrom(min: number, max: number) {
  return z
    .string()
    .regex(/^\d{1,9}$/, 'must be a number')
    .transform(Number)
    .refine(number => number >= min && number <= max, `must be from ${min} to ${max}`);
}

export const suggestOptions = z.object({
  url: z.string().optional(),
  output: z.enum(['table', 'json']),
  since: z.string(),
  percentile: numberFrom(1, 100),
  headroom: numberFrom(100, 10_000),
  highValueRisk: numberFrom(0, 1_000_000),
  maxCalls: numberFrom(1, 10_000_000),
  mode: z.enum(['enforce', 'shadow']),
});
type SuggestOptions = z.output<typeof suggestOptions>;

const refSchema = z.looseObject({ type: z.string(), id: z.string() });
const decisionSchema = z.looseObject({
  id: z.string(),
  evaluatedAt: z.string(),
  request: z.looseObject({
    principal: refSchema,
    action: z.string(),
    resource: refSchema,
    tenant: z.string().default(''),
    context: z
      .looseObject({
        input: z.looseObject({ tokens: z.number().default(0) }).optional(),
        params: z.looseObject({ maxOutputTokens: z.number().default(0) }).optional(),
      })
      .default({}),
  }),
});
const decisionsSchema = z.looseObject({ items: z.array(decisionSchema), nextCursor: z.string().nullable() });
const usageSchema = z.looseObject({
  inputTokens: z.number().optional(),
  outputTokens: z.number().optional(),
});
const outcomesSchema = z.looseObject({
  items: z.array(
    z.looseObject({ subject: z.string(), details: z.looseObject({ usage: usageSchema.default({}) }) }),
  ),
  nextCursor: z.string().nullable(),
});
const entitySchema = z.looseObject({ attributes: z.record(z.string(), z.unknown()) });

type Decision = z.output<typeof decisionSchema>;
type Usage = z.output<typeof usageSchema>;

export async function suggest(terminal: Terminal, options: SuggestOptions): Promise<void> {
  const client = clientOf(terminal, options.url);
  const { calls, isComplete } = await readCalls(terminal, client, options);
  if (calls.length === 0) {
    throw new CliError(`the log has no allowed call of a model since ${options.since}`, {
      exitCode: EXIT.failure,
    });
  }
  const { percentile, headroom, highValueRisk, mode } = options;
  const suggestion = suggestLimits(calls, { percentile, headroomPercent: headroom, highValueRisk, mode });
  const trial = tryLimits(calls, suggestion.file);
  if (options.output === 'json') {
    terminal.out(`${JSON.stringify({ ...suggestion, trial, complete: isComplete }, undefined, 2)}\n`);
    return;
  }
  terminal.out(`${JSON.stringify(suggestion.file, undefined, 2)}\n`);
  report(terminal, suggestion, trial, isComplete ? undefined : options.maxCalls);
}

/** @param most how many calls were read, when there are more */
function report(
  terminal: Terminal,
  { peaks }: Suggestion,
  trial: TrialResult,
  most: number | undefined,
): void {
  const { bold } = colorsOf(terminal);
  const measured = {
    columns: ['limit', 'tier', 'callers', 'p50', 'p95', 'p99', 'most'],
    rows: peaks.map(({ limit, tier, callers, p50, p95, p99, max }) => [
      limit,
      tier,
      ...[callers, p50, p95, p99, max].map(String),
    ]),
  };
  const tried = {
    columns: ['limit', 'would have denied', 'of callers'],
    rows: trial.limits.map(({ name, denied, callers }) => [
      name.slice(name.indexOf('/') + 1),
      String(denied),
      String(callers),
    ]),
  };
  terminal.err(`${renderTable(measured, bold)}\n\n${renderTable(tried, bold)}\n`);
  terminal.err(`together ${trial.denied} of ${trial.calls} logged calls\n`);
  if (most !== undefined) terminal.err(`not complete: the newest ${most} calls of the period were read\n`);
}

async function readCalls(
  terminal: Terminal,
  client: ApiClient,
  { since, maxCalls }: SuggestOptions,
): Promise<{ readonly calls: readonly LoggedModelCall[]; readonly isComplete: boolean }> {
  const decisions: Decision[] = [];
  let isComplete = true;
  const filters = { decision: 'allow', order: 'desc', limit: String(PAGE) };
  const search = searchOf(terminal, { output: 'json', since, filters });
  for await (const { items } of pagesOf(client, decisionsSchema, '/v1/decisions', search)) {
    decisions.push(...items.filter(({ request }) => request.resource.type === 'Model'));
    if (decisions.length < maxCalls) continue;
    isComplete = false;
    break;
  }
  const outcomes = await readOutcomes(terminal, client, since);
  const entities = new EntityReader(client);
  const calls: LoggedModelCall[] = [];
  for (const decision of decisions.slice(0, maxCalls)) {
    calls.push(await callOf(decision, outcomes.get(decision.id), entities));
  }
  return { calls: calls.toSorted((a, b) => a.time - b.time), isComplete };
}

async function readOutcomes(
  terminal: Terminal,
  client: ApiClient,
  since: string,
): Promise<ReadonlyMap<string, Usage>> {
  const found = new Map<string, Usage>();
  const filters = { kind: 'decision.outcome', limit: String(PAGE) };
  const search = searchOf(terminal, { output: 'json', since, filters });
  for await (const { items } of pagesOf(client, outcomesSchema, '/v1/events', search)) {
    for (const { subject, details } of items) found.set(subject, details.usage);
  }
  return found;
}

async function callOf(
  { evaluatedAt, request }: Decision,
  usage: Usage | undefined,
  entities: EntityReader,
): Promise<LoggedModelCall> {
  const { principal, resource, action, tenant, context } = request;
  const { tier } = await entities.read(principal.type, principal.id);
  const model = await entities.read('Model', resource.id);
  return {
    time: Date.parse(evaluatedAt),
    principal: new EntityUid(`${NAMESPACE}::${principal.type}`, principal.id),
    tier: typeof tier === 'string' ? tier : undefined,
    tenant,
    model: modelOf(resource.id, model),
    operation: action,
    inputTokens: usage?.inputTokens ?? context.input?.tokens ?? 0,
    outputTokens: usage?.outputTokens ?? context.params?.maxOutputTokens ?? 0,
  };
}

function modelOf(id: string, { risk, stage }: Readonly<Record<string, unknown>>): ModelFacts {
  const at = id.lastIndexOf('@');
  return {
    uid: new EntityUid(`${NAMESPACE}::Model`, id),
    ancestors: new Set(),
    version: at === -1 ? NO_VERSION : id.slice(at + 1),
    stage: typeof stage === 'string' ? stage : undefined,
    risk: typeof risk === 'number' ? risk : undefined,
    maxOutputTokens: undefined,
    contextWindow: undefined,
  };
}

/** Attributes of entities, each read once; those that are gone have none. */
class EntityReader {
  readonly #client: ApiClient;
  readonly #known = new Map<string, Readonly<Record<string, unknown>>>();

  constructor(client: ApiClient) {
    this.#client = client;
  }

  async read(type: string, id: string): Promise<Readonly<Record<string, unknown>>> {
    const path = `/v1/entities/${encodeURIComponent(type)}/${encodeURIComponent(id)}`;
    const known = this.#known.get(path);
    if (known !== undefined) return known;
    const bytes = await this.#client.fetchBytes(path, MAX_ENTITY_BYTES);
    const attributes = bytes === undefined ? {} : entitySchema.parse(JSON.parse(bytes.toString())).attributes;
    this.#known.set(path, attributes);
    return attributes;
  }
}

/** Largest entity as JSON, with room for what stands beside its attributes. */
const MAX_ENTITY_BYTES = 262_144;
