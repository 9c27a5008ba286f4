/**
 * Exports of the log, whose makers may hold retention back. Invariant: that one begins, goes back or ends is in the
 * log before it takes effect.
 */
import { type LogExport, type LogExports, MAX_LOG_EXPORTS } from '../decision-log/ports.ts';
import type { Clock, IdSource } from '../domain/clock.ts';
import type { Credential } from '../domain/credential.ts';
import { AppError } from '../domain/errors.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Events } from './events.ts';

export class ExportKeeper {
  readonly #exports: LogExports;
  readonly #events: Pick<Events, 'record'>;
  readonly #clock: Clock;
  readonly #ids: IdSource;

  constructor(exports: LogExports, events: Pick<Events, 'record'>, clock: Clock, ids: IdSource) {
    this.#exports = exports;
    this.#events = events;
    this.#clock = clock;
    this.#ids = ids;
  }

  list(): Promise<readonly LogExport[]> {
    return this.#exports.list();
  }

  async acknowledge(name: string, acknowledged: number, actor: Credential): Promise<LogExport> {
    const all = await this.#exports.list();
    const known = all.find(one => one.name === name);
    if (known === undefined && all.length >= MAX_LOG_EXPORTS) {
      throw new AppError('INVALID_REQUEST', `there are ${MAX_LOG_EXPORTS} exports already: remove one first`);
    }
    // Going on is what exports do all day; everything else is somebody's act.
    if (known === undefined || acknowledged < known.acknowledged) {
      await this.#record(
        name,
        { acknowledged, ...(known === undefined ? {} : { before: known.acknowledged }) },
        actor,
      );
    }
    return this.#exports.save(name, acknowledged, this.#clock.now());
  }

  async remove(name: string, actor: Credential): Promise<boolean> {
    const known = (await this.#exports.list()).find(one => one.name === name);
    if (known === undefined) return false;
    await this.#record(name, { removed: true, before: known.acknowledged }, actor);
    return this.#exports.remove(name);
  }

  #record(name: string, details: JsonObject, actor: Credential): Promise<void> {
    return this.#events.record({
      kind: 'log.export',
      id: this.#ids.next(),
      time: this.#clock.now(),
      actor: actor.keyId,
      subject: name,
      details,
    });
  }
}
