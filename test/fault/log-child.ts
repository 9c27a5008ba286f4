/**
 * A process that appends as fast as it can and says `<id> <index>` on standard output for every entry whose append
 * has resolved, and `! <code>` for every one that was refused. It ends when it is killed, or after `count` answers.
 */
import { writeSync } from 'node:fs';
import { decisionEntry } from '../decision-log/entries.ts';
import { openLog } from '../store/sqlite/sqlite-log.ts';

const [folder = '', firstText = '0', countText = 'Infinity'] = process.argv.slice(2);

// With a handler, a write beyond the limit of the file size fails with EFBIG and does not end the process.
process.on('SIGXFSZ', () => undefined);

// Small shards, so that a kill hits the change from one to the next as well.
const log = await openLog(folder, { shardEntries: 100 });
tell(`size ${log.size}`);
let sequence = Number(firstText);
let left = Number(countText);
const appendOne = async (): Promise<void> => {
  const entry = decisionEntry(sequence++);
  try {
    const { index } = await log.append(entry);
    tell(`${entry.id} ${index}`);
  } catch (error) {
    tell(`! ${error instanceof Error && 'code' in error ? String(error.code) : String(error)}`);
  }
};
// Sixteen at a time, so that batches hold several entries and the kill hits one in flight.
await Promise.all(
  Array.from({ length: 16 }, async () => {
    while (left-- > 0) await appendOne();
  }),
);
tell(`end ${log.status}`);
await log.close();

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
