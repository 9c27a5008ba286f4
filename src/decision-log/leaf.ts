/**
 * Leaves: an entry of the log as the bytes that are stored, hashed and served verbatim. Invariants: the encoding
 * is canonical and injective; a leaf holds the fields listed here and no others, so nothing that an entry object
 * happens to carry (a token, an input) can slip into the log.
 *
 * Fields of every leaf: `v` (LEAF_VERSION), `kind`, `id`, `time` (ms since the epoch). A decision has also
 * `decision engine entities httpRequestId levels obligations pep reason request revision trace`, an event
 * `actor details subject tenant`; all as in domain/log-entry.ts, absent when undefined. The place of a leaf (its
 * index, the log's origin) is not in it. schema/log-entry.schema.json describes leaves for other readers.
 */
import type {
  CheckResult,
  Clause,
  LevelResult,
  NearMiss,
  Obligation,
  Reason,
  Revision,
} from '../domain/decision.ts';
import { AppError } from '../domain/errors.ts';
import type { EntityRef } from '../domain/ids.ts';
import { type DecisionEntry, type EventEntry, LEAF_VERSION, type LogEntry } from '../domain/log-entry.ts';
import { canonicalJson, canonicalNumber, canonicalString, type Encodable } from './canonical-json.ts';

/** Longest leaf in bytes. An entry of a C2SP tlog-tiles bundle has a 16-bit length; this leaves headroom. */
export const MAX_LEAF_BYTES = 61_440;

/** Every field of T, so that the compiler notices a field that this file forgets. */
type Whole<T> = { readonly [K in keyof T]-?: T[K] | undefined };

/**
 * The canonical JSON text of an entry's leaf.
 * @throws AppError INVALID_REQUEST when the entry holds what canonical JSON cannot (see canonical-json.ts)
 */
export function leafText(entry: LogEntry): string {
  return entry.kind === 'decision' ? decisionText(entry) : eventText(entry);
}

/** @throws AppError INVALID_REQUEST always: the entry is beyond MAX_LEAF_BYTES */
export function refuseLargeLeaf(): never {
  throw new AppError(
    'INVALID_REQUEST',
    `the entry would take more than ${MAX_LEAF_BYTES} bytes in the decision log`,
    {
      problems: [
        {
          message: `a log entry is at most ${MAX_LEAF_BYTES} bytes`,
          hint: 'send a smaller context, fewer tools or outputs, or `explain: "summary"`',
        },
      ],
    },
  );
}

/** The leaf as bytes. @throws as `leafText` and `refuseLargeLeaf` */
export function leafBytes(entry: LogEntry): Uint8Array {
  const bytes = new TextEncoder().encode(leafText(entry));
  return bytes.length > MAX_LEAF_BYTES ? refuseLargeLeaf() : bytes;
}

/*
 * On the decision path every microsecond of this file counts: a decision is written straight as canonical text, its
 * keys spelled out in order. `wholeDecision` says the same as a value; what the writer refuses goes that way, which
 * is slow and says what is wrong and where.
 */
function decisionText(entry: DecisionEntry): string {
  try {
    return writeDecision(entry);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return canonicalJson(wholeDecision(entry));
  }
}

type LoggedRequest = DecisionEntry['request'];

function writeDecision(entry: DecisionEntry): string {
  const { httpRequestId, trace } = entry;
  return (
    `{"decision":"${entry.decision}","engine":${canonicalString(entry.engine)},` +
    `"entities":${writeEntities(entry.entities)},` +
    (httpRequestId === undefined ? '' : `"httpRequestId":${canonicalString(httpRequestId)},`) +
    `"id":${canonicalString(entry.id)},"kind":"decision","levels":${writeLevels(entry.levels)},` +
    `"obligations":${writeList(entry.obligations, writeObligation)},"pep":${canonicalString(entry.pep)},` +
    `"reason":${writeReason(entry.reason)},"request":${writeRequest(entry.request)},` +
    `"revision":${writeRevision(entry.revision)},"time":${canonicalNumber(entry.time)}` +
    (trace === undefined ? '' : `,"trace":${canonicalString(trace)}`) +
    `,"v":${LEAF_VERSION}}`
  );
}

