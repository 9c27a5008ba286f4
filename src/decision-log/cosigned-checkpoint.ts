/**
 * A checkpoint with the cosignatures of witnesses, kept over a restart. Invariant: what is shown as cosigned was
 * signed by the log's key and by a configured witness, whatever the file holds.
 */
import type { AnchorJudge } from './anchor.ts';
import type { CosignedCheckpoint } from './anchor-publisher.ts';
import { cosignatureTime } from './cosignature.ts';
import { formatNote, type NoteVerifier, parseNote, verifiedSignatures } from './signed-note.ts';

/** A configured witness: the name of its anchor, and its key. */
export interface KnownWitness {
  readonly anchor: string;
  readonly verifier: NoteVerifier;
}

/**
 * Reads a kept note; undefined when it is of another log, or none of the witnesses signed it. Its time is that of the
 * latest cosignature.
 * @throws AppError or Error when it is damaged
 */
export function readCosigned(
  note: string,
  judge: AnchorJudge,
  witnesses: readonly KnownWitness[],
): CosignedCheckpoint | undefined {
  const head = judge.read(note);
  const { text, signatures } = parseNote(note);
  const cosignatures = verifiedSignatures(
    { text, signatures },
    witnesses.map(({ verifier }) => verifier),
  );
  if (head.origin !== judge.origin || cosignatures.length === 0) return undefined;
  const isCosignature = (line: { name: string; keyId: string }) =>
    cosignatures.some(({ name, keyId }) => name === line.name && keyId === line.keyId);
  const own = signatures.filter(line => line.name === judge.origin && !isCosignature(line));
  const times = cosignatures.map(({ signature }) => cosignatureTime(signature) ?? 0);
  return {
    checkpoint: {
      ...head,
      time: Math.max(...times) * 1000,
      note: formatNote({ text, signatures: own }),
    },
    note: formatNote({ text, signatures: [...own, ...cosignatures] }),
    witnesses: witnesses
      .filter(({ verifier }) =>
        cosignatures.some(({ keyId, name }) => keyId === verifier.keyId && name === verifier.name),
      )
      .map(({ anchor }) => anchor),
  };
}
