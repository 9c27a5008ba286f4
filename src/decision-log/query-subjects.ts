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

/** What opens leaves. */
export interface Openers {
  readonly log: Pick<LogReader, 'openings'>;
  readonly subjects: Pick<SubjectResolver, 'resolve' | 'keys'>;
}

/** What opens each of the leaves, as far as it was not erased, at its place. */
export async function openLeaves(
  leaves: readonly LoggedLeaf[],
  { log, subjects }: Openers,
): Promise<readonly Opened[]> {
  const pseudonyms = new Set(leaves.flatMap(({ content }) => pseudonymsIn(content)));
  const committed = leaves.filter(({ json }) => json.includes(COMMITMENTS)).map(({ index }) => index);
  const [known, sealed] = await Promise.all([
    pseudonyms.size === 0 ? new Map<string, string>() : subjects.resolve(pseudonyms),
    committed.length === 0 ? NO_OPENINGS : log.openings(committed),
  ]);
  const ids = new Map([...known].map(([pseudonym, entity]) => [pseudonym, entityId(entity)]));
  const owners = new Set([...sealed.values()].map(({ subject }) => subject));
  const keys = owners.size === 0 ? new Map<string, Uint8Array>() : await subjects.keys(owners);
  return leaves.map(({ index, content }) => {
    const opening = sealed.get(index);
    const key = opening === undefined ? undefined : keys.get(opening.subject);
    if (opening === undefined || key === undefined) return { subjects: ids, disclosures: [] };
    const plain = openOpening(opening.sealed, key, leafId(content));
    return { subjects: ids, disclosures: plain === undefined ? [] : plain.split(SEPARATOR) };
  });
}

/** Stands in every leaf with commitments; where it stands in another, its opening is looked for in vain. */
const COMMITMENTS = '"_sd":[';

const NO_OPENINGS: ReadonlyMap<number, SealedOpening> = new Map();
