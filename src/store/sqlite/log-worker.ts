/**
 * Entry of the log writer's thread: one message in, one commit, one answer out. A batch is answered before a
 * checkpoint starts, so that only the next batch can wait for it; retention pauses for every batch.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { AppError, messageOf } from '../../domain/errors.ts';
import {
  type FromLogWorker,
  isLogWorkerData,
  type LogAnswer,
  type LogAsk,
  type LogWorkerData,
  type ToLogWorker,
} from './log-messages.ts';
import type { Pruning } from './log-retention.ts';
import { CommitError, LogWriter } from './log-writer.ts';
import { readMigrations } from './migrations.ts';

type Send = (message: FromLogWorker) => void;

if (parentPort !== null) serve(parentPort, workerData);

function serve(port: MessagePort, data: unknown): void {
  if (!isLogWorkerData(data)) throw new Error('the log writer was started without its data');
  const send = (message: FromLogWorker): void => port.postMessage(message, []);
  let writer: LogWriter;
  try {
    writer = openWriter(data, send);
  } catch (error) {
    const code = error instanceof AppError ? error.code : 'LOG_UNAVAILABLE';
    send({ kind: 'refused', code, message: messageOf(error) });
    port.close();
    return;
  }
  port.on('message', (message: ToLogWorker) => {
    if (message.kind === 'close') {
      writer.close(message.now);
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
  const { origin, verifierKey, size, newerMigrations } = writer;
  send({ kind: 'ready', origin, verifierKey, size, newerMigrations });
}

function openWriter(data: LogWorkerData, send: Send): LogWriter {
  const migrations = join(import.meta.dirname, '../../../migrations/sqlite');
  return LogWriter.open({
    ...data,
    migrations: readMigrations(join(migrations, 'log')),
    archiveMigrations: readMigrations(join(migrations, 'log-archive')),
    say: message => send({ kind: 'progress', message }),
    random: randomBytes,
  });
}

function handle(writer: LogWriter, message: Exclude<ToLogWorker, { kind: 'close' }>, send: Send): void {
  if (message.kind === 'probe') {
    writer.probe(message.at);
    send({ kind: 'probed' });
  } else if (message.kind === 'ask') {
    answer(writer, message.id, message.ask, send);
  } else {
    const start = performance.now();
    const first = writer.append(message);
    send({ kind: 'committed', first, commitMs: performance.now() - start });
  }
}

/** A question never stops the writer: whatever goes wrong is told to who asked. */
function answer(writer: LogWriter, id: number, ask: LogAsk, send: Send): void {
  const decline = (error: unknown): void => {
    const code = error instanceof AppError ? error.code : 'LOG_UNAVAILABLE';
    send({ kind: 'declined', id, code, message: messageOf(error) });
  };
  const reply = (one: LogAnswer): void => send({ kind: 'answer', id, answer: one });
  try {
    switch (ask.op) {
      case 'sign':
        return reply({ op: 'sign', checkpoint: writer.sign(ask.now) });
      case 'journals':
        return reply({ op: 'journals', chunk: writer.journals(ask.from) });
      case 'exports':
        return reply({ op: 'exports', exports: writer.exports() });
      case 'save':
        return reply({ op: 'save', saved: writer.saveExport(ask.name, ask.acknowledged, ask.time) });
      case 'remove':
        return reply({ op: 'remove', existed: writer.removeExport(ask.name) });
      case 'prunable':
        return reply({ op: 'prune', pruning: writer.prunable(ask.before) });
      case 'seen':
        return reply({ op: 'seen', time: writer.lastEntryBefore(ask.before) });
      case 'prune':
        inSteps(writer.prune(ask.before)).then(pruning => reply({ op: 'prune', pruning }), decline);
        return;
    }
  } catch (error) {
    decline(error);
  }
}

/** Runs to the end, one step per turn of the event loop. */
async function inSteps(steps: AsyncGenerator<undefined, Pruning>): Promise<Pruning> {
  for (;;) {
    const step = await steps.next();
    if (step.done === true) return step.value;
    await new Promise(resolve => {
      setImmediate(resolve);
    });
  }
}

function checkpoint(writer: LogWriter, send: Send): void {
  if (!writer.checkpointDue) return;
  const start = performance.now();
  writer.checkpoint();
  send({ kind: 'checkpointed', checkpointMs: performance.now() - start, walBytes: writer.walBytes });
}
