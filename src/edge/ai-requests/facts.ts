/**
 * What reading a body gathers. Invariant: a value of the wrong type is refused, because a lax upstream would
 * coerce it into a value that nobody decided.
 */
import type { JsonObject, JsonValue } from '../../domain/json.ts';
import { isJsonObject } from '../../domain/decision-request.ts';
import { shown } from '../http/json-fault.ts';
import { type InputClass, type Operation, refuse, type ToolUse } from './ai-request.ts';
import type { BodyKeys } from './body-keys.ts';
import { ModelNames } from './model-names.ts';
import { OutputBounds } from './output-bounds.ts';

/** Most tools of one request. */
export const MAX_TOOLS = 128;
/** Tools have short names: the longest that a provider allows has 128 characters, a prefix aside. */
const TOOL_NAME = /^[A-Za-z0-9_.:/@-]{1,200}$/;

/** Keys by which tools and sources of data name a model that they use. */
const NESTED_MODEL = /model|deployment|embedding_?dependency/i;
/** Ends of keys, without `_` and `-`, by which tools name what only the upstream holds: files, stores, corpora, skills. */
const HELD =
  /(?:container|corpus|corpora|datastore|dataset|file|knowledgebase|resource|skill|store)(?:s|ids?|names?|specs|references?)?$/;

const NO_KEYS: ReadonlySet<string> = new Set<string>([]);

/** Gathered by the readers of one request. */
export class Facts {
  readonly models = new ModelNames();
  readonly classes = new Set<InputClass>();
  readonly tools: ToolUse[] = [];
  /** Overrides the operation of the row, where the body decides it. */
  operation: Operation | undefined;
  stream: boolean | undefined;
  /** Most tokens of each output of the request that is being read, where it says. */
  maxOutputTokens: number | undefined;
  /** How often its output is made: candidates that the client asks for, of each prompt. */
  copies = 1;
  prompts = 1;
  /** Whether the body holds requests that end one by one. */
  isBatch = false;
  /** What the requests ask for that were read. */
  readonly outputs = new OutputBounds();
  temperature: number | undefined;
  topP: number | undefined;
  /** Characters of the body that stand for media, which are no text. */
  mediaBytes = 0;
  images = 0;
  /** Those that stand for anything but images. */
  otherMediaBytes = 0;
  readonly #keys: BodyKeys;

  constructor(keys: BodyKeys) {
    this.#keys = keys;
  }

  /** To be called for every object of which a member is read. @throws RequestRefused */
  check(object: JsonObject, modelKeys: ReadonlySet<string> = NO_KEYS): void {
    this.#keys.check(object, modelKeys);
  }

  /**
   * For the settings of what the upstream runs by itself: no key inside of them may name a model, and what the upstream
   * holds and they refer to is `stored`. @throws RequestRefused
   */
  checkNested(value: JsonValue): void {
    if (isList(value)) for (const item of value) this.checkNested(item);
    else if (isJsonObject(value)) {
      for (const [key, item] of Object.entries(value)) {
        requireNoModel(key, 'a tool');
        if (namesSomething(item) && HELD.test(key.toLowerCase().replaceAll(/[_-]/g, ''))) {
          this.classes.add('stored');
        }
        this.checkNested(item);
      }
    }
  }

  /** The same for the name of a field of a form. @throws RequestRefused */
  checkKey(key: string, modelKeys: ReadonlySet<string>): void {
    this.#keys.checkKey(key, modelKeys);
  }

  /** The largest of the bounds that the object gives for the output. @throws RequestRefused */
  bound(object: JsonObject, keys: readonly string[]): void {
    for (const key of keys) {
      const count = countAt(object, key);
      if (count !== undefined) this.maxOutputTokens = Math.max(this.maxOutputTokens ?? 0, count);
    }
  }

  /** Ends a request: the next one of a batch has bounds of its own. @throws RequestRefused */
  endRequest(makesText = true): void {
    if (makesText) this.outputs.add(this.maxOutputTokens, Math.max(1, this.copies) * this.prompts);
    this.maxOutputTokens = undefined;
    this.copies = 1;
    this.prompts = 1;
  }

