/**
 * The active Cedar schema, resolved: types, entity types, actions with their ancestors and contexts.
 * Invariant: equal types are the same object, so that a parsed value can be reused across actions.
 */
import type { EntityUid } from '../domain/value.ts';

export type CedarType =
  | { readonly kind: 'boolean' }
  | { readonly kind: 'long' }
  | { readonly kind: 'string' }
  | {
      readonly kind: 'entity';
      /** Fully qualified. */
      readonly name: string;
      /** For enumerated entity types: the only ids. */
      readonly enumeration?: ReadonlySet<string>;
    }
  | { readonly kind: 'extension'; readonly name: 'ipaddr' | 'decimal' | 'datetime' | 'duration' }
  | { readonly kind: 'set'; readonly element: CedarType }
  | RecordType;

export interface RecordType {
  readonly kind: 'record';
  readonly attributes: ReadonlyMap<string, AttributeType>;
}

export interface AttributeType {
  readonly type: CedarType;
  readonly required: boolean;
}

export interface EntityTypeDefinition {
  /** Fully qualified: `AI::User`. */
  readonly name: string;
  /** Fully qualified names of the types it may be a member of. */
  readonly memberOf: ReadonlySet<string>;
  readonly shape: RecordType;
  readonly tags: CedarType | undefined;
  /** For enumerated types: the only ids. */
  readonly enumeration: ReadonlySet<string> | undefined;
}

export interface ActionDefinition {
  readonly uid: EntityUid;
  /** Keys of all transitive groups, the action itself excluded. */
  readonly ancestors: ReadonlySet<string>;
  /** Fully qualified; both empty for a pure group. */
  readonly principalTypes: ReadonlySet<string>;
  readonly resourceTypes: ReadonlySet<string>;
  readonly context: RecordType;
}

export interface CedarSchema {
  readonly text: string;
  /** `sha256:<hex>` of the text. */
  readonly digest: string;
  /** By fully qualified name. */
  readonly entityTypes: ReadonlyMap<string, EntityTypeDefinition>;
  /** By `EntityUid.key` of the action. */
  readonly actions: ReadonlyMap<string, ActionDefinition>;
  /** Context keys that some action's context marks with `@personal`. */
  readonly personalKeys: ReadonlySet<string>;
}
