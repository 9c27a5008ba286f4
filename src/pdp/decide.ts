/**
 * A decision as a pure function of (snapshot, request): plan, evaluate each check, combine. Invariant: it
 * reads no clock, no store and no randomness, so that the same snapshot and request decide the same again.
 */
import { shortName } from '../cedar/data.ts';
import type { EvaluationRequest } from '../cedar/types.ts';
import type { CheckResult, LevelResult, Obligation, Reason, Revision } from '../domain/decision.ts';
import type { DecisionRequest } from '../domain/decision-request.ts';
import type { LayerName } from '../domain/ids.ts';
import { tenantPrefix } from '../domain/names.ts';
import type { EntityRevision, LoggedRequest, UnloggedDecision } from '../domain/log-entry.ts';
import type { Level } from '../domain/reason.ts';
import type { DirectoryEntity } from '../directory/view.ts';
import type { EntityUid, RecordValue } from '../domain/value.ts';
import { timestamp } from '../domain/clock.ts';
import { orMeant } from '../domain/spelling.ts';
import { type CheckOutcome, evaluateCheck, layersFor, refuse } from './check.ts';
import { buildContexts } from './context.ts';
import type { CheckEvaluator, EngineName } from './evaluator.ts';
import type { PlannedCheck } from './plan.ts';
import type { CompiledLayer, LayerDigests, Snapshot } from './snapshot.ts';
import { CheckEntities, type Parties, resolveParties } from './parties.ts';
import { type Objection, objectToRequest, objectToResource } from './standing.ts';

const NO_SETS: readonly never[] = [];

/** What a decision takes besides snapshot and request: all of it is logged. */
export interface DecisionInputs {
  readonly id: string;
  /** Milliseconds since the epoch: `context.now`. */
  readonly now: number;
  /** `now` as RFC 3339, where the caller has it already. */
  readonly evaluatedAt?: string;
  /** `context.env` of requests that name none. */
  readonly defaultEnv: string;
}

/** A decision with the parts of its log entry that only the evaluation knows. */
export interface Evaluated {
  readonly decision: UnloggedDecision;
  readonly request: LoggedRequest;
  readonly entities: readonly EntityRevision[];
  readonly engine: EngineName;
  /** Undefined: no policy was asked. */
  readonly parties: Parties | undefined;
  /** Limit sets that the determining permits of an allow name, each once. */
  readonly limitSets: readonly string[];
}

interface LeveledOutcome {
  readonly level: Level;
  readonly outcome: CheckOutcome;
}

/**
 * Decides.
 * @throws AppError INVALID_REQUEST when the context does not fit the schema or the levels do not fit the action.
 */
export function evaluateDecision(
  snapshot: Snapshot,
  evaluator: CheckEvaluator,
  request: DecisionRequest,
  inputs: DecisionInputs,
): Evaluated {
  const parties = resolveParties(snapshot, request);
  const evaluatedAt = inputs.evaluatedAt ?? timestamp(inputs.now);
  const action = snapshot.planner.find(request.action);
  if (action === undefined) return decideUnknownAction(snapshot, request, parties, inputs.id, evaluatedAt);

  const checks = snapshot.planner.plan(request, action, parties);
  const contexts = buildContexts(snapshot.planner, checks, request, inputs);
  const objection = objectToRequest(snapshot, request, parties);
  const scene: Scene = { snapshot, evaluator, request, parties, objection };
  const entities = startRevisions(parties);
  const outcomes: LeveledOutcome[] = [];
  let previous: EntityUid | undefined;
  for (let position = 0; position < checks.length; position++) {
    const check = checks[position];
    const context = contexts[position];
    if (check === undefined || context === undefined) throw new Error('a check without a context');
    const { resource } = check;
    const entity = entityOf(snapshot, parties, resource);
    if (entity !== undefined && resource !== previous) {
      entities.push({ entity: resource, revision: entity.revision });
    }
    previous = resource;
    const outcome = decideCheck(scene, check, context, entity);
    outcomes.push({ level: check.level, outcome });
    if (request.explain === 'none' && outcome.result.decision === 'deny') break;
  }
  return {
    decision: combine({ snapshot, request, outcomes, tenant: parties.tenant, id: inputs.id, evaluatedAt }),
    request: loggedRequest(request, parties, inputs.defaultEnv),
    entities,
    engine: outcomes.some(({ outcome }) => outcome.engine === 'wasm') ? 'wasm' : 'compiled',
    parties,
    limitSets: limitSetsOf(outcomes),
  };
}

