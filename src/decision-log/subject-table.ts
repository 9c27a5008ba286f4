/**
 * Subjects in memory, compactly: names in two maps, all keys in one block of bytes. Invariant: a key that is handed
 * out is a copy, so that nobody ever seals under the zeros that an erasure leaves behind.
 */
import type { Subject } from './leaf-privacy.ts';
import type { SubjectChunk } from './ports.ts';

/** Random bytes of a pseudonym. */
export const PSEUDONYM_BYTES = 16;
/** Bytes of a subject's key (see opening.ts). */
export const SUBJECT_KEY_BYTES = 32;
/** Places at the beginning; the table doubles when it is full. */
const FIRST_CAPACITY = 1_024;

/** `p:` and 22 base64url characters. */
export function pseudonymText(bytes: Uint8Array): string {
  return `p:${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url')}`;
}

/** The bytes of a pseudonym that `pseudonymText` made. */
export function pseudonymBytes(pseudonym: string): Uint8Array {
  return Buffer.from(pseudonym.slice('p:'.length), 'base64url');
}

export class SubjectTable {
  readonly #places = new Map<string, number>();
  readonly #placesByPseudonym = new Map<string, number>();
  /** By place; empty texts where a subject was erased. */
  readonly #entities: string[] = [];
  readonly #pseudonyms: string[] = [];
  readonly #free: number[] = [];
  #keys = new Uint8Array(FIRST_CAPACITY * SUBJECT_KEY_BYTES);

  get size(): number {
    return this.#places.size;
  }

  has(entity: string): boolean {
    return this.#places.has(entity);
  }

  find(entity: string): Subject | undefined {
    const place = this.#places.get(entity);
    return place === undefined
      ? undefined
      : { pseudonym: this.#pseudonyms[place] ?? '', key: this.#key(place) };
  }

  entityOf(pseudonym: string): string | undefined {
    const place = this.#placesByPseudonym.get(pseudonym);
    return place === undefined ? undefined : this.#entities[place];
  }

  keyOf(pseudonym: string): Uint8Array | undefined {
    const place = this.#placesByPseudonym.get(pseudonym);
    return place === undefined ? undefined : this.#key(place);
  }

  /** Takes subjects in; those whose entity is known are left as they are. */
  add({ entities, pseudonyms, keys }: SubjectChunk): void {
    entities.forEach((entity, at) => {
      if (this.#places.has(entity)) return;
      const place = this.#free.pop() ?? this.#entities.length;
      const pseudonym = pseudonymText(part(pseudonyms, at, PSEUDONYM_BYTES));
      this.#reserve(place + 1);
      this.#keys.set(part(keys, at, SUBJECT_KEY_BYTES), place * SUBJECT_KEY_BYTES);
      this.#entities[place] = entity;
      this.#pseudonyms[place] = pseudonym;
      this.#places.set(entity, place);
      this.#placesByPseudonym.set(pseudonym, place);
    });
  }

  /** Forgets a subject: its key is overwritten. */
  remove(entity: string): void {
    const place = this.#places.get(entity);
    if (place === undefined) return;
    this.#placesByPseudonym.delete(this.#pseudonyms[place] ?? '');
    this.#places.delete(entity);
    this.#keys.fill(0, place * SUBJECT_KEY_BYTES, (place + 1) * SUBJECT_KEY_BYTES);
    this.#entities[place] = '';
    this.#pseudonyms[place] = '';
    this.#free.push(place);
  }

  #key(place: number): Uint8Array {
    return this.#keys.slice(place * SUBJECT_KEY_BYTES, (place + 1) * SUBJECT_KEY_BYTES);
  }

  #reserve(places: number): void {
    const bytes = places * SUBJECT_KEY_BYTES;
    if (bytes <= this.#keys.length) return;
    const grown = new Uint8Array(Math.max(bytes, 2 * this.#keys.length));
    grown.set(this.#keys);
    this.#keys.fill(0);
    this.#keys = grown;
  }
}

/** The piece of a row of equal pieces. */
function part(row: Uint8Array, at: number, size: number): Uint8Array {
  return row.subarray(at * size, (at + 1) * size);
}
