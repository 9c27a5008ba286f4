/**
 * Loaded into every thread of a service before its own code: the thread whose script is named by HANGS_IN opens the pipe
 * HANGS_AT for reading before its next message, when there is one, which lasts until somebody writes into it: as
 * deaf to everything as in a write to a disk that does not answer.
 */
import { closeSync, existsSync, openSync } from 'node:fs';
import { basename } from 'node:path';
import { parentPort } from 'node:worker_threads';

const { HANGS_IN, HANGS_AT = '' } = process.env;

if (parentPort !== null && basename(process.argv[1] ?? '') === HANGS_IN) {
  parentPort.on('message', () => {
    if (existsSync(HANGS_AT)) closeSync(openSync(HANGS_AT, 'r'));
  });
}
