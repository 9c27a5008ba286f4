/**
 * Classes of the input that stands in a body. Invariant: content of a kind that the tables do not name is
 * `unknown`, never text.
 */
import { isJsonObject } from '../../domain/decision-request.ts';
import type { JsonObject, JsonValue } from '../../domain/json.ts';
import { type InputClass, refuse } from './ai-request.ts';
import { type Facts, has, isList, textAt } from './facts.ts';

type ClassTable = Readonly<Record<string, InputClass>>;

/** Content parts that name their kind in `type`: OpenAI, Anthropic, Cohere. */
const TYPED_PARTS: ClassTable = {
  text: 'text',
  input_text: 'text',
  output_text: 'text',
  refusal: 'text',
  thinking: 'text',
  redacted_thinking: 'text',
  reasoning: 'text',
  summary_text: 'text',
  reasoning_text: 'text',
  message: 'text',
  tool_use: 'text',
  tool_result: 'text',
  server_tool_use: 'text',
  web_search_tool_result: 'text',
  web_search_result: 'text',
  web_fetch_tool_result: 'file',
  code_execution_tool_result: 'text',
  bash_code_execution_tool_result: 'text',
  text_editor_code_execution_tool_result: 'text',
  tool_search_tool_result: 'text',
  tool_reference: 'text',
  tool_search_call: 'text',
  tool_search_output: 'text',
  image_generation_call: 'image',
  compaction: 'stored',
  web_search_call: 'text',
  search_result: 'text',
  mcp_tool_use: 'text',
  mcp_tool_result: 'text',
  mcp_call: 'text',
  mcp_list_tools: 'text',
  mcp_approval_request: 'text',
  mcp_approval_response: 'text',
  function_call: 'text',
  function_call_output: 'text',
  custom_tool_call: 'text',
  custom_tool_call_output: 'text',
  image: 'image',
  image_url: 'image',
  input_image: 'image',
  computer_screenshot: 'image',
  computer_call_output: 'image',
  audio: 'audio',
  input_audio: 'audio',
  audio_url: 'audio',
  video: 'video',
  video_url: 'video',
  document: 'file',
  file: 'file',
  input_file: 'file',
  item_reference: 'stored',
  file_search_call: 'text',
  code_interpreter_call: 'text',
  computer_call: 'text',
  local_shell_call: 'text',
  local_shell_call_output: 'text',
  shell_call: 'text',
  shell_call_output: 'text',
  apply_patch_call: 'text',
  apply_patch_call_output: 'text',
  container_upload: 'stored',
};

/** Keys of media: a part that has one is no text, whatever its type says, because some readers look at the key alone. */
const MEDIA_KEYS: readonly string[] = [
  'image',
  'image_url',
  'image_pil',
  'image_embeds',
  'input_image',
  'audio',
  'audio_url',
  'audio_embeds',
  'input_audio',
  'video',
  'video_url',
  'file',
  'file_data',
  'file_url',
];

/** Whether a key names media. */
export function isMediaKey(key: string): boolean {
  return MEDIA_KEYS.includes(key.toLowerCase());
}

/** Content parts that name their kind by a key: Gemini in two spellings, Bedrock. */
const KEYED_PARTS: ClassTable = {
  text: 'text',
  thought: 'text',
  thoughtSignature: 'text',
  thought_signature: 'text',
  functionCall: 'text',
  function_call: 'text',
  functionResponse: 'text',
  function_response: 'text',
  executableCode: 'text',
  executable_code: 'text',
  codeExecutionResult: 'text',
  code_execution_result: 'text',
  toolUse: 'text',
  toolResult: 'text',
  guardContent: 'text',
  reasoningContent: 'text',
  cachePoint: 'text',
  json: 'text',
  citationsContent: 'text',
  searchResult: 'text',
  videoMetadata: 'video',
  video_metadata: 'video',
  image: 'image',
  audio: 'audio',
  video: 'video',
  document: 'file',
};

