/** In place of src/decision-log/checkpoint.ts in a service without evidence: nothing is signed. */
import * as real from '../../src/decision-log/checkpoint.ts';

export const { formatCheckpoint, openCheckpoint, parseCheckpoint } = real;

/** An empty text instead of a note. */
export function signCheckpoint(): string {
  return '';
}
