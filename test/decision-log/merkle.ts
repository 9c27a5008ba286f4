/** The tree as RFC 6962 §2.1 defines it, recursively and slowly: what the real one is held against. */
import { createHash } from 'node:crypto';

function sha256(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

export function naiveLeafHash(leaf: Uint8Array): Buffer {
  return sha256(Buffer.of(0), leaf);
}

/** MTH over leaf hashes. */
export function naiveRoot(hashes: readonly Uint8Array[]): Buffer {
  const [only] = hashes;
  if (only === undefined) return sha256();
  if (hashes.length === 1) return Buffer.from(only);
  const k = split(hashes.length);
  return sha256(Buffer.of(1), naiveRoot(hashes.slice(0, k)), naiveRoot(hashes.slice(k)));
}

/** PATH(m, D[n]) of §2.1.1. */
export function naiveInclusion(index: number, hashes: readonly Uint8Array[]): readonly Buffer[] {
  if (hashes.length <= 1) return [];
  const k = split(hashes.length);
  return index < k
    ? [...naiveInclusion(index, hashes.slice(0, k)), naiveRoot(hashes.slice(k))]
    : [...naiveInclusion(index - k, hashes.slice(k)), naiveRoot(hashes.slice(0, k))];
}

/** PROOF(m, D[n]) of §2.1.2, for 0 < m. */
export function naiveConsistency(size: number, hashes: readonly Uint8Array[]): readonly Buffer[] {
  return subproof(size, hashes, true);
}

function subproof(size: number, hashes: readonly Uint8Array[], whole: boolean): readonly Buffer[] {
  if (size === hashes.length) return whole ? [] : [naiveRoot(hashes)];
  const k = split(hashes.length);
  return size <= k
    ? [...subproof(size, hashes.slice(0, k), whole), naiveRoot(hashes.slice(k))]
    : [...subproof(size - k, hashes.slice(k), false), naiveRoot(hashes.slice(0, k))];
}

function split(count: number): number {
  let k = 1;
  while (k * 2 < count) k *= 2;
  return k;
}

/** `count` leaves that are all different. */
export function sampleLeaves(count: number): readonly Buffer[] {
  return Array.from({ length: count }, (_, index) => Buffer.from(`leaf ${index}`));
}

/** Their hashes. */
export function sampleHashes(count: number): readonly Buffer[] {
  return sampleLeaves(count).map(naiveLeafHash);
}
