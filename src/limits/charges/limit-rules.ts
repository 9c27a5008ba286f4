/**
 * The numbers of one limit: base, tier, plan, override and class resolved to rules. Invariant: a combination is
 * resolved once and is the same object from then on, so that planning makes no rule; a number is rounded down, and is 0
 * only when something in it is 0.
 */
import type { LimitRule, QuotaPeriod, StoreFailureMode } from '../../domain/limit.ts';
import type { ModelFacts, LimitFacts } from '../../domain/limit-facts.ts';
import {
  type LimitDefinition,
  type LimitOverride,
  MAX_LIMIT,
  refKey,
} from '../../domain/limit-definition.ts';
import { timestamp } from '../../domain/clock.ts';
import { type ModelClassTest, modelKey } from './model-class.ts';

/** Most combinations of one limit that are remembered, at some 300 bytes. */
const MAX_RULES = 4_096;

/** One factor that a limit declares by name; position 0 of a list is nobody's: 100 per cent. */
interface Factor {
  readonly name: string;
  readonly percent: number;
}

/** An override with its place among those of the limit, counted from 1. */
interface IndexedOverride {
  readonly position: number;
  readonly override: LimitOverride;
  readonly principals: ReadonlySet<string> | undefined;
  readonly tenants: ReadonlySet<string> | undefined;
  readonly models: readonly string[] | undefined;
}

/** Resolves the number of one limit for requests. */
export class LimitRules {
  readonly #name: string;
  readonly #definition: LimitDefinition;
  readonly #tiers: FactorTable;
  readonly #plans: FactorTable;
  /** Tightest first. */
  readonly #classes: readonly { readonly test: ModelClassTest; readonly percent: number }[];
  readonly #overrides: readonly IndexedOverride[];
  /** Positions of overrides by what they name first: a principal, else a model, else a tenant. */
  readonly #byPrincipal = new Map<string, IndexedOverride[]>();
  readonly #byModel = new Map<string, IndexedOverride[]>();
  readonly #byTenant = new Map<string, IndexedOverride[]>();
  readonly #rules = new Map<number, LimitRule>();

