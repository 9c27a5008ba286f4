/**
 * `X-Forwarded-Client-Cert` as Envoy writes it: elements between commas, pairs between semicolons, values that hold
 * `,;="` in double quotes with `\"` for a quote. Invariant: a header is understood as a whole or not at all, so that
 * nothing in one element can be taken for the next.
 */
import { CertificateError } from './certificate-error.ts';

/** Most elements of a header: each is one proxy. */
const MAX_ELEMENTS = 32;
/** Most pairs of one element. */
const MAX_PAIRS = 64;

const KEYS = ['by', 'hash', 'cert', 'chain', 'subject', 'uri', 'dns'] as const;
type Key = (typeof KEYS)[number];
/** Keys that may stand more than once: a certificate can have several such names. */
const REPEATED: readonly Key[] = ['uri', 'dns', 'by'];

/** What one proxy says of the client in front of it. */
export type XfccElement = ReadonlyMap<Key, readonly string[]>;

/** @throws CertificateError unless every element is well formed. */
export function parseXfcc(header: string): readonly XfccElement[] {
  const elements: XfccElement[] = [];
  const scanner = new Scanner(header);
  do {
    if (elements.length === MAX_ELEMENTS) throw new CertificateError('the header has too many elements');
    elements.push(readElement(scanner));
  } while (scanner.take(','));
  if (!scanner.isAtEnd) throw new CertificateError('the header has text behind a value');
  return elements;
}

function readElement(scanner: Scanner): XfccElement {
  const element = new Map<Key, string[]>();
  let pairs = 0;
  scanner.skipBlanks();
  do {
    const name = scanner.until('=').toLowerCase();
    const key = KEYS.find(known => known === name);
    if (key === undefined || !scanner.take('=')) throw new CertificateError('the header has an unknown key');
    const values = element.get(key) ?? [];
    if (values.length > 0 && !REPEATED.includes(key))
      throw new CertificateError('the header has a key twice');
    pairs += 1;
    if (pairs > MAX_PAIRS) throw new CertificateError('the header has too many values');
    values.push(scanner.value());
    element.set(key, values);
  } while (scanner.take(';'));
  scanner.skipBlanks();
  return element;
}

class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    // whoever lets control characters through lets more through
    if (!/^[\x20-\x7e]*$/.test(text))
      throw new CertificateError('the header holds characters that are not printable');
    this.#text = text;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#text.length;
  }

  take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  skipBlanks(): void {
    while (this.take(' '));
  }

  /** The text before the next one of these characters, or the end. */
  until(stops: string): string {
    const start = this.#at;
    while (!this.isAtEnd && !stops.includes(this.#text[this.#at] ?? '')) this.#at += 1;
    return this.#text.slice(start, this.#at);
  }

  value(): string {
    if (!this.take('"')) {
      const bare = this.until(',;="');
      if (this.#text[this.#at] === '=' || this.#text[this.#at] === '"') {
        throw new CertificateError('the header has a value that needs quotes');
      }
      return bare.trimEnd();
    }
    let value = '';
    for (;;) {
      const part = this.until('"');
      if (!this.take('"')) throw new CertificateError('the header has a quote that does not end');
      if (!part.endsWith('\\')) return value + part;
      value += `${part.slice(0, -1)}"`;
    }
  }
}