/** Most checks ask about the model or the tenant, which were looked up already. */
function entityOf(snapshot: Snapshot, parties: Parties, resource: EntityUid): DirectoryEntity | undefined {
  if (resource === parties.resource) return parties.resourceEntity;
  if (resource === parties.tenantUid) return parties.tenantEntity;
  return snapshot.directory.get(resource.key);
}

/** What the checks of one request have in common. */
export interface Scene {
  readonly snapshot: Snapshot;
  readonly evaluator: CheckEvaluator;
  readonly request: DecisionRequest;
  readonly parties: Parties;
  /** To the request as a whole: every check is denied for it. */
  readonly objection: Objection | undefined;
}

/** One check of a plan. @param entity the resource of the check as the directory of the snapshot has it */
export function decideCheck(
  scene: Scene,
  check: PlannedCheck,
  context: RecordValue,
  entity: DirectoryEntity | undefined,
): CheckOutcome {
  const { snapshot, evaluator, request, parties } = scene;
  if (scene.objection !== undefined) return object(check, scene.objection);
  const { action, resource } = check;
  const { principal } = parties;
  if (!action.principalTypes.has(principal.type) || !action.resourceTypes.has(resource.type)) {
    return object(check, misfit(snapshot, check, principal));
  }
  const objection = objectToResource(snapshot, resource, entity, parties.tenant);
  if (objection !== undefined) return object(check, objection);
  // objectToResource objects to what is missing
  if (entity === undefined) throw new Error('a resource is missing unobjected');
  return evaluateCheck(snapshot, evaluator, questionOf(scene, check, context, entity), {
    tenant: entity.tenant,
    isForeign: isOther(parties.tenant, entity) || isOther(parties.principalEntity?.tenant, entity),
    explain: request.explain,
  });
}

/** Whether a tenant that takes part is not the owner; the platform, which has none, may see what every tenant wrote. */
function isOther(tenant: string | undefined, { tenant: owner }: DirectoryEntity): boolean {
  return tenant !== undefined && tenant !== '' && tenant !== owner;
}

/** A check as Cedar is asked it. */
export function questionOf(
  { snapshot, parties }: Pick<Scene, 'snapshot' | 'parties'>,
  { action, resource }: PlannedCheck,
  context: RecordValue,
  entity: DirectoryEntity,
): EvaluationRequest {
  const { principal, principalEntity } = parties;
  // objectToRequest objects to what is missing
  if (principalEntity === undefined) throw new Error('a principal is missing unobjected');
  const entities = new CheckEntities(snapshot.entities, principalEntity, entity);
  return { principal, action: action.uid, resource, context, entities };
}

function misfit(snapshot: Snapshot, { action, resource }: PlannedCheck, principal: EntityUid): Objection {
  const [role, uid, types] = action.principalTypes.has(principal.type)
    ? ['resource', resource, action.resourceTypes]
    : ['principal', principal, action.principalTypes];
  const message = snapshot.schema.entityTypes.has(uid.type)
    ? `action \`${action.uid.id}\` does not apply to ${role} type ${uid.type}`
    : `there is no type \`${shortName(uid.type)}\`${orMeant(shortName(uid.type), [...types].map(shortName))}`;
  return { code: 'UNKNOWN_ACTION', message };
}

function object(check: PlannedCheck, objection: Objection): CheckOutcome {
  return refuse(check.action.uid.id, check.resource, objection.code, objection.message);
}

/** An action that nobody declared has no plan: one check says so, and the context stays unread and unlogged. */
function decideUnknownAction(
  snapshot: Snapshot,
  request: DecisionRequest,
  parties: Parties,
  id: string,
  evaluatedAt: string,
): Evaluated {
  const level =
    request.levels === undefined || request.levels.includes('action')
      ? 'action'
      : (request.levels[0] ?? 'action');
  const outcome = refuse(
    request.action,
    parties.resource,
    'UNKNOWN_ACTION',
    `there is no action \`${request.action}\`${orMeant(request.action, snapshot.planner.actions.keys())}`,
  );
  return {
    decision: combine({
      snapshot,
      request,
      outcomes: [{ level, outcome }],
      tenant: parties.tenant,
      id,
      evaluatedAt,
    }),
    request: loggedRequest(request, parties, undefined),
    entities: startRevisions(parties),
    engine: 'compiled',
    parties,
    limitSets: NO_SETS,
  };
}

