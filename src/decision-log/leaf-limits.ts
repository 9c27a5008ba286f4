/**
 * The limits of a decision in its leaf: `[name, unit, limit, reserved, remaining, …marks]` for each that matched.
 * Where a number comes from is not repeated: the revision of the decision names the bundles and the directory that it
 * follows from. Invariant: what is written here names limits, never a principal, whatever they are counted by.
 */
import { type JsonObject, type JsonValue, listOf, textOf } from '../domain/json.ts';
import type { LimitResult } from '../domain/limit-answer.ts';
import { canonicalNumber, canonicalString } from './canonical-json.ts';

/** Members before the marks. */
const FIXED = 5;

/** Canonical JSON. */
export function writeLimits(limits: readonly LimitResult[]): string {
  let text = '';
  for (const limit of limits) text += text === '' ? writeLimit(limit) : `,${writeLimit(limit)}`;
  return `[${text}]`;
}

function writeLimit(result: LimitResult): string {
  const { name, unit, limit, reserved, remaining, mode, violated, degraded } = result;
  return (
    `[${canonicalString(name)},"${unit}",${canonicalNumber(limit)},${canonicalNumber(reserved)},` +
    canonicalNumber(remaining) +
    (degraded === true ? ',"degraded"' : '') +
    (mode === 'shadow' ? ',"shadow"' : '') +
    (violated === true ? ',"violated"]' : ']')
  );
}

/** The limits of a leaf in full. */
export function limitsView(limits: JsonValue): readonly JsonObject[] {
  return listOf(limits).map(one => {
    const limit = listOf(one);
    const marks = limit.slice(FIXED).map(textOf);
    return {
      name: limit[0] ?? '',
      unit: limit[1] ?? '',
      mode: marks.includes('shadow') ? 'shadow' : 'enforce',
      limit: limit[2] ?? 0,
      reserved: limit[3] ?? 0,
      remaining: limit[4] ?? 0,
      ...(marks.includes('violated') ? { violated: true } : {}),
      ...(marks.includes('degraded') ? { degraded: true } : {}),
    };
  });
}
