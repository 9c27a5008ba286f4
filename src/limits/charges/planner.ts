/**
 * Plans what a request is charged. Invariants: one plan at a time, synchronous, so that the planner can use the same
 * working objects for all; the charges of a limit are made once however many ways led to it.
 */
import type { LimitCharge, LimitRule } from '../../domain/limit.ts';
import type { LimitDefinition } from '../../domain/limit-definition.ts';
import type { LimitFacts, ModelFacts } from '../../domain/limit-facts.ts';
import { CallEstimate } from './call-estimate.ts';
import type { ChargeScene, CompiledLimit } from './compiled-limit.ts';
import type { PoolActivity, PoolDivision } from './fair-shares.ts';
import { CompiledLayerLimits } from './layer-limits.ts';
import type { FactPart } from './limit-match.ts';
import type {
  CallSize,
  EffectiveLimit,
  LayerLimits,
  LimitExplaining,
  LimitLayers,
  LimitPlanning,
  ListedPrice,
  UsageHistory,
} from '../planning.ts';
import { costOf } from './price-book.ts';

const NO_CHARGES: readonly LimitCharge[] = [];
/** How the names of the platform's limits begin. */
const PLATFORM = 'platform/';
/** The window of a limit that nobody declares: its length says nothing, its number is 0. Milliseconds. */
const MISSING_SET_WINDOW_MS = 60_000;

export interface LimitPlannerOptions {
  readonly history: UsageHistory;
  readonly activity: PoolActivity;
}

export class LimitPlanner implements LimitPlanning, LimitExplaining {
  readonly #scene: PlanScene;
  #charges: LimitCharge[] | undefined;
  #plans = 0;

  constructor({ history, activity }: LimitPlannerOptions) {
    this.#scene = new PlanScene(new CallEstimate(history), activity);
  }

