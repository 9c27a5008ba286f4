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
import type { CheckResult, Clause, LevelResult, NearMiss, Revision } from '../domain/decision.ts';
import { AppError } from '../domain/errors.ts';
import type { EntityRef } from '../domain/ids.ts';
import { type DecisionEntry, type EventEntry, LEAF_VERSION, type LogEntry } from '../domain/log-entry.ts';
import { canonicalJson, type Encodable, isCanonicalNumber } from './canonical-json.ts';

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
 * On the decision path every microsecond of this file counts. Literals with their keys in canonical order go
 * through JSON.stringify, which is native; what has keys of the caller's own (entities, context) goes through
 * canonicalJson. Where JSON.stringify would not be canonical, the whole leaf takes canonicalJson, which refuses
 * or encodes it: the result is the same text, only slower.
 */
function decisionText(entry: DecisionEntry): string {
  const { request } = entry;
  const parts = decisionParts(entry);
  if (needsCare(entry)) return slowDecisionText(entry, parts);
  const text =
    `${JSON.stringify(parts.head).slice(0, -1)},"entities":${canonicalJson(entry.entities)},` +
    `${JSON.stringify(parts.middle).slice(1, -1)},"request":{"action":${canonicalJson(request.action)},` +
    `"context":${canonicalJson(request.context)},${JSON.stringify(parts.request).slice(1)},` +
    JSON.stringify(parts.tail).slice(1);
  // JSON.stringify writes half a surrogate pair as an escape; a backslash before `ud` in plain text is rare.
  return text.includes('\\ud') ? slowDecisionText(entry, parts) : text;
}

type DecisionParts = ReturnType<typeof decisionParts>;

function slowDecisionText(entry: DecisionEntry, parts: DecisionParts): string {
  const { action, context } = entry.request;
  const { head, middle, request, tail } = parts;
  return canonicalJson({
    ...head,
    entities: entry.entities,
    ...middle,
    request: { action, context, ...request },
    ...tail,
  });
}

/** The leaf in the runs of keys between those that canonicalJson encodes; keys in canonical order. */
function decisionParts(entry: DecisionEntry) {
  const { reason, revision } = entry;
  return {
    head: { decision: entry.decision, engine: entry.engine },
    middle: {
      httpRequestId: entry.httpRequestId,
      id: entry.id,
      kind: entry.kind,
      levels: {
        action: levelPart(entry.levels.action),
        endpoint: levelPart(entry.levels.endpoint),
        tenant: levelPart(entry.levels.tenant),
      },
      obligations: entry.obligations.map(({ policy, type }) => ({ policy, type })),
      pep: entry.pep,
      reason: { code: reason.code, level: reason.level, message: reason.message, policies: reason.policies },
    },
    request: requestPart(entry.request),
    tail: {
      revision: {
        directory: revision.directory,
        layers: inOrder(revision.layers),
        schema: revision.schema,
      },
      time: entry.time,
      trace: entry.trace,
      v: LEAF_VERSION,
    },
  } satisfies { [part: string]: Encodable };
}

type LoggedRequest = DecisionEntry['request'];

function requestPart(request: LoggedRequest) {
  return {
    inputHash: request.inputHash,
    levels: request.levels,
    outputs: request.outputs?.map(({ classification, id, path }) => ({ classification, id, path })),
    partitions: request.partitions?.map(({ access, id }) => ({ access, id })),
    principal: refPart(request.principal),
    principalTenant: request.principalTenant,
    requestId: request.requestId,
    resource: refPart(request.resource),
    resourceTenant: request.resourceTenant,
    tenant: request.tenant,
    tools: request.tools?.map(({ amountCents, id }) => ({ amountCents, id })),
  } satisfies Omit<Whole<LoggedRequest>, 'action' | 'context'>;
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
    nearMisses: check.nearMisses.length === 0 ? [] : check.nearMisses.map(nearMissPart),
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

/** Layers with their names in canonical order; a layer name never looks like an array index. */
function inOrder(layers: Revision['layers']): Revision['layers'] {
  const names = Object.keys(layers);
  const sorted = names.toSorted();
  if (names.every((name, at) => name === sorted[at])) return layers;
  return Object.fromEntries(Object.entries(layers).sort(([one], [other]) => (one < other ? -1 : 1)));
}

/** What JSON.stringify would write without complaint or in another order: odd numbers, and observed values. */
function needsCare({ levels, request, revision, time }: DecisionEntry): boolean {
  return (
    !isCanonicalNumber(time) ||
    !isCanonicalNumber(revision.directory) ||
    request.tools?.some(tool => tool.amountCents !== undefined && !isCanonicalNumber(tool.amountCents)) ===
      true ||
    request.outputs?.some(output => !isCanonicalNumber(output.classification)) === true ||
    isExplained(levels.action) ||
    isExplained(levels.endpoint) ||
    isExplained(levels.tenant)
  );
}

/** Whether near misses carry clauses, whose observed values have keys of any kind. */
function isExplained(level: LevelResult | undefined): boolean {
  return level?.checks.some(check => check.nearMisses.some(({ clauses }) => clauses !== undefined)) === true;
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
