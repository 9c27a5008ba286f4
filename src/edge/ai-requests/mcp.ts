/**
 * The Model Context Protocol: one JSON-RPC message over HTTP, or the headers that mirror it. Invariants: what is
 * decided is what the server runs (no batches, no second spelling of a key, headers equal to the body); the
 * messages that a session needs to live are decided as calls of the server itself.
 */
import { isJsonObject } from '../../domain/decision-request.ts';
import type { JsonObject } from '../../domain/json.ts';
import { type GatewayBody, refuse } from './ai-request.ts';
import { type Facts, has, objectAt, textAt } from './facts.ts';
import type { HeaderList } from './header-list.ts';
import { parseBodyJson } from './json-text.ts';
import { isModelKey } from './model-names.ts';

/** One endpoint of a gateway that speaks the protocol. */
export interface McpEndpoint {
  /** Exact path, as the client writes it. */
  readonly path: string;
  /** Id of the server as a tool: `acme/github`. Its tools are `acme/github/<name>`. */
  readonly server: string;
  /** Whether the server checks that headers and body agree, so that the headers alone can be decided. */
  readonly trustsHeaders: boolean;
}

/** From this version on, headers mirror the message, and servers must refuse headers that differ. */
const HEADER_VERSION = '2026-07-28';
/** Messages without effect of their own, which belong to being connected. */
const SESSION: ReadonlySet<string> = new Set([
  'initialize',
  'ping',
  'server/discover',
  'tools/list',
  'resources/list',
  'resources/templates/list',
  'prompts/list',
  'logging/setLevel',
]);
/** Methods that name what they are about, and the key of its name. */
const NAMED: Readonly<Record<string, string>> = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
  'resources/subscribe': 'uri',
  'resources/unsubscribe': 'uri',
};
/** Methods that are decided as themselves. */
const PLAIN: ReadonlySet<string> = new Set([
  'completion/complete',
  'subscriptions/listen',
  'tasks/get',
  'tasks/result',
  'tasks/list',
  'tasks/cancel',
]);
/** Names of tools in the protocol: no colon, so that no tool can be called like a method. */
const TOOL_NAME = /^[A-Za-z0-9_.-]{1,128}$/;
const KNOWN_KEYS: ReadonlySet<string> = new Set(['jsonrpc', 'id', 'method', 'params', 'result', 'error']);

/** A message as far as it is decided. */
interface Message {
  readonly method: string;
  readonly name: string | undefined;
}

/**
 * Reads one exchange with an endpoint into the tool that is called.
 * @returns the name of the row: `mcp.tools/call`, `mcp.session`. @throws RequestRefused
 */
export function readMcp(
  method: string,
  headers: HeaderList,
  body: GatewayBody,
  decoded: () => Uint8Array,
  endpoint: McpEndpoint,
  facts: Facts,
): string {
  // the stream of the server and the end of a session carry no message
  if (method === 'GET' || method === 'DELETE') return callServer(endpoint, facts);
  if (method !== 'POST') refuse('INPUT_REJECTED', 'this endpoint takes GET, POST and DELETE');
  if (body.kind === 'partial') refuse('BODY_INCOMPLETE', 'the gateway cut the message');
  const mirrored = readHeaders(headers);
  let message: Message;
  if (body.kind === 'unseen') {
    if (!endpoint.trustsHeaders || mirrored === undefined) {
      refuse('BODY_INCOMPLETE', 'the gateway does not show the message, and no trusted headers stand for it');
    }
    message = mirrored;
  } else {
    message = readMessage(decoded(), facts);
    requireAgreement(mirrored, message);
  }
  return callMethod(message, endpoint, facts);
}

function callServer({ server }: McpEndpoint, facts: Facts): string {
  facts.tool('called', server);
  return 'mcp.session';
}

