/** Metrics count what happened, under bounded labels. */
import { expect, test } from 'vitest';
import type { Decision } from '../../src/domain/decision.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';

const BUILD = { version: '1.2.3', node: '24.0.0', cedar: '4.0.0' };

function decisionWith(errors: string[]): Decision {
  const check = {
    action: 'generate',
    resource: 'AI::Model::"m"',
    decision: 'deny',
    code: 'POLICY_ERROR',
    message: '',
    policies: [],
    errors,
    nearMisses: [],
  } as const;
  return {
    decisionId: 'd',
    decision: 'deny',
    reason: { code: 'POLICY_ERROR', level: 'action', message: '', policies: [] },
    levels: { action: { decision: 'deny', checks: [{ ...check, policies: [], nearMisses: [] }] } },
    obligations: [],
    auth: { mode: 'assert', method: 'asserted' },
    revision: { layers: {}, directory: 1, schema: '' },
    log: { origin: 'o', index: 0, size: 1 },
    evaluatedAt: '',
  };
}

test('decisions are counted by outcome and reason, with their time and their failing policies', async () => {
  const metrics = new Metrics(BUILD);
  metrics.decided(decisionWith(['platform/a']), 0.000_2);
  metrics.decided(decisionWith(['platform/a']), 0.3);
  const page = await metrics.render();
  expect(page).toContain(
    'duramen_decisions_total{decision="deny",reason_code="POLICY_ERROR",endpoint="decide"} 2',
  );
  expect(page).toContain('duramen_decision_duration_seconds_bucket{le="0.00025"} 1');
  expect(page).toContain('duramen_decision_duration_seconds_count 2');
  expect(page).toContain('duramen_policy_errors_total{policy_id="platform/a"} 2');
  expect(page).toContain('duramen_build_info{version="1.2.3",node="24.0.0",cedar="4.0.0"} 1');
});

test('the number of policies with their own series is bounded', async () => {
  const metrics = new Metrics(BUILD);
  metrics.decided(decisionWith(Array.from({ length: 1500 }, (_, index) => `platform/p${index}`)), 0.001);
  const page = await metrics.render();
  expect(page.match(/duramen_policy_errors_total\{/g)).toHaveLength(1001);
  expect(page).toContain('duramen_policy_errors_total{policy_id="other"} 500');
});

test('gauges read the service when they are asked', async () => {
  const metrics = new Metrics(BUILD);
  let bundles = [{ layer: 'platform', digest: 'sha256:aa', activatedAt: 5000 }];
  metrics.observe({
    logQueueLength: () => 7,
    logSize: () => 41,
    logOldestUnflushedSeconds: () => 0.5,
    walBytes: () => ({ log: 4096 }),
    activeBundles: () => bundles,
    breakGlassKeys: () => 0,
    directorySize: () => 12,
  });
  const page = await metrics.render();
  expect(page).toContain('duramen_decision_log_queue_length 7');
  expect(page).toContain('duramen_decision_log_entries 41');
  expect(page).toContain('duramen_sqlite_wal_bytes{database="log"} 4096');
  expect(page).toContain('duramen_bundle_info{name="platform",revision="sha256:aa"} 1');
  expect(page).toContain('duramen_bundle_activated_timestamp_seconds{name="platform"} 5');
  bundles = [{ layer: 'platform', digest: 'sha256:bb', activatedAt: 6000 }];
  expect(await metrics.render()).not.toContain('sha256:aa');
});
