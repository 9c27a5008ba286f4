/**
 * Values and entities as explicit Cedar JSON, the form that cedar-wasm takes. Invariant: nothing is left for
 * a schema to guess: entities are `__entity`, extension values `__extn`, integers exact to 64 bits.
 */
import {
  DatetimeValue,
  DecimalValue,
  DurationValue,
  type Entity,
  EntityUid,
  IpValue,
  type Long,
  RecordValue,
  SetValue,
  type Value,
} from '../domain/value.ts';
import { type ExtensionValue, formatExtension } from './extension-text.ts';

/** `JSON.rawJSON` keeps every digit of an integer that a double cannot hold. */
export type CedarJson =
  | boolean
  | number
  | string
  | RawInteger
  | readonly CedarJson[]
  | { readonly [key: string]: CedarJson };
interface RawInteger {
  readonly rawJSON: string;
}

declare global {
  interface JSON {
    /** ECMAScript proposal `JSON.parse` source text access, in Node since 22; TypeScript does not know it yet. */
    rawJSON(text: string): RawInteger;
  }
}

export interface UidJson {
  readonly type: string;
  readonly id: string;
}

/** An entity in explicit Cedar JSON. `parents` may be all ancestors: Cedar answers the same. */
export interface EntityJson {
  readonly uid: UidJson;
  readonly attrs: CedarJson;
  readonly parents: readonly UidJson[];
  readonly tags: CedarJson;
}

export function toCedarJson(value: Value): CedarJson {
  if (typeof value === 'bigint') return rawInteger(value);
  if (typeof value !== 'object') return value;
  if (value instanceof EntityUid) return { __entity: { type: value.type, id: value.id } };
  if (value instanceof SetValue) return value.elements.map(toCedarJson);
  if (value instanceof RecordValue) return recordToCedarJson(value);
  return extensionToCedarJson(value);
}

/** Own properties even for names such as `__proto__`. */
export function recordToCedarJson(record: RecordValue): { readonly [key: string]: CedarJson } {
  return Object.fromEntries([...record.entries].map(([name, value]) => [name, toCedarJson(value)]));
}

export function uidToJson(uid: EntityUid): UidJson {
  return { type: uid.type, id: uid.id };
}

/** An entity whose ancestors are all given as direct parents, so that no group entity has to be sent along. */
export function entityToCedarJson(entity: Entity): EntityJson {
  return {
    uid: uidToJson(entity.uid),
    attrs: recordToCedarJson(entity.attributes),
    parents: [...entity.ancestors].map(key => uidToJson(uidOfKey(key))),
    tags: recordToCedarJson(entity.tags),
  };
}

/** The uid of an `EntityUid.key`. Type names hold no quote, so the first one begins the id. */
export function uidOfKey(key: string): EntityUid {
  const quote = key.indexOf('::"');
  if (quote < 0 || !key.endsWith('"')) throw new Error(`\`${key}\` is not the key of an entity`);
  return new EntityUid(key.slice(0, quote), key.slice(quote + 3, -1));
}

function extensionToCedarJson(value: ExtensionValue): CedarJson {
  const text = formatExtension(value);
  if (text !== undefined) return extensionCall(constructorOf(value), text);
  // A time that no text can write is one that arithmetic made: its offset from the epoch.
  const ms: Long = value instanceof DatetimeValue ? value.epochMs : 0;
  const epoch = extensionCall('datetime', '1970-01-01');
  return { __extn: { fn: 'offset', args: [epoch, extensionCall('duration', `${ms}ms`)] } };
}

function extensionCall(fn: string, arg: string): CedarJson {
  return { __extn: { fn, arg } };
}

function constructorOf(value: ExtensionValue): string {
  if (value instanceof IpValue) return 'ip';
  if (value instanceof DecimalValue) return 'decimal';
  return value instanceof DurationValue ? 'duration' : 'datetime';
}

function rawInteger(value: bigint): RawInteger {
  return JSON.rawJSON(String(value));
}
