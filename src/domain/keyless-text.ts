/**
 * Free text that people write for other people, and that is stored and logged. Invariant: no key of this service is in
 * it, neither a gateway's nor a caller's: an entry of the log stays for good.
 */
import { z } from 'zod';

/** The start of anything that is, or pretends to be, a key of this service. */
const KEY_TEXT = /dm[nc]_[0-9A-Za-z]{4}/;

/** Whether a key of this service, or the beginning of one, stands in a text. */
export function holdsKey(text: string): boolean {
  return KEY_TEXT.test(text);
}

/** @param maxLength in characters */
export function keylessText(maxLength: number) {
  return z
    .string()
    .max(maxLength)
    .refine(text => !holdsKey(text), 'must not contain a key: it is stored and logged');
}
