/**
 * The tools that requests offer, as OpenAI and its followers write them. Invariant: a tool is decided under the name by which
 * every reader takes it; a tool that two readers would take for different ones is refused.
 */
import { isJsonObject } from '../../domain/decision-request.ts';
import type { JsonObject, JsonValue } from '../../domain/json.ts';
import { refuse } from './ai-request.ts';
import { type Facts, has, isList, objectAt, objectsAt, textAt } from './facts.ts';

/** Functions of the client, tools that the upstream runs, and servers that it calls. */
export function readTools(body: JsonObject, facts: Facts): void {
  for (const tool of objectsAt(body, 'tools')) readTool(tool, facts);
  for (const declared of objectsAt(body, 'functions')) facts.tool('function', declared['name']);
  if (has(body, 'web_search_options')) facts.tool('server', 'web_search');
  for (const source of objectsAt(body, 'data_sources')) {
    facts.check(source);
    facts.checkNested(source);
    facts.tool('server', source['type']);
  }
}

/** A tool has one type and one name: readers who do not look at the type take the function for it. */
function readTool(tool: JsonObject, facts: Facts): void {
  facts.check(tool);
  const type = textAt(tool, 'type') ?? 'function';
  if (['function', 'custom'].some(key => key !== type && has(tool, key))) {
    refuse('INPUT_REJECTED', 'a tool declares a function under another type');
  }
  if (type === 'function' || type === 'custom') {
    facts.tool('function', nameOfTool(tool, type, facts));
    return;
  }
  // a namespace brings its functions with it, whose own parameters may be called anything
  facts.checkNested({ ...tool, tools: null });
  if (type === 'mcp') facts.tool('mcp', nameOfServer(tool, ['server_url', 'connector_id']));
  else facts.tool('server', type);
  for (const nested of objectsAt(tool, 'tools')) readTool(nested, facts);
}

/** The name of a tool, which stands in the tool or in an object of it. @throws RequestRefused when both name it */
export function nameOfTool(tool: JsonObject, key: string, facts: Facts): JsonValue | undefined {
  const declared = objectAt(tool, key);
  if (declared === undefined) return tool['name'];
  facts.check(declared);
  if (has(tool, 'name') && tool['name'] !== declared['name']) {
    refuse('INPUT_REJECTED', 'a tool has two names');
  }
  return declared['name'];
}

/**
 * A remote server of tools, by where it is: its label is chosen by the client.
 * @returns `mcp:https://mcp.example/sse`. @throws RequestRefused
 */
export function nameOfServer(server: JsonObject, keys: readonly string[]): string {
  const given = keys.filter(key => has(server, key));
  if (given.length !== 1) refuse('INPUT_REJECTED', 'a server of tools is not at exactly one place');
  const place = textAt(server, given[0] ?? '') ?? '';
  if (!PLACE.test(place) || USER_INFO.test(place)) {
    refuse(
      'INPUT_REJECTED',
      'the place of a server of tools is not 1 to 196 letters, digits and `_.:/@-`: write its URL without a query, and send credentials in `authorization` or a header',
    );
  }
  return `mcp:${place}`;
}

/** The servers of Anthropic's messages. @throws RequestRefused */
export function readRemoteServers(body: JsonObject, facts: Facts): void {
  for (const server of objectsAt(body, 'mcp_servers')) {
    facts.check(server);
    facts.tool('mcp', nameOfServer(server, ['url']));
  }
}

const PLACE = /^[A-Za-z0-9_.:/@-]{1,196}$/;
/** Credentials in a URL, which would be written down with the name. */
const USER_INFO = /^[^/]*\/\/[^/]*@/;

/** Items of the input by which tools are loaded later on; lists of a server that is decided itself are no such. */
export function readLoadedTools(input: JsonValue | undefined, facts: Facts): void {
  if (input === undefined || !isList(input)) return;
  for (const item of input) {
    if (!isJsonObject(item) || item['type'] === 'mcp_list_tools') continue;
    for (const tool of objectsAt(item, 'tools')) readTool(tool, facts);
  }
}
