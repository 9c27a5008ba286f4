/**
 * What `duramen log verify` reads: a data folder, an exported copy, or a running service. Invariant: a target says
 * where its key came from, since a log that is checked with a key of its own choosing proves nothing to an outsider.
 */
import { join } from 'node:path';
import { openCheckpoint, parseCheckpoint } from '../decision-log/checkpoint.ts';
import { parseLeaf } from '../decision-log/logged-leaf.ts';
import type { EarlierCheckpoint } from '../decision-log/verify-roots.ts';
import type { LogSource } from '../decision-log/log-source.ts';
import { type NoteVerifier, ed25519Verifier, ed25519Signer, parseNote } from '../decision-log/signed-note.ts';
import { TILE_WIDTH } from '../decision-log/tiles.ts';
import { recordedSuccession } from '../decision-log/succession.ts';
import { messageOf } from '../domain/errors.ts';
import type { JsonObject } from '../domain/json.ts';
import { LogEvidence } from '../store/sqlite/log-evidence.ts';
import type { ApiClient } from './client.ts';
import { CliError } from './exit-code.ts';
import type { CopyFinding } from './copy-findings.ts';
import { checkSuperseded, LogCopy, surveyFolder } from './log-copy.ts';
import { CHECKPOINT_FILE, KEY_FILE, LogFolder, prunedBelow, readWhole } from './log-folder.ts';
import { LogServer } from './log-server.ts';

/** The checkpoint that the service itself keeps beside its log, see docs/operations.md. */
const LOCAL_ANCHOR = 'anchor.checkpoint';
const SIGNING_KEY_FILE = 'log-signing-key';

/** A verifier key and where it is from. */
export interface ChosenKey {
  readonly verifierKey: string;
  readonly verifier: NoteVerifier;
  /** `file auditor.vkey`, `the log itself`. */
  readonly from: string;
  /** Whether it came from elsewhere than what is verified. */
  readonly independent: boolean;
}

export interface LogTarget {
  /** What it is, for people. */
  readonly name: string;
  readonly source: LogSource;
  /** Undefined when no usable key was found: then `findings` say why. */
  readonly key: ChosenKey | undefined;
  /** Checkpoints that are kept beside the log. */
  readonly earlier: readonly EarlierCheckpoint[];
  /** Names of the files of entries, where there are such. */
  readonly shards: readonly string[] | undefined;
  /** What is wrong beside the tree; complete once the source has been read. */
  readonly findings: () => Promise<readonly CopyFinding[]>;
  readonly close: () => void;
}

/** @param text the verifier key, and white space around it @throws AppError INVALID_REQUEST when it is malformed */
export function chosenKey(text: string, from: string, independent: boolean): ChosenKey {
  const verifierKey = text.trim();
  return { verifierKey, verifier: ed25519Verifier(verifierKey), from, independent };
}

/** Reads a verifier key that the caller named. @throws CliError */
export async function readKey(file: string): Promise<ChosenKey> {
  const bytes = await readWhole(file);
  if (bytes === undefined) {
    throw new CliError(`there is no key file \`${file}\``, {
      hint: 'put the one line of GET /v1/log/key into a file, and name that file',
    });
  }
  try {
    return chosenKey(bytes.toString('utf8'), `file ${file}`, true);
  } catch (error) {
    throw new CliError(`\`${file}\` is not the key of a log: ${messageOf(error)}`, {
      hint: 'it is one line: <origin>+<id>+<key>, as GET /v1/log/key answers it',
      cause: error,
    });
  }
}

/** An exported copy. @param key undefined: the copy's own */
export async function openTiles(path: string, key: ChosenKey | undefined): Promise<LogTarget> {
  const folder = new LogFolder(path);
  const checkpoint = await folder.read(CHECKPOINT_FILE);
  const own = await folder.read(KEY_FILE);
  if (checkpoint === undefined && own === undefined) {
    throw new CliError(`there is no copy of a log in \`${path}\``, {
      hint: 'name the folder that `duramen log export --tiles` wrote: it has a file `checkpoint`',
    });
  }
  const keys = keyFindings(own?.toString('utf8'), key, `\`${KEY_FILE}\` of the copy`);
  // a size that nobody signed for says nothing: then everything that lies there is looked at
  const signed = signedSize(checkpoint, keys.key);
  const survey = await surveyFolder(folder, signed);
  const firstKept = await prunedBelow(folder);
  const size = Math.min(signed ?? survey.size, Math.max(survey.size, TILE_WIDTH));
  const source = new LogCopy({ resources: folder, checkpoint, size, firstKept });
  return {
    name: `copy \`${path}\``,
    source,
    key: keys.key,
    earlier: [],
    shards: undefined,
    findings: async () => [
      ...keys.findings,
      ...survey.findings,
      ...source.findings,
      ...(signed === undefined ? [] : await checkSuperseded(folder, signed)),
    ],
    close: () => undefined,
  };
}

/** A running service. @param key undefined: the one that the service names */
export async function openServer(client: ApiClient, key: ChosenKey | undefined): Promise<LogTarget> {
  const server = new LogServer(client);
  // first: what was removed by then is in every later checkpoint
  const { names, firstKept } = await server.shards();
  const [checkpoint, own] = await Promise.all([server.checkpoint(), server.read(KEY_FILE)]);
  const keys = keyFindings(own?.toString('utf8'), key, 'the key that the service names');
  const source = new LogCopy({
    resources: server,
    checkpoint,
    size: signedSize(checkpoint, keys.key) ?? 0,
    // the bundle in which removed entries end is not served
    firstKept: Math.ceil(firstKept / TILE_WIDTH) * TILE_WIDTH,
  });
  return {
    name: `service at ${client.url}`,
    source,
    key: keys.key,
    earlier: [],
    shards: names,
    findings: async () => [...keys.findings, ...source.findings],
    close: () => undefined,
  };
}

