/**
 * Keys of a body that some reader behind the gateway may take for another one. Invariant: a key that folds to
 * one that is read here, that reroutes the request, or that may name a model where the dialect knows none, is
 * refused, not skipped.
 */
import type { JsonObject } from '../../domain/json.ts';
import { shown } from '../http/json-fault.ts';
import { refuse } from './ai-request.ts';

/** Every key that a reader of this folder looks at, in each of its spellings. */
const READ_KEYS: readonly string[] = [
  'model',
  'models',
  'fallbacks',
  'modelId',
  'model_id',
  'name',
  'source',
  'destination',
  'from',
  'lora_name',
  'agent',
  'agent_reference',
  'stream',
  'max_tokens',
  'max_completion_tokens',
  'max_output_tokens',
  'max_tokens_to_sample',
  'max_new_tokens',
  'max_gen_len',
  'maxTokens',
  'maxOutputTokens',
  'maxTokenCount',
  'num_predict',
  'n',
  'best_of',
  'candidateCount',
  'candidate_count',
  'temperature',
  'top_p',
  'topP',
  'tools',
  'functions',
  'function',
  'tool_choice',
  'mcp_servers',
  'connectors',
  'data_sources',
  'web_search_options',
  'functionDeclarations',
  'function_declarations',
  'toolConfig',
  'messages',
  'input',
  'inputs',
  'instances',
  'prompt',
  'contents',
  'content',
  'parts',
  'type',
  'text',
  'system',
  'systemInstruction',
  'system_instruction',
  'images',
  'image',
  'documents',
  'requests',
  'params',
  'parameters',
  'options',
  'generationConfig',
  'generation_config',
  'inferenceConfig',
  'textGenerationConfig',
  'additionalModelRequestFields',
  'cachedContent',
  'cached_content',
  'previous_response_id',
  'conversation',
  'inlineData',
  'inline_data',
  'fileData',
  'file_data',
  'method',
  'id',
  'server_url',
  'connector_id',
  'url',
  'uri',
  'endpoint',
  'database_name',
  'collection_name',
  'container_name',
  'index_name',
  'container',
  'container_id',
  'file_id',
  'externalApi',
  'external_api',
  'guardrailConfig',
  'guardrailIdentifier',
  'guardrailVersion',
  'outputDataConfig',
  's3OutputDataConfig',
  's3Uri',
];

/** Keys by which a proxy of this kind sends the request elsewhere, or runs what the client wrote. */
const REROUTING_KEYS: readonly string[] = [
  'api_base',
  'base_url',
  'api_key',
  'api_type',
  'custom_llm_provider',
  'llm_provider',
  'provider',
  'extra_body',
  'extra_headers',
  'extra_query',
  'litellm_params',
  'user_config',
  'mock_response',
  'route',
  'routing',
  'routingConfig',
  'routing_config',
  'strategy',
  'targets',
  'plugins',
  'preset',
  'virtual_key',
  'chat_template',
  // a stored prompt, credentials of the proxy, and settings of its router
  'prompt_id',
  'litellm_credential_name',
  'router_settings',
  'router_settings_override',
  // code that runs in the server, and other servers that it takes its state from
  'logits_processors',
  'custom_logit_processor',
  'kv_transfer_params',
  'bootstrap_host',
];

/** Keys by which clients choose where a call runs, and so what is paid for it. */
const ACCOUNT_KEYS: readonly string[] = ['inference_geo'];

const MAY_NAME_A_MODEL = /model|fallback|deployment|engine|lora|adapter/;
/** Keys with such a word that name no model. */
const HARMLESS: ReadonlySet<string> = new Set([
  'additionalmodelrequestfields',
  'additionalmodelresponsefieldpaths',
  // what a model is told to be, and templates that look over its input and output
  'model_identity',
  'modelarmorconfig',
  'model_armor_config',
]);

/** Most keys that are remembered as harmless; clients can invent more, which are looked at each time. */
const MAX_REMEMBERED = 4096;
/** Longest such key. */
const MAX_KEY_LENGTH = 64;

/** Looks at the keys of the objects that a dialect reads. */
export class BodyKeys {
  /** Keys that were looked at and are fine in every object. */
  readonly #fine = new Set<string>();
  readonly #read = new Set(READ_KEYS);
  readonly #folded = new Set(READ_KEYS.map(fold));
  readonly #rerouting: ReadonlySet<string>;

  /** @param namesAccounts whether clients may choose where a call runs and who pays. */
  constructor(namesAccounts: boolean) {
    this.#rerouting = new Set([...REROUTING_KEYS, ...(namesAccounts ? [] : ACCOUNT_KEYS)].map(squeeze));
  }

  /** @param modelKeys keys that name models in this object. @throws RequestRefused */
  check(object: JsonObject, modelKeys: ReadonlySet<string>): void {
    for (const key in object) if (!this.#fine.has(key)) this.checkKey(key, modelKeys);
  }

  /** @throws RequestRefused */
  checkKey(key: string, modelKeys: ReadonlySet<string>): void {
    if (modelKeys.has(key)) return;
    const folded = fold(key);
    if (!this.#read.has(key) && this.#folded.has(folded)) {
      refuse('BODY_UNREADABLE', `the key \`${shown(key)}\` differs from a known one by its spelling alone`);
    }
    if (this.#rerouting.has(squeeze(key))) {
      refuse(
        'INPUT_REJECTED',
        `the key \`${shown(key)}\` would change where the request goes or what runs it`,
      );
    }
    if (MAY_NAME_A_MODEL.test(folded) && !HARMLESS.has(folded)) {
      refuse('INPUT_REJECTED', `the key \`${shown(key)}\` may name a model, and is not known here`);
    }
    if (this.#fine.size < MAX_REMEMBERED && key.length <= MAX_KEY_LENGTH) this.#fine.add(key);
  }
}

/** A key as readers that ignore case take it: compatibility forms, `ſ` and the Kelvin sign included. */
function fold(key: string): string {
  return isPlain(key) ? key.toLowerCase() : key.normalize('NFKC').toLowerCase();
}

function isPlain(key: string): boolean {
  return /^[ -~]*$/.test(key);
}

function squeeze(key: string): string {
  return fold(key).replaceAll(/[_-]/g, '');
}
