/**
 * The quick look at a decision request: tells, without a copy, that a body is what `decisionRequestSchema` would
 * make of it. Invariant: it only ever says yes where the schema accepts and changes nothing but the default of
 * `explain`; in any doubt it says no and the schema decides (test/property/plain-request.test.ts holds it to that).
 */
import {
  ACCESS,
  type DecisionRequest,
  EXPLANATIONS,
  HASH_PATTERN,
  isJsonObject,
  MAX_ACTION_LENGTH,
  MAX_ASSURANCE,
  MAX_CHECKED_ITEMS,
  MAX_LEVELS,
  MAX_OUTPUT_PATH,
  MAX_SET_ELEMENTS,
  MAX_SHORT_TEXT,
} from './decision-request.ts';
import { ENTITY_TYPE_PATTERN, ID_PATTERN } from './ids.ts';
import { LEVELS } from './names.ts';

type Check = (value: unknown) => boolean;
type Members = Readonly<Record<string, Check>>;
/** A request whose defaults are yet to be filled in. */
type PlainRequest = Omit<DecisionRequest, 'explain'> & Partial<Pick<DecisionRequest, 'explain'>>;

/**
 * The request that the schema would return, or undefined when the schema must be asked, for what it would say or
 * fill in. `via` and partitions without `access` are always left to the schema.
 */
export function plainRequest(body: unknown): DecisionRequest | undefined {
  if (!isPlain(body)) return undefined;
  return { ...body, explain: body.explain ?? 'summary' };
}

function isPlain(body: unknown): body is PlainRequest {
  return request(body);
}

const isId: Check = value => typeof value === 'string' && ID_PATTERN.test(value);
const isEntityType: Check = value => typeof value === 'string' && ENTITY_TYPE_PATTERN.test(value);
const isShortText = textUpTo(MAX_SHORT_TEXT);
const isStrings = listOf(isShortText, 0, MAX_SET_ELEMENTS);
const isInt: Check = value => Number.isSafeInteger(value);
const isBoolean: Check = value => typeof value === 'boolean';
const isCount: Check = value => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
const isAssurance: Check = value => isCount(value) && Number(value) <= MAX_ASSURANCE;
const isAction: Check = value =>
  isShortText(value) && value !== '' && String(value).length <= MAX_ACTION_LENGTH;
const isHash: Check = value => isShortText(value) && HASH_PATTERN.test(String(value));

const entityRef = objectOf({ type: isEntityType, id: isId });

const request = objectOf(
  { principal: entityRef, action: isAction, resource: entityRef },
  {
    requestId: isId,
    tenant: isId,
    partitions: listOf(objectOf({ id: isId, access: oneOf(ACCESS) }), 0, MAX_CHECKED_ITEMS),
    onBehalfOf: isId,
    tools: listOf(objectOf({ id: isId }, { amountCents: isInt }), 0, MAX_CHECKED_ITEMS),
    outputs: listOf(
      objectOf({ id: isId, path: textUpTo(MAX_OUTPUT_PATH), classification: isInt }),
      0,
      MAX_CHECKED_ITEMS,
    ),
    input: objectOf({}, { classes: isStrings, modality: isShortText, tokens: isCount, hash: isHash }),
    params: objectOf(
      {},
      { maxOutputTokens: isCount, stream: isBoolean, outputs: isCount, totalOutputTokens: isCount },
    ),
    context: isJsonObject,
    auth: objectOf(
      { method: isShortText, assurance: isAssurance, scopes: isStrings },
      { keyId: isShortText, issuer: isShortText },
    ),
    levels: listOf(oneOf(LEVELS), 1, MAX_LEVELS),
    consume: isBoolean,
    explain: oneOf(EXPLANATIONS),
  },
);

/** An object with all the required members, perhaps some of the optional ones, and no others. */
function objectOf(required: Members, optional: Members = {}): Check {
  const checks = new Map(Object.entries({ ...required, ...optional }));
  const wanted = Object.keys(required);
  return value => {
    if (!isJsonObject(value)) return false;
    for (const key in value) {
      const check = checks.get(key);
      if (check === undefined || !check(value[key])) return false;
    }
    // a member that is there has passed its check, and no check passes undefined
    for (const key of wanted) if (value[key] === undefined) return false;
    return true;
  };
}

function listOf(check: Check, min: number, max: number): Check {
  return value => {
    if (!Array.isArray(value) || value.length < min || value.length > max) return false;
    for (const item of value) if (!check(item)) return false;
    return true;
  };
}

function textUpTo(length: number): Check {
  return value => typeof value === 'string' && value.length <= length;
}

function oneOf(choices: readonly unknown[]): Check {
  return value => choices.includes(value);
}
