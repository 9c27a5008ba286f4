/**
 * Reads what limits had counted out of a data folder: the snapshot, if it is about this log, and the journals since.
 * Invariant: nothing that the log knows is left out; when that cannot be, nothing is restored.
 */
import type { JournalChunk } from '../../decision-log/ports.ts';
import { AppError, messageOf } from '../../domain/errors.ts';
import { LimitRebuild } from '../../limits/counters/limit-rebuild.ts';
import { SNAPSHOT_FILE, SnapshotFile, type SnapshotHead } from './limit-snapshot-file.ts';

/** The log as far as it is needed here; the promises are of whatever thread reads it. */
export interface RestoreSource {
  /** Whether what is restored will live as long as the process. */
  readonly reserve?: boolean;
  /** Data folder. */
  readonly folder: string;
  readonly origin: string;
  /** Entries that are durable. */
  readonly size: number;
  /** Index of the first entry that is kept. */
  firstKept(): Promise<number> | number;
  /** RFC 6962 leaf hash, hex; undefined when the entry was removed. */
  leafHash(index: number): Promise<string | undefined> | string | undefined;
  /** See `LogJournals.chunk`. */
  chunk(from: number): Promise<JournalChunk | undefined> | JournalChunk | undefined;
}

export interface Restored {
  readonly rebuild: LimitRebuild;
  /** Journals of batches whose first entry has a lower index were read. */
  readonly next: number;
  /** Whether anything was there to be read. */
  readonly isEmpty: boolean;
  /** Why the snapshot was not used, and every journal was read instead. */
  readonly ignored: string | undefined;
}

/** @throws AppError LOG_UNAVAILABLE with what to do, when what was counted cannot be known */
export async function restoreLimits(source: RestoreSource): Promise<Restored> {
  const rebuild = new LimitRebuild(source.reserve);
  const { from, ignored } = await readSnapshot(source, rebuild);
  const firstKept = await source.firstKept();
  if (ignored !== undefined && firstKept > 0) {
    throw new AppError(
      'LOG_UNAVAILABLE',
      `\`${SNAPSHOT_FILE}\` cannot be used: ${ignored}; and the log has let go of entries that it stood for: restore the file from a backup, or delete it, so that limits count what the kept entries tell`,
    );
  }
  // whoever removed the snapshot wants what the kept entries tell
  if (from < firstKept) rebuild.allowGap();
  let next = from;
  try {
    for (let chunk = await source.chunk(next); chunk !== undefined; chunk = await source.chunk(next)) {
      rebuild.readJournals(chunk.body);
      ({ next } = chunk);
    }
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new AppError(
      'LOG_UNAVAILABLE',
      `what limits counted cannot be read from the log at entry ${next}: ${messageOf(error)}: restore the data folder from a backup`,
      { cause: error },
    );
  }
  return { rebuild, next, isEmpty: from === 0 && rebuild.journals === 0, ignored };
}

async function readSnapshot(
  source: RestoreSource,
  rebuild: LimitRebuild,
): Promise<{ readonly from: number; readonly ignored: string | undefined }> {
  let file: SnapshotFile | undefined;
  try {
    file = SnapshotFile.open(source.folder);
    if (file === undefined) return { from: 0, ignored: undefined };
    const stranger = await mismatch(file.head, source);
    if (stranger !== undefined) return { from: 0, ignored: stranger };
    rebuild.readSnapshot(file.chunks());
    return { from: file.head.size, ignored: undefined };
  } catch (error) {
    return { from: 0, ignored: messageOf(error) };
  } finally {
    file?.close();
  }
}

/** Why a snapshot is not about this log; undefined when it is. */
async function mismatch(head: SnapshotHead, source: RestoreSource): Promise<string | undefined> {
  if (head.origin !== source.origin) return `it is about the log \`${head.origin}\``;
  if (head.size > source.size) return `it is about ${head.size} entries, and the log has ${source.size}`;
  const firstKept = await source.firstKept();
  if (head.size < firstKept)
    return `it is about ${head.size} entries, and those up to ${firstKept - 1} are gone`;
  const hash = await source.leafHash(head.size - 1);
  // one that was removed cannot be compared any more
  return hash === undefined || hash === head.leafHash
    ? undefined
    : 'it is about other entries than the log has';
}
