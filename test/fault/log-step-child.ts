/**
 * A process that does one thing to a log, with no thread in between, so that it can be killed at each of its system
 * calls: `rotate` goes on a week later, `prune` removes what is old, `open` opens it (a former log gets its tree).
 */
import { decisionEntry } from '../decision-log/entries.ts';
import { appendTo, openWriter, WRITTEN } from '../store/sqlite/threadless-log.ts';

const WEEK_MS = 7 * 86_400_000;

const [folder = '', step = ''] = process.argv.slice(2);
const now = WRITTEN + (step === 'rotate' ? WEEK_MS : 0);
const writer = openWriter(folder, { now });
if (step === 'rotate') appendTo(writer, [decisionEntry(writer.size)], now);
if (step === 'prune') for await (const _ of writer.prune(Number.MAX_SAFE_INTEGER)) continue;
writer.close(now);
