/**
 * The file of a batch, as it is uploaded: one request on each line, with a model of its own. Invariant: a file is read to
 * its last line or refused; each line is a request that the dialect knows, read as if it had come by itself.
 */
import { isJsonObject } from '../../domain/decision-request.ts';
import type { JsonObject } from '../../domain/json.ts';
import { refuse } from './ai-request.ts';
import type { BodyReader } from './dialect.ts';
import { type Facts, has, objectAt, textAt } from './facts.ts';
import { parseBodyJson } from './json-text.ts';
import { isModelKey } from './model-names.ts';
import { checkSettings } from './nested-settings.ts';

/** Most lines: what OpenAI takes. */
const MAX_LINES = 50_000;
const LINE_KEYS: ReadonlySet<string> = new Set(['custom_id', 'method', 'url', 'body']);
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** A kind of request that may stand on a line. */
export interface LineKind {
  readonly read: BodyReader;
  readonly modelKeys: ReadonlySet<string>;
  /** Whether its answer is text that is generated. */
  readonly makesText: boolean;
}

/** @param kinds by the `url` of the line. @throws RequestRefused */
export function readBatchFile(bytes: Uint8Array, kinds: ReadonlyMap<string, LineKind>, facts: Facts): void {
  let lines = 0;
  facts.isBatch = true;
  for (const line of linesOf(bytes)) {
    lines += 1;
    if (lines > MAX_LINES) refuse('INPUT_REJECTED', `the batch has more than ${MAX_LINES} lines`);
    const request = parseBodyJson(line, isModelKey);
    if (!isJsonObject(request)) refuse('BODY_UNREADABLE', 'a line of the batch is no request');
    readLine(request, kinds, facts);
  }
  if (lines === 0) refuse('MODEL_UNKNOWN', 'the batch holds no request');
}

function readLine(request: JsonObject, kinds: ReadonlyMap<string, LineKind>, facts: Facts): void {
  for (const key of Object.keys(request)) {
    if (!LINE_KEYS.has(key)) refuse('INPUT_REJECTED', 'a line of the batch has a key that is not known here');
  }
  const kind = kinds.get(textAt(request, 'url') ?? '');
  if (textAt(request, 'method') !== 'POST' || kind === undefined) {
    refuse('MODEL_UNKNOWN', 'a line of the batch asks for what no dialect of this gateway has');
  }
  const body = objectAt(request, 'body');
  if (body === undefined || !has(body, 'model'))
    refuse('MODEL_UNKNOWN', 'a line of the batch names no model');
  facts.check(body, kind.modelKeys);
  checkSettings(body);
  facts.models.add('the batch', body['model'] ?? null);
  kind.read({ ...body, model: null }, facts);
  facts.endRequest(kind.makesText);
}

/** Lines by their line feeds, as readers of JSON Lines split; the last may go without. An empty one is none. */
function* linesOf(bytes: Uint8Array): Generator<Uint8Array> {
  let start = 0;
  while (start < bytes.byteLength) {
    const feed = bytes.indexOf(LINE_FEED, start);
    const end = feed === -1 ? bytes.byteLength : feed;
    const last = bytes[end - 1] === CARRIAGE_RETURN ? end - 1 : end;
    if (bytes.subarray(start, last).includes(CARRIAGE_RETURN)) {
      refuse(
        'BODY_UNREADABLE',
        'a line of the batch holds a carriage return, at which some readers begin a new one',
      );
    }
    if (last > start) yield bytes.subarray(start, last);
    start = end + 1;
  }
}
