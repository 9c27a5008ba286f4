/**
 * Cosignatures of witnesses after c2sp.org/tlog-cosignature (type 0x04, Ed25519): a witness says that it saw a
 * checkpoint at a time, as the largest consistent one. Invariant: the time counts only when the signature over it
 * and over the whole checkpoint holds.
 */
import { AppError } from '../domain/errors.ts';
import {
  COSIGNATURE,
  ED25519_SIGNATURE_BYTES,
  type NoteVerifier,
  importPublicKey,
  parseVerifierKey,
  verifyEd25519,
} from './signed-note.ts';

/** Bytes of the time in front of the Ed25519 signature. */
const TIME_BYTES = 8;

/** The verifier of a witness's key. @throws AppError INVALID_REQUEST when it is malformed or not a witness's */
export function cosignatureVerifier(vkey: string): NoteVerifier {
  const { name, keyId, type, publicKey } = parseVerifierKey(vkey);
  if (type !== COSIGNATURE) {
    throw new AppError('INVALID_REQUEST', `the verifier key of \`${name}\` is not that of a witness`);
  }
  const key = importPublicKey(publicKey);
  return {
    name,
    keyId,
    verify(text, signature) {
      const time = cosignatureTime(signature);
      if (time === undefined) return false;
      return verifyEd25519(cosignedMessage(text, time), key, signature.subarray(TIME_BYTES));
    },
  };
}

/**
 * When a witness cosigned, in seconds since the epoch; undefined when the bytes are no cosignature. Verify the
 * signature before relying on it.
 */
export function cosignatureTime(signature: Uint8Array): number | undefined {
  if (signature.length !== TIME_BYTES + ED25519_SIGNATURE_BYTES) return undefined;
  const time = new DataView(signature.buffer, signature.byteOffset).getBigUint64(0);
  return time <= Number.MAX_SAFE_INTEGER ? Number(time) : undefined;
}

/** What a witness signs. @param text of the checkpoint @param time seconds since the epoch */
export function cosignedMessage(text: string, time: number): Uint8Array {
  return Buffer.from(`cosignature/v1\ntime ${time}\n${text}`);
}
