/**
 * Checkpoints of a log after c2sp.org/tlog-checkpoint: origin, size and root of its tree as the text of a signed
 * note. Invariant: one checkpoint has one text, and a text that deviates from it by a byte is refused.
 */
import { AppError } from '../domain/errors.ts';
import { type NoteSigner, type NoteVerifier, decodeBase64, openNote, signNote } from './signed-note.ts';
import { HASH_BYTES, isTreeSize } from './tree-hash.ts';

/** What a log says about its tree. */
export interface Checkpoint {
  /** Name of the log. */
  readonly origin: string;
  /** Number of leaves. */
  readonly size: number;
  /** RFC 6962 tree head, 32 bytes. */
  readonly root: Uint8Array;
}

/** Most lines of a text: our own checkpoints have three, and a log may add some of its own. */
const MAX_LINES = 16;
const SIZE = /^(?:0|[1-9]\d{0,15})$/;

/** The text of a checkpoint, which is what is signed. @throws RangeError on a size or root that no tree has */
export function formatCheckpoint({ origin, size, root }: Checkpoint): string {
  if (origin === '' || origin.includes('\n') || !isTreeSize(size) || root.length !== HASH_BYTES) {
    throw new RangeError(
      `no checkpoint has origin \`${origin}\`, size ${size} and a root of ${root.length} bytes`,
    );
  }
  return `${origin}\n${size}\n${Buffer.from(root).toString('base64')}\n`;
}

/**
 * Reads the text of a checkpoint. Lines after the root are allowed by the format and not looked at.
 * @throws AppError INVALID_REQUEST when it is malformed, or its size is not a safe integer
 */
export function parseCheckpoint(text: string): Checkpoint {
  const lines = text.split('\n');
  if (lines.pop() !== '') throw malformed('it does not end with a newline');
  const [origin = '', size = '', root = '', ...extensions] = lines;
  if (lines.length > MAX_LINES) throw malformed(`it has more than ${MAX_LINES} lines`);
  if (origin === '') throw malformed('its origin is empty');
  if (!SIZE.test(size) || !isTreeSize(Number(size))) throw malformed(`\`${size}\` is not a tree size`);
  const hash = decodeBase64(root);
  if (hash?.length !== HASH_BYTES) throw malformed('its root is not a hash of 32 bytes in base64');
  if (extensions.includes('')) throw malformed('it has an empty line');
  return { origin, size: Number(size), root: hash };
}

/** A checkpoint as a signed note. @throws as `formatCheckpoint` */
export function signCheckpoint(checkpoint: Checkpoint, signers: readonly NoteSigner[]): string {
  return signNote(formatCheckpoint(checkpoint), signers);
}

/**
 * The checkpoint of a note that the log has signed.
 * @param verifier the log's key
 * @param origin of the log; by default the name of the key
 * @throws AppError INVALID_REQUEST when the note or the checkpoint is malformed, the signature is wrong or missing,
 * or it is a checkpoint of another log
 */
export function openCheckpoint(
  note: string | Uint8Array,
  verifier: NoteVerifier,
  origin = verifier.name,
): Checkpoint {
  const checkpoint = parseCheckpoint(openNote(note, [verifier]).text);
  if (checkpoint.origin !== origin) {
    throw new AppError(
      'INVALID_REQUEST',
      `the checkpoint is of \`${checkpoint.origin}\`; the log is \`${origin}\``,
    );
  }
  return checkpoint;
}

function malformed(why: string): AppError {
  return new AppError('INVALID_REQUEST', `the checkpoint is malformed: ${why}`);
}
