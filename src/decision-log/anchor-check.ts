/**
 * The check of a stored log against its anchors, before anything is served or written. Invariants: a log that lacks
 * entries which an anchor has seen, or contradicts them, is refused; so is one whose anchor cannot be read, since
 * that is how the check would be got around; an anchor that is not there is allowed, and said.
 */
import { AppError, messageOf } from '../domain/errors.ts';
import type { AnchorConflict, AnchoredHead, AnchorJudge, AnchorTarget } from './anchor.ts';
import type { LogTree } from './ports.ts';
import { sameHash } from './tree-hash.ts';

/** What can be read of an anchor. */
type Readable = Pick<AnchorTarget, 'name' | 'read'>;

export interface AnchorCheckOptions {
  readonly log: { readonly origin: string; readonly size: number };
  readonly tree: Pick<LogTree, 'root'>;
  readonly judge: AnchorJudge;
  /** Anchors that can be read back; others are passed over. */
  readonly targets: readonly Readable[];
  /** Data folder, for the advice. */
  readonly folder: string;
}

export interface AnchorCheckReport {
  /** Anchors that hold nothing although the log is not empty. */
  readonly missing: readonly string[];
  /** Anchors that the log agrees with, and the entries they vouch for. */
  readonly agreed: readonly { readonly name: string; readonly size: number }[];
}

/** @throws AppError LOG_ROLLBACK when an anchor contradicts the log, LOG_UNAVAILABLE when one cannot be read */
export async function checkAnchors(options: AnchorCheckOptions): Promise<AnchorCheckReport> {
  const { log, targets } = options;
  const missing: string[] = [];
  const agreed: { name: string; size: number }[] = [];
  for (const target of targets) {
    if (target.read === undefined) continue;
    const head = await readHead(target, options.judge, options.folder);
    if (head === undefined) {
      if (log.size > 0) missing.push(target.name);
      continue;
    }
    await compare(target.name, head, options);
    agreed.push({ name: target.name, size: head.size });
  }
  return { missing, agreed };
}

async function readHead(
  target: Readable,
  judge: AnchorJudge,
  folder: string,
): Promise<AnchoredHead | undefined> {
  try {
    const note = await target.read?.();
    return note === undefined ? undefined : judge.read(note);
  } catch (error) {
    throw new AppError(
      'LOG_UNAVAILABLE',
      `the decision log cannot be compared with its anchor \`${target.name}\`: ${messageOf(error)}: repair the ` +
        'anchor or restore its last checkpoint; when it is beyond repair, move it aside, and the next start says ' +
        `that it is missing (\`duramen log verify --data ${folder}\` tells what the log itself is worth)`,
      { cause: error },
    );
  }
}

async function compare(name: string, head: AnchoredHead, options: AnchorCheckOptions): Promise<void> {
  const { log, tree, judge, folder } = options;
  if (head.origin !== log.origin) {
    if (judge.replaces(head.origin, head.size)) return;
    throw rollback(
      `the anchor \`${name}\` holds a checkpoint of the log \`${head.origin}\` with ${head.size} entries, and ` +
        `the log \`${log.origin}\` in the data folder does not say that it took its place`,
      folder,
    );
  }
  if (head.size > log.size) {
    throw rollback(
      `the decision log has ${log.size} entries, and its anchor \`${name}\` holds a checkpoint of ` +
        `${head.size}: ${head.size - log.size} are missing`,
      folder,
    );
  }
  if (!sameHash(await tree.root(head.size), head.root)) {
    throw rollback(
      `the first ${head.size} of the ${log.size} entries of the decision log are not those of the checkpoint of ` +
        `${head.size} entries that its anchor \`${name}\` holds`,
      folder,
    );
  }
}

/** The refusal for a contradiction that a witness found. */
export function rollbackByWitness(conflict: AnchorConflict, folder: string): AppError {
  return rollback(
    `the decision log contradicts its anchor \`${conflict.target}\`: ${conflict.message}`,
    folder,
    conflict,
  );
}

function rollback(finding: string, folder: string, cause?: unknown): AppError {
  return new AppError(
    'LOG_ROLLBACK',
    `${finding}: restore the newest copy of the log; if it is lost, run \`duramen log open-new --data ${folder} ` +
      '--reason TEXT`, which sets this log aside and begins a new one that records why',
    cause === undefined ? {} : { cause },
  );
}
