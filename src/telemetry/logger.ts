/**
 * The log of the service on stderr, as JSON lines. Invariant: no credential is ever written. Not logging
 * them is the first line of defence; redaction by field and by shape, here, is the second.
 */
import { type DestinationStream, pino } from 'pino';
import { type Clock, timestamp } from '../domain/clock.ts';

/** What the service logs with. */
export type Logger = pino.Logger;

export const REDACTED = '[redacted]';
/** Fields that are replaced wherever they stand: at the top or up to two levels below. */
const SECRET_FIELDS = [
  'authorization',
  'cookie',
  'key',
  'token',
  'secret',
  'pepper',
  'bootstrapKey',
  'keyPepper',
];
/** A key in the middle of a message or a stack (identity/key-format.ts), any bearer token, any signed token. */
const SECRET_IN_TEXT =
  /dm[nc]_[0-9A-Za-z]+_[0-9A-Za-z]+|(?<=\bbearer )[^\s"'\\]+|\beyJ[\w-]+\.[\w-]+\.[\w-]+/gi;

/** @param destination where lines go: stderr in the service. */
export function makeLogger(level: string, clock: Clock, destination: DestinationStream): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${timestamp(clock.now())}"`,
      formatters: { level: label => ({ level: label }) },
      redact: {
        paths: SECRET_FIELDS.flatMap(field => [field, `*.${field}`, `*.*.${field}`]),
        censor: REDACTED,
      },
      hooks: { streamWrite: line => line.replaceAll(SECRET_IN_TEXT, REDACTED) },
    },
    destination,
  );
}
