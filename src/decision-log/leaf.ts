/**
 * Leaves: an entry of the log as the bytes that are stored, hashed and served verbatim. Invariants: the encoding
 * is canonical and injective; a leaf holds the fields written here and no others, so nothing that an entry object
 * happens to carry (a token, an input) can slip into the log; no principal is named in clear.
 *
 * Format 2, described for other readers by schema/log-entry.schema.json. What follows from other fields is not
 * repeated: entry-view.ts adds it (a check's verdict from its code, its resource from the request, the policies of
 * the reason from the checks, defaults of the context). Principals are pseudonyms, the input is a keyed digest,
 * personal values of the context are RFC 9901 disclosures that are stored apart (leaf-privacy.ts). The place of a
 * leaf (its index, the log's origin) is not in it.
 */
import type { CheckResult, Revision } from '../domain/decision.ts';
import { AppError } from '../domain/errors.ts';
import type { EntityRef } from '../domain/ids.ts';
import { NAMESPACE } from '../domain/names.ts';
import type { JsonObject } from '../domain/json.ts';
import {
  type DecisionEntry,
  type EntityRevision,
  type EventEntry,
  LEAF_VERSION,
  type LogEntry,
  type LoggedRequest,
} from '../domain/log-entry.ts';
import type { Level } from '../domain/reason.ts';
import { canonicalJson, canonicalNumber, canonicalString, canonicalWith } from './canonical-json.ts';
import { type Claim, claimOf } from './commitment.ts';
import { BLANK, type LateValues } from './late-values.ts';
import { writeLimits } from './leaf-limits.ts';
import {
  type Asked,
  outputPart,
  partitionPart,
  toolPart,
  writeAuth,
  writeCaller,
  writeList,
  writeNearMiss,
  writeObligation,
  writeParams,
  writeReason,
} from './leaf-parts.ts';
import type { DueMac, LeafPrivacy, Subject } from './leaf-privacy.ts';

/** Longest leaf in bytes. An entry of a C2SP tlog-tiles bundle has a 16-bit length; this leaves headroom. */
export const MAX_LEAF_BYTES = 61_440;
/** Context key under which RFC 9901 puts digests; a value that is given under it is committed to as well. */
const DIGESTS = '_sd';
/** Entity types whose entities act for persons or are persons, qualified. */
const PRINCIPAL_TYPES: ReadonlySet<string> = new Set(
  ['User', 'Service', 'Agent'].map(type => `${NAMESPACE}::${type}`),
);
/** In front of each type of the schema's namespace. */
const PREFIX = `${NAMESPACE}::`;
const AGENT_TYPE = `${NAMESPACE}::Agent`;

/** A leaf and, where the entry has personal values or an input, what has to be put into its blanks. */
export interface WrittenLeaf {
  readonly text: string;
  readonly late: LateValues | undefined;
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
          hint: 'send a smaller context, or fewer tools or outputs',
        },
      ],
    },
  );
}

/** What a pseudonym can add to the length of a leaf. */
const PSEUDONYM_ROOM = 64;
/** What the numbers of changes can add to it. */
const STORES_ROOM = 96;

/** @throws AppError INVALID_REQUEST when no leaf can hold the event */
export function checkEvent(event: EventEntry): void {
  const { actor, details, id, kind, subject, tenant, time } = event;
  const text = canonicalJson({ actor, details, id, kind, subject, tenant, time, v: LEAF_VERSION });
  if (Buffer.byteLength(text) > MAX_LEAF_BYTES - PSEUDONYM_ROOM - STORES_ROOM) refuseLargeLeaf();
}

/** The leaf of one entry; who has many keeps a LeafWriter. @throws as `LeafWriter.write` */
export function writeLeaf(entry: LogEntry, privacy: LeafPrivacy): WrittenLeaf {
  return new LeafWriter(privacy).write(entry);
}

/** Writes the leaves of one log. It is on the path of each decision: every microsecond of this file counts. */
export class LeafWriter {
  readonly #privacy: LeafPrivacy;
  /** Revisions come from the snapshot and are the same objects again and again. */
  readonly #layers = new WeakMap<object, string>();

  constructor(privacy: LeafPrivacy) {
    this.#privacy = privacy;
  }

