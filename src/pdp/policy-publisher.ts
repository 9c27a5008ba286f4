/**
 * Publishes what the PAP activates. Invariant: a schema and the directory that was read by it become visible
 * in one swap, so no decision sees entities under another schema than its policies.
 */
import type { CedarSchema } from '../cedar/schema.ts';
import type { DirectoryService } from '../directory/service.ts';
import type { Problem } from '../domain/errors.ts';
import { entityParser } from './directory-schema.ts';
import type { PolicyState, SnapshotHolder } from './snapshot.ts';

/** A schema that every entity was tried with; the directory takes no writes until it is decided. */
export interface PreparedSchema {
  /** Entities that do not fit; then only `abandon` may be called. */
  readonly problems: readonly Problem[];
  commit(policy: PolicyState): void;
  abandon(): void;
}

export class SnapshotPublisher {
  readonly #snapshots: SnapshotHolder;
  readonly #directory: DirectoryService;

  constructor(snapshots: SnapshotHolder, directory: DirectoryService) {
    this.#snapshots = snapshots;
    this.#directory = directory;
  }

  /** Swaps the layers under the schema that is active already. */
  publish(policy: PolicyState): void {
    this.#snapshots.publishPolicy(policy);
  }

  /** Reads the directory by a schema; at the first call from its store. */
  async prepareSchema(schema: CedarSchema): Promise<PreparedSchema> {
    const change = await this.#directory.prepareSchema(entityParser(schema));
    if (change.graph === undefined) {
      const commit = (): never => {
        throw new Error('a schema that does not fit the directory cannot be published');
      };
      return { problems: change.problems, commit, abandon: () => undefined };
    }
    const { graph } = change;
    return {
      problems: [],
      commit: policy => {
        this.#snapshots.publish(policy, graph);
        change.adopt();
      },
      abandon: () => change.abandon(),
    };
  }
}
