/**
 * The way back for a layer that was moved to cedar-wasm. Invariant: the act is in the log before the compiled
 * evaluator decides again.
 */
import type { Clock, IdSource } from '../domain/clock.ts';
import type { Credential } from '../domain/credential.ts';
import { AppError } from '../domain/errors.ts';
import type { LayerName } from '../domain/ids.ts';
import type { Quarantine } from '../pdp/evaluator.ts';
import type { Events } from './events.ts';

export class QuarantineKeeper {
  readonly #quarantine: Quarantine;
  readonly #events: Events;
  readonly #clock: Clock;
  readonly #ids: IdSource;

  constructor(quarantine: Quarantine, events: Events, clock: Clock, ids: IdSource) {
    this.#quarantine = quarantine;
    this.#events = events;
    this.#clock = clock;
    this.#ids = ids;
  }

  async restore(layer: LayerName, reason: string, actor: Credential): Promise<void> {
    if (!this.#quarantine.layers.includes(layer)) {
      throw new AppError('NOT_FOUND', `layer \`${layer}\` is not decided by cedar-wasm`);
    }
    await this.#events.record({
      kind: 'engine.restored',
      id: this.#ids.next(),
      time: this.#clock.now(),
      actor: actor.keyId,
      ...(layer === 'platform' ? {} : { tenant: layer.slice('tenant:'.length) }),
      subject: layer,
      details: { reason },
    });
    this.#quarantine.release(layer);
  }
}
