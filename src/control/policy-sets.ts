/**
 * The policies of the control plane, from text to what decides. Invariant: nothing decides that cedar-wasm has not
 * parsed and type-checked against the schema, and tried out beside the compiled evaluator: now, or, for what is
 * shipped, when this build was made.
 */
import { compilePolicy } from '../cedar/compile.ts';
import type { PolicyFile } from '../cedar/policy-draft.ts';
import { PolicyIndexBuilder } from '../cedar/policy-index.ts';
import { parseSchema } from '../cedar/schema-parse.ts';
import type { CedarSchema } from '../cedar/schema.ts';
import type { PolicyIndex } from '../cedar/types.ts';
import type { RecordedAnswers } from '../cedar/recorded-answers.ts';
import { checkPolicies, type LayerSources, readPolicies } from '../cedar/validate.ts';
import type { CedarWasm } from '../cedar/wasm.ts';
import { AppError, type Problem } from '../domain/errors.ts';
import { builtInForbids } from './built-in-forbids.ts';

/** Texts of a control plane. */
export interface ControlSources {
  readonly schema: PolicyFile;
  /** What the operator chose: the shipped policies, or those that replace them. */
  readonly policies: readonly PolicyFile[];
  /** Where `policies` come from, for messages. */
  readonly origin: string;
  readonly twoPersons: boolean;
}

export interface ControlPolicies {
  readonly schema: CedarSchema;
  /** The built-in forbids and the chosen policies: both are asked each time. */
  readonly sets: readonly PolicyIndex[];
}

/**
 * The policies, ready to decide. What was checked when this build was made is read again and hardened, and no more.
 * @throws AppError BUNDLE_INVALID with every problem of the chosen policies and its place
 */
export function compileControlPolicies(
  sources: ControlSources,
  wasm: CedarWasm,
  recorded?: RecordedAnswers,
): ControlPolicies {
  const parsed = parseSchema(sources.schema.text, recorded?.before(wasm) ?? wasm, sources.schema.path);
  if (!parsed.ok) throw refusal('the schema of the control plane is not valid', parsed.problems);
  const { schema } = parsed;
  const { builtIn, chosen } = setsOf(sources, schema);
  const forbids = compileSet(builtIn, wasm, recorded);
  if ('problems' in forbids) throw refusal('the built-in forbids do not fit the schema', forbids.problems);
  const permits = compileSet(chosen, wasm, recorded);
  const where = `the policies of the control plane in \`${sources.origin}\``;
  if ('problems' in permits) throw refusal(`${where} are not valid`, permits.problems);
  if (permits.size === 0) {
    throw refusal(`${where} are none`, [
      { message: 'without a policy nobody may do anything', hint: 'write *.cedar files into the folder' },
    ]);
  }
  return { schema, sets: [forbids, permits] };
}

/** The sets as they are checked. */
export function setsOf(
  { policies, twoPersons }: Pick<ControlSources, 'policies' | 'twoPersons'>,
  schema: CedarSchema,
): { readonly builtIn: LayerSources; readonly chosen: LayerSources } {
  const plain = { schema, templates: [], links: [] };
  return {
    builtIn: { ...plain, layer: 'builtin', policies: [builtInForbids(twoPersons)] },
    chosen: { ...plain, layer: 'control', policies },
  };
}

function compileSet(
  set: LayerSources,
  wasm: CedarWasm,
  recorded: RecordedAnswers | undefined,
): PolicyIndex | { readonly problems: readonly Problem[] } {
  const checked =
    recorded?.hasPassed(set) === true ? readPolicies(set, recorded.before(wasm)) : checkPolicies(set, wasm);
  if (!checked.ok) return checked;
  const { actions } = set.schema;
  const builder = new PolicyIndexBuilder(actions);
  for (const { id, ast } of checked.policies) builder.add(compilePolicy({ id, policy: ast, actions }));
  return builder.build();
}

function refusal(message: string, problems: readonly Problem[]): AppError {
  return new AppError('BUNDLE_INVALID', message, { problems });
}
