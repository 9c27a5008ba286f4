/**
 * Entry of the log writer's thread: one message in, one commit, one answer out. A batch is answered before a
 * checkpoint starts, so that only the next batch can wait for it.
 */
import { join } from 'node:path';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { AppError, messageOf } from '../../domain/errors.ts';
import { type FromLogWorker, isLogWorkerData, type ToLogWorker } from './log-messages.ts';
import { CommitError, LogWriter } from './log-writer.ts';
import { readMigrations } from './migrations.ts';

if (parentPort !== null) serve(parentPort, workerData);

function serve(port: MessagePort, data: unknown): void {
  if (!isLogWorkerData(data)) throw new Error('the log writer was started without its data');
  const send = (message: FromLogWorker): void => port.postMessage(message, []);
  let writer: LogWriter;
  try {
    const migrations = readMigrations(join(import.meta.dirname, '../../../migrations/sqlite/log'));
    writer = LogWriter.open({ ...data, migrations });
  } catch (error) {
    const code = error instanceof AppError ? error.code : 'LOG_UNAVAILABLE';
    send({ kind: 'refused', code, message: messageOf(error) });
    port.close();
    return;
  }
  port.on('message', (message: ToLogWorker) => {
    if (message.kind === 'close') {
      writer.close();
      port.close();
      return;
    }
    try {
      handle(writer, message, send);
      checkpoint(writer, send);
    } catch (error) {
      // Anything but a commit or checkpoint that failed is a bug: the thread dies, and the owner starts another.
      if (!(error instanceof CommitError)) throw error;
      send({ kind: 'failed', message: error.message, fatal: error.fatal });
    }
  });
  const { origin, size, newerMigrations } = writer;
  send({ kind: 'ready', origin, size, newerMigrations });
}

function handle(
  writer: LogWriter,
  message: Exclude<ToLogWorker, { kind: 'close' }>,
  send: (message: FromLogWorker) => void,
): void {
  if (message.kind === 'probe') {
    writer.probe(message.at);
    send({ kind: 'probed' });
    return;
  }
  const start = performance.now();
  const first = writer.append(message.shared, message.used);
  send({ kind: 'committed', first, commitMs: performance.now() - start });
}

function checkpoint(writer: LogWriter, send: (message: FromLogWorker) => void): void {
  if (!writer.checkpointDue) return;
  const start = performance.now();
  writer.checkpoint();
  send({ kind: 'checkpointed', checkpointMs: performance.now() - start, walBytes: writer.walBytes });
}
