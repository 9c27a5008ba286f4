/**
 * What one connection has proved: the text of the `Authorization` header that was verified on it, and the entry
 * of the key ring that it matched. Invariants: the text decides nothing alone, it only spares hashing the very
 * same text again; whether the key still works is asked of the ring each time; no two connections share it.
 *
 * A connection may carry several clients, behind a proxy that pools connections, so the text is a secret even
 * to its own connection: it is compared in a time that depends on its length alone, which every key shares.
 * It is held in memory no longer than the connection, and never written anywhere.
 */
export class ProvenKey<Entry> {
  #header = '';
  #entry: Entry | undefined;

  /** Keeps what was just verified in full, in the place of what was kept before. */
  keep(header: string, entry: Entry): void {
    this.#header = header;
    this.#entry = entry;
  }

  /** The entry that this text was verified against; undefined when another text, or none, was. */
  recall(header: string): Entry | undefined {
    return sameText(header, this.#header) ? this.#entry : undefined;
  }
}

/** Whether two texts are equal; texts of one length take one time, whatever they hold. */
export function sameText(left: string, right: string): boolean {
  if (left.length !== right.length) return false;
  let difference = 0;
  for (let at = 0; at < left.length; at += 1) difference |= left.charCodeAt(at) ^ right.charCodeAt(at);
  return difference === 0;
}
