/**
 * What limits may look at of a request: its parties and its size, as the decision resolved them. Invariant: facts
 * come from the snapshot and the request that were decided, never from a second look.
 */
import type { EntityUid } from './value.ts';

/** Version of a model that has none. */
export const NO_VERSION = '';

/** The model of a request, as the directory has it. */
export interface ModelFacts {
  readonly uid: EntityUid;
  /** Keys of all transitive ancestors: the model that it is a version of, and its groups. */
  readonly ancestors: ReadonlySet<string>;
  /** What stands behind the last `@` of its id; empty when nothing does. */
  readonly version: string;
  /** `stage` of the model; undefined when it has none. */
  readonly stage: string | undefined;
  /** `risk` of the model; undefined when it has none. */
  readonly risk: number | undefined;
  /** Most tokens of an answer and of a request, where the directory tells. */
  readonly maxOutputTokens: number | undefined;
  readonly contextWindow: number | undefined;
}

/** Facts of one request. Amounts are non-negative safe integers. */
export interface LimitFacts {
  readonly principal: EntityUid;
  /** Keys of all transitive ancestors: teams, roles, tenants. */
  readonly principalAncestors: ReadonlySet<string>;
  /** `tier` of the principal; undefined when it has none. */
  readonly tier: string | undefined;
  /** The tenant whose data is used; empty when none is known. */
  readonly tenant: string;
  /** `plan` of that tenant; undefined when it has none. */
  readonly plan: string | undefined;
  /** The resource, when it is a model. */
  readonly model: ModelFacts | undefined;
  /** The action that was asked for. */
  readonly operation: string;
  /** The address of the end caller as the request has it, `context.ip`. */
  readonly address: string | undefined;
  /**
   * The credential of the end caller, by a name that outlives its renewal: see `CallerCredential.id`. Undefined: a
   * gateway names the caller and no credential.
   */
  readonly key: string | undefined;
  /** Whether others come with the same `key`; absent: they do not. */
  readonly keyIsShared?: boolean;
  /** Id of the key of the gateway. */
  readonly pep: string;
  /** Tokens of the input; undefined: not told. */
  readonly inputTokens: number | undefined;
  /** Most tokens that the caller asked for; undefined: not told. */
  readonly maxOutputTokens: number | undefined;
  /** How many outputs the caller asked for; absent: one. */
  readonly outputs?: number | undefined;
  /** Most tokens of all of them together; absent: not told. */
  readonly totalOutputTokens?: number | undefined;
  /** Limit sets that the determining permits name, qualified: `platform/gold`, `tenant:acme/trial`. */
  readonly limitSets: readonly string[];
}
