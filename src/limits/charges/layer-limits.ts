/**
 * The limits of one layer, compiled: from the file of a bundle to what plans requests. Invariant: made once when the
 * layer is built; nothing in it depends on a request but memos of what was resolved before.
 */
import type { LayerName } from '../../domain/ids.ts';
import { NAMESPACE } from '../../domain/names.ts';
import type { LimitRule } from '../../domain/limit.ts';
import type { LimitFacts } from '../../domain/limit-facts.ts';
import type { LimitDefinition, LimitsFile, LimitTightening } from '../../domain/limit-definition.ts';
import { CompiledLimit } from './compiled-limit.ts';
import { LimitIndex } from './limit-index.ts';
import { type ActionNames, type FactTest, type MatchTerms, testsOf } from './limit-match.ts';
import { ModelClassTest } from './model-class.ts';
import type { LayerLimits } from '../planning.ts';
import { PriceBook } from './price-book.ts';

/** The action of the endpoint level, and the group of those that run a model. */
const INVOKE = 'invoke';
const INFERENCE = 'Inference';

/** A file but for its limits, which may be many. */
export type LimitsHead = Omit<LimitsFile, 'limits'>;

/** Compiles a layer limit by limit, so that a large one can be built in slices of time. */
export class LayerLimitsBuilder {
  readonly #layer: LayerName;
  readonly #head: LimitsHead;
  readonly #terms: MatchTerms;
  readonly #definitions: LimitDefinition[] = [];
  readonly #limits: CompiledLimit[] = [];

