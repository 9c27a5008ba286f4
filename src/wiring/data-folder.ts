/**
 * The data folder and the secrets in it. Invariants: nobody but the owner can read them; a secret that exists is never
 * replaced, because every key would stop working, or count from nothing.
 */
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { AppError, messageOf } from '../domain/errors.ts';
import { HASH_BYTES } from '../identity/key-hash.ts';
import type { RandomBytes } from '../identity/key-format.ts';
import { readPrivate } from '../store/sqlite/private-file.ts';

const PEPPER_FILE = 'pepper';
const LIMIT_SECRET_FILE = 'limits.secret';

/** Makes the folder when it is absent. @throws AppError STORE_UNAVAILABLE with what to do */
export function prepareFolder(folder: string): void {
  try {
    makeFolder(resolve(folder));
    if (!statSync(folder).isDirectory()) throw new Error('it is not a folder');
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new AppError(
      'STORE_UNAVAILABLE',
      `the data folder \`${folder}\` cannot be written: ${messageOf(error)}: let the user that runs duramen write to it, or set DURAMEN_DATA_DIR`,
      { cause: error },
    );
  }
}

/** Step by step: the `recursive` of Node never returns where a folder that exists takes none, as `/proc`. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  makeFolder(dirname(folder));
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    // somebody else made it meanwhile
    if (!existsSync(folder)) throw error;
  }
}

/**
 * The pepper: as configured, else from the folder, where the first start makes it. The folder must be locked.
 * @param keysExist whether keys were hashed before; then a missing pepper is a loss, not a first start
 * @throws AppError STORE_UNAVAILABLE when the file is lost, damaged, readable for others, or cannot be made
 */
export function readPepper(
  folder: string,
  configured: string | undefined,
  keysExist: boolean,
  random: RandomBytes,
): Uint8Array {
  if (configured !== undefined) return Buffer.from(configured, 'utf8');
  const file = join(folder, PEPPER_FILE);
  if (!existsSync(file)) {
    if (keysExist) {
      throw new AppError(
        'STORE_UNAVAILABLE',
        `\`${file}\` is missing, and the keys of this store cannot be verified without it: restore it from a backup, or set DURAMEN_KEY_PEPPER as before`,
      );
    }
    makeSecret(folder, file, random);
  }
  return checkedSecret(file, 'no key can be verified');
}

/**
 * The secret under which limits name on the disk what they count: from the folder, where the first start makes it.
 * @param isNeeded whether something was counted under it; then a missing one is a loss, not a first start
 * @throws AppError as `readPepper`
 */
export function readLimitSecret(folder: string, isNeeded: boolean, random: RandomBytes): Uint8Array {
  const file = join(folder, LIMIT_SECRET_FILE);
  if (!existsSync(file)) {
    if (isNeeded) {
      throw new AppError(
        'STORE_UNAVAILABLE',
        `\`${file}\` is missing, and what limits counted cannot be told to its keys without it: restore it from a backup`,
      );
    }
    makeSecret(folder, file, random);
  }
  return checkedSecret(file, 'what limits counted cannot be told to its keys');
}

function makeSecret(folder: string, file: string, random: RandomBytes): void {
  const draft = `${file}.new`;
  try {
    const text = `${Buffer.from(random(HASH_BYTES)).toString('base64url')}\n`;
    writeFileSync(draft, text, { mode: 0o600, flush: true });
    renameSync(draft, file);
    // without this the name may be lost in a crash while keys that depend on the pepper are on the disk already
    const handle = openSync(folder, 'r');
    fsyncSync(handle);
    closeSync(handle);
  } catch (error) {
    throw new AppError('STORE_UNAVAILABLE', `cannot make \`${file}\`: ${messageOf(error)}`, { cause: error });
  }
}

/** @param loss what happens without it */
function checkedSecret(file: string, loss: string): Uint8Array {
  const text = readPrivate(file, 'STORE_UNAVAILABLE').trim();
  const secret = Buffer.from(text, 'base64url');
  if (secret.length >= HASH_BYTES && secret.toString('base64url') === text) return secret;
  throw new AppError(
    'STORE_UNAVAILABLE',
    `\`${file}\` is damaged: restore it from a backup; without it ${loss}`,
  );
}
