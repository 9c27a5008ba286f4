/** The digest by which the log knows an input, without holding it. */
import { hash } from 'node:crypto';

/** `sha256:<64 hex>` of the bytes as they arrived. */
export function hashInput(bytes: Uint8Array): string {
  return `sha256:${hash('sha256', bytes, 'hex')}`;
}
