/** What a decision reads of the directory: entities with their ancestors, at one revision. */
import type { EntityStatus } from '../domain/entity.ts';
import type { Entity, EntitySource } from '../domain/value.ts';

/** An entity of the directory with what Cedar does not know about it. */
export interface DirectoryEntity extends Entity {
  readonly status: EntityStatus;
  /** Directory revision that wrote it. */
  readonly revision: number;
  /** The tenant that owns it: its `tenant` attribute, else the prefix of its id; a Tenant owns itself. */
  readonly tenant: string | undefined;
}

/** The directory at one revision. */
export interface DirectoryView extends EntitySource {
  readonly revision: number;
  readonly size: number;
  get(key: string): DirectoryEntity | undefined;
  /**
   * Entities of one type in the order of their keys.
   * @param type fully qualified @param after a key: begins behind it
   */
  entitiesOf(type: string, after?: string): IterableIterator<DirectoryEntity>;
}
