/**
 * Extension values as strings, the form they have on the wire and in stored entities. Invariant:
 * `parseExtension(typeOf(v), formatExtension(v))` equals v for every value that a text can denote.
 */
import { timestamp } from '../domain/clock.ts';
import { type DatetimeValue, DecimalValue, DurationValue, IpValue } from '../domain/value.ts';
import { parseDatetime, parseDuration } from './extension-datetime.ts';
import { formatDecimal, parseDecimal } from './extension-decimal.ts';
import { formatIp, parseIp } from './extension-ip.ts';
import type { CedarType } from './schema.ts';

export type ExtensionName = Extract<CedarType, { kind: 'extension' }>['name'];
export type ExtensionValue = IpValue | DecimalValue | DatetimeValue | DurationValue;

/** What each string looks like, for error messages. */
export const EXTENSION_FORMS: Readonly<Record<ExtensionName, string>> = {
  ipaddr: 'an IP address or range as a string, such as "10.0.0.0/8"',
  decimal: 'a decimal as a string with 1 to 4 fractional digits, such as "1.50"',
  datetime: 'a time as a string, such as "2026-01-31T12:00:00.000Z"',
  duration: 'a duration as a string, such as "1d2h30m"',
};

/** RFC 3339 writes what Cedar's `datetime` does not take: a colon in the offset, other than three digits of fraction. */
const RFC_3339 = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(?:Z|([+-]\d{2}):(\d{2}))$/;

/** The value of a text; undefined when it is malformed. Times may also be in RFC 3339 form, cut to milliseconds. */
export function parseExtension(name: ExtensionName, text: string): ExtensionValue | undefined {
  switch (name) {
    case 'ipaddr':
      return parseIp(text);
    case 'decimal':
      return parseDecimal(text);
    case 'datetime':
      return parseDatetime(text) ?? parseRfc3339(text);
    default:
      return parseDuration(text);
  }
}

function parseRfc3339(text: string): DatetimeValue | undefined {
  const match = RFC_3339.exec(text);
  if (match === null) return undefined;
  const [, seconds = '', fraction = '', offsetHours, offsetMinutes] = match;
  const zone = offsetHours === undefined ? 'Z' : `${offsetHours}${offsetMinutes}`;
  return parseDatetime(`${seconds}.${fraction.slice(0, 3).padEnd(3, '0')}${zone}`);
}

/** The text of a value. Times beyond the years 0 to 9999, which only arithmetic can make, have none. */
export function formatExtension(value: ExtensionValue): string | undefined {
  if (value instanceof IpValue) return formatIp(value);
  if (value instanceof DecimalValue) return formatDecimal(value);
  if (value instanceof DurationValue) return `${value.ms}ms`;
  return formatDatetime(value);
}

/** First and last millisecond that four digits of year can write in UTC. */
const MIN_DATETIME = -62_167_219_200_000;
const MAX_DATETIME = 253_402_300_799_999;

function formatDatetime({ epochMs }: DatetimeValue): string | undefined {
  if (typeof epochMs === 'bigint' || epochMs < MIN_DATETIME || epochMs > MAX_DATETIME) return undefined;
  return timestamp(epochMs);
}