  constructor(layer: LayerName, head: LimitsHead, actions: ActionNames) {
    this.#layer = layer;
    this.#head = head;
    this.#terms = {
      actions,
      classes: new Map(head.modelClasses.map(one => [one.id, new ModelClassTest(one)])),
    };
  }

  add(definition: LimitDefinition): void {
    this.#definitions.push(definition);
    if (definition.mode === 'off') return;
    const name = `${this.#layer}/${definition.id}`;
    this.#limits.push(new CompiledLimit(name, withOperations(definition), this.#terms));
  }

  build(): CompiledLayerLimits {
    const file = { ...this.#head, limits: this.#definitions };
    return new CompiledLayerLimits(this.#layer, file, this.#limits, this.#terms);
  }
}

/** Compiles a whole file at once. */
export function compileLimits(layer: LayerName, file: LimitsFile, actions: ActionNames): CompiledLayerLimits {
  const builder = new LayerLimitsBuilder(layer, file, actions);
  for (const definition of file.limits) builder.add(definition);
  return builder.build();
}

/** The limits of a layer as plans read them; `compileLimits` makes them. */
export class CompiledLayerLimits implements LayerLimits {
  readonly layer: LayerName;
  readonly file: LimitsFile;
  readonly prices: PriceBook | undefined;
  /** Every limit that is not off, in the order of the file. */
  readonly limits: readonly CompiledLimit[];
  /** Limits that hold wherever they match. */
  readonly index: LimitIndex;
  /** Limits that hold only where a permit names them, by qualified set or id: `platform/gold`. */
  readonly sets: ReadonlyMap<string, readonly CompiledLimit[]>;
  readonly #tightenings: ReadonlyMap<string, readonly Tightening[]>;

  constructor(layer: LayerName, file: LimitsFile, limits: readonly CompiledLimit[], terms: MatchTerms) {
    this.layer = layer;
    this.file = file;
    this.prices = file.prices === undefined ? undefined : new PriceBook(file.prices);
    this.limits = limits;
    this.index = new LimitIndex(
      limits.filter(({ definition }) => definition.sets === undefined),
      terms.actions,
    );
    this.sets = setsOf(layer, file, limits);
    this.#tightenings = tighteningsOf(file.tighten, terms);
  }

  /** The rule of a platform limit as this layer tightens it for a request; the same rule where it does not. */
  tightened(id: string, rule: LimitRule, facts: LimitFacts): LimitRule {
    const tightenings = this.#tightenings.get(id);
    if (tightenings === undefined) return rule;
    let tightest = rule;
    for (const tightening of tightenings) tightest = tightening.apply(tightest, facts, this.layer);
    return tightest;
  }
}

/** One lower number, with the rules that it was already applied to. */
class Tightening {
  readonly #to: number;
  readonly #tests: readonly FactTest[];
  /** By the rule of the platform, which is another object once another bundle is active. */
  readonly #rules = new WeakMap<LimitRule, LimitRule>();

  constructor(declared: LimitTightening, terms: MatchTerms) {
    this.#to = declared.to;
    this.#tests = testsOf(declared.match, terms);
  }

  apply(rule: LimitRule, facts: LimitFacts, layer: LayerName): LimitRule {
    // whatever the bundles say, a tenant never gets more than the platform gives
    if (rule.limit <= this.#to || !this.#tests.every(({ holds }) => holds(facts))) return rule;
    const known = this.#rules.get(rule);
    if (known !== undefined) return known;
    const source = `${rule.source}, tightened to ${this.#to} by ${layer}`;
    const made: LimitRule =
      rule.kind === 'rate'
        ? { ...rule, limit: this.#to, source, burst: Math.min(rule.burst, this.#to) }
        : { ...rule, limit: this.#to, source };
    this.#rules.set(rule, made);
    return made;
  }
}

function tighteningsOf(
  declared: readonly LimitTightening[],
  terms: MatchTerms,
): ReadonlyMap<string, readonly Tightening[]> {
  const byLimit = new Map<string, Tightening[]>();
  for (const one of declared) {
    byLimit.set(one.limit, [...(byLimit.get(one.limit) ?? []), new Tightening(one, terms)]);
  }
  return byLimit;
}

/** Sets with their limits. A set whose limits are all off still exists: naming it is no mistake. */
function setsOf(
  layer: LayerName,
  file: LimitsFile,
  limits: readonly CompiledLimit[],
): ReadonlyMap<string, readonly CompiledLimit[]> {
  const sets = new Map<string, CompiledLimit[]>();
  for (const name of setNames(file)) sets.set(`${layer}/${name}`, []);
  for (const limit of limits) {
    const { id, sets: names } = limit.definition;
    // one that holds everywhere may be named too: it is charged once
    for (const name of new Set([id, ...(names ?? [])])) sets.get(`${layer}/${name}`)?.push(limit);
  }
  return sets;
}

/** Every name that `@limits` may use for this file: the ids of its limits, and their sets. */
export function setNames({ limits }: LimitsFile): ReadonlySet<string> {
  return new Set(limits.flatMap(({ id, sets }) => [id, ...(sets ?? [])]));
}

/** What counts tokens, money or time is for calls that run a model, unless it says otherwise. */
function withOperations(definition: LimitDefinition): LimitDefinition {
  const counts = definition.kind === 'concurrency' ? 'requests' : definition.unit;
  if (counts === 'requests' || definition.match.operations !== undefined) return definition;
  return { ...definition, match: { ...definition.match, operations: [INVOKE, INFERENCE] } };
}

/** What an action of a schema has to tell to be named in a match. */
interface NamedAction {
  readonly uid: { readonly type: string; readonly id: string };
  /** Keys of the groups that it is in. */
  readonly ancestors: ReadonlySet<string>;
}

/** The actions of a schema by name, and those of each group. */
export function actionNames(actions: Iterable<NamedAction>): ActionNames {
  const names = new Map<string, string[]>();
  const add = (name: string, action: string): void => {
    const known = names.get(name);
    if (known === undefined) names.set(name, [action]);
    else known.push(action);
  };
  const prefix = `${NAMESPACE}::Action::"`;
  for (const { uid, ancestors } of actions) {
    if (uid.type !== `${NAMESPACE}::Action`) continue;
    add(uid.id, uid.id);
    for (const key of ancestors) if (key.startsWith(prefix)) add(key.slice(prefix.length, -1), uid.id);
  }
  return names;
}