/** A data folder. @param key undefined: the one that the log keeps @param say hears what takes its time */
export async function openData(
  path: string,
  key: ChosenKey | undefined,
  say: (text: string) => void,
): Promise<LogTarget> {
  // first: beside a running service the log only grows, so it is at least what the anchor says
  const anchor = await readWhole(join(path, LOCAL_ANCHOR));
  const source = await LogEvidence.open(path, say);
  const keys = keyFindings(source.verifierKey, key, 'the key that the log keeps');
  const ofThisLog = anchor === undefined || isOf(anchor, source.origin);
  const signing = await signingKeyFindings(path, keys.key);
  const earlier = ofThisLog && anchor !== undefined ? checkpointsOf(source, anchor, keys.key) : [];
  return {
    name: `data folder \`${path}\` (read ${source.mode === 'copy' ? 'from a private copy' : source.mode})`,
    source,
    key: keys.key,
    earlier,
    shards: source.shards.map(({ name }) => name),
    findings: async () => [
      ...keys.findings,
      ...signing,
      ...source.findings,
      ...(ofThisLog ? [] : [anchorFinding(source, anchor)]),
    ],
    close: () => source.close(),
  };
}

/** The size of a checkpoint that the key has signed. */
function signedSize(note: Uint8Array | undefined, key: ChosenKey | undefined): number | undefined {
  if (note === undefined || key === undefined) return undefined;
  try {
    return openCheckpoint(note, key.verifier).size;
  } catch {
    return undefined;
  }
}

/** The key to verify with, and what is wrong with the one that came with the log. */
function keyFindings(
  own: string | undefined,
  given: ChosenKey | undefined,
  what: string,
): { key: ChosenKey | undefined; findings: readonly CopyFinding[] } {
  const invalid = (why: string): readonly CopyFinding[] => [
    { index: undefined, code: 'KEY_INVALID', severity: 'error', message: `${what} ${why}` },
  ];
  if (own === undefined) {
    return { key: given, findings: given === undefined ? invalid('is missing: name one with --key') : [] };
  }
  try {
    const key = chosenKey(own, 'the log itself', false);
    if (given === undefined) return { key, findings: [] };
    const same = given.verifierKey === key.verifierKey;
    return { key: given, findings: same ? [] : invalid('is not the one that was given with --key') };
  } catch (error) {
    return { key: given, findings: invalid(`is damaged: ${messageOf(error)}`) };
  }
}

/**
 * Of the stored head and the local anchor, the larger is what is verified by, and the other must fit: a checkpoint
 * can be given out some moments before it is stored.
 * @returns the other
 */
function checkpointsOf(
  source: LogEvidence,
  anchor: Uint8Array,
  key: ChosenKey | undefined,
): readonly EarlierCheckpoint[] {
  const { storedCheckpoint } = source;
  const stored = storedCheckpoint === undefined ? undefined : Buffer.from(storedCheckpoint);
  if ((signedSize(anchor, key) ?? -1) <= (signedSize(stored, key) ?? -1)) {
    return [{ name: `the local anchor \`${LOCAL_ANCHOR}\``, note: anchor }];
  }
  source.preferCheckpoint(anchor);
  return stored === undefined ? [] : [{ name: 'the checkpoint of the stored head', note: stored }];
}

/** The signing key of a data folder must be that of its log; a service can be given it otherwise. */
async function signingKeyFindings(path: string, key: ChosenKey | undefined): Promise<readonly CopyFinding[]> {
  const bytes = await readWhole(join(path, SIGNING_KEY_FILE));
  if (bytes === undefined || key === undefined) return [];
  const finding = (why: string): CopyFinding => ({
    index: undefined,
    code: 'KEY_INVALID',
    severity: 'error',
    message: `the signing key \`${SIGNING_KEY_FILE}\` ${why}`,
  });
  try {
    const { verifierKey } = ed25519Signer(bytes.toString('utf8'));
    return verifierKey === key.verifierKey ? [] : [finding('is not that of the log')];
  } catch (error) {
    return [finding(`is damaged: ${messageOf(error)}`)];
  }
}

/** Whether a checkpoint names this log. One that cannot be read is handed on, so that its damage is found. */
function isOf(note: Uint8Array, origin: string): boolean {
  try {
    return parseCheckpoint(parseNote(note).text).origin === origin;
  } catch {
    return true;
  }
}

/** An anchor of another log may lie there when this log was opened in its place, and says so in its first entry. */
function anchorFinding(source: LogEvidence, note: Uint8Array | undefined): CopyFinding {
  const first = source.entry(0);
  const { origin, size } = parseCheckpoint(parseNote(note ?? '').text);
  const recorded =
    first === undefined
      ? undefined
      : recordedSuccession(contentOf(first)).replaces.some(one => one.origin === origin && one.size >= size);
  return {
    index: undefined,
    code: 'ANCHOR_OF_ANOTHER_LOG',
    severity: recorded === false ? 'error' : 'warning',
    message:
      recorded === true
        ? `\`${LOCAL_ANCHOR}\` is of \`${origin}\`, of which this log took the place`
        : `\`${LOCAL_ANCHOR}\` is of \`${origin}\`, and no first entry says that this log took its place`,
  };
}

function contentOf(entry: Uint8Array): JsonObject | undefined {
  try {
    return parseLeaf(Buffer.from(entry).toString('utf8'));
  } catch {
    return undefined;
  }
}
