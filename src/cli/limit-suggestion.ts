/**
 * `duramen limits suggest`: reads allowed calls out of the log, proposes limits, and tries them on the same calls.
 * Invariant: stdout has the file and nothing else; what it rests on, and what it would have denied, is on stderr.
 */
import { z } from 'zod';
import { NAMESPACE } from '../domain/names.ts';
import { type Price, priceSchema } from '../domain/price-list.ts';
import { type ModelFacts, NO_VERSION } from '../domain/limit-facts.ts';
import { EntityUid } from '../domain/value.ts';
import { type TrialResult, tryLimits } from '../limits/charges/limit-trial.ts';
import { costOf } from '../limits/charges/price-book.ts';
import { dearer } from '../limits/charges/suggestion-outcomes.ts';
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
const outcomeSchema = z.looseObject({
  status: z.string(),
  usage: z
    .looseObject({
      inputTokens: z.number().optional(),
      outputTokens: z.number().optional(),
      costMicroUsd: z.number().optional(),
    })
    .default({}),
  used: z.looseObject({ compute_ms: z.number(), micro_usd: z.number() }).optional(),
  prices: z.array(z.string()).default([]),
});
const outcomesSchema = z.looseObject({
  items: z.array(z.looseObject({ subject: z.string(), at: z.string(), details: outcomeSchema })),
  nextCursor: z.string().nullable(),
});
const pricesSchema = z.looseObject({ prices: z.array(z.looseObject(priceSchema.shape)) });
const entitySchema = z.looseObject({ attributes: z.record(z.string(), z.unknown()) });

type Decision = z.output<typeof decisionSchema>;
/** What became of a call. */
interface Outcome extends z.output<typeof outcomeSchema> {
  readonly endedAt: number;
}

export async function suggest(terminal: Terminal, options: SuggestOptions): Promise<void> {
  const client = clientOf(terminal, options.url);
  const prices = new PriceReader(client);
  const { calls, isComplete } = await readCalls(terminal, client, prices, options);
  if (calls.length === 0) {
    throw new CliError(`the log has no allowed call of a model since ${options.since}`, {
      exitCode: EXIT.failure,
    });
  }
  const { percentile, headroom, highValueRisk, mode } = options;
  const suggestion = suggestLimits(calls, {
    percentile,
    headroomPercent: headroom,
    highValueRisk,
    mode,
    prices: prices.found,
  });
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
  { peaks, notes }: Suggestion,
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
  for (const note of notes) terminal.err(`${note}\n`);
  if (most !== undefined) terminal.err(`not complete: the newest ${most} calls of the period were read\n`);
}

async function readCalls(
  terminal: Terminal,
  client: ApiClient,
  prices: PriceReader,
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
    const price = await prices.read(decision.request.resource.id);
    calls.push(await callOf(decision, outcomes.get(decision.id), entities, price));
  }
  return { calls: calls.toSorted((a, b) => a.time - b.time), isComplete };
}

async function readOutcomes(
  terminal: Terminal,
  client: ApiClient,
  since: string,
): Promise<ReadonlyMap<string, Outcome>> {
  const found = new Map<string, Outcome>();
  const filters = { kind: 'decision.outcome', limit: String(PAGE) };
  const search = searchOf(terminal, { output: 'json', since, filters });
  for await (const { items } of pagesOf(client, outcomesSchema, '/v1/events', search)) {
    for (const { subject, at, details } of items) {
      found.set(subject, { ...details, endedAt: Date.parse(at) });
    }
  }
  return found;
}

async function callOf(
  { evaluatedAt, request }: Decision,
  outcome: Outcome | undefined,
  entities: EntityReader,
  price: Price | undefined,
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
    ...(outcome?.status === WITHDRAWN
      ? NOTHING
      : {
          inputTokens: outcome?.usage.inputTokens ?? context.input?.tokens ?? 0,
          outputTokens: outcome?.usage.outputTokens ?? context.params?.maxOutputTokens ?? 0,
          costMicroUsd: outcome === undefined ? undefined : costIn(outcome, price),
        }),
    endedAt: outcome?.endedAt,
  };
}

/** What an outcome tells of the cost: itself, or by prices where it says what was used. What was reserved is no cost. */
function costIn({ usage, used, prices }: Outcome, price: Price | undefined): number | undefined {
  const { inputTokens, outputTokens, costMicroUsd } = usage;
  if (costMicroUsd !== undefined) return costMicroUsd;
  if (inputTokens === undefined || outputTokens === undefined || used === undefined) return undefined;
  if (prices.length > 0) return used.micro_usd;
  return price === undefined ? undefined : costOf(price, inputTokens, outputTokens, used.compute_ms);
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

/** Prices in force, of each model that was asked for. */
class PriceReader {
  readonly found = new Map<string, Price>();
  readonly #client: ApiClient;
  readonly #unpriced = new Set<string>();

  constructor(client: ApiClient) {
    this.#client = client;
  }

  /** The dearest that any list says; undefined: none has the model, or the directory has it no more. */
  async read(model: string): Promise<Price | undefined> {
    const known = this.found.get(model);
    if (known !== undefined || this.#unpriced.has(model)) return known;
    const path = `/v1/limits?model=${encodeURIComponent(model)}`;
    const bytes = await this.#client.fetchBytes(path, MAX_LIMITS_BYTES);
    const prices = bytes === undefined ? [] : pricesSchema.parse(JSON.parse(bytes.toString())).prices;
    const [first, ...others] = prices;
    if (first === undefined) {
      this.#unpriced.add(model);
      return undefined;
    }
    const { inputPerMillion, outputPerMillion, perRequest, perComputeSecond } = others.reduce<Price>(
      dearer,
      first,
    );
    const price = { inputPerMillion, outputPerMillion, perRequest, perComputeSecond };
    this.found.set(model, price);
    return price;
  }
}

/** Of a call that was allowed and never made. */
const WITHDRAWN = 'withdrawn';
const NOTHING = { inputTokens: 0, outputTokens: 0, costMicroUsd: 0 } as const;
/** Largest list of limits that may hold for a model. */
const MAX_LIMITS_BYTES = 16_777_216;
/** Largest entity as JSON, with room for what stands beside its attributes. */
const MAX_ENTITY_BYTES = 262_144;