  /** @throws AppError INVALID_REQUEST when the entry holds what canonical JSON cannot (see canonical-json.ts) */
  write(entry: LogEntry): WrittenLeaf {
    return entry.kind === 'decision' ? this.#decision(entry) : { text: this.#event(entry), late: undefined };
  }

  #decision(entry: DecisionEntry): WrittenLeaf {
    const { caller, httpRequestId, limits, trace, obligations, time, request } = entry;
    const { principal } = request.asked;
    const principalKey = keyAmong(entry.entities, principal.type, principal.id);
    const subject = this.#privacy.subject(principalKey);
    const pseudonym = subject?.pseudonym ?? this.#privacy.unregistered(principalKey, time);
    const context = this.#context(request);
    const input = this.#input(request, time);
    const text =
      `{${caller === undefined ? '' : writeCaller(caller)}"decision":"${entry.decision}","engine":${canonicalString(entry.engine)},` +
      `"entities":${this.#entities(entry.entities, principalKey, pseudonym, time)},` +
      (httpRequestId === undefined ? '' : `"httpRequestId":${canonicalString(httpRequestId)},`) +
      `"id":${canonicalString(entry.id)},"kind":"decision","levels":${this.#levels(entry)},` +
      (limits === undefined || limits.length === 0 ? '' : `"limits":${writeLimits(limits)},`) +
      (obligations.length === 0 ? '' : `"obligations":${writeList(obligations, writeObligation)},`) +
      `"pep":${canonicalString(entry.pep)},"reason":${writeReason(entry.reason)},` +
      `"request":${this.#request(request, { pseudonym, context: context.text, input: input.text }, time)},` +
      `"revision":${this.#revision(entry.revision)},"time":${canonicalNumber(time)}` +
      (trace === undefined ? '' : `,"trace":${canonicalString(trace)}`) +
      `,"v":${LEAF_VERSION}}`;
    return { text, late: lateValues(entry, subject, context.claims, input.mac) };
  }

  /** Each as `[type, id, revision]`; the principal and other principals under their pseudonyms. */
  #entities(entities: readonly EntityRevision[], principal: string, pseudonym: string, time: number): string {
    let text = '';
    for (const [at, one] of entities.entries()) {
      const { type, id, key } = one.entity;
      // a handful: looking back costs less than a set
      if (entities.findIndex(known => known.entity.key === key) < at) continue;
      const shownId =
        key === principal ? pseudonym : PRINCIPAL_TYPES.has(type) ? this.#pseudonym(key, time) : id;
      text += `${text === '' ? '' : ','}[${canonicalString(type)},${canonicalString(shownId)},${canonicalNumber(one.revision)}]`;
    }
    return `[${text}]`;
  }

  #pseudonym(key: string, time: number): string {
    return this.#privacy.subject(key)?.pseudonym ?? this.#privacy.unregistered(key, time);
  }

  #levels(entry: DecisionEntry): string {
    const { action, endpoint, tenant } = entry.levels;
    const { type, id } = entry.request.asked.resource;
    const main = keyAmong(entry.entities, type, id);
    let text = '';
    if (action !== undefined) text = `"action":${this.#checks(action.checks, main, entry)}`;
    if (endpoint !== undefined) {
      text += `${text === '' ? '' : ','}"endpoint":${this.#checks(endpoint.checks, main, entry)}`;
    }
    if (tenant !== undefined) {
      const implied = keyAmong(entry.entities, 'Tenant', entry.request.tenant);
      text += `${text === '' ? '' : ','}"tenant":${this.#checks(tenant.checks, implied, entry)}`;
    }
    return `{${text}}`;
  }

  /** @param implied the resource that a check of the level has when its leaf names none */
  #checks(checks: readonly CheckResult[], implied: string, { time }: DecisionEntry): string {
    let text = '';
    for (const check of checks) {
      const { cedarDecision, errors, nearMisses, resource } = check;
      text +=
        `${text === '' ? '' : ','}{"action":${canonicalString(check.action)}` +
        (cedarDecision === undefined ? '' : `,"cedarDecision":"${cedarDecision}"`) +
        `,"code":"${check.code}"` +
        (errors === undefined ? '' : `,"errors":${writeList(errors, canonicalString)}`) +
        (nearMisses.length === 0 ? '' : `,"nearMisses":${writeList(nearMisses, writeNearMiss)}`) +
        `,"policies":${writeList(check.policies, canonicalString)}` +
        (resource === implied ? '}' : `,"resource":${canonicalString(this.#safeKey(resource, time))}}`);
    }
    return `[${text}]`;
  }

  /** An entity key with its id replaced by a pseudonym when it is a principal. */
  #safeKey(key: string, time: number): string {
    const mark = key.indexOf('::"');
    const type = key.slice(0, mark);
    return mark > 0 && PRINCIPAL_TYPES.has(type) ? `${type}::"${this.#pseudonym(key, time)}"` : key;
  }

  #revision({ directory, layers, schema }: Revision): string {
    let text = this.#layers.get(layers);
    if (text === undefined) this.#layers.set(layers, (text = canonicalJson(layers)));
    return `{"directory":${canonicalNumber(directory)},"layers":${text},"schema":${canonicalString(schema)}}`;
  }

  #request(request: LoggedRequest, { pseudonym, context, input }: RequestParts, time: number): string {
    const { asked, defaultEnv, principalTenant, resourceTenant } = request;
    const { auth, levels, onBehalfOf, outputs, params, partitions, requestId, tools, via } = asked;
    return (
      `{"action":${canonicalString(asked.action)}` +
      (auth === undefined ? '' : `,"auth":${writeAuth(auth)}`) +
      (asked.consume === false ? ',"consume":false' : '') +
      context +
      (defaultEnv === undefined ? '' : `,"env":${canonicalString(defaultEnv)}`) +
      input +
      (levels === undefined ? '' : `,"levels":${writeList(levels, canonicalString)}`) +
      (onBehalfOf === undefined ? '' : `,"onBehalfOf":${canonicalString(onBehalfOf)}`) +
      (outputs === undefined ? '' : `,"outputs":${canonicalJson(outputs.map(outputPart))}`) +
      (params === undefined ? '' : `,"params":${writeParams(params)}`) +
      (partitions === undefined ? '' : `,"partitions":${canonicalJson(partitions.map(partitionPart))}`) +
      `,"principal":{"id":${canonicalString(pseudonym)},"type":${canonicalString(asked.principal.type)}}` +
      (principalTenant === undefined || principalTenant === request.tenant
        ? ''
        : `,"principalTenant":${canonicalString(principalTenant)}`) +
      (requestId === undefined ? '' : `,"requestId":${canonicalString(requestId)}`) +
      `,"resource":${this.#resource(asked.resource, time)}` +
      (resourceTenant === undefined ? '' : `,"resourceTenant":${canonicalString(resourceTenant)}`) +
      `,"tenant":${canonicalString(request.tenant)}` +
      (tools === undefined ? '' : `,"tools":${canonicalJson(tools.map(toolPart))}`) +
      (via === undefined ? '}' : `,"via":${this.#via(via, time)}}`)
    );
  }

  #resource({ id, type }: EntityRef, time: number): string {
    const shownId = PRINCIPAL_TYPES.has(`${NAMESPACE}::${type}`)
      ? this.#pseudonym(`${NAMESPACE}::${type}::"${id}"`, time)
      : id;
    return `{"id":${canonicalString(shownId)},"type":${canonicalString(type)}}`;
  }

  /** The input as it was described, and its hash as a keyed digest beside it. */
  #input({ asked, tenant }: LoggedRequest, time: number): InputPart {
    if (asked.input === undefined) return NO_INPUT;
    const { classes, hash, modality, tokens } = asked.input;
    let text = '';
    if (classes !== undefined) text = `"classes":${writeList(classes, canonicalString)}`;
    if (modality !== undefined) text += `${text === '' ? '' : ','}"modality":${canonicalString(modality)}`;
    if (tokens !== undefined) text += `${text === '' ? '' : ','}"tokens":${canonicalNumber(tokens)}`;
    if (hash === undefined) return { text: `,"input":{${text}}`, mac: undefined };
    const digest = this.#privacy.inputDigest({ tenant, resource: keyOf(asked.resource), hash }, time);
    const mac = 'due' in digest ? `"${BLANK}"` : canonicalString(digest.mac);
    return {
      text: `,"input":{${text}},"inputDigest":{"kid":${canonicalString(digest.kid)},"mac":${mac}}`,
      mac: 'due' in digest ? digest.due : undefined,
    };
  }

  #via(via: Asked<'via'>, time: number): string {
    const agent = (id: string): string => this.#pseudonym(`${AGENT_TYPE}::"${id}"`, time);
    return canonicalJson({
      agent: agent(via.agent),
      chain: via.chain.map(agent),
      depth: via.depth,
      expires: via.expires,
      humanApproved: via.humanApproved,
      scopes: via.scopes,
    });
  }

  /** The context as far as it may be shown, and the rest as claims, whose digests stand for it. */
  #context({ asked, contextRead }: LoggedRequest): ContextPart {
    const { context } = asked;
    if (context === undefined || !contextRead) return NO_CONTEXT;
    const { personalKeys } = this.#privacy;
    for (const key of Object.keys(context)) {
      if (personalKeys.has(key) || key === DIGESTS) return withoutPersonal(context, personalKeys);
    }
    return { text: `,"context":${canonicalJson(context)}`, claims: NO_CLAIMS };
  }

  #event(entry: EventEntry): string {
    const { actor, details, id, kind, tenant, time } = entry;
    const subject = this.#safeKey(entry.subject, time);
    const stores = storesPart(entry);
    return canonicalJson({ actor, details, id, kind, stores, subject, tenant, time, v: LEAF_VERSION });
  }
}

