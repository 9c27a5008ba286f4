/**
 * Which requests a limit is for, as tests in the order of their cost. Invariant: every member of a match is one test,
 * and a fact that is not known satisfies none.
 */
import type { EntityRef } from '../../domain/ids.ts';
import type { LimitFacts, ModelFacts } from '../../domain/limit-facts.ts';
import { type LimitMatch, refKey } from '../../domain/limit-definition.ts';
import { groupKey, type ModelClassTest, modelKey } from './model-class.ts';
import { isWithin, parseAddress, parseNetwork } from '../../domain/network-address.ts';

/** What of a request a test looks at. */
export type FactPart = 'principal' | 'tenant' | 'model' | 'operation' | 'address' | 'key' | 'pep';

/** Whether one member of a match holds. */
export interface FactTest {
  readonly about: FactPart;
  readonly holds: (facts: LimitFacts) => boolean;
}

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
  const { tenants, plans, tiers, keys, peps, principalTypes, networks } = match;
  const operations = operationsOf(match, terms.actions);
  return [
    ...isOneOf('operation', operations, facts => facts.operation),
    ...isOneOf('tenant', tenants, facts => facts.tenant),
    ...isOneOf('tenant', plans, facts => facts.plan),
    ...isOneOf('principal', tiers, facts => facts.tier),
    ...isOneOf('key', keys, facts => facts.key),
    ...isOneOf('pep', peps, facts => facts.pep),
    ...isOneOf('principal', principalTypes, ({ principal }) =>
      principal.type.slice(principal.type.indexOf('::') + 2),
    ),
    ...entityTests(match),
    ...modelTests(match, terms.classes),
    ...networkTests(networks),
  ];
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

function isOneOf(
  about: FactPart,
  names: Iterable<string> | undefined,
  read: (facts: LimitFacts) => string | undefined,
): FactTest[] {
  if (names === undefined) return [];
  const known = new Set(names);
  const holds = (facts: LimitFacts): boolean => {
    const value = read(facts);
    return value !== undefined && known.has(value);
  };
  return [{ about, holds }];
}

function entityTests({ principals, principalGroups }: LimitMatch): FactTest[] {
  const tests: FactTest[] = [];
  if (principals !== undefined) {
    const known = new Set(keysOf(principals));
    tests.push({ about: 'principal', holds: facts => known.has(facts.principal.key) });
  }
  if (principalGroups !== undefined) {
    const groups = keysOf(principalGroups);
    tests.push({ about: 'principal', holds: facts => hasAny(facts.principalAncestors, groups) });
  }
  return tests;
}

function modelTests(
  { models, modelGroups, classes }: LimitMatch,
  declared: ReadonlyMap<string, ModelClassTest>,
): FactTest[] {
  const tests: FactTest[] = [];
  const add = (holds: (model: ModelFacts) => boolean): void => {
    tests.push({ about: 'model', holds: ({ model }) => model !== undefined && holds(model) });
  };
  if (models !== undefined) {
    const keys = models.map(id => modelKey(id));
    const known = new Set(keys);
    add(({ uid, ancestors }) => known.has(uid.key) || hasAny(ancestors, keys));
  }
  if (modelGroups !== undefined) {
    const keys = modelGroups.map(id => groupKey(id));
    add(({ ancestors }) => hasAny(ancestors, keys));
  }
  if (classes !== undefined) {
    const known = classes.flatMap(id => declared.get(id) ?? []);
    add(model => known.some(one => one.has(model)));
  }
  return tests;
}

function networkTests(texts: readonly string[] | undefined): FactTest[] {
  if (texts === undefined) return [];
  const networks = texts.flatMap(text => parseNetwork(text) ?? []);
  const holds = ({ address }: LimitFacts): boolean => {
    const parsed = address === undefined ? undefined : parseAddress(address);
    return parsed !== undefined && networks.some(network => isWithin(parsed, network));
  };
  return [{ about: 'address', holds }];
}

function keysOf(refs: readonly EntityRef[]): readonly string[] {
  return refs.map(ref => refKey(ref));
}

function hasAny(set: ReadonlySet<string>, keys: readonly string[]): boolean {
  for (const key of keys) if (set.has(key)) return true;
  return false;
}
