/**
 * The tools that requests offer, as OpenAI and its followers write them. Invariant: a tool is decided under the name by which
 * every reader takes it; a tool that two readers would take for different ones is refused.
 */
import { isJsonObject } from '../../domain/decision-request.ts';
import type { JsonObject, JsonValue } from '../../domain/json.ts';
import { shown } from '../http/json-fault.ts';
import { refuse } from './ai-request.ts';
import { type Facts, has, isList, objectAt, objectsAt, textAt } from './facts.ts';

/** Functions of the client, tools that the upstream runs, and servers that it calls. */
export function readTools(body: JsonObject, facts: Facts): void {
  for (const tool of objectsAt(body, 'tools')) readTool(tool, facts);
  readFurtherTools(body, facts);
}

/**
 * What brings tools beside `tools`, in the body of any vendor: a proxy hands on what belongs to the vendor behind it, and a
 * server that does not know it runs nothing. @throws RequestRefused
 */
export function readFurtherTools(body: JsonObject, facts: Facts): void {
  for (const key of Object.keys(body)) {
    if (!CARRIERS.has(key) && FOLDED_CARRIERS.has(foldCarrier(key))) {
      refuse('BODY_UNREADABLE', `the key \`${shown(key)}\` differs from a known one by its spelling alone`);
    }
  }
  for (const key of SEARCHES) if (has(body, key) && body[key] !== false) facts.tool('server', key);
  for (const declared of objectsAt(body, 'functions')) facts.tool('function', declared['name']);
  if (has(body, 'web_search_options')) {
    facts.checkNested(body['web_search_options'] ?? null);
    facts.tool('server', 'web_search');
  }
  for (const source of objectsAt(body, 'data_sources')) readDataSource(source, facts);
  for (const connector of objectsAt(body, 'connectors')) {
    facts.check(connector);
    facts.checkNested(connector);
    facts.tool('server', `connector:${textAt(connector, 'id') ?? ''}`);
  }
  readRemoteServers(body, facts);
  readGuardrail(body, facts);
  if (has(body, 'container')) facts.classes.add('stored');
}

/** Keys that bring tools, which proxies know in snake case and in camel case. */
const CARRIERS: ReadonlySet<string> = new Set([
  'web_search_options',
  'data_sources',
  'connectors',
  'mcp_servers',
  'guardrailConfig',
  'toolConfig',
  'previous_response_id',
]);
const FOLDED_CARRIERS: ReadonlySet<string> = new Set([...CARRIERS].map(foldCarrier));
/** Keys of vendors that speak the OpenAI API by which the upstream searches the web. */
const SEARCHES = ['search_parameters', 'search_settings', 'search_options', 'enable_search'] as const;

function foldCarrier(key: string): string {
  return key.toLowerCase().replaceAll(/[_-]/g, '');
}

/** A source of data is what the upstream searches: an index of a service, with the rights of the upstream. */
function readDataSource(source: JsonObject, facts: Facts): void {
  facts.check(source);
  facts.checkNested(source);
  const parameters = objectAt(source, 'parameters') ?? {};
  facts.check(parameters);
  const parts = INDEX_KEYS.flatMap(key => textAt(parameters, key) ?? []);
  facts.classes.add('stored');
  facts.tool('server', `${textAt(source, 'type') ?? ''}:${placeOf(parameters, source, parts)}`);
}

/** Which data of the service is searched. */
const INDEX_KEYS = ['database_name', 'collection_name', 'container_name', 'index_name'] as const;

/**
 * Where the upstream is sent to search: the only `endpoint` of the settings, and the index there.
 * @param all everything that belongs to the source, in which no other place may stand.
 * @returns `https://search.example/index`. @throws RequestRefused
 */
export function placeOf(settings: JsonObject, all: JsonObject, parts: readonly string[]): string {
  const place = textAt(settings, 'endpoint')?.replace(/^([a-z]+:\/\/[^/]+)\/$/, '$1');
  if (place === undefined || countPlaces(all) !== 1) {
    refuse('INPUT_REJECTED', 'a source of data is not at exactly one place, which its `endpoint` names');
  }
  // an index and a longer path would be one name
  if (parts.some(part => part.includes('/')) || (parts.length > 0 && /[^:/]\//.test(place))) {
    refuse(
      'INPUT_REJECTED',
      'the `endpoint` of a source of data has a path beside an index, or the index a slash',
    );
  }
  return requirePlace([place, ...parts].join('/'), 'a source of data');
}

/** Ends of keys, without `_`, by which settings say where something is. */
const LOCATING = /(?:endpoint|url|uri|host|connectionstring|environment)$/;

function countPlaces(value: JsonValue): number {
  if (isList(value)) return value.reduce((sum: number, item) => sum + countPlaces(item), 0);
  if (!isJsonObject(value)) return 0;
  let places = 0;
  for (const [key, item] of Object.entries(value)) {
    const isPlace = item !== null && LOCATING.test(key.toLowerCase().replaceAll('_', ''));
    places += (isPlace ? 1 : 0) + countPlaces(item);
  }
  return places;
}

/** A guardrail looks at what goes in and out, and is a model of its own: `guardrail:<id>@<version>`. */
export function readGuardrail(body: JsonObject, facts: Facts): void {
  const config = objectAt(body, 'guardrailConfig');
  if (config === undefined) return;
  facts.check(config);
  guardrailTool(textAt(config, 'guardrailIdentifier'), textAt(config, 'guardrailVersion'), facts);
}

/** @throws RequestRefused when it is not told which one it is */
export function guardrailTool(id: string | undefined, version: string | undefined, facts: Facts): void {
  if (id === undefined && version === undefined) return;
  if (id === undefined || version === undefined) {
    refuse('INPUT_REJECTED', 'a guardrail is named without its id or without its version');
  }
  facts.tool('server', `guardrail:${id}@${version}`);
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
  if (type === 'file_search') facts.classes.add('stored');
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
  // what is sent to the server is no place of it
  if (given.length !== 1 || countPlaces({ ...server, headers: null }) > 1)
    refuse('INPUT_REJECTED', 'a server of tools is not at exactly one place');
  return `mcp:${requirePlace(textAt(server, given[0] ?? '') ?? '', 'a server of tools')}`;
}

/** A place that can be part of a name, and is written down with it. @throws RequestRefused */
export function requirePlace(place: string, what: string): string {
  if (PLACE.test(place) && !USER_INFO.test(place)) return place;
  return refuse(
    'INPUT_REJECTED',
    `the place of ${what} is not 1 to 180 letters, digits and \`_.:/@-\`: write its URL without a query, and send credentials in \`authorization\` or a header`,
  );
}

/** From where a server takes what it is to run under the name of a model, decided as a tool that is called. */
export function originOf(place: string): string {
  return `origin:${requirePlace(place, 'what is to be loaded')}`;
}

/** Where an upstream writes its answers, decided as a tool that is called: the bucket or the table, without what lies below. */
export function destinationOf(uri: string): string {
  const found = /^([a-z0-9]+:\/\/[A-Za-z0-9_.:-]{1,128})(?:\/.*)?$/.exec(uri)?.[1];
  return `output:${found ?? refuse('INPUT_REJECTED', 'the place to write to is not a URI such as `s3://bucket/folder`')}`;
}

/** The servers of Anthropic's messages. @throws RequestRefused */
export function readRemoteServers(body: JsonObject, facts: Facts): void {
  for (const server of objectsAt(body, 'mcp_servers')) {
    facts.check(server);
    facts.tool('mcp', nameOfServer(server, ['url']));
  }
}

const PLACE = /^[A-Za-z0-9_.:/@-]{1,180}$/;
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