function storesPart({ stores }: EventEntry): JsonObject | undefined {
  return stores === undefined ? undefined : { state: stores.state, subjects: stores.subjects };
}

/** Parts of a request that are written before it, each as the text of its members. */
interface RequestParts {
  readonly pseudonym: string;
  readonly context: string;
  readonly input: string;
}

interface ContextPart {
  readonly text: string;
  readonly claims: readonly Claim[];
}

interface InputPart {
  readonly text: string;
  readonly mac: DueMac | undefined;
}

const NO_CLAIMS: readonly Claim[] = [];
const NO_CONTEXT: ContextPart = { text: '', claims: NO_CLAIMS };
const NO_INPUT: InputPart = { text: '', mac: undefined };

function withoutPersonal(context: JsonObject, personalKeys: ReadonlySet<string>): ContextPart {
  const claims: Claim[] = [];
  const shown: Record<string, JsonObject[string]> = {};
  let blanks = '';
  for (const key of Object.keys(context)) {
    const value = context[key];
    if (value === undefined) continue;
    if (!personalKeys.has(key) && key !== DIGESTS) {
      shown[key] = value;
      continue;
    }
    claims.push(claimOf(key, value));
    blanks += blanks === '' ? `"${BLANK}"` : `,"${BLANK}"`;
  }
  return { text: `,"context":${canonicalWith(shown, DIGESTS, `[${blanks}]`)}`, claims };
}

