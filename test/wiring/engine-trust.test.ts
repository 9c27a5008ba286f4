/** A layer goes back to the compiled evaluator only when somebody says so, and only after that is in the log. */
import { expect, test } from 'vitest';
import { EventRelay } from '../../src/decision-log/event-relay.ts';
import type { Credential } from '../../src/domain/credential.ts';
import { Quarantine } from '../../src/pdp/evaluator.ts';
import { PolicyIndexBuilder } from '../../src/cedar/policy-index.ts';
import { MemoryLog } from '../../src/store/memory/log.ts';
import { MemoryOutbox } from '../../src/store/memory/outbox.ts';
import { makeLogger } from '../../src/telemetry/logger.ts';
import { QuarantineKeeper } from '../../src/wiring/engine-trust.ts';
import { Events } from '../../src/wiring/events.ts';
import { countedIds, manualClock } from '../identity/clock.ts';

const ACTOR: Credential = { keyId: 'k1', roles: new Set(['approver']), tenants: undefined, mayAssert: false };

function scene() {
  const clock = manualClock();
  const log = new MemoryLog('duramen.local/test');
  const quarantine = new Quarantine();
  const logger = makeLogger('silent', clock, { write: () => undefined });
  const relay = new EventRelay(
    new MemoryOutbox(),
    async () => undefined,
    log,
    () => undefined,
  );
  const keeper = new QuarantineKeeper(quarantine, new Events(relay, log, logger), clock, countedIds());
  const index = new PolicyIndexBuilder(new Map()).build();
  quarantine.add([{ name: 'tenant:acme', digest: 'sha256:aa', index, sources: {} }]);
  return { log, quarantine, keeper };
}

test('a restored layer is logged with who and why, and leaves the quarantine', async () => {
  const { log, quarantine, keeper } = scene();
  await keeper.restore('tenant:acme', 'evaluator fixed', ACTOR);
  expect(quarantine.layers).toEqual([]);
  const { items } = await log.events({ limit: 10, order: 'desc' });
  expect(items.map(({ content }) => content)).toMatchObject([
    {
      kind: 'engine.restored',
      actor: 'k1',
      tenant: 'acme',
      subject: 'tenant:acme',
      details: { reason: 'evaluator fixed' },
    },
  ]);
});

test('without the log the layer stays where it is', async () => {
  const { log, quarantine, keeper } = scene();
  await log.close();
  await expect(keeper.restore('tenant:acme', '', ACTOR)).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' });
  expect(quarantine.layers).toEqual(['tenant:acme']);
});

test('a layer that is not in quarantine is not found', async () => {
  await expect(scene().keeper.restore('platform', '', ACTOR)).rejects.toMatchObject({ code: 'NOT_FOUND' });
});
