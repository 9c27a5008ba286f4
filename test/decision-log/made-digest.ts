/** Digests of inputs as leaves have them in the end, made with Node's own HMAC. */
import { createHmac } from 'node:crypto';
import type { DueDigest, InputDigest } from '../../src/decision-log/leaf-privacy.ts';

export function madeDigest(digest: InputDigest | DueDigest): InputDigest {
  if ('mac' in digest) return digest;
  const { key, message } = digest.due;
  return { kid: digest.kid, mac: createHmac('sha256', key).update(message).digest('base64url') };
}
