/**
 * All that the PDP knows at one moment. Invariant: a decision reads exactly one snapshot; writers publish a
 * new one by swapping one pointer, so a decision never sees half of a change.
 */
import type { CedarSchema } from '../cedar/schema.ts';
import type { PolicyIndex } from '../cedar/types.ts';
import type { Digest } from '../domain/bundle.ts';
import type { EntityStatus } from '../domain/entity.ts';
import type { LayerName } from '../domain/ids.ts';
import type { Entity, EntitySource } from '../domain/value.ts';

/** An entity of the directory with what Cedar does not know about it. */
export interface DirectoryEntity extends Entity {
  readonly status: EntityStatus;
  /** Directory revision that wrote it. */
  readonly revision: number;
}

/** The directory at one revision. */
export interface DirectoryView extends EntitySource {
  readonly revision: number;
  readonly size: number;
  get(key: string): DirectoryEntity | undefined;
}

export interface CompiledLayer {
  readonly name: LayerName;
  readonly digest: Digest;
  readonly index: PolicyIndex;
}

export interface Snapshot {
  readonly schema: CedarSchema;
  readonly layers: ReadonlyMap<LayerName, CompiledLayer>;
  readonly directory: DirectoryView;
}
