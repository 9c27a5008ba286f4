/**
 * Break-glass: an admin key for whoever has the host, when no key is left that could make one. Invariants: the text
 * of the key is shown once and stored nowhere; the key ends within MAX_HOURS and is an entry of the log before it
 * works; what asks for it is read from a file that nobody but the owner of the data can have written.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type Clock, timestamp } from '../domain/clock.ts';
import { AppError, messageOf } from '../domain/errors.ts';
import { makeKey, type RandomBytes } from '../identity/key-format.ts';
import { KeyHasher } from '../identity/key-hash.ts';
import type { KeyService } from '../identity/key-service.ts';
import type { Logger } from '../telemetry/logger.ts';

const REQUEST_FILE = 'break-glass.json';
const HOUR_MS = 3_600_000;
/** Longest life of a break-glass key, in hours: an emergency, not a way to work. */
export const MAX_HOURS = 24;
/** Longest reason, in characters: it becomes part of an entry. */
export const MAX_REASON = 500;

const requestSchema = z.strictObject({
  id: z.string().regex(/^[0-9A-Za-z]{16}$/),
  /** As `ApiKey.hash`: 32 bytes. */
  hash: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  expiresAt: z.iso.datetime(),
  reason: z.string().min(1).max(MAX_REASON),
  by: z.string().min(1).max(256),
  requestedAt: z.iso.datetime(),
});

export interface BreakGlassRequest {
  readonly folder: string;
  readonly pepper: Uint8Array;
  readonly reason: string;
  /** Account of the operating system. */
  readonly by: string;
  readonly hours: number;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly random: RandomBytes;
}

/**
 * Makes a key that works from the next start of the service on.
 * @throws AppError INVALID_REQUEST when one waits already, STORE_UNAVAILABLE when the file cannot be written
 */
export function requestBreakGlass(request: BreakGlassRequest): {
  token: string;
  id: string;
  expiresAt: string;
} {
  const { folder, pepper, reason, by, hours, now, random } = request;
  const file = join(folder, REQUEST_FILE);
  if (existsSync(file)) {
    throw new AppError(
      'INVALID_REQUEST',
      `a break-glass key waits in \`${file}\` already: start the service, or remove the file`,
    );
  }
  const { id, token } = makeKey(random);
  const expiresAt = timestamp(now + hours * HOUR_MS);
  const hash = new KeyHasher(pepper).hash(token).toString('base64url');
  const content = { id, hash, expiresAt, reason, by, requestedAt: timestamp(now) };
  try {
    writeFileSync(`${file}.new`, `${JSON.stringify(content)}\n`, { mode: 0o600, flush: true });
    renameSync(`${file}.new`, file);
    flush(folder);
  } catch (error) {
    throw unusable(file, `cannot be written: ${messageOf(error)}`, error);
  }
  return { token, id, expiresAt };
}

/**
 * Takes over the key that waits in the folder, if one does. The folder must be locked.
 * @throws AppError STORE_UNAVAILABLE when the file is not what `duramen break-glass` writes: the start says so aloud
 */
export async function takeBreakGlass(
  folder: string,
  keys: Pick<KeyService, 'breakGlass'>,
  clock: Pick<Clock, 'now'>,
  logger: Pick<Logger, 'warn'>,
): Promise<void> {
  const file = join(folder, REQUEST_FILE);
  if (!existsSync(file)) return;
  const request = readRequest(file);
  const rest = Date.parse(request.expiresAt) - clock.now();
  if (rest > MAX_HOURS * HOUR_MS) throw unusable(file, `asks for a key of more than ${MAX_HOURS} hours`);
  const { id, expiresAt, reason } = request;
  if (rest <= 0) {
    logger.warn({ keyId: id, expiresAt }, 'a break-glass key had expired before the service started');
  } else if (await keys.breakGlass(request)) {
    logger.warn({ keyId: id, expiresAt, reason }, 'a break-glass key works from now on');
  }
  // Point of no return: a crash before it finds the key known at the next start, and the file goes then.
  rmSync(file);
  flush(folder);
}

function readRequest(file: string): z.output<typeof requestSchema> {
  if ((statSync(file).mode & 0o077) !== 0) {
    throw unusable(file, 'can be read by others, so somebody else may have written it');
  }
  try {
    const content: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return requestSchema.parse(content);
  } catch (error) {
    throw unusable(file, 'is damaged', error);
  }
}

function unusable(file: string, what: string, cause?: unknown): AppError {
  return new AppError(
    'STORE_UNAVAILABLE',
    `\`${file}\` ${what}: remove it, and run \`duramen break-glass\` again`,
    {
      cause,
    },
  );
}

/** Makes names in a folder durable. */
function flush(folder: string): void {
  const handle = openSync(folder, 'r');
  fsyncSync(handle);
  closeSync(handle);
}
