/**
 * The key that signs the checkpoints of a log: given, or a file in the data folder that nobody else can read.
 * Invariant: a log has one key for its whole life. A key that is lost, or a log that is lost while its key is
 * there, stops the start: with another key, or from the beginning again, the log would contradict itself.
 */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Ed25519Signer, ed25519Signer, formatSignerKey } from '../../decision-log/signed-note.ts';
import { AppError, messageOf } from '../../domain/errors.ts';
import { moveFile } from './log-files.ts';
import { readPrivate } from './private-file.ts';

/** Within the data folder: the note signing key as text, mode 0600. */
export const SIGNING_KEY_FILE = 'log-signing-key';
const DRAFT_SUFFIX = '.new';

export interface SigningKeyOptions {
  /** Data folder. */
  readonly folder: string;
  /** `PRIVATE+KEY+<name>+<id>+<key>`; instead of the file. */
  readonly signingKey?: string | undefined;
}

/** What a log says of its key. */
export interface KeyedLog {
  readonly origin: string;
  /** The verifier key; undefined for a log that never had a key. */
  readonly verifierKey: string | undefined;
}

/** A key for a log that does not exist yet. It becomes the key of the folder with `adoptKey`, when the log is there. */
export function newKey(options: SigningKeyOptions, origin: string, seed: Uint8Array): Ed25519Signer {
  const given = givenKey(options);
  if (given !== undefined) return given;
  const file = join(options.folder, SIGNING_KEY_FILE);
  if (existsSync(file)) {
    throw new AppError(
      'LOG_UNAVAILABLE',
      `the decision log is gone while its key \`${file}\` is there: restore the folder \`log\` from a ` +
        'backup, or begin another log with `duramen log open-new`',
    );
  }
  return draftKey(file, origin, seed);
}

/** The key that was made for a log is its key from now on. */
export function adoptKey({ folder }: SigningKeyOptions): void {
  const file = join(folder, SIGNING_KEY_FILE);
  if (existsSync(file + DRAFT_SUFFIX)) moveFile(file + DRAFT_SUFFIX, file);
}

/**
 * The key of a log that exists; made for one that never had any.
 * @throws AppError LOG_UNAVAILABLE when it is lost, damaged, readable for others, or that of another log
 */
export function keyOfLog(options: SigningKeyOptions, log: KeyedLog, seed: Uint8Array): Ed25519Signer {
  const signer = givenKey(options) ?? fileKey(options, log, seed);
  if (signer.name !== log.origin || (log.verifierKey ?? signer.verifierKey) !== signer.verifierKey) {
    throw new AppError(
      'LOG_UNAVAILABLE',
      `the signing key \`${signer.name}+${signer.keyId}\` is not that of the decision log, which is ` +
        `\`${log.verifierKey?.split('+', 2).join('+') ?? log.origin}\`: restore the key of this log`,
    );
  }
  return signer;
}

function fileKey(options: SigningKeyOptions, log: KeyedLog, seed: Uint8Array): Ed25519Signer {
  const file = join(options.folder, SIGNING_KEY_FILE);
  const draft = file + DRAFT_SUFFIX;
  if (!existsSync(file) && log.verifierKey === undefined) {
    draftKey(file, log.origin, seed);
    adoptKey(options);
  } else if (!existsSync(file) && existsSync(draft)) {
    // A crash between the first shard and the name of its key.
    if (readKey(draft).verifierKey === log.verifierKey) adoptKey(options);
  }
  if (existsSync(file)) return readKey(file);
  throw new AppError(
    'LOG_UNAVAILABLE',
    `\`${file}\` is missing, and nothing can be signed as this decision log without it: restore it from a backup, ` +
      'set DURAMEN_LOG_SIGNING_KEY, or begin another log with `duramen log open-new`',
  );
}

function givenKey({ signingKey }: SigningKeyOptions): Ed25519Signer | undefined {
  if (signingKey === undefined) return undefined;
  try {
    return ed25519Signer(signingKey);
  } catch (error) {
    throw new AppError(
      'LOG_UNAVAILABLE',
      `the configured key of the decision log cannot be used: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

function draftKey(file: string, origin: string, seed: Uint8Array): Ed25519Signer {
  const key = formatSignerKey(origin, seed);
  // One that an earlier start left, for a log that never came to be.
  rmSync(file + DRAFT_SUFFIX, { force: true });
  writeFileSync(file + DRAFT_SUFFIX, `${key}\n`, { mode: 0o600, flush: true });
  return ed25519Signer(key);
}

function readKey(file: string): Ed25519Signer {
  const text = readPrivate(file, 'LOG_UNAVAILABLE');
  try {
    return ed25519Signer(text);
  } catch (error) {
    throw new AppError(
      'LOG_UNAVAILABLE',
      `\`${file}\` is damaged: ${messageOf(error)}: restore it from a backup`,
      { cause: error },
    );
  }
}
