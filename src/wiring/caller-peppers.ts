/**
 * The peppers of callers' keys: as configured, else from a file in the data folder, `<version> <base64url>` a line.
 * Invariants: nobody but the owner can read the file; a pepper that exists is never replaced.
 */
import { closeSync, existsSync, fsyncSync, openSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/settings.ts';
import { AppError, messageOf } from '../domain/errors.ts';
import { MIN_PEPPER_BYTES } from '../identity/caller-keys/pepper-hash.ts';
import type { RandomBytes } from '../identity/key-format.ts';
import { readPrivate } from '../store/sqlite/private-file.ts';

export const PEPPERS_FILE = 'caller-key-peppers';

type Configured = Config['identity']['callerKeys']['peppers'];

/**
 * Peppers by version. The folder must be locked.
 * @param keysExist whether keys were hashed before; then a missing file is a loss, not a first start
 * @throws AppError STORE_UNAVAILABLE when the file is lost, damaged, readable for others, or cannot be made
 */
export function readCallerPeppers(
  folder: string,
  configured: Configured,
  keysExist: boolean,
  random: RandomBytes,
): ReadonlyMap<number, Uint8Array> {
  if (configured !== undefined) {
    return new Map(configured.map(({ version, secret }) => [version, Buffer.from(secret, 'utf8')]));
  }
  const file = join(folder, PEPPERS_FILE);
  if (!existsSync(file)) {
    if (keysExist) {
      throw new AppError(
        'STORE_UNAVAILABLE',
        `\`${file}\` is missing, and the keys of callers cannot be verified without it: restore it from a backup, or set DURAMEN_IDENTITY_CALLER_KEYS_PEPPERS as before`,
      );
    }
    makeFile(folder, file, random);
  }
  return checkedFile(file);
}

function makeFile(folder: string, file: string, random: RandomBytes): void {
  const draft = `${file}.new`;
  try {
    const pepper = Buffer.from(random(MIN_PEPPER_BYTES)).toString('base64url');
    writeFileSync(draft, `1 ${pepper}\n`, { mode: 0o600, flush: true });
    renameSync(draft, file);
    // without this the name may be lost in a crash while keys that depend on it are on the disk already
    const handle = openSync(folder, 'r');
    fsyncSync(handle);
    closeSync(handle);
  } catch (error) {
    throw new AppError('STORE_UNAVAILABLE', `cannot make \`${file}\`: ${messageOf(error)}`, { cause: error });
  }
}

function checkedFile(file: string): ReadonlyMap<number, Uint8Array> {
  const text = readPrivate(file, 'STORE_UNAVAILABLE');
  const peppers = new Map<number, Uint8Array>();
  for (const [at, line] of text.trimEnd().split('\n').entries()) {
    const [, version, secret = ''] = /^([1-9]\d{0,5}) ([A-Za-z0-9_-]+)$/.exec(line) ?? [];
    const pepper = Buffer.from(secret, 'base64url');
    const isWhole = pepper.length >= MIN_PEPPER_BYTES && pepper.toString('base64url') === secret;
    if (version === undefined || !isWhole || peppers.has(Number(version))) {
      throw new AppError(
        'STORE_UNAVAILABLE',
        `line ${at + 1} of \`${file}\` is no new version with at least ${MIN_PEPPER_BYTES} bytes in base64url: correct it or restore the file from a backup`,
      );
    }
    peppers.set(Number(version), pepper);
  }
  return peppers;
}