/** The class of a media type. */
export function classOfType(type: string): InputClass {
  const [main = ''] = type.split('/', 1);
  if (main === 'image' || main === 'audio' || main === 'video' || main === 'text') return main;
  return type === 'application/json' ? 'text' : type === 'application/pdf' ? 'file' : 'unknown';
}

/**
 * A text, or a list of parts that name their kind in `type`. Parts nest once: results of tools hold parts.
 * @throws RequestRefused INPUT_REJECTED when it is neither.
 */
export function readTypedContent(value: JsonValue | undefined, facts: Facts): void {
  if (value === undefined || value === null) return;
  if (typeof value === 'string') facts.media('text');
  else if (isList(value)) for (const part of value) readTypedPart(part, facts);
  else if (isJsonObject(value)) readTypedPart(value, facts);
  else refuse('INPUT_REJECTED', 'the content of a message is neither a text nor a list of parts');
}

function readTypedPart(part: JsonValue, facts: Facts): void {
  if (typeof part === 'string') {
    facts.media('text');
    return;
  }
  if (!isJsonObject(part)) refuse('INPUT_REJECTED', 'a part of a message is no object');
  facts.check(part);
  const type = textAt(part, 'type') ?? typeOfUntyped(part);
  const kind = Object.hasOwn(TYPED_PARTS, type) ? (TYPED_PARTS[type] ?? 'unknown') : 'unknown';
  facts.media(kind, kind === 'text' ? 0 : mediaLength(part));
  if (kind === 'text' && MEDIA_KEYS.some(key => has(part, key))) facts.classes.add('unknown');
  if (holdsStored(part)) facts.classes.add('stored');
  // results of tools hold parts, and so do documents that are made of them
  const { source } = part;
  for (const inner of [
    part['content'],
    part['output'],
    isJsonObject(source) ? source['content'] : undefined,
  ]) {
    if (inner !== undefined && isList(inner)) for (const item of inner) readTypedPart(item, facts);
  }
}

/** Messages, and the texts of models that tell parts by their key, go without a type. */
function typeOfUntyped(part: JsonObject): string {
  if (has(part, 'content') || has(part, 'role')) return 'message';
  return Object.keys(part).every(key => key === 'text') && typeof part['text'] === 'string'
    ? 'text'
    : 'unknown';
}

/** Whether a part refers to content that the upstream holds. */
function holdsStored(part: JsonObject): boolean {
  // an image that was made earlier stands there by its id; Gemini's media by the address of an upload
  if (part['type'] === 'image_generation_call' && !has(part, 'result')) return true;
  if (typeof part['uri'] === 'string') return true;
  // a call of an interpreter stands for the container that it ran in, which the next one goes on with
  if (typeof part['container_id'] === 'string') return true;
  return ['file_id', 'file', 'source', 'image_url', 'output'].some(key => {
    const value = part[key];
    return key === 'file_id' ? typeof value === 'string' : isJsonObject(value) && has(value, 'file_id');
  });
}

/** Characters of embedded media: the longest text that the part holds, at most three objects deep. */
function mediaLength(value: JsonValue, depth = 3): number {
  if (typeof value === 'string') return value.length;
  if (typeof value !== 'object' || value === null || depth === 0) return 0;
  let longest = 0;
  for (const item of Object.values(value)) longest = Math.max(longest, mediaLength(item, depth - 1));
  return longest;
}

/** Parts of Gemini and Bedrock: objects of which a key names the kind. @throws RequestRefused */
export function readKeyedPart(part: JsonValue, facts: Facts): void {
  if (!isJsonObject(part)) refuse('INPUT_REJECTED', 'a part of a message is no object');
  for (const [key, value] of Object.entries(part)) {
    if (key === 'mediaResolution' || key === 'media_resolution') continue;
    if (key === 'inlineData' || key === 'inline_data' || key === 'fileData' || key === 'file_data') {
      if (!isJsonObject(value)) refuse('INPUT_REJECTED', 'a part of a message has media that are no object');
      const type = textAt(value, 'mimeType') ?? textAt(value, 'mime_type') ?? '';
      facts.media(classOfType(type.toLowerCase()), mediaLength(value));
      if (key.startsWith('file')) facts.classes.add('stored');
    } else {
      const kind = Object.hasOwn(KEYED_PARTS, key) ? (KEYED_PARTS[key] ?? 'unknown') : 'unknown';
      facts.media(kind, kind === 'text' ? 0 : mediaLength(value));
      if (isJsonObject(value)) readNestedParts(key, value, facts);
    }
  }
}

