/**
 * A process that admits calls against one budget as fast as it can, and says `<decision id>` on standard output for each
 * call whose entry is durable, `full <used>` when the budget is used up. It ends when it is killed, or when it is full;
 * after so many calls as it is told it waits for the kill, so that a slow parent never finds the budget used up.
 */
import { randomBytes } from 'node:crypto';
import { writeSync } from 'node:fs';
import { openMemory } from '../limits/counters/memory-scene.ts';
import { chargeTo, quotaRule, windowRule } from '../conformance/limit-scene.ts';
import { decisionEntry } from '../decision-log/entries.ts';

const [folder = '', firstText = '0', budgetText = '0', mostText = 'Infinity'] = process.argv.slice(2);
const { log, memory } = await openMemory(folder, randomBytes);
const charges = [
  chargeTo(quotaRule({ unit: 'requests', period: 'month', limit: Number(budgetText) })),
  chargeTo(windowRule({ name: 'platform/tokens', unit: 'tokens', limit: 1e12 }), { amount: 40 }),
];
const now = Date.UTC(2026, 10, 2);
let sequence = Number(firstText);
let left = Number(mostText);

/** @returns false: the budget is used up */
const admitOne = async (): Promise<boolean> => {
  if (left-- <= 0) await new Promise<never>(() => undefined);
  const entry = decisionEntry(sequence++);
  const { admitted, journal } = memory.table.admit({ decisionId: entry.id, now, holdMs: 60_000, charges });
  if (!admitted) return false;
  await log.append(entry, journal);
  tell(entry.id);
  if (sequence % 97 === 0) void memory.snapshot();
  return true;
};
// Sixteen at a time, so that batches hold several entries and the kill hits some in flight.
await Promise.all(
  Array.from({ length: 16 }, async () => {
    while (await admitOne());
  }),
);
const [standing] = memory.table.admit({
  decisionId: 'look',
  now,
  holdMs: 1,
  charges,
  dryRun: true,
}).standings;
tell(`full ${standing?.used}`);
await memory.close();
await log.close();
process.exit(0);

/** Writes before anything else happens: a line that is out has been acknowledged, one that is not has not. */
function tell(line: string): void {
  for (let rest = Buffer.from(`${line}\n`); rest.length > 0; ) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      // The pipe is full: its reader is a process of its own and empties it.
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
    }
  }
}
