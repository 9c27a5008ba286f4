/**
 * The secrets of each month in memory. Invariants: a key that is used here was durable before, so nothing is ever
 * logged under a key that a crash could take away; a tenant without a key of its own has the one that all share, a
 * month without keys has the newest ones that there are, and a digest names the key that it was made with.
 */
import { timestamp } from '../domain/clock.ts';
import {
  contentMac,
  contentMessage,
  type DigestKey,
  type DigestKind,
  digestKey,
  nameMac,
} from './input-digest.ts';
import type { DueDigest, InputDigest, InputReference } from './leaf-privacy.ts';
import type { MonthKey, MonthKeys } from './ports.ts';

/** Bytes of one key. */
const KEY_BYTES = 32;
/** Parts of a month's key for unregistered names: forgetting one name costs the others of its part their names. */
const NAME_PARTS = 256;
/** Bytes of a month's key for unregistered names. */
export const NAMES_KEY_BYTES = NAME_PARTS * KEY_BYTES;
/** Bytes of a month's key for digests. */
export const DIGEST_KEY_BYTES = KEY_BYTES;

const DAY_MS = 86_400_000;
/** Where a month stands in a `kid`: after the last slash. */
const MONTH_LENGTH = '2026-11'.length;

/** `2026-11`, in UTC. @param time milliseconds since the epoch */
export function monthOf(time: number): string {
  return timestamp(time).slice(0, MONTH_LENGTH);
}

/** The month after: `2026-12` → `2027-01`. */
export function monthAfter(month: string): string {
  const [year, number] = [Number(month.slice(0, 4)), Number(month.slice(5))];
  return number === 12
    ? `${String(year + 1).padStart(4, '0')}-01`
    : `${month.slice(0, 5)}${String(number + 1).padStart(2, '0')}`;
}

/** @param tenant empty: the key is for every tenant */
export function kidOf(tenant: string, month: string): string {
  return `${tenant}/${month}`;
}

/** What a key is called and the key. */
interface NamedKey {
  readonly kid: string;
  readonly key: DigestKey;
  readonly bytes: Uint8Array;
}

export class MonthKeyring {
  /** By month, then by tenant. */
  readonly #digestKeys = new Map<string, Map<string, NamedKey>>();
  readonly #nameKeys = new Map<string, NameKeys>();
  readonly #onMissing: () => void;
  #day = Number.NaN;
  #month = '';

  /** @param onMissing a month has no keys; called on the path of a decision, must not throw */
  constructor(onMissing: () => void) {
    this.#onMissing = onMissing;
  }

  add({ input, unregistered }: MonthKeys): void {
    for (const { kid, key } of input) {
      const { owner, month } = partsOf(kid);
      const keys = this.#digestKeys.get(month) ?? new Map<string, NamedKey>();
      keys.set(owner, { kid, key: digestKey(key), bytes: Uint8Array.from(key) });
      this.#digestKeys.set(month, keys);
    }
    for (const { kid, key } of unregistered) {
      this.#nameKeys.set(partsOf(kid).month, new NameKeys(key));
    }
  }

