/**
 * Ids of decisions in journals and snapshots: UUIDs in 16 bytes, any other text as it is. Invariant: an id is read back
 * exactly; a text is only taken for a UUID when writing that UUID gives the text again.
 */
import type { ByteReader, ByteWriter } from './bytes.ts';
import { WORDS } from './word-index.ts';

const UUID_LENGTH = 36;
const HYPHEN = 45;
/** What stands before a UUID: the length of a text that no id has. */
const IS_UUID = 0;

/** An id on its way to or from bytes; used again for the next. */
export class DecisionId {
  /** Undefined: a UUID, which `words` hold. */
  text: string | undefined = undefined;
  readonly words: Int32Array = new Int32Array(WORDS);

  /** @throws Error when the bytes hold no id */
  read(bytes: ByteReader): this {
    const length = bytes.whole();
    this.text = length === IS_UUID ? undefined : bytes.characters(length);
    if (length === IS_UUID) bytes.words(this.words);
    return this;
  }

  write(bytes: ByteWriter): void {
    if (this.text !== undefined) {
      bytes.text(this.text);
      return;
    }
    bytes.whole(IS_UUID);
    bytes.words(this.words);
  }
}

/** Reads a UUID in its canonical form (RFC 9562 §4): small letters. False when the text is none; nothing is read then. */
export function readUuid(text: string, words: Int32Array): boolean {
  if (
    text.length !== UUID_LENGTH ||
    text.charCodeAt(8) !== HYPHEN ||
    text.charCodeAt(13) !== HYPHEN ||
    text.charCodeAt(18) !== HYPHEN ||
    text.charCodeAt(23) !== HYPHEN
  ) {
    return false;
  }
  const first = eightDigits(text, 0, 4);
  const second = eightDigits(text, 9, 14);
  const third = eightDigits(text, 19, 24);
  const fourth = eightDigits(text, 28, 32);
  if (first < 0 || second < 0 || third < 0 || fourth < 0) return false;
  words[0] = first;
  words[1] = second;
  words[2] = third;
  words[3] = fourth;
  return true;
}

/** Two runs of four hexadecimal digits as a number below 2^32; below 0 when one of them is none. */
function eightDigits(text: string, at: number, and: number): number {
  const high = fourDigits(text, at);
  const low = fourDigits(text, and);
  return (high | low) < 0 ? -1 : high * 65_536 + low;
}

function fourDigits(text: string, at: number): number {
  const first = digit(text.charCodeAt(at));
  const second = digit(text.charCodeAt(at + 1));
  const third = digit(text.charCodeAt(at + 2));
  const fourth = digit(text.charCodeAt(at + 3));
  return (first << 12) | (second << 8) | (third << 4) | fourth;
}

/** All bits are set of what is no digit, so that they are in whatever it is combined with. */
function digit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  return code >= 97 && code <= 102 ? code - 87 : -1;
}