/** An object with its keys in order. A handful of entities: sorting a copy costs less than an object with their names. */
function writeEntities(entities: DecisionEntry['entities']): string {
  const sorted = entities.toSorted((a, b) => (a.entity < b.entity ? -1 : 1));
  let text = '';
  let previous: string | undefined;
  for (const { entity, revision } of sorted) {
    if (entity === previous) continue;
    previous = entity;
    text += `${text === '' ? '' : ','}${canonicalString(entity)}:${canonicalNumber(revision)}`;
  }
  return `{${text}}`;
}

function writeLevels({ action, endpoint, tenant }: DecisionEntry['levels']): string {
  let text = '';
  if (action !== undefined) text = `"action":${writeLevel(action)}`;
  if (endpoint !== undefined) text += `${text === '' ? '' : ','}"endpoint":${writeLevel(endpoint)}`;
  if (tenant !== undefined) text += `${text === '' ? '' : ','}"tenant":${writeLevel(tenant)}`;
  return `{${text}}`;
}

function writeLevel({ checks, decision }: LevelResult): string {
  return `{"checks":${writeList(checks, writeCheck)},"decision":"${decision}"}`;
}

function writeCheck(check: CheckResult): string {
  const { cedarDecision, errors, nearMisses } = check;
  return (
    `{"action":${canonicalString(check.action)}` +
    (cedarDecision === undefined ? '' : `,"cedarDecision":"${cedarDecision}"`) +
    `,"code":"${check.code}","decision":"${check.decision}"` +
    (errors === undefined ? '' : `,"errors":${writeList(errors, canonicalString)}`) +
    `,"message":${canonicalString(check.message)}` +
    `,"nearMisses":${nearMisses.length === 0 ? '[]' : canonicalJson(nearMisses.map(nearMissPart))}` +
    `,"policies":${writeList(check.policies, canonicalString)},"resource":${canonicalString(check.resource)}}`
  );
}

function writeObligation({ policy, type }: Obligation): string {
  return `{"policy":${canonicalString(policy)},"type":${canonicalString(type)}}`;
}

function writeReason({ code, level, message, policies }: Reason): string {
  return (
    `{"code":"${code}","level":"${level}","message":${canonicalString(message)},` +
    `"policies":${writeList(policies, canonicalString)}}`
  );
}

function writeRevision({ directory, layers, schema }: Revision): string {
  return (
    `{"directory":${canonicalNumber(directory)},"layers":${canonicalJson(layers)},` +
    `"schema":${canonicalString(schema)}}`
  );
}

function writeRequest(request: LoggedRequest): string {
  const { inputHash, levels, outputs, partitions, principalTenant, requestId, resourceTenant, tools } =
    request;
  return (
    `{"action":${canonicalString(request.action)},"context":${canonicalJson(request.context)}` +
    (inputHash === undefined ? '' : `,"inputHash":${canonicalString(inputHash)}`) +
    (levels === undefined ? '' : `,"levels":${writeList(levels, canonicalString)}`) +
    (outputs === undefined ? '' : `,"outputs":${canonicalJson(outputs.map(outputPart))}`) +
    (partitions === undefined ? '' : `,"partitions":${canonicalJson(partitions.map(partitionPart))}`) +
    `,"principal":${writeRef(request.principal)}` +
    (principalTenant === undefined ? '' : `,"principalTenant":${canonicalString(principalTenant)}`) +
    (requestId === undefined ? '' : `,"requestId":${canonicalString(requestId)}`) +
    `,"resource":${writeRef(request.resource)}` +
    (resourceTenant === undefined ? '' : `,"resourceTenant":${canonicalString(resourceTenant)}`) +
    `,"tenant":${canonicalString(request.tenant)}` +
    (tools === undefined ? '}' : `,"tools":${canonicalJson(tools.map(toolPart))}}`)
  );
}