  plan(facts: LimitFacts, layers: LimitLayers, now: number, looksOnly = false): readonly LimitCharge[] {
    if (layers.length === 0 && facts.limitSets.length === 0) return NO_CHARGES;
    this.#scene.begin(facts, layers, now, looksOnly);
    this.#charges = undefined;
    this.#plans += 1;
    for (const layer of layers) compiled(layer).index.visit(facts, this.#consider);
    for (const name of facts.limitSets) this.#addSet(name, layers);
    const charges = this.#charges ?? NO_CHARGES;
    this.#charges = undefined;
    return charges;
  }

  price(model: LimitFacts['model'], layers: LimitLayers, size: CallSize): number | undefined {
    return priceOf(model, layers, size.input_tokens, size.output_tokens, size.compute_ms);
  }

  explain(
    facts: LimitFacts,
    layers: LimitLayers,
    now: number,
    unknown: ReadonlySet<FactPart>,
  ): readonly EffectiveLimit[] {
    this.#scene.begin(facts, layers, now, true);
    const found: EffectiveLimit[] = [];
    for (const layer of layers) {
      for (const limit of compiled(layer).limits) {
        if (!limit.mayMatch(facts, unknown)) continue;
        const rule = this.#scene.tightened(limit, limit.rule(facts, now));
        const { definition } = limit;
        const countsBy = limit.countsBy(unknown);
        found.push({
          rule,
          definition,
          varies: variesBy(definition, unknown),
          dependsOn: limit.dependsOn(unknown),
          countsBy,
          counters: countsBy.length > 0 ? [] : limit.counters(facts, rule),
        });
      }
    }
    return found;
  }

  prices(model: ModelFacts, layers: LimitLayers): readonly ListedPrice[] {
    return layers.flatMap(layer => {
      const { prices } = compiled(layer);
      const price = prices?.find(model);
      return price === undefined ? [] : [{ list: `${layer.layer}@${prices?.version ?? ''}`, ...price }];
    });
  }

  priceVersions(layers: LimitLayers): readonly string[] {
    return layers.flatMap(layer => {
      const { prices } = compiled(layer);
      return prices === undefined ? [] : [`${layer.layer}@${prices.version}`];
    });
  }

  readonly #consider = (limit: CompiledLimit): void => {
    if (!limit.isNewTo(this, this.#plans)) return;
    const { facts } = this.#scene;
    if (!limit.matches(facts)) return;
    this.#charges ??= [];
    limit.charge(facts, this.#scene, this.#charges);
  };

  /** Limits of a set that a permit names. One that no layer declares denies: the permit relied on it. */
  #addSet(name: string, layers: LimitLayers): void {
    for (const layer of layers) {
      const limits = compiled(layer).sets.get(name);
      if (limits === undefined) continue;
      for (const limit of limits) this.#consider(limit);
      return;
    }
    this.#charges ??= [];
    this.#charges.push({ rule: missingSet(name), key: `${name.length}:${name}missing`, amount: 1, floor: 1 });
  }
}

/** What one plan is about; set again for each. */
class PlanScene implements ChargeScene {
  now = 0;
  readonly estimate: CallEstimate;
  division: PoolDivision;
  readonly #asking: PoolDivision;
  readonly #looking: PoolDivision;
  #facts: LimitFacts | undefined;
  #layers: LimitLayers = [];

  constructor(estimate: CallEstimate, activity: PoolActivity) {
    this.estimate = estimate;
    this.#asking = activity;
    this.#looking = { asked: (pool, tenant, now) => activity.looked(pool, tenant, now) };
    this.division = this.#looking;
  }

  get facts(): LimitFacts {
    if (this.#facts === undefined) throw new Error('nothing is being planned');
    return this.#facts;
  }

  begin(facts: LimitFacts, layers: LimitLayers, now: number, looksOnly: boolean): void {
    this.#facts = facts;
    this.division = looksOnly ? this.#looking : this.#asking;
    this.now = now;
    this.#layers = layers;
  }

  cost(inputAlone: boolean): number | undefined {
    const { input_tokens, output_tokens, compute_ms } = this.estimate;
    return inputAlone
      ? priceOf(this.facts.model, this.#layers, input_tokens, 0, 0)
      : priceOf(this.facts.model, this.#layers, input_tokens, output_tokens, compute_ms);
  }

  tightened(limit: CompiledLimit, rule: LimitRule): LimitRule {
    const layers = this.#layers;
    if (layers.length < 2 || !limit.name.startsWith(PLATFORM)) return rule;
    let tightest = rule;
    for (let at = 1; at < layers.length; at++) {
      const layer = layers[at];
      if (layer === undefined) continue;
      tightest = compiled(layer).tightened(limit.definition.id, tightest, this.facts);
    }
    return tightest;
  }
}

/** What would change the number of a limit, of what is not known. */
function variesBy(
  { byTier, byPlan, byClass, overrides }: LimitDefinition,
  unknown: ReadonlySet<FactPart>,
): readonly FactPart[] {
  const parts: FactPart[] = [];
  const add = (part: FactPart, matters: boolean): void => {
    if (matters && unknown.has(part)) parts.push(part);
  };
  const isTold = (factors: Readonly<Record<string, number>>): boolean => Object.keys(factors).length > 0;
  add('principal', isTold(byTier) || overrides.some(({ principals }) => principals !== undefined));
  add('tenant', isTold(byPlan) || overrides.some(({ tenants }) => tenants !== undefined));
  add('model', isTold(byClass) || overrides.some(({ models }) => models !== undefined));
  return parts;
}

/** The highest price of the layers: a tenant's list can make a call dearer than the platform's, never cheaper. */
function priceOf(
  model: LimitFacts['model'],
  layers: LimitLayers,
  input: number,
  output: number,
  computeMs: number,
): number | undefined {
  if (model === undefined) return undefined;
  let highest: number | undefined;
  for (const layer of layers) {
    const price = compiled(layer).prices?.find(model);
    if (price === undefined) continue;
    const cost = costOf(price, input, output, computeMs);
    if (highest === undefined || cost > highest) highest = cost;
  }
  return highest;
}

function compiled(layer: LayerLimits): CompiledLayerLimits {
  if (layer instanceof CompiledLayerLimits) return layer;
  throw new Error(`the limits of layer ${layer.layer} were not compiled`);
}

/** What denies where a permit relies on limits that nobody declares: after a rollback of the layer that did. */
function missingSet(name: string): LimitRule {
  return {
    kind: 'window',
    windowMs: MISSING_SET_WINDOW_MS,
    name,
    unit: 'requests',
    mode: 'enforce',
    limit: 0,
    source: 'a permit names these limits, and no active layer declares them',
    scope: [],
    onStoreFailure: 'deny',
    alertAtPercent: [],
  };
}
