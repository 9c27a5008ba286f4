/** If-Match and If-None-Match (RFC 9110 §13.1) over revisions. Invariant: a stale writer changes nothing. */
import { AppError } from '../domain/errors.ts';

/** Parsed conditional headers; `*` stands for "whatever exists". */
export interface Preconditions {
  readonly ifMatch?: '*' | readonly number[];
  readonly ifNoneMatch?: '*' | readonly number[];
}

/** Most entity tags of one header. */
const MAX_TAGS = 32;

/** The strong entity tag of a revision. */
export function entityTag(revision: number): string {
  return `"${revision}"`;
}

/** Parses the value of a conditional header. @throws AppError INVALID_REQUEST */
export function parseEntityTags(header: string, name: string): '*' | readonly number[] {
  const text = header.trim();
  if (text === '*') return '*';
  const tags = text.split(',', MAX_TAGS + 1).map(tag => /^"(\d{1,15})"$/.exec(tag.trim())?.[1]);
  if (tags.length > MAX_TAGS || tags.includes(undefined)) {
    throw new AppError('INVALID_REQUEST', `the header \`${name}\` is not a list of entity tags`, {
      problems: [
        {
          message: `\`${name}\` must be \`*\` or entity tags such as \`"118"\``,
          hint: 'send the `ETag` as it was answered',
        },
      ],
    });
  }
  return tags.map(Number);
}

/**
 * @param current revision of the object; undefined when there is none.
 * @param noun what it is, for messages.
 * @throws AppError PRECONDITION_FAILED
 */
export function checkPreconditions(
  current: number | undefined,
  conditions: Preconditions,
  noun = 'entity',
): void {
  const { ifMatch, ifNoneMatch } = conditions;
  if (ifMatch !== undefined && !selects(ifMatch, current)) {
    throw new AppError(
      'PRECONDITION_FAILED',
      current === undefined
        ? `the ${noun} does not exist`
        : `the ${noun} is at revision ${current}: read it again and repeat the change`,
    );
  }
  if (ifNoneMatch !== undefined && selects(ifNoneMatch, current)) {
    throw new AppError('PRECONDITION_FAILED', `the ${noun} exists already, at revision ${current}`);
  }
}

function selects(tags: '*' | readonly number[], current: number | undefined): boolean {
  if (current === undefined) return false;
  return tags === '*' || tags.includes(current);
}