function callMethod({ method, name }: Message, endpoint: McpEndpoint, facts: Facts): string {
  const { server } = endpoint;
  if (SESSION.has(method) || method.startsWith('notifications/')) return callServer(endpoint, facts);
  if (method === 'tools/call') {
    if (name === undefined || !TOOL_NAME.test(name)) {
      refuse(
        'INPUT_REJECTED',
        'the called tool has no name, or one that is not of letters, digits and `_.-`',
      );
    }
    facts.tool('called', `${server}/${name}`);
  } else if (Object.hasOwn(NAMED, method) || PLAIN.has(method))
    facts.tool('called', `${server}/mcp:${method}`);
  else refuse('INPUT_REJECTED', 'the method of the message is not known');
  return `mcp.${method}`;
}

function readMessage(bytes: Uint8Array, facts: Facts): Message {
  const body = parseBodyJson(bytes, isModelKey);
  if (Array.isArray(body))
    refuse('INPUT_REJECTED', 'batches of messages are not decided: send them one by one');
  if (!isJsonObject(body)) refuse('BODY_UNREADABLE', 'the body is no message');
  for (const key of Object.keys(body)) {
    if (!KNOWN_KEYS.has(key)) refuse('INPUT_REJECTED', 'the message has a key that JSON-RPC does not know');
  }
  if (body['jsonrpc'] !== '2.0') refuse('INPUT_REJECTED', 'the body is no message of JSON-RPC 2.0');
  facts.classes.add('text');
  if (!has(body, 'method')) {
    // an answer to what the server asked on its stream
    if (has(body, 'result') === has(body, 'error')) refuse('INPUT_REJECTED', 'the message has no method');
    return { method: 'notifications/answer', name: undefined };
  }
  if (has(body, 'result') || has(body, 'error')) {
    refuse('INPUT_REJECTED', 'the message is a question and an answer at once');
  }
  const method = textAt(body, 'method') ?? '';
  return { method, name: nameOf(method, objectAt(body, 'params'), facts) };
}

function nameOf(method: string, params: JsonObject | undefined, facts: Facts): string | undefined {
  if (params === undefined) return undefined;
  facts.check(params);
  for (const key of Object.keys(params)) {
    const folded = key.normalize('NFKC').toLowerCase();
    if (folded !== key && (folded === 'uri' || folded === 'arguments')) {
      refuse('BODY_UNREADABLE', 'the parameters have a key in two spellings');
    }
  }
  return Object.hasOwn(NAMED, method) ? textAt(params, NAMED[method] ?? '') : undefined;
}

/** What the headers say; undefined when the version has none. */
function readHeaders(headers: HeaderList): Message | undefined {
  const version = headers.single('mcp-protocol-version');
  const method = headers.single('mcp-method');
  const name = headers.single('mcp-name');
  if (method === undefined) {
    if (name !== undefined) refuse('INPUT_REJECTED', '`Mcp-Name` stands without `Mcp-Method`');
    return undefined;
  }
  if (version === undefined || !/^\d{4}-\d{2}-\d{2}$/.test(version) || version < HEADER_VERSION) {
    refuse('INPUT_REJECTED', `\`Mcp-Method\` is meaningful from version ${HEADER_VERSION} on`);
  }
  return { method: decodeHeader(method), name: name === undefined ? undefined : decodeHeader(name) };
}

function requireAgreement(mirrored: Message | undefined, { method, name }: Message): void {
  if (mirrored === undefined) return;
  if (mirrored.method !== method || (name !== undefined && mirrored.name !== name)) {
    refuse('INPUT_REJECTED', 'the headers of the message say something else than its body');
  }
}

/** Values that are no plain ASCII are sent as `=?base64?…?=`. */
function decodeHeader(value: string): string {
  const encoded = /^=\?base64\?([A-Za-z0-9+/]*={0,2})\?=$/.exec(value)?.[1];
  if (encoded === undefined) return value;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  if (Buffer.from(text, 'utf8').toString('base64') !== encoded) {
    refuse('INPUT_REJECTED', 'a header of the message is not valid base64');
  }
  return text;
}
