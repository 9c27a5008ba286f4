/**
 * One query of access over one snapshot, page by page. Invariants: every page reads the same snapshot and the same
 * instant; it visits each entity of the other side exactly once; between two decisions others may run.
 */
import type { CompiledPolicy } from '../../cedar/types.ts';
import { refOf } from '../../directory/lineage.ts';
import { type AllowedTenants, isAllowed } from '../../directory/tenancy.ts';
import type { DirectoryEntity } from '../../directory/view.ts';
import type { Revision } from '../../domain/decision.ts';
import { type LayerName, tenantLayer } from '../../domain/ids.ts';
import { NAMESPACE } from '../../domain/names.ts';
import type { ContextFacts } from '../context.ts';
import type { CheckEvaluator } from '../evaluator.ts';
import type { Snapshot } from '../snapshot.ts';
import type { Objection } from '../standing.ts';
import type { AccessItem, AccessSide, Condition, IncompleteCode } from './access-page.ts';
import { type PairAccess, PairJudge } from './pair-judge.ts';
import { MODEL_TYPE } from '../model-operations.ts';
import type { OperationGroup, PreparedQuestion } from './question.ts';
import { Reach } from './reach.ts';

/** Types that can call, in the order of their keys. */
const CALLER_TYPES = ['Agent', 'Service', 'User'].map(name => `${NAMESPACE}::${name}`);

export interface ScanOptions {
  readonly snapshot: Snapshot;
  readonly evaluator: CheckEvaluator;
  readonly question: PreparedQuestion;
  readonly facts: ContextFacts;
  readonly side: AccessSide;
  /** Whom it is about. */
  readonly about: DirectoryEntity;
  /** Tenants whose entities the asker sees; undefined: all. */
  readonly tenants: AllowedTenants;
}

/** A part of the answer. */
export interface ScannedPart {
  readonly items: readonly AccessItem[];
  readonly conditions: ReadonlyMap<string, Condition>;
  /** The key behind which the next part begins; undefined: this was the last. */
  readonly next: string | undefined;
}

export class AccessScan {
  readonly standing: Objection | undefined;
  readonly revision: Revision;
  readonly #options: ScanOptions;
  readonly #reach: Reach;
  readonly #judge: PairJudge;
  readonly #incomplete = new Set<IncompleteCode>();
  #conditions = new Map<string, Condition>();

  constructor(options: ScanOptions) {
    const { side, about, snapshot, evaluator, question, facts, tenants } = options;
    this.#options = options;
    this.#reach = new Reach(about, side === 'principal' ? 'resource' : 'principal');
    this.#judge = new PairJudge({
      snapshot,
      evaluator,
      question,
      facts,
      observer: {
        hinge: policy => this.#describe(policy),
        failed: () => void this.#incomplete.add('evaluation'),
      },
    });
    this.standing = side === 'principal' ? this.#judge.objection(refOf(about.uid)) : undefined;
    this.revision = visibleRevision(snapshot.revision, tenants);
    if (tenants !== undefined) this.#incomplete.add('tenants');
  }

  /** Why the pages until now are not all the access that there may be. */
  get incomplete(): readonly IncompleteCode[] {
    return [...this.#incomplete].toSorted();
  }

  /**
   * The entities behind a key that have to do with the one asked about, with a step after each that was looked at.
   * @param limit most items @param isSpent whether enough work was done for one part
   */
  *part(after: string | undefined, limit: number, isSpent: () => boolean): Generator<void, ScannedPart> {
    this.#conditions = new Map();
    const items: AccessItem[] = [];
    if (this.standing !== undefined) return { items, conditions: this.#conditions, next: undefined };
    /** The key of the last one that was looked at: each part looks at one at least, so that every part gets on. */
    let last: string | undefined;
    for (const entity of this.#candidates(after)) {
      yield;
      if (entity === undefined) continue;
      if (last !== undefined && (items.length === limit || isSpent())) {
        return { items, conditions: this.#conditions, next: last };
      }
      last = entity.uid.key;
      const item = yield* this.#look(entity);
      if (item !== undefined) items.push(item);
    }
    return { items, conditions: this.#conditions, next: undefined };
  }

  /** The entities of the other side; undefined for each that the asker does not see. */
  *#candidates(after: string | undefined): IterableIterator<DirectoryEntity | undefined> {
    const { side, snapshot, tenants } = this.#options;
    const types = side === 'principal' ? [MODEL_TYPE] : CALLER_TYPES;
    const begun = types.findIndex(type => after?.startsWith(`${type}::"`));
    for (const type of types.slice(Math.max(begun, 0))) {
      for (const entity of snapshot.directory.entitiesOf(type, after)) {
        yield isAllowed(entity.tenant, tenants) ? entity : undefined;
      }
    }
  }

  *#look(entity: DirectoryEntity): Generator<void, AccessItem | undefined> {
    const { side, about, snapshot } = this.#options;
    const [caller, model] = side === 'principal' ? [about, entity] : [entity, about];
    const groups = this.#groupsInReach(snapshot.layersOf.of(model.tenant), entity);
    if (groups.length === 0) return undefined;
    const [principal, resource] = [refOf(caller.uid), refOf(model.uid)];
    if (side === 'model' && this.#judge.objection(principal) !== undefined) return undefined;
    const found = yield* this.#judge.judge(principal, resource, groups);
    if (found.allowed.length === 0 && found.conditional.length === 0) return undefined;
    this.#noteIncomplete(found);
    return { entity: refOf(entity.uid), ...found };
  }

  #groupsInReach(
    layers: Parameters<Reach['includes']>[0],
    entity: DirectoryEntity,
  ): readonly OperationGroup[] {
    return this.#options.question.groups.filter(({ first }) =>
      this.#reach.includes(layers, first.definition, entity),
    );
  }

  #noteIncomplete({ conditional }: PairAccess): void {
    for (const { needs } of conditional) this.#incomplete.add(needs);
  }

  #describe(policy: CompiledPolicy): void {
    if (this.#conditions.has(policy.id)) return;
    const { effect, reason, outlook } = policy;
    this.#conditions.set(policy.id, {
      effect,
      reason,
      clauses: outlook.clauses(this.#options.question.open),
    });
  }
}

/** The revision without the layers of tenants that the asker does not see. */
function visibleRevision(revision: Revision, tenants: AllowedTenants): Revision {
  if (tenants === undefined) return revision;
  const layers: Partial<Record<LayerName, string>> = {};
  const visible: readonly LayerName[] = ['platform', ...[...tenants].map(tenantLayer)];
  for (const name of visible) {
    const digest = revision.layers[name];
    if (digest !== undefined) layers[name] = digest;
  }
  return { ...revision, layers };
}
