/**
 * Files of a layer to drafts: one per policy, template and link, each with its place, syntax tree and text.
 * Invariant: a draft was parsed by cedar-wasm alone, from exactly the text that it carries.
 */
import type { Problem } from '../domain/errors.ts';
import type { EntityRef } from '../domain/ids.ts';
import { NAMESPACE } from '../domain/names.ts';
import type { JsonObject } from '../domain/json.ts';
import { EntityUid } from '../domain/value.ts';
import type { PolicyAst } from './ast.ts';
import { placeMessage, type TextPlace } from './cedar-message.ts';
import { decodePolicy, decodeTemplate, linkTemplate, type SlotValues, type TemplateAst } from './est.ts';
import { UnsupportedPolicyError } from './est-shape.ts';
import { findDeceptiveCharacter } from './harden.ts';
import { LineMap, splitPolicies, Tokenizer } from './policy-text.ts';
import type { Answer, CedarParser } from './wasm.ts';

/** Most policies, templates and links of one layer together. */
export const MAX_POLICIES = 20_000;
const LINKS_FILE = 'links.json';

/** A file of Cedar text with its path in the bundle. */
export interface PolicyFile {
  readonly path: string;
  readonly text: string;
}

/** A template made a policy by filling its slots, as links.json has it. */
export interface PolicyLink {
  readonly templateId: string;
  readonly id: string;
  readonly values: { readonly principal?: EntityRef | undefined; readonly resource?: EntityRef | undefined };
  /** Added to the template's annotations, or replacing them. */
  readonly annotations: Readonly<Record<string, string>>;
  /** 1-based place in links.json. */
  readonly line: number;
  readonly column: number;
}

interface Draft {
  /** Where the text of the policy stands; for a link, of its template. */
  readonly place: TextPlace;
  readonly est: JsonObject;
}

export interface PolicyDraft extends Draft {
  readonly ast: PolicyAst;
  /** For policies made by a link. */
  readonly link?: PolicyLink;
}

export interface TemplateDraft extends Draft {
  readonly ast: TemplateAst;
}

/** Parses policies or templates of one file, adding what is wrong to `problems`. */
export function draftPolicies(file: PolicyFile, parser: CedarParser, problems: Problem[]): PolicyDraft[] {
  return draftFile(file, problems, place => {
    const answer = parser.parsePolicy(place.text);
    return answer.ok ? { place, est: answer.value, ast: decodePolicy(answer.value) } : answer;
  });
}

export function draftTemplates(file: PolicyFile, parser: CedarParser, problems: Problem[]): TemplateDraft[] {
  return draftFile(file, problems, place => {
    const answer = parser.parseTemplate(place.text);
    return answer.ok ? { place, est: answer.value, ast: decodeTemplate(answer.value) } : answer;
  });
}

function draftFile<D extends Draft>(
  file: PolicyFile,
  problems: Problem[],
  parse: (place: TextPlace) => D | Extract<Answer<never>, { ok: false }>,
): D[] {
  const lines = new LineMap(file.text);
  const deceptive = findDeceptiveCharacter(file.text);
  if (deceptive !== undefined) {
    problems.push({
      file: file.path,
      ...lines.locate(deceptive),
      message: 'the file holds a character that reverses the direction of text',
      hint: 'remove it: it makes the text look different from what it says',
    });
  }
  const drafts: D[] = [];
  for (const { text, offset } of splitPolicies(file.text)) {
    const place = { file: file.path, lines, offset, text };
    const draft = refusalsAsProblems(place, problems, () => parse(place));
    if (draft === undefined) continue;
    if ('est' in draft) drafts.push(draft);
    else for (const message of draft.messages) problems.push(placeMessage(message, place));
  }
  return drafts;
}

/** Makes the policy of a link. The text is the template's with its slots filled in. */
export function draftLink(
  link: PolicyLink,
  template: TemplateDraft,
  parser: CedarParser,
  problems: Problem[],
): PolicyDraft | undefined {
  const place = placeOfLink(link);
  return refusalsAsProblems(place, problems, () => {
    const { principal, resource } = link.values;
    const values: SlotValues = {
      ...(principal !== undefined && { principal: qualify(principal) }),
      ...(resource !== undefined && { resource: qualify(resource) }),
    };
    // Refuses a missing or superfluous value; what is compiled is decoded from the text, like all policies.
    linkTemplate(template.ast, values);
    const text = fillSlots(template.place.text, values);
    const answer = parser.parsePolicy(text);
    if (!answer.ok) {
      problems.push(
        ...answer.messages.map(({ message }) => at(place, `the link cannot be made: ${message}`)),
      );
      return undefined;
    }
    const inherited = Object.fromEntries(template.ast.annotations);
    const est = { ...answer.value, annotations: { ...inherited, ...link.annotations, id: link.id } };
    return { link, place: { ...template.place, text }, est, ast: decodePolicy(est) };
  });
}

/** A problem of links.json. */
export function placeOfLink(link: PolicyLink): { file: string; line: number; column: number } {
  return { file: LINKS_FILE, line: link.line, column: link.column };
}

function qualify(ref: EntityRef): EntityUid {
  return new EntityUid(`${NAMESPACE}::${ref.type}`, ref.id);
}

/** Replaces the slot tokens. Ids hold neither quotes nor backslashes (idSchema), so they need no escapes. */
function fillSlots(template: string, values: SlotValues): string {
  let text = '';
  let copied = 0;
  const tokenizer = new Tokenizer(template);
  for (let token = tokenizer.next(); token.kind !== 'end'; token = tokenizer.next()) {
    if (token.kind !== 'operator' || template[token.start] !== '?') continue;
    const slot = tokenizer.next();
    const name = template.slice(slot.start, slot.end);
    const value = name === 'principal' ? values.principal : name === 'resource' ? values.resource : undefined;
    if (value === undefined) continue;
    text += `${template.slice(copied, token.start)}${value.type}::"${value.id}"`;
    copied = slot.end;
  }
  return text + template.slice(copied);
}

function refusalsAsProblems<D>(
  place: TextPlace | { readonly file: string; readonly line: number; readonly column: number },
  problems: Problem[],
  make: () => D,
): D | undefined {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof UnsupportedPolicyError)) throw error;
    problems.push(at('lines' in place ? startOf(place) : place, error.message));
    return undefined;
  }
}

function at(place: { file: string; line: number; column: number }, message: string): Problem {
  return { ...place, message };
}

/** File, line and column of a draft's first token. */
export function startOf(place: TextPlace): { file: string; line: number; column: number } {
  return { file: place.file, ...place.lines.locate(place.offset) };
}