interface Combination {
  readonly snapshot: Snapshot;
  readonly request: DecisionRequest;
  readonly outcomes: readonly LeveledOutcome[];
  readonly tenant: string;
  readonly id: string;
  readonly evaluatedAt: string;
}

/** All checks must allow; the reason is the first deny in plan order, or the last action check. */
function combine(combination: Combination): UnloggedDecision {
  const { snapshot, request, outcomes, tenant } = combination;
  const levels: Partial<Record<Level, { decision: 'allow' | 'deny'; checks: CheckResult[] }>> = {};
  const own = layersFor(snapshot, tenant);
  let used = snapshot.layersOf.digestsOf(own);
  let denied: LeveledOutcome | undefined;
  for (const leveled of outcomes) {
    const { level, outcome } = leveled;
    const entry = (levels[level] ??= { decision: 'allow', checks: [] });
    entry.checks.push(outcome.result);
    if (outcome.layers !== own) used = withLayers(used, outcome.layers);
    if (outcome.result.decision === 'deny') {
      entry.decision = 'deny';
      denied ??= leveled;
    }
  }
  const deciding = denied ?? outcomes.at(-1);
  if (deciding === undefined) throw new Error('a decision without a check');
  const { level, outcome } = deciding;
  const { code, message, policies } = outcome.result;
  const decision = {
    decisionId: combination.id,
    decision: denied === undefined ? ('allow' as const) : ('deny' as const),
    reason: { code, level, message, policies } satisfies Reason,
    levels: levels satisfies Partial<Record<Level, LevelResult>>,
    obligations: collectObligations(outcomes, denied !== undefined),
    revision: revisionOf(snapshot, used),
    evaluatedAt: combination.evaluatedAt,
  };
  return request.requestId === undefined ? decision : { ...decision, requestId: request.requestId };
}

/** The same object when nothing is new: it is encoded once for all decisions that share it. */
function withLayers(used: LayerDigests, layers: readonly CompiledLayer[]): LayerDigests {
  if (layers.every(layer => used[layer.name] === layer.digest)) return used;
  const more: Partial<Record<LayerName, string>> = { ...used };
  for (const layer of layers) more[layer.name] = layer.digest;
  return more;
}

/** Of an allow: those of all its permits. Of a deny: those of the forbids that denied. */
function collectObligations(outcomes: readonly LeveledOutcome[], isDeny: boolean): Obligation[] {
  const found: Obligation[] = [];
  for (const { outcome } of outcomes) {
    if (isDeny && outcome.result.decision === 'allow') continue;
    for (const obligation of outcome.obligations) {
      if (!found.some(known => known.type === obligation.type && known.policy === obligation.policy)) {
        found.push(obligation);
      }
    }
  }
  return found;
}

/** The same list for all that name none. */
function limitSetsOf(outcomes: readonly LeveledOutcome[]): readonly string[] {
  let found: Set<string> | undefined;
  for (const { outcome } of outcomes) {
    for (const set of outcome.limitSets) (found ??= new Set()).add(set);
  }
  return found === undefined ? NO_SETS : [...found];
}

function revisionOf(snapshot: Snapshot, layers: LayerDigests): Revision {
  return { layers, directory: snapshot.revision.directory, schema: snapshot.revision.schema };
}

/** @param defaultEnv undefined when no schema has read the context, which then is not logged */
function loggedRequest(
  asked: DecisionRequest,
  { principal, principalEntity, resource, resourceEntity, tenant }: Parties,
  defaultEnv: string | undefined,
): LoggedRequest {
  const owner = resourceEntity?.tenant;
  const contextRead = defaultEnv !== undefined;
  return {
    asked,
    tenant,
    defaultEnv: contextRead && asked.context?.['env'] === undefined ? defaultEnv : undefined,
    contextRead,
    principalTenant: principalEntity?.tenant ?? tenantPrefix(principal.id),
    resourceTenant: owner === tenantPrefix(resource.id) ? undefined : owner,
  };
}

/** Directory revisions of the entities that the request names: a reader of the log sees what was known. */
function startRevisions({ principal, principalEntity }: Parties): EntityRevision[] {
  return principalEntity === undefined ? [] : [{ entity: principal, revision: principalEntity.revision }];
}
