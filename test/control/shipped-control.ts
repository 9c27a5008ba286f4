/** Control planes for tests: the shipped policies, or texts of the test, with every denial kept. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseSchema } from '../../src/cedar/schema-parse.ts';
import type { CedarSchema } from '../../src/cedar/schema.ts';
import { CedarWasm } from '../../src/cedar/wasm.ts';
import { ControlGate } from '../../src/control/control-gate.ts';
import { ControlPlane } from '../../src/control/control-plane.ts';
import { compileControlPolicies } from '../../src/control/policy-sets.ts';
import type { ControlQuestion, ControlVerdict } from '../../src/control/question.ts';
import type { Credential, Role } from '../../src/domain/credential.ts';
import { bundleGuard, keyGuard, readControlPlane } from '../../src/wiring/control.ts';

const SCHEMA = readFileSync(join(import.meta.dirname, '../../schema/control-plane.cedarschema'), 'utf8');

/** One for all: each further one would compile again what it uses. */
const WASM = new CedarWasm();

export const NOW = Date.UTC(2026, 0, 1);

export function controlSchema(): CedarSchema {
  const parsed = parseSchema(SCHEMA, WASM);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.schema;
}

/** Each operation that the schema has an action for, with the types of what it may be asked about. */
export function declaredOperations(): ReadonlyMap<string, ReadonlySet<string>> {
  return new Map(
    [...controlSchema().actions.values()]
      .filter(({ principalTypes }) => principalTypes.size > 0)
      .map(({ uid, resourceTypes }) => [uid.id, resourceTypes]),
  );
}

/** A policy that permits everything: what built-in forbids have to survive. */
export const PERMIT_ALL =
  '@id("all") @reason("everybody may do everything")\npermit (principal, action, resource);\n';

/** @throws Error for an evaluation that failed: no test means one to */
function failLoudly(error: unknown): never {
  throw error;
}

/** The plane of the shipped policies. */
export function shippedPlane(twoPersonActivation: 'on' | 'off' = 'off'): ControlPlane {
  return readControlPlane({ twoPersonActivation }, { now: () => NOW }, failLoudly);
}

/** The plane of these policies in place of the shipped ones. */
export function replacedPlane(text: string, twoPersons = false): ControlPlane {
  const sources = {
    schema: { path: 'control-plane.cedarschema', text: SCHEMA },
    policies: [{ path: 'own.cedar', text }],
    origin: 'own',
    twoPersons,
  };
  return new ControlPlane(compileControlPolicies(sources, WASM), { now: () => NOW }, failLoudly);
}

export type Denial = [ControlQuestion, Extract<ControlVerdict, { allowed: false }>];

/** The gate before a plane, and what the services ask of it. */
export function gateOf(plane: ControlPlane, isShipped = true) {
  const denials: Denial[] = [];
  const gate = new ControlGate({
    plane,
    isShipped,
    onDenied: (question, denial) => void denials.push([question, denial]),
  });
  return { gate, denials, bundles: bundleGuard(gate), keys: keyGuard(gate) };
}

export function keyWith(
  roles: readonly Role[],
  more: Partial<Omit<Credential, 'roles' | 'tenants'>> & { readonly tenants?: readonly string[] } = {},
): Credential {
  const { tenants, ...rest } = more;
  return {
    keyId: 'k',
    mayAssert: true,
    ...rest,
    roles: new Set(roles),
    tenants: tenants === undefined ? undefined : new Set(tenants),
  };
}