function writeRef({ id, type }: EntityRef): string {
  return `{"id":${canonicalString(id)},"type":${canonicalString(type)}}`;
}

function writeList<T>(list: readonly T[], write: (element: T) => string): string {
  let text = '';
  for (const element of list) text += text === '' ? write(element) : `,${write(element)}`;
  return `[${text}]`;
}

/** What `writeDecision` writes, as a value. */
function wholeDecision(entry: DecisionEntry) {
  const { levels, obligations, reason, revision } = entry;
  return {
    decision: entry.decision,
    engine: entry.engine,
    entities: Object.fromEntries(entry.entities.map(({ entity, revision }) => [entity, revision])),
    httpRequestId: entry.httpRequestId,
    id: entry.id,
    kind: entry.kind,
    levels: {
      action: levelPart(levels.action),
      endpoint: levelPart(levels.endpoint),
      tenant: levelPart(levels.tenant),
    },
    obligations: obligations.map(({ policy, type }) => ({ policy, type })),
    pep: entry.pep,
    reason: { code: reason.code, level: reason.level, message: reason.message, policies: reason.policies },
    request: requestPart(entry.request),
    revision: { directory: revision.directory, layers: revision.layers, schema: revision.schema },
    time: entry.time,
    trace: entry.trace,
    v: LEAF_VERSION,
  } satisfies Record<keyof DecisionEntry | 'v', Encodable | undefined>;
}

function requestPart(request: LoggedRequest) {
  return {
    action: request.action,
    context: request.context,
    inputHash: request.inputHash,
    levels: request.levels,
    outputs: request.outputs?.map(outputPart),
    partitions: request.partitions?.map(partitionPart),
    principal: refPart(request.principal),
    principalTenant: request.principalTenant,
    requestId: request.requestId,
    resource: refPart(request.resource),
    resourceTenant: request.resourceTenant,
    tenant: request.tenant,
    tools: request.tools?.map(toolPart),
  } satisfies Whole<LoggedRequest>;
}

function outputPart({ classification, id, path }: NonNullable<LoggedRequest['outputs']>[number]) {
  return { classification, id, path };
}

function partitionPart({ access, id }: NonNullable<LoggedRequest['partitions']>[number]) {
  return { access, id };
}

function toolPart({ amountCents, id }: NonNullable<LoggedRequest['tools']>[number]) {
  return { amountCents, id };
}

function refPart({ id, type }: EntityRef) {
  return { id, type } satisfies Whole<EntityRef>;
}

function levelPart(level: LevelResult | undefined) {
  if (level === undefined) return undefined;
  return { checks: level.checks.map(checkPart), decision: level.decision } satisfies Whole<LevelResult>;
}

function checkPart(check: CheckResult) {
  return {
    action: check.action,
    cedarDecision: check.cedarDecision,
    code: check.code,
    decision: check.decision,
    errors: check.errors,
    message: check.message,
    nearMisses: check.nearMisses.map(nearMissPart),
    policies: check.policies,
    resource: check.resource,
  } satisfies Whole<CheckResult>;
}

function nearMissPart(miss: NearMiss) {
  return {
    clauses: miss.clauses?.map(clausePart),
    missing: miss.missing,
    policy: miss.policy,
    reason: miss.reason,
  } satisfies Whole<NearMiss>;
}

function clausePart(clause: Clause) {
  return {
    kind: clause.kind,
    observed: clause.observed,
    result: clause.result,
    text: clause.text,
  } satisfies Whole<Clause>;
}

function eventText(entry: EventEntry): string {
  return canonicalJson({
    actor: entry.actor,
    details: entry.details,
    id: entry.id,
    kind: entry.kind,
    subject: entry.subject,
    tenant: entry.tenant,
    time: entry.time,
    v: LEAF_VERSION,
  } satisfies Whole<EventEntry> & { v: number });
}
