/**
 * Setting a log aside for a new one. Invariants: nothing is deleted; the request is on the disk before the first
 * file moves, and goes away only when the first entry of the new log records it, so a crash at any point is made
 * good by the next start; without that entry the anchors of the old log refuse the new one.
 */
import { copyFile, readFile, rename } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { AnchoredHead, AnchorJudge, AnchorTarget } from '../decision-log/anchor.ts';
import { parseCheckpoint } from '../decision-log/checkpoint.ts';
import { decodeBase64, ed25519Signer, parseNote } from '../decision-log/signed-note.ts';
import { largestHeads, type LogRemains, type Succession } from '../decision-log/succession.ts';
import { isTreeSize } from '../decision-log/tree-hash.ts';
import { AppError, messageOf } from '../domain/errors.ts';
import { folderNameOf } from '../store/anchors/directory-anchor.ts';
import { flushFolder, makeFolder, replaceFile } from '../store/anchors/durable-file.ts';
import { lockFolder } from '../store/sqlite/folder-lock.ts';
import { readLogRemains } from '../store/sqlite/log-remains.ts';

const REQUEST_FILE = 'log-open-request.json';
/** Folder of logs that were set aside, within the data folder. */
export const RETIRED_FOLDER = 'log-retired';
/** The anchor in the data folder itself. It stays, so that a new log without its record is refused. */
export const LOCAL_ANCHOR = 'anchor.checkpoint';
/** The newest checkpoint that witnesses cosigned. */
export const COSIGNED_FILE = 'anchor.cosigned';
/** What belongs to one log: its entries in either form, its key, and the index over it. */
const LOG_FILES = [
  'log',
  ...['log.db', 'query.db'].flatMap(name => [name, `${name}-wal`, `${name}-shm`, `${name}-journal`]),
  'log-signing-key',
  COSIGNED_FILE,
];
/** Most logs of one origin that are set aside; names run out before, disks long before. */
const MAX_RETIRED = 1_000;

const base64Root = z.string().transform((text, context) => {
  const root = decodeBase64(text);
  if (root?.length === 32) return root;
  context.addIssue('must be 32 bytes in base64');
  return z.NEVER;
});
const size = z.int().refine(isTreeSize);

const requestSchema = z.strictObject({
  state: z.enum(['moving', 'moved']),
  /** Folder below `log-retired`. */
  retired: z.string().regex(/^[A-Za-z0-9._-]+$/),
  request: z.string().min(1),
  reason: z.string(),
  by: z.string(),
  at: z.string(),
  replaces: z.array(z.strictObject({ origin: z.string(), size, root: base64Root })),
  remains: z.strictObject({ origin: z.string(), size, root: base64Root.nullable() }).nullable(),
});

/** A request for a new log that has not been granted yet. */
export interface NewLogRequest {
  readonly succession: Succession;
  /** Where the old log is, absolute or as the data folder was given. */
  readonly retired: string;
}

export interface NewLogOptions {
  readonly folder: string;
  readonly reason: string;
  /** Account of the operating system. */
  readonly by: string;
  /** Instant, RFC 3339. */
  readonly at: string;
  /** Fresh id of the request. */
  readonly id: string;
  /** Anchors that can be read. */
  readonly anchors: readonly AnchorTarget[];
  /** Hears of what could not be read, and is not recorded therefore. */
  readonly warn: (message: string) => void;
}

/** Reads what anchors hold of any log, signed by whomever: for the record, not for a check. */
export const ANY_LOG: AnchorJudge = {
  origin: '',
  read: note => parseCheckpoint(parseNote(note).text),
  replaces: () => true,
};

/**
 * Sets the log of a stopped service aside and requests a new one.
 * @throws AppError LOG_UNAVAILABLE when a service holds the folder or files cannot be moved, INVALID_REQUEST when
 * there is nothing to set aside or a request waits already
 */
export async function requestNewLog(options: NewLogOptions): Promise<NewLogRequest> {
  const { folder } = options;
  if (!existsSync(folder)) throw new AppError('INVALID_REQUEST', `there is no data folder \`${folder}\``);
  const lock = lockFolder(folder);
  try {
    const waiting = await readRequest(folder);
    if (waiting !== undefined) {
      await moveAside(folder, waiting);
      throw new AppError(
        'INVALID_REQUEST',
        `a new log was requested already, because of \`${waiting.reason}\`: start the service, which makes it`,
      );
    }
    const draft = await draftRequest(options);
    await writeRequest(folder, draft);
    // The point of no return: from here every start goes on with this request.
    return await moveAside(folder, draft);
  } finally {
    lock.close();
  }
}

/**
 * The request that waits in a data folder, its files moved; undefined: none. To be called before the stores open.
 * @param signingKey as configured, if any: it names the log that is to be made
 * @throws AppError LOG_UNAVAILABLE when it is damaged, the files cannot be moved, or the key is that of the old log
 */
export async function continueRequest(
  folder: string,
  signingKey: string | undefined,
): Promise<NewLogRequest | undefined> {
  const waiting = await readRequest(folder);
  if (waiting === undefined) return undefined;
  refuseFormerKey(waiting, signingKey);
  if (waiting.state === 'moved') return asRequest(folder, waiting);
  const lock = lockFolder(folder);
  try {
    return await moveAside(folder, waiting);
  } finally {
    lock.close();
  }
}

/** Files a request away that the first entry of the log records. @throws AppError LOG_ROLLBACK when it does not */
export async function closeRequest(
  folder: string,
  waiting: NewLogRequest,
  recorded: string | undefined,
  origin: string,
): Promise<void> {
  if (recorded !== waiting.succession.request) {
    throw new AppError(
      'LOG_ROLLBACK',
      `a new log was requested in \`${folder}\`, but the folder holds the log \`${origin}\`, which does not record ` +
        `that: remove \`${REQUEST_FILE}\` to go on with this log, or move the log out of the folder`,
    );
  }
  await rename(join(folder, REQUEST_FILE), join(waiting.retired, REQUEST_FILE));
  await flushFolder(folder);
}