  /** Forgets the months before. */
  drop(before: string): void {
    for (const months of [this.#digestKeys, this.#nameKeys]) {
      for (const month of months.keys()) if (month < before) months.delete(month);
    }
  }

  /** `kid`s without a key, of those that tenants need in a month; '' for the shared one. */
  missing(
    tenants: Iterable<string>,
    month: string,
  ): { input: readonly string[]; unregistered: readonly string[] } {
    const known = this.#digestKeys.get(month);
    const wanted = ['', ...tenants].filter(tenant => known?.has(tenant) !== true);
    return {
      input: wanted.map(tenant => kidOf(tenant, month)),
      unregistered: this.#nameKeys.has(month) ? [] : [kidOf('', month)],
    };
  }

  /** What an output is known by. */
  outputDigest(reference: InputReference, time: number): InputDigest {
    const { kid, key } = this.#keyFor(reference.tenant, this.#monthOf(time));
    return { kid, mac: contentMac('output', reference, key) };
  }

  /** What an input will be known by. */
  inputDigest(reference: InputReference, time: number): DueDigest {
    const { kid, bytes } = this.#keyFor(reference.tenant, this.#monthOf(time));
    return { kid, due: { key: bytes, message: contentMessage('input', reference) } };
  }

  /** The same digest again, by the key that it names; undefined when that key is gone. */
  digestBy(kid: string, reference: InputReference, kind: DigestKind = 'input'): string | undefined {
    const { owner, month } = partsOf(kid);
    const found = this.#digestKeys.get(month)?.get(owner);
    return found === undefined ? undefined : contentMac(kind, reference, found.key);
  }

  /** `u:` and 22 characters. */
  name(entity: string, time: number): string {
    const month = this.#monthOf(time);
    const own = this.#nameKeys.get(month);
    if (own === undefined) this.#onMissing();
    const key = own ?? newest(this.#nameKeys);
    if (key === undefined) throw new Error('the registry of subjects has no key for names');
    return key.name(entity);
  }

  /** The names of an entity in every retained month. */
  names(entity: string): readonly string[] {
    return [...this.#nameKeys.values()].map(keys => keys.name(entity));
  }

  /**
   * Keys like those of the retained months, but with another part for one entity, which loses its names with the
   * part that they replace. @param random as many random bytes as asked for
   */
  withoutName(entity: string, random: (size: number) => Uint8Array): readonly MonthKey[] {
    return [...this.#nameKeys].map(([month, keys]) => ({
      kid: kidOf('', month),
      key: keys.without(entity, random(KEY_BYTES)),
    }));
  }

  /** Other keys for the names of every retained month: nothing leads to a name that was made before. */
  otherNames(random: (size: number) => Uint8Array): readonly MonthKey[] {
    return [...this.#nameKeys.keys()].map(month => ({
      kid: kidOf('', month),
      key: random(NAMES_KEY_BYTES),
    }));
  }

  #keyFor(tenant: string, month: string): NamedKey {
    const keys = this.#digestKeys.get(month);
    const own = keys?.get(tenant) ?? keys?.get('');
    if (own !== undefined) return own;
    this.#onMissing();
    const shared = newest(this.#digestKeys)?.get('');
    if (shared === undefined) throw new Error('the registry of subjects has no key for digests');
    return shared;
  }

  #monthOf(time: number): string {
    const day = Math.floor(time / DAY_MS);
    if (day !== this.#day) {
      this.#month = monthOf(time);
      this.#day = day;
    }
    return this.#month;
  }
}

function partsOf(kid: string): { owner: string; month: string } {
  return { owner: kid.slice(0, -MONTH_LENGTH - 1), month: kid.slice(-MONTH_LENGTH) };
}

function newest<T>(months: ReadonlyMap<string, T>): T | undefined {
  const [last] = [...months.keys()].sort().slice(-1);
  return last === undefined ? undefined : months.get(last);
}

/** The keys of one month for unregistered names. */
class NameKeys {
  readonly #bytes: Uint8Array;
  /** By part, made when it is first used. */
  readonly #keys: (DigestKey | undefined)[] = [];

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** `u:` and 22 characters. */
  name(entity: string): string {
    const part = partOf(entity);
    const key = (this.#keys[part] ??= digestKey(this.#bytes.slice(part * KEY_BYTES, (part + 1) * KEY_BYTES)));
    return `u:${nameMac(entity, key)}`;
  }

  /** The bytes with another key in the part of an entity. */
  without(entity: string, key: Uint8Array): Uint8Array {
    const replaced = Uint8Array.from(this.#bytes);
    replaced.set(key, partOf(entity) * KEY_BYTES);
    return replaced;
  }
}

/** Which part of a month's keys names this entity: any even spread does, it need not be secret. */
function partOf(entity: string): number {
  let spread = 0;
  for (let at = 0; at < entity.length; at += 1) spread = (Math.imul(spread, 31) + entity.charCodeAt(at)) | 0;
  return (spread >>> 0) % NAME_PARTS;
}
