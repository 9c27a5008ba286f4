/**
 * Persons in questions and answers of the log, which knows them by pseudonym. Invariants: a question by name finds
 * what a leaf says by name or by pseudonym; an answer opens only what the asker may see, since only leaves that were
 * answered are opened.
 */
import { type Opened, pseudonymsIn } from './entry-view.ts';
import { leafId } from './leaf-facts.ts';
import { openOpening } from './opening.ts';
import type { DecisionQuery, LoggedLeaf, LogReader, SealedOpening, SubjectResolver } from './ports.ts';
import { entityId, isPrincipalType } from './subject-name.ts';

/** What joins the disclosures of one entry (RFC 9901 §4). */
const SEPARATOR = '~';

/** The query with every pseudonym of the principals that it names. */
export async function withPseudonyms(
  query: DecisionQuery,
  subjects: Pick<SubjectResolver, 'pseudonymsOf'>,
): Promise<DecisionQuery> {
  const names = query.filters.principal?.values ?? [];
  if (names.length === 0) return query;
  const found = await Promise.all(
    names.flatMap(name => readings(name).map(([type, id]) => subjects.pseudonymsOf(type, id))),
  );
  return { ...query, pseudonyms: [...new Set(found.flat())] };
}

/** What a name can mean: `User::acme/alice` a user, or an id of any type, since an id may hold colons. */
function readings(name: string): (readonly [type: string | undefined, id: string])[] {
  const mark = name.indexOf('::');
  const type = name.slice(0, Math.max(0, mark));
  return isPrincipalType(type)
    ? [
        [type, name.slice(mark + 2)],
        [undefined, name],
      ]
    : [[undefined, name]];
}

/** Where what opens leaves comes from. */
export interface Openers {
  readonly log: Pick<LogReader, 'openings'>;
  readonly subjects: Pick<SubjectResolver, 'resolve' | 'keys'>;
}

/**
 * Opens the leaves of one answer: take in each, then fetch once for all, then open each. Taking in and opening cost
 * some tens of microseconds a leaf, so whoever has many of them pauses in between.
 */
export class LeafOpener {
  readonly #openers: Openers;
  readonly #pseudonyms = new Set<string>();
  readonly #committed: number[] = [];
  #ids: ReadonlyMap<string, string> = new Map();
  #sealed: ReadonlyMap<number, SealedOpening> = new Map();
  #keys: ReadonlyMap<string, Uint8Array> = new Map();

  constructor(openers: Openers) {
    this.#openers = openers;
  }

  takeIn({ index, json, content }: LoggedLeaf): void {
    for (const pseudonym of pseudonymsIn(content)) this.#pseudonyms.add(pseudonym);
    if (json.includes(COMMITMENTS)) this.#committed.push(index);
  }

  /** Rejects as the log and the resolver. */
  async fetch(): Promise<void> {
    const { log, subjects } = this.#openers;
    const [known, sealed] = await Promise.all([
      this.#pseudonyms.size === 0 ? new Map<string, string>() : subjects.resolve(this.#pseudonyms),
      this.#committed.length === 0 ? this.#sealed : log.openings(this.#committed),
    ]);
    this.#ids = new Map([...known].map(([pseudonym, entity]) => [pseudonym, entityId(entity)]));
    this.#sealed = sealed;
    const owners = new Set([...sealed.values()].map(({ subject }) => subject));
    if (owners.size > 0) this.#keys = await subjects.keys(owners);
  }

  /** What opens a leaf that was taken in, as far as it was not erased. */
  open({ index, content }: LoggedLeaf): Opened {
    const opening = this.#sealed.get(index);
    const key = opening === undefined ? undefined : this.#keys.get(opening.subject);
    if (opening === undefined || key === undefined) return { subjects: this.#ids, disclosures: [] };
    const plain = openOpening(opening.sealed, key, leafId(content));
    return { subjects: this.#ids, disclosures: plain === undefined ? [] : plain.split(SEPARATOR) };
  }
}

/** Stands in every leaf with commitments; where it stands in another, its opening is looked for in vain. */
const COMMITMENTS = '"_sd":[';
