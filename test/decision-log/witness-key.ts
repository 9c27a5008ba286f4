/** A witness's key for tests: cosigns checkpoints at a time that the test gives. */
import { sign } from 'node:crypto';
import { cosignedMessage } from '../../src/decision-log/cosignature.ts';
import {
  COSIGNATURE,
  formatVerifierKey,
  importSeed,
  keyIdOf,
  type NoteSigner,
  publicKeyOf,
} from '../../src/decision-log/signed-note.ts';

export interface WitnessKey extends NoteSigner {
  readonly verifierKey: string;
}

/** @param seed 32 bytes @param time seconds since the epoch, asked at each signature */
export function witnessKey(name: string, seed: Uint8Array, time: () => number): WitnessKey {
  const privateKey = importSeed(seed);
  const publicKey = publicKeyOf(privateKey);
  return {
    name,
    keyId: keyIdOf(name, COSIGNATURE, publicKey),
    verifierKey: formatVerifierKey(name, COSIGNATURE, publicKey),
    sign(text) {
      const seconds = time();
      const stamp = Buffer.alloc(8);
      stamp.writeBigUInt64BE(BigInt(seconds));
      return Buffer.concat([stamp, sign(null, cosignedMessage(text, seconds), privateKey)]);
    },
  };
}
