/** How long keys last. Invariant: no key is made that ends never, in the past, or later than its tenant allows. */
import { AppError } from '../../domain/errors.ts';

const DAY_MS = 86_400_000;
/** How long a key works beside its successor where nobody says, in milliseconds. */
const DEFAULT_OVERLAP_MS = DAY_MS;

interface Bounds {
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** RFC 3339; the life of a key begins with it. */
  readonly notBefore?: string | undefined;
  /** In milliseconds. */
  readonly longest: number;
}

/**
 * Milliseconds since the epoch.
 * @throws AppError INVALID_REQUEST
 */
export function expiryFor(wanted: string, { now, notBefore, longest }: Bounds): number {
  const end = Date.parse(wanted);
  if (!(end > now))
    throw refusal('/expiresAt', 'must be in the future', 'give the time at which the key is to end');
  if (notBefore !== undefined && !(Date.parse(notBefore) < end)) {
    throw refusal('/notBefore', 'must be before `expiresAt`', 'leave it out for a key that works at once');
  }
  if (end - now <= longest) return end;
  const days = Math.floor(longest / DAY_MS);
  throw refusal(
    '/expiresAt',
    `must be within ${days} days: keys of this tenant last no longer`,
    'rotate the key in time',
  );
}

/** When a key ends that has a successor. @throws AppError INVALID_REQUEST */
export function overlapEnd(seconds: number | undefined, now: number, longest: number): number {
  if (seconds === undefined) return now + Math.min(DEFAULT_OVERLAP_MS, longest);
  if (seconds * 1000 <= longest) return now + seconds * 1000;
  const message = `must be at most ${Math.floor(longest / 1000)}`;
  throw refusal('/overlapSeconds', message, 'move everything that uses the key within that time');
}

function refusal(pointer: string, message: string, hint: string): AppError {
  return new AppError('INVALID_REQUEST', `\`${pointer.slice(1)}\` ${message}`, {
    problems: [{ pointer, message, hint }],
  });
}
