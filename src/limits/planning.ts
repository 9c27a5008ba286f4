/**
 * From what bundles declare to what a request is charged, as a contract. Invariant: the charges are a function of
 * facts, layers, time and history alone, and more layers only ever mean more or tighter charges.
 */
import type { LayerName } from '../domain/ids.ts';
import type { LimitCharge, LimitRule, UnitAmounts } from '../domain/limit.ts';
import type { LimitDefinition, LimitsFile } from '../domain/limit-definition.ts';
import type { LimitFacts, ModelFacts } from '../domain/limit-facts.ts';
import type { Price } from '../domain/price-list.ts';
import type { FactPart } from './charges/limit-match.ts';

/** The limits of one active layer: checked, and indexed so that planning costs what matches. */
export interface LayerLimits {
  readonly layer: LayerName;
  /** As the bundle declares them. */
  readonly file: LimitsFile;
}

/**
 * The layers that limit one request, each once, the platform first: then those of the tenants whose data is used,
 * whose the principal is, and whose the resource is.
 */
export type LimitLayers = readonly LayerLimits[];

/** What calls used before, for estimates. Looked at on the decision path: answers at once. */
export interface UsageHistory {
  /**
   * How much most calls of this principal to this model used; undefined: too few are known.
   * @param principal key of its uid
   * @param model key of its uid
   */
  expected(principal: string, model: string, unit: keyof CallSize): number | undefined;
}

/** The size of a call: what is known, what was estimated. */
export type CallSize = Readonly<Pick<UnitAmounts, 'input_tokens' | 'output_tokens' | 'compute_ms'>>;

/** One limit as it holds for somebody, with where its number comes from. */
export interface EffectiveLimit {
  readonly rule: LimitRule;
  readonly definition: LimitDefinition;
  /** Parts of a call that were not given and would change the number. */
  readonly varies: readonly FactPart[];
  /** Parts of a call that were not given and decide whether the limit is for it at all. */
  readonly dependsOn: readonly FactPart[];
  /** Parts that it counts apart and that were not given: what it has counted cannot be told without them. */
  readonly countsBy: readonly FactPart[];
  /** What it counts for such calls, asking for nothing; empty with `countsBy`, or when no group has the model. */
  readonly counters: readonly LimitCharge[];
}

/** Explains limits without charging them. */
export interface LimitExplaining {
  /**
   * The limits that hold, or may hold, for a call; those in sets too, whether a permit names them or not.
   * @param unknown what of the call is not given
   * @param now milliseconds since the epoch: until when overrides hold
   */
  explain(
    facts: LimitFacts,
    layers: LimitLayers,
    now: number,
    unknown: ReadonlySet<FactPart>,
  ): readonly EffectiveLimit[];
  /** What each price list says of a model; the dearest for a call is what it costs. */
  prices(model: ModelFacts, layers: LimitLayers): readonly ListedPrice[];
}

/** A price with the list that has it: `platform@2026-11`. */
export interface ListedPrice extends Price {
  readonly list: string;
}

export interface LimitPlanning {
  /**
   * What a request that the policies allow is charged, shadow limits included; empty when no limit is for it.
   * A permit that names a set which no layer declares, and a call that no price list can price under a limit in
   * money, are charged to a limit of 0, so that they are denied.
   * @param now milliseconds since the epoch: until when overrides hold
   * @param looksOnly nothing will be charged: nobody is noted as one who asked for a pool with fair shares
   */
  plan(facts: LimitFacts, layers: LimitLayers, now: number, looksOnly?: boolean): readonly LimitCharge[];
  /** What a call costs in micro-dollars by the price lists of the layers; undefined: no list has the model. */
  price(model: ModelFacts | undefined, layers: LimitLayers, size: CallSize): number | undefined;
  /** Names of the price lists that `price` reads, as they are logged: `platform@2026-11`. */
  priceVersions(layers: LimitLayers): readonly string[];
}
