/** Worker of migrations.test.ts: one of several starters that migrate the same database at once. */
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import Sqlite from 'better-sqlite3';
import { migrate, readMigrations } from '../../../src/store/sqlite/migrations.ts';

const folder = String(workerData);
const db = new Sqlite(join(folder, 'some.db'));
const { applied } = migrate(db, readMigrations(join(folder, 'sql')), '2026-01-01T00:00:00.000Z');
db.close();
parentPort?.postMessage(applied.length, []);
