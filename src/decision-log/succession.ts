/**
 * How a log says that it took the place of another: what `log.open` as its first entry holds, written and read.
 * Invariant: what a log replaced is known from its own first entry, which the tree protects, and from nowhere else.
 */
import { isJsonList, isJsonObject, type JsonObject, type JsonValue } from '../domain/json.ts';
import type { AnchoredHead } from './anchor.ts';
import { decodeBase64 } from './signed-note.ts';
import { HASH_BYTES, isTreeSize } from './tree-hash.ts';

/** What was left of the former log in the data folder. */
export interface LogRemains {
  readonly origin: string;
  /** Entries. */
  readonly size: number;
  /** Root of its newest signed checkpoint; undefined when it had none. */
  readonly root: Uint8Array | undefined;
}

/** Why a new log was opened, by whom, and what it replaces. */
export interface Succession {
  /** Id of the request, which tells whether it has been granted. */
  readonly request: string;
  readonly reason: string;
  /** Account of the operating system that asked for it. */
  readonly by: string;
  /** RFC 3339. */
  readonly at: string;
  /** The newest checkpoint known of each log that it takes the place of. */
  readonly replaces: readonly AnchoredHead[];
  /** What the data folder still held; undefined: nothing that could be read. */
  readonly remains: LogRemains | undefined;
}

/** Details of the `log.open` that begins the new log. */
export function successionDetails({ request, reason, by, at, replaces, remains }: Succession): JsonObject {
  return {
    request,
    reason,
    by,
    at,
    replaces: replaces.map(({ origin, size, root }) => ({ origin, size, root: base64(root) })),
    remains:
      remains === undefined
        ? null
        : {
            origin: remains.origin,
            size: remains.size,
            root: remains.root === undefined ? null : base64(remains.root),
          },
  };
}

/** What the first entry of a log says about logs before it; empty when it took no place. */
export interface RecordedSuccession {
  /** Id of the request that it grants. */
  readonly request: string | undefined;
  readonly replaces: readonly AnchoredHead[];
}

/** Reads it from the content of entry 0; whatever is malformed records nothing. */
export function recordedSuccession(content: JsonObject | undefined): RecordedSuccession {
  const details = content?.['kind'] === 'log.open' ? content['details'] : undefined;
  if (!isJsonObject(details)) return { request: undefined, replaces: [] };
  const { request, replaces } = details;
  return {
    request: typeof request === 'string' ? request : undefined,
    replaces: isJsonList(replaces) ? replaces.flatMap(headOf) : [],
  };
}

function headOf(value: JsonValue): AnchoredHead[] {
  if (!isJsonObject(value)) return [];
  const { origin, size, root } = value;
  if (typeof origin !== 'string' || typeof size !== 'number' || !isTreeSize(size)) return [];
  const hash = typeof root === 'string' ? decodeBase64(root) : undefined;
  return hash?.length === HASH_BYTES ? [{ origin, size, root: hash }] : [];
}

/** The largest checkpoint of each log, the largest first. */
export function largestHeads(heads: readonly AnchoredHead[]): readonly AnchoredHead[] {
  const largest = new Map<string, AnchoredHead>();
  for (const head of heads) {
    if (head.size >= (largest.get(head.origin)?.size ?? 0)) largest.set(head.origin, head);
  }
  return [...largest.values()].sort((one, other) => other.size - one.size);
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
