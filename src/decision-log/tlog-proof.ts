/**
 * Proofs of single entries in a file, after c2sp.org/tlog-proof (format v1): an index, an inclusion proof and the
 * checkpoint it leads to. Invariant: a proof is believed only from a leaf in hand, through its hashes, to a
 * checkpoint that the log has signed; what a proof says beside that (`extra`) is never believed.
 */
import { AppError } from '../domain/errors.ts';
import { type Checkpoint, openCheckpoint } from './checkpoint.ts';
import { MAX_PROOF_HASHES, inclusionFault } from './proofs.ts';
import { MAX_NOTE_BYTES, type NoteVerifier, decodeBase64 } from './signed-note.ts';
import { HASH_BYTES, isTreeSize } from './tree-hash.ts';

/** A proof taken apart; nothing of it is verified yet. */
export interface TlogProof {
  /** 0-based index of the leaf. */
  readonly index: number;
  /** From the leaf's sibling up, 32 bytes each. */
  readonly hashes: readonly Uint8Array[];
  /** The signed note, exactly. */
  readonly checkpoint: string;
  /** Not authenticated by the proof. */
  readonly extra?: Uint8Array;
}

/** Most bytes of `extra`: a leaf with room to spare. */
export const MAX_EXTRA_BYTES = 65_536;
/** Longest proof in characters: `extra` in base64, the hashes, and the note. */
export const MAX_TLOG_PROOF_LENGTH = 2 * MAX_EXTRA_BYTES + 64 * MAX_PROOF_HASHES + MAX_NOTE_BYTES;

const HEADER = 'c2sp.org/tlog-proof@v1';
const EXTRA = 'extra ';
const INDEX = /^index (0|[1-9]\d{0,15})$/;

/** The text of a proof. @throws RangeError when a part cannot be in one */
export function formatTlogProof({ index, hashes, checkpoint, extra }: TlogProof): string {
  if (!isTreeSize(index)) throw new RangeError(`${index} is not the index of a leaf`);
  if (hashes.some(hash => hash.length !== HASH_BYTES)) throw new RangeError('a hash of a proof has 32 bytes');
  if (extra !== undefined && extra.length > MAX_EXTRA_BYTES) {
    throw new RangeError(`the extra data of a proof have at most ${MAX_EXTRA_BYTES} bytes`);
  }
  const lines = [HEADER];
  if (extra !== undefined) lines.push(`${EXTRA}${Buffer.from(extra).toString('base64')}`);
  lines.push(`index ${index}`, ...hashes.map(hash => Buffer.from(hash).toString('base64')));
  return `${lines.join('\n')}\n\n${checkpoint}`;
}

/** Takes a proof apart. @throws AppError INVALID_REQUEST when it is malformed or too long */
export function parseTlogProof(text: string): TlogProof {
  if (text.length > MAX_TLOG_PROOF_LENGTH) throw malformed('it is too long');
  const end = text.indexOf('\n\n');
  if (end < 0) throw malformed('it has no checkpoint');
  const [header, ...lines] = text.slice(0, end).split('\n');
  if (header !== HEADER) throw malformed(`it does not start with \`${HEADER}\``);
  const extra = lines[0]?.startsWith(EXTRA) === true ? parseExtra(lines.shift()) : undefined;
  const index = Number(INDEX.exec(lines.shift() ?? '')?.[1] ?? Number.NaN);
  if (!isTreeSize(index)) throw malformed('it has no index');
  if (lines.length > MAX_PROOF_HASHES) throw malformed(`it has more than ${MAX_PROOF_HASHES} hashes`);
  const hashes = lines.map(line => {
    const hash = decodeBase64(line);
    if (hash?.length !== HASH_BYTES) throw malformed('a line is not a hash of 32 bytes in base64');
    return hash;
  });
  const checkpoint = text.slice(end + 2);
  return { index, hashes, checkpoint, ...(extra === undefined ? {} : { extra }) };
}

/**
 * The checkpoint in which a proof shows a leaf.
 * @param leafHash RFC 6962 hash of the leaf in hand
 * @param verifier the log's key
 * @param origin of the log; by default the name of the key
 * @throws AppError INVALID_REQUEST when the checkpoint is not the log's, or the proof does not lead from the leaf
 * to it
 */
export function openTlogProof(
  proof: TlogProof,
  leafHash: Uint8Array,
  verifier: NoteVerifier,
  origin = verifier.name,
): Checkpoint {
  const checkpoint = openCheckpoint(proof.checkpoint, verifier, origin);
  const fault = inclusionFault(proof.index, checkpoint.size, leafHash, proof.hashes, checkpoint.root);
  if (fault === undefined) return checkpoint;
  throw new AppError('INVALID_REQUEST', `the entry is not proven to be entry ${proof.index}: ${fault}`);
}

function parseExtra(line = ''): Uint8Array {
  const extra = decodeBase64(line.slice(EXTRA.length));
  if (extra === undefined || extra.length > MAX_EXTRA_BYTES) throw malformed('its extra data are not base64');
  return extra;
}

function malformed(why: string): AppError {
  return new AppError('INVALID_REQUEST', `the proof is malformed: ${why}`);
}
