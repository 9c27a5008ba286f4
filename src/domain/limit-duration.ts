/** Spans of time as people write them, `90s`, and as limits keep them, in milliseconds. */
import { z } from 'zod';

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
/** Longest span of a limit: a leap year. Milliseconds. */
export const MAX_SPAN_MS = 366 * UNITS.d;
const DURATION = /^(0|[1-9][0-9]{0,9})(ms|s|m|h|d)$/;

/** A span in milliseconds, or undefined for what is none. */
export function parseSpan(text: string): number | undefined {
  const match = DURATION.exec(text);
  const unit = match?.[2];
  if (unit !== 'ms' && unit !== 's' && unit !== 'm' && unit !== 'h' && unit !== 'd') return undefined;
  return Number(match?.[1]) * UNITS[unit];
}

/** A span in the largest unit that holds it: 90000 → `90s`. */
export function formatSpan(ms: number): string {
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    if (ms >= UNITS[unit] && ms % UNITS[unit] === 0) return `${ms / UNITS[unit]}${unit}`;
  }
  return `${ms}ms`;
}

/** A string such as `250ms`, `60s`, `15m`, `24h` or `30d`, parsed to milliseconds. */
export function spanSchema(minMs: number, maxMs: number) {
  return z
    .string()
    .max(16)
    .transform((text, context) => {
      const ms = parseSpan(text);
      if (ms !== undefined && ms >= minMs && ms <= maxMs) return ms;
      context.issues.push({
        code: 'custom',
        input: text,
        message: `must be a time such as \`250ms\`, \`60s\`, \`15m\`, \`24h\` or \`30d\`, from ${formatSpan(minMs)} to ${formatSpan(maxMs)}`,
      });
      return z.NEVER;
    });
}
