/**
 * cedar-wasm as the oracle of the compiled evaluator, and as an evaluator of its own. Invariants: it is never
 * asked without a schema, its memory is bounded (a fixed pool of registered sets, overwritten in turn), and
 * whatever is not a clear answer is a failure, which must deny.
 */
import type { EntitySource, EntityUid, RecordValue } from '../domain/value.ts';
import { entityToCedarJson, recordToCedarJson, uidToJson } from './cedar-json.ts';
import { collectEntities } from './entity-slice.ts';
import { SlotPool } from './slot-pool.ts';
import type { CedarAnswer, EvaluationRequest } from './types.ts';
import type { AuthorizationCall, CedarWasm, PolicyInput } from './wasm.ts';

/** Registered policy sets that are kept: platform with the layers of as many tenants. */
export const POLICY_SET_SLOTS = 64;
/** Registered policies that are kept beside the set in use: about 2 KB each in memory that is never given back. */
export const MAX_REGISTERED_POLICIES = 40_000;
/** Registered schemas that are kept: the active one, and the one of a bundle under test. */
const SCHEMA_SLOTS = 4;

/** One layer's policies by full id. `digest` identifies the content: equal digests mean equal policies. */
export interface OracleLayer {
  readonly digest: string;
  readonly policies: Readonly<Record<string, PolicyInput>>;
}

export interface OracleQuestion extends OraclePolicies {
  readonly request: EvaluationRequest;
}

/** What a request is decided by. */
export interface OraclePolicies {
  readonly layers: readonly OracleLayer[];
  readonly schema: { readonly text: string; readonly digest: string };
}

/** A request with the entities that policies can read, as explicit Cedar JSON. */
export type OracleCall = Pick<
  AuthorizationCall,
  'principal' | 'action' | 'resource' | 'context' | 'entities'
>;

/** Cedar's answer in ids, sorted; or why there is none. */
export type OracleAnswer =
  | {
      readonly ok: true;
      readonly decision: 'allow' | 'deny';
      readonly determining: readonly string[];
      readonly erroring: readonly string[];
    }
  | { readonly ok: false; readonly failure: string };

/** Asks cedar-wasm. Single-threaded and synchronous: 50 to 400 µs a question, plus 0.1 ms a policy for a new set. */
export class Oracle {
  readonly #wasm: CedarWasm;
  readonly #sets: SlotPool;
  readonly #schemas: SlotPool;
  #traps: number;

  constructor(wasm: CedarWasm) {
    this.#wasm = wasm;
    this.#traps = wasm.traps;
    this.#sets = new SlotPool({
      prefix: 'set',
      slots: POLICY_SET_SLOTS,
      weight: MAX_REGISTERED_POLICIES,
      empty: name => void this.#wasm.registerPolicySet(name, { policies: {} }),
    });
    this.#schemas = new SlotPool({
      prefix: 'schema',
      slots: SCHEMA_SLOTS,
      weight: SCHEMA_SLOTS,
      empty: name => void this.#wasm.registerSchema(name, ''),
    });
  }

  /**
   * Decides the request over the union of the layers. Request and entities must conform to the schema, else
   * the answer is a failure. An allow that no policy determines is a failure too: it would mean that request
   * data switched a policy off.
   */
  authorize(question: OracleQuestion): OracleAnswer {
    const entities = collectEntities(question.request).map(entityToCedarJson);
    return this.authorizeCall(question, { ...requestToJson(question.request), entities });
  }

  /** As `authorize`, for a request that was put into Cedar JSON elsewhere: in another thread. */
  authorizeCall({ layers, schema }: OraclePolicies, call: OracleCall): OracleAnswer {
    if (this.#wasm.traps !== this.#traps) this.#forget();
    const schemaSlot = this.#schemas.take(schema.digest, 1, slot =>
      failureOf(this.#wasm.registerSchema(slot, schema.text)),
    );
    if ('failure' in schemaSlot) return { ok: false, failure: schemaSlot.failure };
    const key = layers.map(layer => layer.digest).join(' ');
    const size = layers.reduce((sum, layer) => sum + Object.keys(layer.policies).length, 0);
    const setSlot = this.#sets.take(key, size, slot => this.#registerSet(slot, layers));
    if ('failure' in setSlot) return { ok: false, failure: setSlot.failure };
    const answer = this.#wasm.authorize({
      ...call,
      policySet: setSlot.name,
      schema: schemaSlot.name,
      validateRequest: true,
    });
    if (!answer.ok) return { ok: false, failure: answer.messages.map(({ message }) => message).join('; ') };
    const { decision, determining, erroring } = answer.value;
    if (decision === 'allow' && determining.length === 0) {
      return { ok: false, failure: 'cedar-wasm allowed without a determining policy' };
    }
    return { ok: true, decision, determining, erroring };
  }

  #registerSet(slot: string, layers: readonly OracleLayer[]): string | undefined {
    const policies: Record<string, PolicyInput> = {};
    for (const layer of layers) {
      for (const [id, policy] of Object.entries(layer.policies)) {
        if (Object.hasOwn(policies, id)) return `two layers have a policy \`${id}\``;
        policies[id] = policy;
      }
    }
    return failureOf(this.#wasm.registerPolicySet(slot, { policies }));
  }

  /** A trap replaced the instance of cedar-wasm: what was registered is gone. */
  #forget(): void {
    this.#sets.clear();
    this.#schemas.clear();
    this.#traps = this.#wasm.traps;
  }
}

/** Whether both evaluators give the same decision, determining policies and erroring policies. */
export function compareAnswers(compiled: CedarAnswer, oracle: OracleAnswer): boolean {
  return (
    oracle.ok &&
    compiled.decision === oracle.decision &&
    isSameIds(compiled.determining, oracle.determining) &&
    isSameIds(compiled.erroring, oracle.erroring)
  );
}

function isSameIds(policies: readonly { readonly id: string }[], ids: readonly string[]): boolean {
  return policies.length === ids.length && policies.every((policy, i) => policy.id === ids[i]);
}

function requestToJson(request: {
  readonly principal: EntityUid;
  readonly action: EntityUid;
  readonly resource: EntityUid;
  readonly context: RecordValue;
  readonly entities: EntitySource;
}) {
  return {
    principal: uidToJson(request.principal),
    action: uidToJson(request.action),
    resource: uidToJson(request.resource),
    context: recordToCedarJson(request.context),
  };
}

function failureOf(answer: ReturnType<CedarWasm['registerSchema']>): string | undefined {
  return answer.ok ? undefined : answer.messages.map(({ message }) => message).join('; ');
}