  /** @param name `<layer>/<id>` */
  constructor(name: string, definition: LimitDefinition, classes: ReadonlyMap<string, ModelClassTest>) {
    this.#name = name;
    this.#definition = definition;
    this.#tiers = new FactorTable(definition.byTier);
    this.#plans = new FactorTable(definition.byPlan);
    this.#classes = Object.entries(definition.byClass)
      .flatMap(([id, percent]) => {
        const test = classes.get(id);
        return test === undefined ? [] : [{ test, percent }];
      })
      .toSorted((a, b) => a.percent - b.percent || (a.test.id < b.test.id ? -1 : 1));
    this.#overrides = definition.overrides.map((override, at) => indexOverride(override, at + 1));
    for (const indexed of this.#overrides) this.#file(indexed);
  }

  /** The rule for a request at an instant. */
  find(facts: LimitFacts, now: number): LimitRule {
    const tier = this.#tiers.positionOf(facts.tier);
    const plan = this.#plans.positionOf(facts.plan);
    const ofClass = this.#classOf(facts.model);
    const override = this.#overrides.length === 0 ? undefined : this.#overrideOf(facts, now);
    const code =
      ((tier * this.#plans.size + plan) * (this.#classes.length + 1) + ofClass) *
        (this.#overrides.length + 1) +
      (override?.position ?? 0);
    const known = this.#rules.get(code);
    if (known !== undefined) return known;
    const made = this.#make(this.#tiers.at(tier), this.#plans.at(plan), ofClass, override?.override);
    if (this.#rules.size >= MAX_RULES) this.#rules.clear();
    this.#rules.set(code, made);
    return made;
  }

  #classOf(model: ModelFacts | undefined): number {
    if (model === undefined) return 0;
    for (let at = 0; at < this.#classes.length; at++) {
      if (this.#classes[at]?.test.has(model) === true) return at + 1;
    }
    return 0;
  }

  #file(indexed: IndexedOverride): void {
    const { principals, models, tenants } = indexed;
    const [index, names] =
      principals !== undefined
        ? [this.#byPrincipal, principals]
        : models !== undefined
          ? [this.#byModel, models]
          : [this.#byTenant, tenants ?? []];
    for (const name of names) {
      const filed = index.get(name);
      if (filed === undefined) index.set(name, [indexed]);
      else filed.push(indexed);
    }
  }

  /** The most specific override that holds now: a principal's, then a model's, then a tenant's; the first of each. */
  #overrideOf(facts: LimitFacts, now: number): IndexedOverride | undefined {
    const own = holding(this.#byPrincipal.get(facts.principal.key), facts, now);
    if (own !== undefined) return own;
    const { model } = facts;
    if (model !== undefined && this.#byModel.size > 0) {
      const ofModel = holding(this.#byModel.get(model.uid.key), facts, now);
      if (ofModel !== undefined) return ofModel;
      for (const key of model.ancestors) {
        const inherited = holding(this.#byModel.get(key), facts, now);
        if (inherited !== undefined) return inherited;
      }
    }
    return holding(this.#byTenant.get(facts.tenant), facts, now);
  }

  #make(
    tier: Factor | undefined,
    plan: Factor | undefined,
    ofClass: number,
    override: LimitOverride | undefined,
  ): LimitRule {
    const { limit } = this.#definition;
    const steps: string[] = [];
    const factors: number[] = [];
    const apply = (what: string, percent: number): void => {
      steps.push(`${what} ${percent}%`);
      factors.push(percent);
    };
    let base = limit;
    const until = override === undefined ? '' : ` until ${timestamp(override.until)}`;
    if (override?.limit === undefined) {
      steps.push(`base ${limit}`);
      if (tier !== undefined) apply(`tier ${tier.name}`, tier.percent);
      if (plan !== undefined) apply(`plan ${plan.name}`, plan.percent);
      if (override?.percent !== undefined) {
        steps.push(`override ${override.percent}%${until}`);
        factors.push(override.percent);
      }
    } else {
      base = override.limit;
      steps.push(`override ${base}${until}`);
    }
    const found = this.#classes[ofClass - 1];
    if (found !== undefined) apply(`class ${found.test.id}`, found.percent);
    return ruleOf(this.#name, this.#definition, scaled(base, factors), steps.join(' x '));
  }
}

/** Factors by name, numbered from 1. */
class FactorTable {
  readonly #factors: readonly Factor[];
  readonly #positions: ReadonlyMap<string, number>;

  constructor(declared: Readonly<Record<string, number>>) {
    this.#factors = Object.entries(declared).map(([name, percent]) => ({ name, percent }));
    this.#positions = new Map(this.#factors.map(({ name }, at) => [name, at + 1]));
  }

  /** With the place of those that are not named. */
  get size(): number {
    return this.#factors.length + 1;
  }

  positionOf(name: string | undefined): number {
    return name === undefined ? 0 : (this.#positions.get(name) ?? 0);
  }

  at(position: number): Factor | undefined {
    return this.#factors[position - 1];
  }
}

/** A number times some percentages, one after the other, each rounded down but never to nothing. */
function scaled(base: number, percents: readonly number[]): number {
  let number = BigInt(base);
  for (const percent of percents) {
    const next = (number * BigInt(percent)) / 100n;
    number = next === 0n && number > 0n && percent > 0 ? 1n : next;
  }
  const most = BigInt(MAX_LIMIT);
  return Number(number > most ? most : number);
}

/** The highest number that any request can get of a limit, expired overrides included. */
export function highestNumber({ limit, byTier, byPlan, byClass, overrides }: LimitDefinition): number {
  const highest = (factors: Readonly<Record<string, number>>): number =>
    Math.max(100, ...Object.values(factors));
  const usual = scaled(limit, [highest(byTier), highest(byPlan)]);
  const overridden = overrides.map(one => one.limit ?? scaled(usual, [one.percent ?? 100]));
  return scaled(Math.max(usual, ...overridden), [highest(byClass)]);
}

function indexOverride(override: LimitOverride, position: number): IndexedOverride {
  const { principals, tenants, models } = override;
  return {
    position,
    override,
    principals: principals === undefined ? undefined : new Set(principals.map(ref => refKey(ref))),
    tenants: tenants === undefined ? undefined : new Set(tenants),
    models: models?.map(id => modelKey(id)),
  };
}

function holding(
  overrides: readonly IndexedOverride[] | undefined,
  { tenant, model }: LimitFacts,
  now: number,
): IndexedOverride | undefined {
  if (overrides === undefined) return undefined;
  for (const indexed of overrides) {
    const { override, tenants, models } = indexed;
    if (now >= override.until || tenants?.has(tenant) === false) continue;
    if (models !== undefined) {
      if (model === undefined) continue;
      if (!models.some(key => key === model.uid.key || model.ancestors.has(key))) continue;
    }
    return indexed;
  }
  return undefined;
}

/** The rule of a definition with its number. */
export function ruleOf(name: string, definition: LimitDefinition, limit: number, source: string): LimitRule {
  const { kind } = definition;
  const base = {
    name,
    unit: kind === 'concurrency' ? ('requests' as const) : definition.unit,
    mode: definition.mode === 'shadow' ? ('shadow' as const) : ('enforce' as const),
    limit,
    source,
    scope: definition.key,
    onStoreFailure: failureModeOf(definition),
    alertAtPercent: definition.alertAt.toSorted((a, b) => a - b),
  };
  if (kind === 'window') return { ...base, kind, windowMs: definition.per };
  if (kind === 'rate') return { ...base, kind, periodMs: definition.per, burst: burstOf(definition, limit) };
  if (kind === 'concurrency') return { ...base, kind, leaseMs: definition.lease };
  return { ...base, kind, period: periodOf(definition.period), onExpiry: definition.onExpiry };
}

/** The burst grows and shrinks with the limit. */
function burstOf(definition: Extract<LimitDefinition, { kind: 'rate' }>, limit: number): number {
  const { burst, limit: base } = definition;
  if (base === 0 || limit === base) return burst;
  const scaledBurst = (BigInt(burst) * BigInt(limit)) / BigInt(base);
  return Math.min(MAX_LIMIT, Math.max(1, Number(scaledBurst)));
}

function periodOf(period: Extract<LimitDefinition, { kind: 'quota' }>['period']): QuotaPeriod {
  return typeof period === 'number' ? { rollingMs: period } : period;
}

/** Money is denied when it cannot be counted; everything else is counted by this server alone. */
function failureModeOf(definition: LimitDefinition): StoreFailureMode {
  if (definition.onStoreFailure !== undefined) return definition.onStoreFailure;
  return definition.kind !== 'concurrency' && definition.unit === 'micro_usd' ? 'deny' : 'local';
}