/** Results of tools hold parts, content to guard is one, and media may lie in a bucket. */
function readNestedParts(key: string, value: JsonObject, facts: Facts): void {
  if (key === 'guardContent') readKeyedPart(value, facts);
  const { source } = value;
  if (source !== undefined && isJsonObject(source) && !has(source, 'bytes')) facts.classes.add('stored');
  const inner = RESULTS[key] === undefined ? undefined : value[RESULTS[key]];
  if (inner === undefined || inner === null) return;
  if (!isList(inner)) refuse('INPUT_REJECTED', 'the parts of a result are no list');
  for (const part of inner) readKeyedPart(part, facts);
}

/** Results of tools, and the key of their parts. */
const RESULTS: Readonly<Record<string, string>> = {
  functionResponse: 'parts',
  function_response: 'parts',
  toolResult: 'content',
};

/** What models of numbers and tables take: `b64` and `bytesBase64Encoded` mark bytes. */
export function readInstances(value: JsonValue, facts: Facts, depth = 8): void {
  if (typeof value === 'string') facts.classes.add('text');
  else if (typeof value !== 'object' || value === null) facts.classes.add('tabular');
  else if (depth === 0) facts.classes.add('unknown');
  else if (isList(value)) for (const item of value) readInstances(item, facts, depth - 1);
  else if (isJsonObject(value) && !readMediaInstance(value, facts)) {
    for (const [key, item] of Object.entries(value)) {
      const isBytes = (key === 'b64' || key === 'bytesBase64Encoded') && typeof item === 'string';
      if (isBytes) facts.media('file', item.length);
      else readInstances(item, facts, depth - 1);
    }
  }
}

/** Media of a model of Vertex: bytes with their type, or the address of an object in a bucket. */
function readMediaInstance(value: JsonObject, facts: Facts): boolean {
  const isStored = ['gcsUri', 'gcs_uri', 'fileUri', 'file_uri'].some(key => typeof value[key] === 'string');
  const isMedia = isStored || ['bytesBase64Encoded', 'data'].some(key => typeof value[key] === 'string');
  const type = value['mimeType'] ?? value['mime_type'];
  if (!isMedia || (typeof type !== 'string' && !isStored)) return false;
  facts.media(typeof type === 'string' ? classOfType(type.toLowerCase()) : 'unknown', mediaLength(value));
  if (isStored) facts.classes.add('stored');
  return true;
}

/** Members of a generation that are no input, or are texts. */
const GENERATION_KEYS: ReadonlySet<string> = new Set([
  'id',
  'text_input',
  'parameters',
  'sampling_parameters',
  'bad_words',
  'stop_words',
  'stop',
]);

/** Triton makes a tensor of each member of a generation: those that are no numbers bring input of their own. */
export function readGenerated(body: JsonObject, facts: Facts): void {
  for (const [key, value] of Object.entries(body)) {
    if (GENERATION_KEYS.has(key) || value === null || typeof value === 'number' || typeof value === 'boolean')
      continue;
    const kind = /image|pixel/i.test(key) ? 'image' : /audio/i.test(key) ? 'audio' : 'unknown';
    facts.media(/video/i.test(key) ? 'video' : kind, mediaLength(value));
  }
}

/** The input of embeddings and completions: texts, or tokens by number. @throws RequestRefused */
export function readTexts(value: JsonValue | undefined, facts: Facts): void {
  if (value === undefined || value === null) return;
  if (typeof value === 'string') facts.classes.add('text');
  else if (typeof value === 'number') facts.classes.add('tokens');
  else if (isList(value)) for (const item of value) readTexts(item, facts);
  else if (isJsonObject(value)) readTypedContent(value, facts);
  else refuse('INPUT_REJECTED', 'the input is neither text nor tokens');
}
