/**
 * The data folder and the pepper in it. Invariants: nobody but the owner can read them; a pepper that exists is
 * never replaced, because every key would stop working.
 */
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { AppError, messageOf } from '../domain/errors.ts';
import { HASH_BYTES } from '../identity/key-hash.ts';
import type { RandomBytes } from '../identity/key-format.ts';

const PEPPER_FILE = 'pepper';

/** Makes the folder when it is absent. @throws AppError STORE_UNAVAILABLE with what to do */
export function prepareFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new AppError(
      'STORE_UNAVAILABLE',
      `the data folder \`${folder}\` cannot be written: ${messageOf(error)}: let the user that runs duramen write to it, or set DURAMEN_DATA_DIR`,
      { cause: error },
    );
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
    makePepper(folder, file, random);
  }
  return checkedPepper(file);
}

function makePepper(folder: string, file: string, random: RandomBytes): void {
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

function checkedPepper(file: string): Uint8Array {
  const text = readFileSync(file, 'utf8').trim();
  if ((statSync(file).mode & 0o077) !== 0) {
    throw new AppError('STORE_UNAVAILABLE', `\`${file}\` can be read by others: run \`chmod 600 ${file}\``);
  }
  const pepper = Buffer.from(text, 'base64url');
  if (pepper.length >= HASH_BYTES && pepper.toString('base64url') === text) return pepper;
  throw new AppError(
    'STORE_UNAVAILABLE',
    `\`${file}\` is damaged: restore it from a backup; without it no key can be verified`,
  );
}
