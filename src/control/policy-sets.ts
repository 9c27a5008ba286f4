/**
 * The policies of the control plane, from text to what decides. Invariant: nothing decides that cedar-wasm has not
 * parsed and type-checked against the schema, and tried out beside the compiled evaluator.
 */
import { compilePolicy } from '../cedar/compile.ts';
import type { PolicyFile } from '../cedar/policy-draft.ts';
import { PolicyIndexBuilder } from '../cedar/policy-index.ts';
import { parseSchema } from '../cedar/schema-parse.ts';
import type { CedarSchema } from '../cedar/schema.ts';
import type { PolicyIndex } from '../cedar/types.ts';
import { checkPolicies } from '../cedar/validate.ts';
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

/** @throws AppError BUNDLE_INVALID with every problem of the chosen policies and its place */
export function compileControlPolicies(sources: ControlSources, wasm: CedarWasm): ControlPolicies {
  const parsed = parseSchema(sources.schema.text, wasm, sources.schema.path);
  if (!parsed.ok) throw refusal('the schema of the control plane is not valid', parsed.problems);
  const { schema } = parsed;
  const builtIn = compileSet('builtin', [builtInForbids(sources.twoPersons)], schema, wasm);
  if ('problems' in builtIn) throw refusal('the built-in forbids do not fit the schema', builtIn.problems);
  const chosen = compileSet('control', sources.policies, schema, wasm);
  const where = `the policies of the control plane in \`${sources.origin}\``;
  if ('problems' in chosen) throw refusal(`${where} are not valid`, chosen.problems);
  if (chosen.size === 0) {
    throw refusal(`${where} are none`, [
      { message: 'without a policy nobody may do anything', hint: 'write *.cedar files into the folder' },
    ]);
  }
  return { schema, sets: [builtIn, chosen] };
}

function compileSet(
  layer: 'builtin' | 'control',
  policies: readonly PolicyFile[],
  schema: CedarSchema,
  wasm: CedarWasm,
): PolicyIndex | { readonly problems: readonly Problem[] } {
  const checked = checkPolicies({ layer, schema, policies, templates: [], links: [] }, wasm);
  if (!checked.ok) return checked;
  const builder = new PolicyIndexBuilder(schema.actions);
  for (const { id, ast } of checked.policies) {
    builder.add(compilePolicy({ id, policy: ast, actions: schema.actions }));
  }
  return builder.build();
}

function refusal(message: string, problems: readonly Problem[]): AppError {
  return new AppError('BUNDLE_INVALID', message, { problems });
}
