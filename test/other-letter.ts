/**
 * Texts that differ from a random one in one letter. Invariant: the letter put in is never the one that was there,
 * so that a test of a wrong secret never sends the right one.
 */

/** `text` with another letter or digit at `at`, counted from the end if negative as in `String.prototype.at`. */
export function withOtherLetter(text: string, at = -1): string {
  const place = at < 0 ? text.length + at : at;
  return text.slice(0, place) + (text[place] === '0' ? '1' : '0') + text.slice(place + 1);
}
