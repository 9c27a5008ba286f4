/**
 * Gateways that ask with a body of their own: Portkey's webhook and LiteLLM's guardrail. Invariant: the answer is
 * 200 and says allow or deny in so many words, because both take a missing word, and Portkey an error, for allow.
 */
import { isJsonObject } from '../../domain/decision-request.ts';
import type { JsonObject, JsonValue } from '../../domain/json.ts';
import type { PepProfile } from '../../domain/pep-profile.ts';
import { RequestRefused } from '../ai-requests/ai-request.ts';
import { HeaderList } from '../ai-requests/header-list.ts';
import { parseBodyJson } from '../ai-requests/json-text.ts';
import { isModelKey } from '../ai-requests/model-names.ts';
import type { DescribedRequest } from './gateway.ts';
import { deny } from './request-denied.ts';

/** One sentence and whether the request may go on. */
export interface HookVerdict {
  readonly isAllowed: boolean;
  readonly code: string;
  readonly message: string;
  readonly decisionId: string | undefined;
  /** What a client should see, for hooks that can tell it; absent: no decision was made. */
  readonly status?: number | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** How a kind of hook is read and answered. */
export interface Hook {
  /** What follows the name of the profile in its URL. */
  readonly path: string;
  readonly describe: (body: JsonObject, principalField: string | undefined) => DescribedRequest;
  readonly answer: (verdict: HookVerdict) => unknown;
}

const JSON_HEADERS = [['content-type', 'application/json']] as const;
const CHAT_PATH = '/v1/chat/completions';
/** Paths of the request types for which Portkey runs hooks. */
const PORTKEY_PATHS: ReadonlyMap<JsonValue | undefined, string> = new Map([
  ['chatComplete', CHAT_PATH],
  ['complete', '/v1/completions'],
  ['embed', '/v1/embeddings'],
  ['messages', '/v1/messages'],
]);

const PORTKEY: Hook = {
  path: '',
  describe(body, principalField) {
    if (body['eventType'] !== 'beforeRequestHook') {
      deny('INPUT_REJECTED', 'only requests are decided: configure the webhook as an input guardrail');
    }
    const target = PORTKEY_PATHS.get(body['requestType']);
    if (target === undefined) deny('MODEL_UNKNOWN', 'the type of the request is not known');
    const request = objectOf(body['request'])['json'];
    return {
      client: clientOf(target, request),
      principal: fieldOf(objectOf(body['metadata']), principalField),
    };
  },
  answer: ({ isAllowed, ...data }) => ({ verdict: isAllowed, data }),
};

const LITELLM: Hook = {
  path: '/beta/litellm_basic_guardrail_api',
  describe(body, principalField) {
    if (body['input_type'] !== 'request') {
      deny('INPUT_REJECTED', 'only requests are decided: configure the guardrail with `mode: pre_call`');
    }
    const model = body['model'] ?? null;
    if (model === null)
      deny('MODEL_UNKNOWN', 'this version of LiteLLM does not tell the model: use a newer one');
    // clients can write these: they prove nothing, and what they contradict is not decided
    const claimed = objectOf(body['additional_provider_specific_params'])['model'] ?? model;
    if (claimed !== model) deny('MODEL_AMBIGUOUS', 'the guardrail is told two models');
    const request = { model, messages: messagesOf(body), tools: body['tools'] ?? null };
    return {
      client: clientOf(CHAT_PATH, request),
      principal: fieldOf(objectOf(body['request_data']), principalField),
    };
  },
  answer: ({ isAllowed, code, message }) =>
    isAllowed ? { action: 'NONE' } : { action: 'BLOCKED', blocked_reason: `${code}: ${message}` },
};

/** The hook of a kind of gateway; undefined when it asks by headers. */
export function hookOf(kind: string): Hook | undefined {
  return kind === 'portkey' ? PORTKEY : kind === 'litellm' ? LITELLM : undefined;
}

/** @throws RequestDenied when the bytes are no hook's body. */
export function describeHook(hook: Hook, bytes: Buffer | undefined, profile: PepProfile): DescribedRequest {
  if (bytes === undefined) deny('BODY_INCOMPLETE', 'the request is larger than this profile takes');
  const { identity } = profile;
  const field = identity.mode === 'assert' ? identity.principal : undefined;
  try {
    return hook.describe(objectOf(parseBodyJson(bytes, isModelKey)), field);
  } catch (error) {
    if (error instanceof RequestRefused) deny(error.refusal.code, error.refusal.message);
    throw error;
  }
}

function clientOf(target: string, body: JsonValue | undefined): DescribedRequest['client'] {
  return {
    method: 'POST',
    target,
    host: '',
    headers: HeaderList.of(JSON_HEADERS),
    body: { kind: 'whole', bytes: Buffer.from(JSON.stringify(body ?? null)) },
  };
}

/** The messages as the provider gets them, else the texts and images that were taken out of them. */
function messagesOf(body: JsonObject): JsonValue {
  const structured = body['structured_messages'];
  if (structured !== undefined && structured !== null) return structured;
  const texts = listOf(body['texts']).map(text => ({ type: 'text', text }));
  const images = listOf(body['images']).map(url => ({ type: 'image_url', image_url: { url } }));
  return [{ role: 'user', content: [...texts, ...images] }];
}

function fieldOf(object: JsonObject, name: string | undefined): string | undefined {
  const value = name !== undefined && Object.hasOwn(object, name) ? object[name] : undefined;
  // nothing named is nobody, never the name of a header
  return typeof value === 'string' ? value : '';
}

function objectOf(value: JsonValue | undefined): JsonObject {
  return isJsonObject(value) ? value : {};
}

function listOf(value: JsonValue | undefined): readonly JsonValue[] {
  if (value === undefined || value === null) return [];
  return isList(value) ? value : deny('INPUT_REJECTED', 'the guardrail is told no list');
}

function isList(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}
