/** Layers for tests of the policy gate: the shipped schema, and files written in the test. */
import type { Problem } from '../../src/domain/errors.ts';
import type { PolicyOrigin } from '../../src/cedar/harden.ts';
import { type CheckedPolicy, checkPolicies, type LayerSources } from '../../src/cedar/validate.ts';
import { CedarWasm } from '../../src/cedar/wasm.ts';
import { schemaForTest } from '../pdp/shipped-schema.ts';

const HEAD = '@id("t") @reason("r")\n';

/** A policy with the annotations that it needs, on its second line. */
export function annotated(policy: string): string {
  return HEAD + policy;
}

/** A policy about models with this condition. */
export function when(condition: string): string {
  return annotated(
    `permit(principal, action == AI::Action::"generate", resource is AI::Model) when { ${condition} };`,
  );
}

/** Checks layers against the shipped schema with one instance of cedar-wasm. */
export class Gate {
  readonly wasm = new CedarWasm();
  readonly #schema = schemaForTest();

  check(parts: Partial<LayerSources>) {
    const layer: PolicyOrigin = parts.layer ?? 'tenant:acme';
    return checkPolicies(
      { layer, schema: this.#schema, policies: [], templates: [], links: [], ...parts },
      this.wasm,
    );
  }

  problems(parts: Partial<LayerSources>): readonly Problem[] {
    const result = this.check(parts);
    return result.ok ? [] : result.problems;
  }

  /** What is wrong with one file of policies: `line:column message; hint`. */
  complaints(text: string, layer: PolicyOrigin = 'tenant:acme'): readonly string[] {
    return this.problems({ layer, policies: [{ path: 'policies/a.cedar', text }] }).map(
      ({ line, column, message, hint }) => `${line}:${column} ${message}; ${hint ?? ''}`,
    );
  }

  accepted(parts: Partial<LayerSources>): readonly CheckedPolicy[] {
    const result = this.check(parts);
    if (!result.ok) throw new Error(JSON.stringify(result.problems, null, 1));
    return result.policies;
  }
}
