/**
 * A process that logs as fast as it can while checkpoints of its log are published without a pause, and says
 * `published <size>` for each that an anchor has taken. It ends when it is killed.
 */
import { FileAnchor } from '../../src/store/anchors/file-anchor.ts';
import { LogJudge } from '../../src/decision-log/log-judge.ts';
import { ed25519Verifier } from '../../src/decision-log/signed-note.ts';
import { startLog } from '../wiring/anchored-log.ts';

const [folder = '', anchor = ''] = process.argv.slice(2);
// the service itself does not know of the anchor: it has one writer
const service = await startLog(folder, {});
const judge = new LogJudge(service.log.origin, ed25519Verifier(service.verifierKey), []);
const place = new FileAnchor('file', anchor, judge);

async function publish(): Promise<void> {
  for (;;) {
    const checkpoint = await service.log.signCheckpoint();
    await place.publish(checkpoint, AbortSignal.timeout(10_000));
    process.stdout.write(`published ${checkpoint.size}\n`);
  }
}

async function load(): Promise<void> {
  for (;;) await service.add(16);
}

await Promise.all([publish(), load()]);
