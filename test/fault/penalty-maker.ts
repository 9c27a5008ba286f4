/**
 * Process of penalty-kill.test.ts: blocks principals over SQLite, lifts every other one, and prints each change once it
 * is durable: `block <id>` or `lift <id>`.
 */
import { randomUUID } from 'node:crypto';
import type { Penalties } from '../../src/domain/guard-rules.ts';
import { PenaltyBox } from '../../src/limits/guards/penalties.ts';
import { PenaltyService } from '../../src/limits/guards/penalty-service.ts';
import { StateStore } from '../../src/store/sqlite/state-client.ts';
import { AT } from '../conformance/state-backend.ts';

const [folder = ''] = process.argv.slice(2);
const HOUR = 3_600_000;
const rule = { violations: 2, within: HOUR, block: HOUR, maxBlock: HOUR, forget: HOUR };
const rules: Penalties = { principal: rule };
const clock = { now: () => Date.parse(AT) };
const state = await StateStore.open({ folder, at: AT });
const box = new PenaltyBox(() => rules);
const durable = new Map<string, () => void>();
const penalties = new PenaltyService({
  box,
  store: state.penalties,
  clock,
  ids: { next: randomUUID },
  announce: async ({ kind, subject }) => {
    process.stdout.write(`${kind === 'penalty.block' ? 'block' : 'lift'} ${subject}\n`);
    durable.get(subject)?.();
  },
  tenantOf: () => 'acme',
  nameOfAddress: address => address,
  onFailure: error => {
    throw error;
  },
});

for (let one = 0; ; one++) {
  const id = `AI::User::"acme/u${one}"`;
  const kept = new Promise<void>(resolve => durable.set(id, resolve));
  box.violate('principal', id, 'platform/burst', clock.now());
  const penalty = box.violate('principal', id, 'platform/burst', clock.now());
  if (penalty === undefined) throw new Error('there is no block');
  penalties.begun(penalty);
  await kept;
  if (one % 2 === 1) await penalties.lift({ kind: 'principal', id }, 'ticket 4711', 'root');
}
