/**
 * The directory in memory: entities with their transitive ancestors. Invariants: a graph never changes, so
 * who holds one sees one state; ancestors are the exact closure of parents; there is no cycle. Parents need
 * not be entities themselves.
 */
import type { EntityRecord, EntityStatus } from '../domain/entity.ts';
import type { EntityUid, RecordValue } from '../domain/value.ts';
import type { KeyList } from './key-list.ts';
import { type Lineage, LineagePool } from './lineage.ts';
import { PersistentMap } from './persistent-map.ts';
import type { DirectoryEntity, DirectoryView } from './view.ts';

/** An entity that has passed the schema, before its ancestors are known. */
export interface GraphRecord {
  readonly uid: EntityUid;
  readonly attributes: RecordValue;
  readonly tags: RecordValue;
  readonly parents: EntityRecord['parents'];
  readonly status: EntityStatus;
  readonly revision: number;
  readonly updatedAt: string;
  /** The tenant that owns it (tenancy.ts). */
  readonly tenant: string | undefined;
  /** `{"attributes": …, "tags": …}` as it was written, with defaults: what another schema reads again. */
  readonly json: string;
}

/** An entity in the graph. */
export class GraphEntity implements DirectoryEntity {
  readonly uid: EntityUid;
  readonly attributes: RecordValue;
  readonly tags: RecordValue;
  readonly ancestors: ReadonlySet<string>;
  readonly status: EntityStatus;
  readonly revision: number;
  readonly updatedAt: string;
  readonly tenant: string | undefined;
  readonly json: string;
  readonly lineage: Lineage;

  constructor(record: Omit<GraphRecord, 'parents'>, lineage: Lineage) {
    this.uid = record.uid;
    this.attributes = record.attributes;
    this.tags = record.tags;
    this.ancestors = lineage.ancestors;
    this.status = record.status;
    this.revision = record.revision;
    this.updatedAt = record.updatedAt;
    this.tenant = record.tenant;
    this.json = record.json;
    this.lineage = lineage;
  }
}

/** What a graph consists of; each part is one version of a persistent structure. */
export interface GraphParts {
  readonly entities: PersistentMap<GraphEntity>;
  /** By key of a parent, entity or not: the keys of its direct members. */
  readonly members: PersistentMap<KeyList>;
  /** By tenant id: the keys of its entities. */
  readonly tenants: PersistentMap<KeyList>;
  /** By fully qualified type name: the keys of its entities. */
  readonly types: PersistentMap<KeyList>;
}

/** The directory at one revision. */
export class DirectoryGraph implements DirectoryView {
  readonly revision: number;
  readonly parts: GraphParts;
  /** Shared by all versions; it holds no state of any of them. */
  readonly pool: LineagePool;

  constructor(revision: number, parts: GraphParts, pool: LineagePool) {
    this.revision = revision;
    this.parts = parts;
    this.pool = pool;
  }

  static empty(): DirectoryGraph {
    const parts = {
      entities: PersistentMap.empty<GraphEntity>(),
      members: PersistentMap.empty<KeyList>(),
      tenants: PersistentMap.empty<KeyList>(),
      types: PersistentMap.empty<KeyList>(),
    };
    return new DirectoryGraph(0, parts, new LineagePool());
  }

  get size(): number {
    return this.parts.entities.size;
  }

  get(key: string): GraphEntity | undefined {
    return this.parts.entities.get(key);
  }

  *entitiesOf(type: string, after?: string): IterableIterator<GraphEntity> {
    // the smallest string behind a key is the key and one more
    const lower = after === undefined ? '' : `${after}\u0000`;
    for (const key of this.parts.types.get(type)?.from(lower) ?? []) {
      const entity = this.get(key);
      if (entity !== undefined) yield entity;
    }
  }
}
