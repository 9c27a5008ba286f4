/**
 * The gate through which every policy enters: parsed, hardened, linked, type-checked and tried out.
 * Invariant: either all policies of a layer pass, or the answer lists every problem with its place.
 */
import type { Problem } from '../domain/errors.ts';
import type { JsonObject } from '../domain/json.ts';
import type { PolicyAst } from './ast.ts';
import { runCanaries } from './canary.ts';
import { placeMessage } from './cedar-message.ts';
import { quote } from './data.ts';
import {
  checkAnnotations,
  checkLevel,
  checkLimitSets,
  checkLiterals,
  checkOwnership,
  type PolicyOrigin,
  type PolicyProblem,
} from './harden.ts';
import {
  draftLink,
  draftPolicies,
  draftTemplates,
  MAX_POLICIES,
  placeOfLink,
  type PolicyDraft,
  type PolicyFile,
  type PolicyLink,
  startOf,
  type TemplateDraft,
} from './policy-draft.ts';
import { splitPolicies } from './policy-text.ts';
import type { CedarSchema } from './schema.ts';
import type { Effect } from './types.ts';
import type { CedarParser, CedarWasm } from './wasm.ts';

/** Most problems in one report: enough to see the pattern, small enough to send. */
export const MAX_REPORTED_PROBLEMS = 1_000;

/** A layer's policies as files, and the schema that they are checked against. */
export interface LayerSources {
  readonly layer: PolicyOrigin;
  readonly schema: CedarSchema;
  readonly policies: readonly PolicyFile[];
  readonly templates: readonly PolicyFile[];
  readonly links: readonly PolicyLink[];
}

