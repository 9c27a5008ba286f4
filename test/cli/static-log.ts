/**
 * Logs for tests of verification: leaves of an ordinary life of a service, and their tree as a folder of static
 * files, written with the pure functions of the log alone.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { canonicalJson } from '../../src/decision-log/canonical-json.ts';
import { signCheckpoint } from '../../src/decision-log/checkpoint.ts';
import { Frontier } from '../../src/decision-log/frontier.ts';
import { leafHash } from '../../src/decision-log/leaf-hash.ts';
import { type Ed25519Signer, ed25519Signer, formatSignerKey } from '../../src/decision-log/signed-note.ts';
import { encodeEntryBundle, formatTilePath, TILE_WIDTH } from '../../src/decision-log/tiles.ts';
import { TIME } from '../decision-log/entries.ts';

export const ORIGIN = 'duramen.test/4f1c';
/** Entries of a decision lie this far apart, in milliseconds: a few between two heartbeats. */
const STEP_MS = 10_000;

/** A signer from a seed of 32 equal bytes. */
export function testSigner(origin = ORIGIN, seed = 7): Ed25519Signer {
  return ed25519Signer(formatSignerKey(origin, new Uint8Array(32).fill(seed)));
}

/** Id of the decision at an index of `ordinaryLeaves`. */
export function decisionIdAt(index: number): string {
  return `0192f3a4-1111-7abc-8def-${String(index).padStart(12, '0')}`;
}

/** Leaves of a service that was opened, started, decided with heartbeats in between, and still runs. */
export function ordinaryLeaves(count: number): Buffer[] {
  return Array.from({ length: count }, (_, index) => Buffer.from(canonicalJson(leafAt(index))));
}

function leafAt(index: number) {
  const common = { id: decisionIdAt(index), time: TIME + index * STEP_MS, v: 2 };
  const event = (kind: string, details: Record<string, string | number>) => ({
    ...common,
    actor: 'system',
    details,
    kind,
    subject: ORIGIN,
  });
  if (index === 0) return event('log.open', { shard: '2026-W01-000000000000' });
  if (index === 1) return event('service.start', { version: '0.0.0-test' });
  if (index % 6 === 0) return event('log.heartbeat', { size: index });
  return { ...common, decision: index % 5 === 0 ? 'deny' : 'allow', kind: 'decision', request: { n: index } };
}

/** The files of a log by their names, for any size. */
export function staticFiles(
  leaves: readonly Uint8Array[],
  signer: Ed25519Signer,
  origin = signer.name,
): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  const frontier = new Frontier();
  for (const leaf of leaves) frontier.append(leafHash(leaf));
  for (const { level, n, data } of frontier.takeTiles()) {
    files.set(formatTilePath({ level, n, width: TILE_WIDTH }), data);
  }
  for (const [level, data] of frontier.partialTiles().entries()) {
    const n = Math.floor(leaves.length / TILE_WIDTH ** (level + 1));
    if (data.length > 0) files.set(formatTilePath({ level, n, width: data.length / 32 }), data);
  }
  for (let first = 0; first < leaves.length; first += TILE_WIDTH) {
    const entries = leaves.slice(first, first + TILE_WIDTH);
    const path = formatTilePath({ level: 'entries', n: first / TILE_WIDTH, width: entries.length });
    files.set(path, encodeEntryBundle(entries));
  }
  const note = signCheckpoint({ origin, size: leaves.length, root: frontier.root() }, [signer]);
  files.set('checkpoint', Buffer.from(note));
  files.set('log.vkey', Buffer.from(`${signer.verifierKey}\n`));
  return files;
}

export function writeFiles(folder: string, files: ReadonlyMap<string, Uint8Array>): void {
  for (const [name, bytes] of files) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), bytes);
  }
}
