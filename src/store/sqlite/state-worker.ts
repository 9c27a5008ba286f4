/** Entry of the state store's thread: the only thread that touches state.db. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { serve } from './rpc.ts';
import type { StateApi } from './state-api.ts';
import type { StateFolder } from './state-database.ts';
import { openStateService } from './state-service.ts';
import { isObject } from './stored-json.ts';

if (parentPort !== null) start(parentPort, workerData);

function start(port: MessagePort, folder: unknown): void {
  if (!isStateFolder(folder)) throw new Error('the state worker was started without its folder');
  serve<StateApi>(port, () => openStateService(folder));
}

function isStateFolder(value: unknown): value is StateFolder {
  return isObject(value) && typeof value['folder'] === 'string' && typeof value['at'] === 'string';
}
