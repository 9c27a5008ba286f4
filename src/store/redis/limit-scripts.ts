/**
 * The scripts that count limits in Redis: Lua files that share their first parts. Invariant: a script is one text, so
 * that the same sources have the same digest on every server.
 */
import { readFileSync } from 'node:fs';

/** What every script begins with, in the order in which one part uses the other. */
const COMMON = ['calendar', 'rate', 'counter', 'state', 'charging'];
const PARTS = {
  admit: [...COMMON, 'standing', 'admission', 'admit'],
  merge: [...COMMON, 'standing', 'admission', 'merge'],
  settle: [...COMMON, 'decision', 'settle'],
  extend: [...COMMON, 'decision', 'extend'],
  reset: [...COMMON, 'reset'],
} as const;

export type ScriptName = keyof typeof PARTS;
export const SCRIPT_NAMES = ['admit', 'merge', 'settle', 'extend', 'reset'] as const satisfies ScriptName[];

/** The text of a script. */
export function readScript(name: ScriptName): string {
  return PARTS[name]
    .map(part => readFileSync(new URL(`./scripts/${part}.lua`, import.meta.url), 'utf8'))
    .join('\n');
}
