/**
 * Leaves as readers get them: every format in one full form, with what follows from other fields spelled out, and
 * principals and personal values in clear as far as they could be opened. Invariants: a view adds nothing that the
 * leaf and what opened it do not say; what was erased stays a pseudonym or a digest.
 */
import { LEVELS, NAMESPACE } from '../domain/names.ts';
import { type JsonObject, type JsonValue, listOf, objectOf, textOf } from '../domain/json.ts';
import { timestamp } from '../domain/clock.ts';
import { openDisclosure } from './commitment.ts';
import { impliedResource } from './leaf.ts';
import { limitsView } from './leaf-limits.ts';
import { messageOfCode } from './messages.ts';

/** What opens a leaf for a reader who may see it. */
export interface Opened {
  /** Ids by pseudonym. */
  readonly subjects: ReadonlyMap<string, string>;
  /** RFC 9901 disclosures of its personal values. */
  readonly disclosures: readonly string[];
}

export const NOTHING_OPENED: Opened = { subjects: new Map(), disclosures: [] };

/** Pseudonyms: `p:` of registered principals, `u:` of others; 22 base64url characters. */
const PSEUDONYM = /^[pu]:[A-Za-z0-9_-]{22}$/;
const ENTITY_KEY = /^([A-Za-z_0-9:]+)::"(.*)"$/;

/** The defaults of a context, which a leaf does not repeat. */
const DEFAULT_AUTH: JsonObject = { method: 'asserted', assurance: 0, scopes: [] };

/**
 * The full form of a leaf: `id kind time v`, and of a decision `decision reason levels obligations pep engine
 * entities request revision trace httpRequestId`, `request.context` being the context as the checks saw it; of an
 * event `actor details subject tenant`.
 */
export function entryView(leaf: JsonObject, opened: Opened): JsonObject {
  if (leaf['v'] === 1) return leaf;
  if (leaf['kind'] !== 'decision') return eventView(leaf, opened);
  const request = requestView(leaf, opened);
  const levels = levelsView(leaf, opened);
  const reason = reasonView(objectOf(leaf['reason']), levels);
  return {
    ...leaf,
    entities: entitiesView(leaf['entities'], opened),
    levels,
    ...(leaf['limits'] === undefined ? {} : { limits: limitsView(leaf['limits']) }),
    obligations: leaf['obligations'] ?? [],
    reason,
    request,
  };
}

/** The pseudonyms that a leaf names, for whoever resolves them; none in leaves of format 1. */
export function pseudonymsIn(leaf: JsonObject): readonly string[] {
  if (leaf['v'] === 1) return [];
  const found = new Set<string>();
  const add = (value: JsonValue | undefined): void => {
    if (typeof value === 'string' && PSEUDONYM.test(value)) found.add(value);
  };
  const addKey = (value: JsonValue | undefined): void => {
    if (typeof value === 'string') add(ENTITY_KEY.exec(value)?.[2]);
  };
  addKey(leaf['subject']);
  const request = objectOf(leaf['request']);
  add(objectOf(request['principal'])['id']);
  add(objectOf(request['resource'])['id']);
  const via = objectOf(request['via']);
  add(via['agent']);
  for (const agent of listOf(via['chain'])) add(agent);
  for (const entity of listOf(leaf['entities'])) add(listOf(entity)[1]);
  for (const level of LEVELS) {
    for (const check of listOf(objectOf(leaf['levels'])[level])) addKey(objectOf(check)['resource']);
  }
  return [...found];
}

function eventView(leaf: JsonObject, opened: Opened): JsonObject {
  const { subject } = leaf;
  return typeof subject === 'string' ? { ...leaf, subject: openKey(subject, opened) } : leaf;
}

function openId(value: JsonValue | undefined, { subjects }: Opened): string {
  const id = textOf(value);
  return subjects.get(id) ?? id;
}

function openKey(key: string, opened: Opened): string {
  const [, type, id] = ENTITY_KEY.exec(key) ?? [];
  return type === undefined || id === undefined ? key : `${type}::"${openId(id, opened)}"`;
}

function entitiesView(entities: JsonValue | undefined, opened: Opened): JsonObject {
  const view: Record<string, JsonValue> = {};
  for (const entity of listOf(entities)) {
    const [type, id, revision] = listOf(entity);
    if (revision !== undefined) view[`${textOf(type)}::"${openId(id, opened)}"`] = revision;
  }
  return view;
}

