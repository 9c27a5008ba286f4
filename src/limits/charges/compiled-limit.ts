/**
 * One limit, ready to charge requests. Invariant: everything that the definition alone decides was decided when it was
 * made; a charge costs its key, its amount, and one object.
 */
import type { LimitCharge, LimitRule, LimitUnit } from '../../domain/limit.ts';
import type { LimitFacts } from '../../domain/limit-facts.ts';
import type { LimitDefinition, LimitEstimate } from '../../domain/limit-definition.ts';
import type { CallEstimate } from './call-estimate.ts';
import { fairShare, type PoolDivision } from './fair-shares.ts';
import { LimitKeys } from './limit-key.ts';
import { type FactPart, type FactTest, type MatchTerms, testsOf } from './limit-match.ts';
import { LimitRules, ruleOf } from './limit-rules.ts';
import { groupKey } from './model-class.ts';

/** What calls of models are expected to use while nothing is known: output tokens, or milliseconds. */
const EXPECTED: LimitEstimate = { policy: 'expected', initial: 1_024 };
const MAXIMUM: LimitEstimate = { policy: 'maximum' };

/** What a charge needs beside the facts. */
export interface ChargeScene {
  readonly now: number;
  readonly estimate: CallEstimate;
  readonly division: PoolDivision;
  /** Micro-dollars of the estimate, with or without what the call puts out; undefined: nothing has its price. */
  cost(inputAlone: boolean): number | undefined;
  /** The rule as the tenants of the request tighten it. */
  tightened(limit: CompiledLimit, rule: LimitRule): LimitRule;
}

export class CompiledLimit {
  /** `<layer>/<id>` */
  readonly name: string;
  readonly definition: LimitDefinition;
  readonly #tests: readonly FactTest[];
  readonly #rules: LimitRules;
  readonly #keys: LimitKeys;
  readonly #unit: LimitUnit;
  readonly #estimate: LimitEstimate;
  readonly #unpriced: LimitRule;
  #seenBy: object | undefined;
  #seenIn = 0;

  constructor(name: string, definition: LimitDefinition, terms: MatchTerms) {
    this.name = name;
    this.definition = definition;
    this.#tests = testsOf(definition.match, terms);
    this.#rules = new LimitRules(name, definition, terms.classes);
    this.#keys = new LimitKeys(
      name,
      definition,
      definition.match.modelGroups?.map(id => groupKey(id)),
    );
    this.#unit = definition.kind === 'concurrency' ? 'requests' : definition.unit;
    this.#estimate =
      (definition.kind === 'concurrency' ? undefined : definition.estimate) ??
      (definition.kind === 'quota' ? MAXIMUM : EXPECTED);
    this.#unpriced = ruleOf(name, definition, 0, 'no price list has the model');
  }

  /**
   * Whether a plan looks at this limit for the first time: more than one way may lead here.
   * @param plan number of the plan among those of the planner
   */
  isNewTo(planner: object, plan: number): boolean {
    if (this.#seenIn === plan && this.#seenBy === planner) return false;
    this.#seenBy = planner;
    this.#seenIn = plan;
    return true;
  }

  /** Whether the limit is for a request. */
  matches(facts: LimitFacts): boolean {
    for (const { holds } of this.#tests) if (!holds(facts)) return false;
    return true;
  }

  /** Whether the limit may be for a request of which some parts are not known. */
  mayMatch(facts: LimitFacts, unknown: ReadonlySet<FactPart>): boolean {
    return this.#tests.every(({ about, holds }) => unknown.has(about) || holds(facts));
  }

  /** Parts that are not known and decide whether the limit is for a request. */
  dependsOn(unknown: ReadonlySet<FactPart>): readonly FactPart[] {
    return [...new Set(this.#tests.map(({ about }) => about))].filter(part => unknown.has(part));
  }

  /** Parts that are not known and that the limit counts apart. */
  countsBy(unknown: ReadonlySet<FactPart>): readonly FactPart[] {
    const parts = this.definition.key.map(dimension => (dimension === 'model_group' ? 'model' : dimension));
    return [...new Set(parts)].filter(part => unknown.has(part));
  }

  /** What a request is counted under, asking for nothing. Of a pool with shares it is the pool. */
  counters(facts: LimitFacts, rule: LimitRule): readonly LimitCharge[] {
    const found: LimitCharge[] = [];
    this.#keys.visit(facts, key => found.push({ rule, key, amount: 0, floor: 0 }));
    return found;
  }

  /** The rule with the number that holds for a request. */
  rule(facts: LimitFacts, now: number): LimitRule {
    return this.#rules.find(facts, now);
  }

  /** Adds what a request that matches is charged. */
  charge(facts: LimitFacts, scene: ChargeScene, into: LimitCharge[]): void {
    let rule = scene.tightened(this, this.#rules.find(facts, scene.now));
    let amount = 1;
    let floor = this.definition.kind === 'concurrency' ? 0 : 1;
    if (this.#unit !== 'requests') {
      scene.estimate.set(facts, this.#estimate);
      const asked = amountOf(this.#unit, scene, false);
      const least = amountOf(this.#unit, scene, true);
      if (asked === undefined || least === undefined) {
        rule = this.#unpriced;
        amount = 0;
        floor = 0;
      } else {
        amount = scene.estimate.isDeclared ? asked : Math.min(asked, mostAtOnce(rule));
        floor = Math.min(least, amount);
      }
    }
    this.#keys.visit(facts, (key, note) => {
      const shared = withShare(rule, this.definition, key, facts.tenant, scene);
      into.push({ rule: shared, key, note, amount, floor });
    });
  }
}

/** What a rule admits at one instant when nothing is counted. */
function mostAtOnce(rule: LimitRule): number {
  return rule.kind === 'rate' ? Math.min(rule.burst, rule.limit) : rule.limit;
}

/** @param inputAlone what a call that put out nothing uses */
function amountOf(
  unit: Exclude<LimitUnit, 'requests'>,
  scene: ChargeScene,
  inputAlone: boolean,
): number | undefined {
  if (unit === 'micro_usd') return scene.cost(inputAlone);
  const { input_tokens, output_tokens, compute_ms } = scene.estimate;
  if (unit === 'input_tokens') return input_tokens;
  if (unit === 'tokens') {
    return inputAlone ? input_tokens : Math.min(input_tokens + output_tokens, Number.MAX_SAFE_INTEGER);
  }
  if (inputAlone) return 0;
  return unit === 'output_tokens' ? output_tokens : compute_ms;
}

/** The rule with the share that the tenant has of the pool; the same rule where nothing is shared. */
function withShare(
  rule: LimitRule,
  definition: LimitDefinition,
  pool: string,
  tenant: string,
  { division, now }: ChargeScene,
): LimitRule {
  if (rule.kind !== 'concurrency' || definition.kind !== 'concurrency') return rule;
  const { fair } = definition;
  if (fair === undefined) return rule;
  return { ...rule, fair: fairShare(fair, { limit: rule.limit, pool, tenant }, division, now) };
}