function lateValues(
  { id }: DecisionEntry,
  subject: Subject | undefined,
  claims: readonly Claim[],
  mac: DueMac | undefined,
): LateValues | undefined {
  return claims.length === 0 && mac === undefined ? undefined : { decisionId: id, subject, claims, mac };
}

/** The resource of a check whose leaf names none: the data tenant at the tenant level, else the request's. */
export function impliedResource(level: Level, main: string, tenant: string): string {
  return level === 'tenant' ? `${NAMESPACE}::Tenant::"${tenant}"` : main;
}

function keyOf({ id, type }: EntityRef): string {
  return `${NAMESPACE}::${type}::"${id}"`;
}

/**
 * The key of an entity, as the directory holds it where it is among those that were used: a text that was hashed
 * already, and the very one that checks name.
 */
function keyAmong(entities: readonly EntityRevision[], type: string, id: string): string {
  for (const { entity } of entities) {
    if (entity.id === id && isQualified(entity.type, type)) return entity.key;
  }
  return keyOf({ type, id });
}

/** Whether a qualified type is this one of the schema's namespace; without a text put together anew. */
function isQualified(qualified: string, type: string): boolean {
  return (
    qualified.length === PREFIX.length + type.length &&
    qualified.startsWith(PREFIX) &&
    qualified.endsWith(type)
  );
}