/** A policy that passed. `text` alone is what the oracle evaluates; `est` or `ast` what is compiled. */
export interface CheckedPolicy {
  /** `<layer>/<@id>` */
  readonly id: string;
  readonly effect: Effect;
  readonly annotations: ReadonlyMap<string, string>;
  /** JSON form with the slots filled in and the link's annotations. Plain JSON: it survives a message port. */
  readonly est: JsonObject;
  readonly ast: PolicyAst;
  /** Cedar text of exactly one static policy. */
  readonly text: string;
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export type CheckResult =
  | { readonly ok: true; readonly policies: readonly CheckedPolicy[] }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Checks all policies of a layer. Deterministic; keeps nothing but registered sets in `wasm`. */
export function checkPolicies(sources: LayerSources, wasm: CedarWasm): CheckResult {
  const tooLarge = refuseSize(sources);
  if (tooLarge !== undefined) return tooLarge;
  const { policies, templates, problems } = draftAll(sources, wasm);
  problems.push(...typeCheck(policies, templates, sources.schema, wasm));
  if (problems.length === 0) problems.push(...tryOut(policies, sources.schema, wasm));
  return resultOf(sources, policies, problems);
}

/**
 * Reads policies that passed `checkPolicies` under the same schema before: they are parsed and hardened again, and no
 * more. Type-checking costs a millisecond a policy, and would say the same again.
 */
export function readPolicies(sources: LayerSources, parser: CedarParser): CheckResult {
  const tooLarge = refuseSize(sources);
  if (tooLarge !== undefined) return tooLarge;
  const { policies, problems } = draftAll(sources, parser);
  return resultOf(sources, policies, problems);
}

function refuseSize(sources: LayerSources): CheckResult | undefined {
  const size = countPolicies(sources);
  if (size <= MAX_POLICIES) return undefined;
  const message = `the layer has ${size} policies, templates and links, the most is ${MAX_POLICIES}`;
  return { ok: false, problems: [{ message }] };
}

/** Parses, hardens and links. */
function draftAll(sources: LayerSources, parser: CedarParser) {
  const problems: Problem[] = [];
  const statics = sources.policies.flatMap(file => draftPolicies(file, parser, problems));
  const templates = sources.templates.flatMap(file => draftTemplates(file, parser, problems));
  for (const draft of [...statics, ...templates]) hardenDraft(draft, sources.layer, problems);
  const links = linkAll(sources, templates, parser, problems);
  const policies = [...statics, ...links];
  refuseDuplicates(policies, problems);
  refuseDuplicates(templates, problems);
  return { policies, templates, problems };
}

function resultOf(
  { layer }: LayerSources,
  policies: readonly PolicyDraft[],
  problems: readonly Problem[],
): CheckResult {
  if (problems.length > 0) return { ok: false, problems: arrange(problems) };
  return { ok: true, policies: policies.map(draft => finish(draft, layer)) };
}

/** Counts before anything is parsed: splitting is a hundred times as fast. */
function countPolicies({ policies, templates, links }: LayerSources): number {
  const files = [...policies, ...templates];
  return files.reduce((sum, { text }) => sum + splitPolicies(text).length, links.length);
}

function hardenDraft(draft: PolicyDraft | TemplateDraft, layer: PolicyOrigin, problems: Problem[]): void {
  const { annotations, scope } = draft.ast;
  addAt(startOf(draft.place), problems, [
    ...checkAnnotations(annotations),
    ...checkLimitSets(annotations, draft.ast.effect),
    ...checkLevel(draft.ast),
    ...checkLiterals(draft.ast),
    ...checkOwnership(scope, layer),
  ]);
}

function linkAll(
  sources: LayerSources,
  templates: readonly TemplateDraft[],
  parser: CedarParser,
  problems: Problem[],
): PolicyDraft[] {
  const byId = new Map(templates.map(template => [template.ast.annotations.get('id') ?? '', template]));
  return sources.links.flatMap(link => {
    const template = byId.get(link.templateId);
    if (template === undefined) {
      const hint = 'a template has its `@id` in a file below templates/';
      problems.push({
        ...placeOfLink(link),
        message: `there is no template ${quote(link.templateId)}`,
        hint,
      });
      return [];
    }
    const draft = draftLink(link, template, parser, problems);
    if (draft === undefined) return [];
    addAt(placeOfLink(link), problems, [
      ...checkAnnotations(draft.ast.annotations),
      ...checkLimitSets(draft.ast.annotations, draft.ast.effect),
      ...checkOwnership(draft.ast.scope, sources.layer),
    ]);
    return [draft];
  });
}

function addAt(
  place: { readonly file: string; readonly line: number; readonly column: number },
  problems: Problem[],
  found: readonly PolicyProblem[],
): void {
  for (const problem of found) problems.push({ ...place, ...problem });
}

function refuseDuplicates(drafts: readonly (PolicyDraft | TemplateDraft)[], problems: Problem[]): void {
  const first = new Map<string, PolicyDraft | TemplateDraft>();
  for (const draft of drafts) {
    const id = draft.ast.annotations.get('id');
    if (id === undefined || id === '') continue;
    const earlier = first.get(id);
    if (earlier === undefined) {
      first.set(id, draft);
      continue;
    }
    const { file, line } = placeOf(earlier);
    problems.push({
      ...placeOf(draft),
      message: `the policy id ${quote(id)} is taken`,
      hint: `it is used first in ${file}:${line}; ids are unique in a layer`,
    });
  }
}

/** Cedar's strict validation. Its warnings ("impossible policy", mixed scripts) are mistakes in a policy too. */
function typeCheck(
  policies: readonly PolicyDraft[],
  templates: readonly TemplateDraft[],
  schema: CedarSchema,
  wasm: CedarWasm,
): Problem[] {
  const drafts = new Map<string, PolicyDraft | TemplateDraft>();
  for (const [i, draft] of policies.entries()) drafts.set(`policy${i}`, draft);
  for (const [i, draft] of templates.entries()) drafts.set(`template${i}`, draft);
  const textsOf = (prefix: string): Record<string, string> =>
    Object.fromEntries(
      [...drafts].filter(([key]) => key.startsWith(prefix)).map(([key, draft]) => [key, draft.place.text]),
    );
  const set = { policies: textsOf('policy'), templates: textsOf('template') };
  const answer = wasm.validate(schema.text, set);
  if (!answer.ok)
    return answer.messages.map(({ message }) => ({ message: `the validator failed: ${message}` }));
  const findings = [...answer.value.errors, ...answer.value.warnings];
  const faulty = new Set(
    findings.flatMap(({ policyId }) => {
      const draft = policyId.startsWith('template') ? drafts.get(policyId) : undefined;
      return draft === undefined ? [] : [keyOf(draft)];
    }),
  );
  return findings.flatMap(finding => {
    const draft = drafts.get(finding.policyId);
    if (draft === undefined) return [{ message: finding.message }];
    const problem = placeMessage(finding, draft.place);
    if (!('link' in draft) || draft.link === undefined) return [problem];
    // What is wrong with a template is reported there once, and not again for each of its links.
    return faulty.has(keyOf(draft)) ? [] : [{ ...problem, ...placeOfLink(draft.link) }];
  });
}

/** Identifies the text that a draft was made from; a link has that of its template. */
function keyOf({ place }: PolicyDraft | TemplateDraft): string {
  return `${place.offset}:${place.file}`;
}

/** Evaluates each policy once, by both evaluators. */
function tryOut(policies: readonly PolicyDraft[], schema: CedarSchema, wasm: CedarWasm): Problem[] {
  const subjects = policies.map(draft => ({ draft, ast: draft.ast, text: draft.place.text }));
  return runCanaries(subjects, schema, wasm).map(({ subject, message }) => ({
    ...placeOf(subject.draft),
    message,
  }));
}

function placeOf(draft: PolicyDraft | TemplateDraft): { file: string; line: number; column: number } {
  return 'link' in draft && draft.link !== undefined ? placeOfLink(draft.link) : startOf(draft.place);
}

function finish(draft: PolicyDraft, layer: PolicyOrigin): CheckedPolicy {
  const { ast, est, place } = draft;
  const id = `${layer}/${ast.annotations.get('id') ?? ''}`;
  return {
    id,
    effect: ast.effect,
    annotations: ast.annotations,
    est,
    ast,
    text: place.text,
    ...placeOf(draft),
  };
}

/** In the order of reading, without repetitions, and not more than a person can use. */
function arrange(problems: readonly Problem[]): readonly Problem[] {
  const unique = new Map(problems.map(problem => [JSON.stringify(problem), problem]));
  const sorted = [...unique.values()].sort(
    (a, b) =>
      compare(a.file ?? '', b.file ?? '') ||
      (a.line ?? 0) - (b.line ?? 0) ||
      (a.column ?? 0) - (b.column ?? 0) ||
      compare(a.message, b.message),
  );
  if (sorted.length <= MAX_REPORTED_PROBLEMS) return sorted;
  const more = sorted.length - MAX_REPORTED_PROBLEMS;
  return [...sorted.slice(0, MAX_REPORTED_PROBLEMS), { message: `and ${more} further problems` }];
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
