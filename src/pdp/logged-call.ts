/**
 * An allowed call as its entry in the log tells it, with what the directory knows of its parties now. Invariant: who
 * was erased since stays unknown.
 */
import type { LoggedLeaf, SubjectResolver } from '../decision-log/ports.ts';
import { NAMESPACE } from '../domain/names.ts';
import { type JsonObject, objectOf, textOf } from '../domain/json.ts';
import type { ModelFacts } from '../domain/limit-facts.ts';
import { EntityUid } from '../domain/value.ts';
import type { LimitLayers } from '../limits/planning.ts';
import { LimitFactReader } from './limit-facts.ts';
import { qualify } from './plan.ts';
import type { SnapshotHolder } from './snapshot.ts';

export interface LoggedCall {
  readonly leaf: JsonObject;
  /** The tenant whose data was used; empty when none was known. */
  readonly tenant: string;
  /** Key of the resource. */
  readonly resource: string;
  /** Key of the principal; undefined: it is not known any more. */
  readonly principal: string | undefined;
  /** Undefined: the resource is no model, or is gone. */
  readonly model: ModelFacts | undefined;
  readonly layers: LimitLayers;
}

export class LoggedCalls {
  readonly #snapshots: SnapshotHolder;
  readonly #subjects: Pick<SubjectResolver, 'resolve'>;
  readonly #facts = new LimitFactReader();

  constructor(snapshots: SnapshotHolder, subjects: Pick<SubjectResolver, 'resolve'>) {
    this.#snapshots = snapshots;
    this.#subjects = subjects;
  }

  async read({ content }: LoggedLeaf): Promise<LoggedCall> {
    const request = objectOf(content['request']);
    const tenant = textOf(request['tenant']);
    const resource = refOf(request['resource']);
    const pseudonym = textOf(objectOf(request['principal'])['id']);
    const principal = (await this.#subjects.resolve([pseudonym])).get(pseudonym);
    const snapshot = this.#snapshots.current;
    const known = { leaf: content, tenant, resource: resource.key, principal };
    if (snapshot === undefined) return { ...known, model: undefined, layers: [] };
    const principalEntity = principal === undefined ? undefined : snapshot.directory.get(principal);
    const resourceEntity = snapshot.directory.get(resource.key);
    return {
      ...known,
      model: this.#facts.modelOf(resource, resourceEntity),
      layers: snapshot.limitLayersOf.of({ tenant, principalEntity, resourceEntity }),
    };
  }
}

function refOf(value: JsonObject[string] | undefined): EntityUid {
  const { type, id } = objectOf(value);
  const name = textOf(type);
  return name === '' ? new EntityUid(NAMESPACE, textOf(id)) : qualify(name, textOf(id));
}