function requestView(leaf: JsonObject, opened: Opened): JsonObject {
  const { auth, context, env, input, onBehalfOf, params, via, ...request } = objectOf(leaf['request']);
  const principal = objectOf(request['principal']);
  const resource = objectOf(request['resource']);
  const { _sd: digests, ...shown } = objectOf(context);
  const given = objectOf(input);
  const limits = objectOf(params);
  const now = typeof leaf['time'] === 'number' ? timestamp(leaf['time']) : '';
  const isRead = env !== undefined || Object.hasOwn(shown, 'env');
  const full: JsonObject = {
    ...(env === undefined ? {} : { env }),
    ...shown,
    ...disclosed(listOf(digests), opened),
    auth: auth ?? DEFAULT_AUTH,
    input: {
      classes: given['classes'] ?? [],
      modality: given['modality'] ?? 'text',
      tokens: given['tokens'] ?? 0,
    },
    params: { maxOutputTokens: limits['maxOutputTokens'] ?? 0, stream: limits['stream'] ?? false },
    ...(onBehalfOf === undefined ? {} : { onBehalfOf }),
    ...(via === undefined ? {} : { via: viaView(objectOf(via), opened) }),
    now,
  };
  return {
    ...request,
    principal: { type: textOf(principal['type']), id: openId(principal['id'], opened) },
    resource: { type: textOf(resource['type']), id: openId(resource['id'], opened) },
    context: isRead ? full : { now },
  };
}

/** Values whose digests are in the leaf; the digests of the others stay. */
function disclosed(digests: readonly JsonValue[], { disclosures }: Opened): JsonObject {
  const wanted = new Set(digests.map(textOf));
  const opened: Record<string, JsonValue> = {};
  for (const disclosure of disclosures) {
    const found = openDisclosure(disclosure, wanted);
    if (found !== undefined) opened[found.key] = found.value;
  }
  return wanted.size > Object.keys(opened).length ? { ...opened, _sd: [...wanted] } : opened;
}

function viaView(via: JsonObject, opened: Opened): JsonObject {
  return {
    ...via,
    agent: openId(via['agent'], opened),
    chain: listOf(via['chain']).map(agent => openId(agent, opened)),
  };
}

function levelsView(leaf: JsonObject, opened: Opened): JsonObject {
  const levels = objectOf(leaf['levels']);
  const request = objectOf(leaf['request']);
  const { type, id } = objectOf(request['resource']);
  const main = `${NAMESPACE}::${textOf(type)}::"${openId(id, opened)}"`;
  const view: Record<string, JsonValue> = {};
  for (const level of LEVELS) {
    if (levels[level] === undefined) continue;
    const implied = impliedResource(level, main, textOf(request['tenant']));
    const checks = listOf(levels[level]).map(check => checkView(objectOf(check), implied, opened));
    const isAllowed = checks.every(check => check['decision'] === 'allow');
    view[level] = { decision: isAllowed ? 'allow' : 'deny', checks };
  }
  return view;
}

function checkView(check: JsonObject, implied: string, opened: Opened): JsonObject {
  const code = textOf(check['code']);
  const nearMisses = listOf(check['nearMisses']);
  const { resource } = check;
  return {
    ...check,
    resource: resource === undefined ? implied : openKey(textOf(resource), opened),
    decision: code === 'POLICY_ALLOW' ? 'allow' : 'deny',
    message: messageOfCode(code, nearMisses.map(objectOf)),
    nearMisses,
  };
}

/** The policies of the reason are those of the deciding check: the first deny of its level, else the last check. */
function reasonView(reason: JsonObject, levels: JsonObject): JsonObject {
  const checks = listOf(objectOf(levels[textOf(reason['level'])])['checks']).map(objectOf);
  const deciding = checks.find(check => check['decision'] === 'deny') ?? checks.at(-1);
  // after an allow of the policies something else denied
  const isTheirs = deciding?.['decision'] === 'deny' || reason['code'] === 'POLICY_ALLOW';
  if (!isTheirs) {
    return {
      ...reason,
      message: reason['message'] ?? messageOfCode(textOf(reason['code']), []),
      policies: [],
    };
  }
  return {
    ...reason,
    message: reason['message'] ?? deciding?.['message'] ?? messageOfCode(textOf(reason['code']), []),
    policies: deciding?.['policies'] ?? [],
  };
}
