/**
 * Reads texts, lists and levels out of verified claims by a mapping of the configuration. Invariants: names match
 * exactly, nothing is a pattern, the work is bounded by the mapping and the token; what is absent stays absent.
 */
import type {
  AssuranceMapping,
  ListMapping,
  MappingStep,
  Requirement,
  ValueMapping,
} from '../../domain/issuer-settings.ts';
import type { JsonObject, JsonValue } from '../../domain/json.ts';
import { isJsonObject } from './strict-json.ts';

type ClaimPath = string | readonly string[];
type Atom = Extract<ValueMapping, { value: string } | { claim: ClaimPath }>;
type Join = Extract<ValueMapping, { join: readonly unknown[] }>;

/** Longest text that a mapping yields, in characters: the longest id. */
const MAX_MAPPED_LENGTH = 256;
/** Most texts that a list mapping yields. */
const MAX_LIST = 64;

/** The claim under an exact path of own members; undefined when there is none. */
export function claimAt(claims: JsonObject, path: ClaimPath): JsonValue | undefined {
  let value: JsonValue | undefined = claims;
  for (const name of typeof path === 'string' ? [path] : path) {
    if (!isJsonObject(value) || !Object.hasOwn(value, name)) return undefined;
    value = value[name];
  }
  return value;
}

/** The text that a mapping gives; undefined when a part of it is absent, empty or no text. */
export function mapValue(mapping: ValueMapping, claims: JsonObject): string | undefined {
  if (!('first' in mapping)) return mapPart(mapping, claims);
  for (const part of mapping.first) {
    const mapped = mapPart(part, claims);
    if (mapped !== undefined) return mapped;
  }
  return undefined;
}

/** The texts that a mapping gives, without repetitions, in order; undefined when there are too many. */
export function mapList(mapping: ListMapping, claims: JsonObject): readonly string[] | undefined {
  const found = new Set<string>();
  for (const source of mapping) {
    const texts = 'values' in source ? source.values : textsOf(claimAt(claims, source.claim), source.split);
    const steps = 'values' in source ? [] : (source.steps ?? []);
    for (const text of texts) {
      const mapped = bounded(runSteps(text, steps));
      if (mapped !== undefined) found.add(mapped);
      if (found.size > MAX_LIST) return undefined;
    }
  }
  return [...found];
}

/** The highest level whose rule holds, or the default. */
export function mapAssurance(mapping: AssuranceMapping, claims: JsonObject): number {
  let level: number | undefined;
  for (const rule of mapping.rules) {
    const claim = claimAt(claims, rule.claim);
    const holds = Array.isArray(claim) ? claim.includes(rule.value) : claim === rule.value;
    if (holds) level = Math.max(level ?? 0, rule.level);
  }
  return level ?? mapping.default;
}

/** Whether the claims are what a requirement asks for. */
export function meets(requirement: Requirement, claims: JsonObject): boolean {
  const claim = claimAt(claims, requirement.claim);
  if ('present' in requirement) return (claim !== undefined) === requirement.present;
  if ('equals' in requirement) return claim === requirement.equals;
  return requirement.oneOf.some(allowed => claim === allowed);
}

/** Names of the claims that a mapping reads at the top. */
export function claimsOf(mapping: ValueMapping): readonly string[] {
  if ('first' in mapping) return mapping.first.flatMap(claimsOf);
  if ('join' in mapping) return mapping.join.flatMap(claimsOf);
  if ('value' in mapping) return [];
  const top = typeof mapping.claim === 'string' ? mapping.claim : mapping.claim[0];
  return top === undefined ? [] : [top];
}

function mapPart(mapping: Atom | Join, claims: JsonObject): string | undefined {
  if (!('join' in mapping)) return bounded(mapAtom(mapping, claims));
  const parts: string[] = [];
  for (const atom of mapping.join) {
    const part = mapAtom(atom, claims);
    if (part === undefined) return undefined;
    parts.push(part);
  }
  return bounded(parts.join(mapping.separator));
}

function mapAtom(mapping: Atom, claims: JsonObject): string | undefined {
  if ('value' in mapping) return mapping.value;
  const claim = claimAt(claims, mapping.claim);
  // numbers are no ids: beyond 2^53 two of them would become one
  return typeof claim === 'string' ? runSteps(claim, mapping.steps ?? []) : undefined;
}

function textsOf(claim: JsonValue | undefined, split: string | undefined): readonly string[] {
  if (typeof claim === 'string') return split === undefined ? [claim] : claim.split(split, MAX_LIST + 1);
  if (!Array.isArray(claim)) return [];
  return claim.filter(item => typeof item === 'string');
}

function runSteps(text: string, steps: readonly MappingStep[]): string | undefined {
  let value: string | undefined = text;
  for (const step of steps) {
    if (value === undefined) return undefined;
    value = runStep(value, step);
  }
  return value;
}

function runStep(text: string, step: MappingStep): string | undefined {
  if ('dropPrefix' in step) {
    return text.startsWith(step.dropPrefix) ? text.slice(step.dropPrefix.length) : undefined;
  }
  if ('dropSuffix' in step) {
    return text.endsWith(step.dropSuffix) ? text.slice(0, -step.dropSuffix.length) : undefined;
  }
  if ('part' in step) return text.split(step.part.separator).at(step.part.index);
  if ('replaceAll' in step) return text.replaceAll(step.replaceAll.search, () => step.replaceAll.with);
  if ('lookup' in step) return Object.hasOwn(step.lookup, text) ? step.lookup[text] : undefined;
  // of A to Z alone: Unicode would make a k of the Kelvin sign, and so one id of two subjects
  return text.replaceAll(/[A-Z]+/g, letters => letters.toLowerCase());
}

function bounded(text: string | undefined): string | undefined {
  return text === undefined || text === '' || text.length > MAX_MAPPED_LENGTH ? undefined : text;
}
