/**
 * Settings that stand inside of a body, and that no reader of a dialect looks into. Invariant: none of them names a model; only
 * what is content, a schema or the client's own may hold any key.
 */
import { isJsonObject } from '../../domain/decision-request.ts';
import type { JsonObject, JsonValue } from '../../domain/json.ts';
import { isList, requireNoModel } from './facts.ts';

/** Top-level keys whose objects are content, schemas, or notes of the client, and those that the readers look into. */
const FREE: ReadonlySet<string> = new Set(
  `
  messages input inputs contents content prompt system systemInstruction system_instruction
  chat_history tool_results documents examples query texts data items prediction data_1 data_2 text_1
  text_2 queries context promptVariables chat_template_kwargs custom_inputs instances dataframe_split
  dataframe_records text_input multi_modal_data metadata labels requestMetadata request_metadata
  usage_context fallbacks models tools functions toolConfig tool_config tool_choice data_sources
  mcp_servers connectors response_format text format output_format output_config outputConfig
  guided_json structured_outputs generationConfig generation_config modelInput requests batch
  generateContentRequest generate_content_request converse invokeModel
  `
    .trim()
    .split(/\s+/),
);

/** @throws RequestRefused */
export function checkSettings(body: JsonObject): void {
  for (const [key, value] of Object.entries(body)) if (!FREE.has(key)) walk(value);
}

/** Below these keys a schema stands, whose own names are anybody's. */
const SCHEMA = /schema|properties|grammar/i;

function walk(value: JsonValue): void {
  if (isList(value)) for (const item of value) walk(item);
  else if (isJsonObject(value)) {
    for (const [key, item] of Object.entries(value)) {
      requireNoModel(key, 'a setting');
      if (!SCHEMA.test(key)) walk(item);
    }
  }
}
