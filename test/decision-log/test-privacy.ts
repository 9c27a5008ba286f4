/** Names and keys for leaves that are the same in every run, and can be taken back. */
import { createHash } from 'node:crypto';
import type { LeafPrivacy } from '../../src/decision-log/leaf-privacy.ts';

const PSEUDONYM_LENGTH = 22;

export interface TestPrivacy extends LeafPrivacy {
  /** The id of a principal that was named before. */
  idOf(pseudonym: string): string;
  /** Its key. */
  keyOf(pseudonym: string): Uint8Array;
}

/** The pseudonym that `testPrivacy` gives an entity. */
export function pseudonymOf(entity: string): string {
  return `p:${digest(entity).toString('base64url').slice(0, PSEUDONYM_LENGTH)}`;
}

/** Knows every principal; `ip` is personal. */
export function testPrivacy(): TestPrivacy {
  const ids = new Map<string, string>();
  const keyOf = (pseudonym: string) => digest(`key of ${pseudonym}`);
  return {
    subject(entity) {
      const pseudonym = pseudonymOf(entity);
      ids.set(pseudonym, entity.slice(entity.indexOf('"') + 1, -1));
      return { pseudonym, key: keyOf(pseudonym) };
    },
    unregistered: entity => `u:${pseudonymOf(entity).slice(2)}`,
    inputDigest({ tenant, resource, hash }, time) {
      const month = Math.abs(time) < 8.64e15 ? new Date(time).toISOString().slice(0, 7) : 'no month';
      const kid = `${tenant}/${month}`;
      return { kid, due: { key: digest(kid), message: `${resource} ${hash}` } };
    },
    personalKeys: new Set(['ip']),
    keyOf,
    idOf(pseudonym) {
      const id = ids.get(pseudonym);
      if (id === undefined) throw new Error(`nobody is called ${pseudonym}`);
      return id;
    },
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
