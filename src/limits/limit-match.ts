/**
 * Which requests a limit is for, as tests in the order of their cost. Invariant: every member of a match is one test,
 * and a fact that is not known satisfies none.
 */
import type { EntityRef } from '../domain/ids.ts';
import type { LimitFacts } from '../domain/limit-facts.ts';
import { type LimitMatch, refKey } from '../domain/limit-definition.ts';
import { groupKey, type ModelClassTest, modelKey } from './model-class.ts';
import { isWithin, type NetworkAddress, parseAddress, parseNetwork } from './network-address.ts';

/** Whether one member of a match holds. */
export type FactTest = (facts: LimitFacts) => boolean;

/** What the names of a match mean in their layer. */
export interface MatchTerms {
  /** Actions of a group of the schema, by its name; an action is the group of itself. */
  readonly actions: ActionNames;
  readonly classes: ReadonlyMap<string, ModelClassTest>;
}

/** By the bare id of an action or of a group: the actions that it stands for. */
export type ActionNames = ReadonlyMap<string, readonly string[]>;

/** The tests of a match; all have to hold. */
export function testsOf(match: LimitMatch, terms: MatchTerms): readonly FactTest[] {
  const tests: FactTest[] = [];
  const { tenants, plans, tiers, keys, peps, principalTypes, networks } = match;
  const operations = operationsOf(match, terms.actions);
  if (operations !== undefined) tests.push(facts => operations.has(facts.operation));
  if (tenants !== undefined) tests.push(isOneOf(tenants, facts => facts.tenant));
  if (plans !== undefined) tests.push(isOneOf(plans, facts => facts.plan));
  if (tiers !== undefined) tests.push(isOneOf(tiers, facts => facts.tier));
  if (keys !== undefined) tests.push(isOneOf(keys, facts => facts.key));
  if (peps !== undefined) tests.push(isOneOf(peps, facts => facts.pep));
  if (principalTypes !== undefined) {
    tests.push(
      isOneOf(principalTypes, ({ principal }) => principal.type.slice(principal.type.indexOf('::') + 2)),
    );
  }
  tests.push(...entityTests(match), ...modelTests(match, terms.classes));
  if (networks !== undefined) tests.push(networkTest(networks));
  return tests;
}

/** The actions of a match; undefined when it names none. What no schema declares stands for itself. */
export function operationsOf(
  { operations }: LimitMatch,
  actions: ActionNames,
): ReadonlySet<string> | undefined {
  return operations === undefined
    ? undefined
    : new Set(operations.flatMap(name => actions.get(name) ?? [name]));
}

function isOneOf(names: readonly string[], read: (facts: LimitFacts) => string | undefined): FactTest {
  const known = new Set(names);
  return facts => {
    const value = read(facts);
    return value !== undefined && known.has(value);
  };
}

function entityTests({ principals, principalGroups }: LimitMatch): FactTest[] {
  const tests: FactTest[] = [];
  if (principals !== undefined) {
    const known = new Set(principals.map(ref => refKey(ref)));
    tests.push(facts => known.has(facts.principal.key));
  }
  if (principalGroups !== undefined) {
    const groups = keysOf(principalGroups);
    tests.push(facts => hasAny(facts.principalAncestors, groups));
  }
  return tests;
}

function modelTests(
  { models, modelGroups, classes }: LimitMatch,
  declared: ReadonlyMap<string, ModelClassTest>,
): FactTest[] {
  const tests: FactTest[] = [];
  if (models !== undefined) {
    const keys = models.map(id => modelKey(id));
    const known = new Set(keys);
    tests.push(
      ({ model }) => model !== undefined && (known.has(model.uid.key) || hasAny(model.ancestors, keys)),
    );
  }
  if (modelGroups !== undefined) {
    const keys = modelGroups.map(id => groupKey(id));
    tests.push(({ model }) => model !== undefined && hasAny(model.ancestors, keys));
  }
  if (classes !== undefined) {
    const known = classes.flatMap(id => declared.get(id) ?? []);
    tests.push(({ model }) => model !== undefined && known.some(one => one.has(model)));
  }
  return tests;
}

function networkTest(texts: readonly string[]): FactTest {
  const networks = texts.flatMap(text => parseNetwork(text) ?? []);
  return ({ address }) => {
    const parsed: NetworkAddress | undefined = address === undefined ? undefined : parseAddress(address);
    return parsed !== undefined && networks.some(network => isWithin(parsed, network));
  };
}

function keysOf(refs: readonly EntityRef[]): readonly string[] {
  return refs.map(ref => refKey(ref));
}

function hasAny(set: ReadonlySet<string>, keys: readonly string[]): boolean {
  for (const key of keys) if (set.has(key)) return true;
  return false;
}