type StoredRequest = z.output<typeof requestSchema>;

async function draftRequest(options: NewLogOptions): Promise<StoredRequest> {
  const { folder, reason, by, at, id, anchors, warn } = options;
  const remains = readRemains(folder, warn);
  const heads = await readAnchors(anchors, warn);
  if (remains?.root !== undefined) heads.push({ ...remains, root: remains.root });
  const replaces = largestHeads(heads);
  const origin = remains?.origin ?? replaces[0]?.origin;
  if (origin === undefined && !LOG_FILES.some(name => existsSync(join(folder, name)))) {
    throw new AppError(
      'INVALID_REQUEST',
      `there is no log in \`${folder}\`: start the service, which makes one`,
    );
  }
  return {
    state: 'moving',
    retired: freeName(folder, origin === undefined || origin === '' ? 'unreadable' : origin),
    request: id,
    reason,
    by,
    at,
    replaces: replaces.map(({ origin: name, size: entries, root }) => ({
      origin: name,
      size: entries,
      root,
    })),
    remains: remains === undefined ? null : { ...remains, root: remains.root ?? null },
  };
}

function readRemains(folder: string, warn: (message: string) => void): LogRemains | undefined {
  try {
    return readLogRemains(folder);
  } catch (error) {
    warn(`the old log cannot be read, so its size is not recorded: ${messageOf(error)}`);
    return undefined;
  }
}

async function readAnchors(
  anchors: readonly AnchorTarget[],
  warn: (message: string) => void,
): Promise<AnchoredHead[]> {
  const heads: AnchoredHead[] = [];
  for (const anchor of anchors) {
    try {
      const note = await anchor.read?.();
      if (note !== undefined) heads.push(ANY_LOG.read(note));
    } catch (error) {
      warn(`the anchor \`${anchor.name}\` cannot be read, so it is not recorded: ${messageOf(error)}`);
    }
  }
  return heads;
}

function freeName(folder: string, origin: string): string {
  const name = folderNameOf(origin).slice(0, 100);
  for (let count = 1; count <= MAX_RETIRED; count++) {
    const candidate = count === 1 ? name : `${name}-${count}`;
    if (!existsSync(join(folder, RETIRED_FOLDER, candidate))) return candidate;
  }
  throw new AppError('LOG_UNAVAILABLE', `\`${RETIRED_FOLDER}\` holds ${MAX_RETIRED} logs of this name`);
}

/** Two histories under one key would be a fork, which nobody could tell from a forgery. */
function refuseFormerKey({ replaces, remains }: StoredRequest, signingKey: string | undefined): void {
  const name = signingKey === undefined ? undefined : ed25519Signer(signingKey).name;
  if (![...replaces, ...(remains === null ? [] : [remains])].some(({ origin }) => origin === name)) return;
  throw new AppError(
    'LOG_UNAVAILABLE',
    `a new log was requested, and the configured signing key is that of the old one, \`${name}\`: configure a new key, ` +
      'with a name of its own, or none',
  );
}

/** Moves what is still there; files that an earlier attempt moved are there no more. */
async function moveAside(folder: string, request: StoredRequest): Promise<NewLogRequest> {
  const waiting = asRequest(folder, request);
  if (request.state === 'moved') return waiting;
  try {
    const target = await makeFolder(folder, RETIRED_FOLDER, request.retired);
    for (const name of LOG_FILES) {
      if (existsSync(join(folder, name))) await rename(join(folder, name), join(target, name));
    }
    if (existsSync(join(folder, LOCAL_ANCHOR))) {
      await copyFile(join(folder, LOCAL_ANCHOR), join(target, LOCAL_ANCHOR));
    }
    await flushFolder(target);
    await flushFolder(folder);
    await writeRequest(folder, { ...request, state: 'moved' });
    return waiting;
  } catch (error) {
    throw new AppError(
      'LOG_UNAVAILABLE',
      `the old log cannot be moved to \`${waiting.retired}\`: ${messageOf(error)}: correct that and start again`,
      { cause: error },
    );
  }
}

async function readRequest(folder: string): Promise<StoredRequest | undefined> {
  const file = join(folder, REQUEST_FILE);
  if (!existsSync(file)) return undefined;
  try {
    const content: unknown = JSON.parse(await readFile(file, 'utf8'));
    return requestSchema.parse(content);
  } catch (error) {
    throw new AppError(
      'LOG_UNAVAILABLE',
      `\`${file}\` is damaged: ${messageOf(error)}: remove it, and run \`duramen log open-new\` again`,
      { cause: error },
    );
  }
}

async function writeRequest(folder: string, request: StoredRequest): Promise<void> {
  const text = (bytes: Uint8Array | null) => (bytes === null ? null : Buffer.from(bytes).toString('base64'));
  const { remains, replaces } = request;
  const content = {
    ...request,
    replaces: replaces.map(head => ({ ...head, root: text(head.root) })),
    remains: remains === null ? null : { ...remains, root: text(remains.root) },
  };
  await replaceFile(join(folder, REQUEST_FILE), `${JSON.stringify(content, undefined, 2)}\n`);
}

function asRequest(
  folder: string,
  { request, reason, by, at, replaces, remains, retired }: StoredRequest,
): NewLogRequest {
  return {
    succession: {
      request,
      reason,
      by,
      at,
      replaces,
      remains: remains === null ? undefined : { ...remains, root: remains.root ?? undefined },
    },
    retired: join(folder, RETIRED_FOLDER, retired),
  };
}