  tool(kind: ToolUse['kind'], name: JsonValue | undefined): void {
    if (typeof name !== 'string' || !TOOL_NAME.test(name)) {
      refuse('INPUT_REJECTED', 'a tool has no name, or one that is not of letters, digits and `_.:/@-`');
    }
    if (this.tools.some(tool => tool.name === name && tool.kind === kind)) return;
    if (this.tools.length === MAX_TOOLS) refuse('INPUT_REJECTED', `more than ${MAX_TOOLS} tools`);
    this.tools.push({ name, kind });
  }

  /** Input of a kind, with the characters by which it stands in the body. */
  media(kind: InputClass, characters = 0): void {
    this.classes.add(kind);
    this.mediaBytes += characters;
    if (kind === 'image') this.images += 1;
    else this.otherMediaBytes += characters;
  }
}

/** For a key of settings that nobody looks into further. @throws RequestRefused when it may name a model */
export function requireNoModel(key: string, what: string): void {
  if (NESTED_MODEL.test(key)) {
    refuse('INPUT_REJECTED', `the key \`${shown(key)}\` of ${what} may name a model`);
  }
}

/** Whether a setting is a name, or a list that is not empty: `{"container": {"type": "auto"}}` refers to nothing yet. */
function namesSomething(value: JsonValue): boolean {
  return isList(value) ? value.length > 0 : typeof value === 'string' && value !== '';
}

/** How many prompts a value holds: a list of texts, or of lists of tokens, holds one each, and a list of tokens is one. */
export function promptsIn(value: JsonValue | undefined): number {
  if (value === undefined || value === null || !isList(value)) return 1;
  return value.length === 0 || typeof value[0] === 'number' ? 1 : value.length;
}

/** The list under a key; empty when it is absent or null. @throws RequestRefused INPUT_REJECTED */
export function listAt(object: JsonObject, key: string): readonly JsonValue[] {
  const value = object[key];
  if (value === undefined || value === null) return [];
  return isList(value) ? value : reject(key, 'a list');
}

/** The object under a key; undefined when it is absent or null. @throws RequestRefused INPUT_REJECTED */
export function objectAt(object: JsonObject, key: string): JsonObject | undefined {
  const value = object[key];
  if (value === undefined || value === null) return undefined;
  return isJsonObject(value) ? value : reject(key, 'an object');
}

/** The items of a list as objects. @throws RequestRefused INPUT_REJECTED */
export function objectsAt(object: JsonObject, key: string): readonly JsonObject[] {
  return listAt(object, key).map(item => (isJsonObject(item) ? item : reject(key, 'a list of objects')));
}

/** The count under a key; undefined when it is absent or null. @throws RequestRefused INPUT_REJECTED */
export function countAt(object: JsonObject, key: string): number | undefined {
  const value = object[key];
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  return reject(key, 'a whole number from 0 on');
}

/** The number under a key; undefined when it is absent or null. @throws RequestRefused INPUT_REJECTED */
export function numberAt(object: JsonObject, key: string): number | undefined {
  const value = object[key];
  if (value === undefined || value === null) return undefined;
  return typeof value === 'number' && Number.isFinite(value) ? value : reject(key, 'a number');
}

/** The truth value under a key; undefined when it is absent or null. @throws RequestRefused INPUT_REJECTED */
export function flagAt(object: JsonObject, key: string): boolean | undefined {
  const value = object[key];
  if (value === undefined || value === null) return undefined;
  return typeof value === 'boolean' ? value : reject(key, '`true` or `false`');
}

/** The text under a key; undefined when it is absent or null. @throws RequestRefused INPUT_REJECTED */
export function textAt(object: JsonObject, key: string): string | undefined {
  const value = object[key];
  if (value === undefined || value === null) return undefined;
  return typeof value === 'string' ? value : reject(key, 'a string');
}

/** Whether a value is a list. */
export function isList(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

/** Whether a key is present and not null. */
export function has(object: JsonObject, key: string): boolean {
  return Object.hasOwn(object, key) && object[key] !== null;
}

function reject(key: string, wanted: string): never {
  refuse('INPUT_REJECTED', `\`${shown(key)}\` is not ${wanted}`);
}
